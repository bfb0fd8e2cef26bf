//! Text of sites that cut an answer between the halves of a surrogate pair.
//!
//! JavaScript strings are UTF-16, so a site that sends an answer in pieces may send half an emoji in one piece and half in the
//! next, each as a `\u` escape. Rust's strings have no place for half a character. So [`parse`] puts one of 2,048 characters that
//! no text uses in the place of each half, U+10F800 to U+10FFFF, and [`join`] makes whole characters of them.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

/// U+D800 becomes this, U+DFFF the last of all characters.
const BASE: u32 = 0x10_f800;
const SURROGATES: std::ops::RangeInclusive<u16> = 0xd800..=0xdfff;

/// Reads JSON whose strings may hold halves of surrogate pairs.
///
/// # Errors
/// When it is not JSON, or not of this shape.
pub fn parse<T: DeserializeOwned>(json: &str) -> serde_json::Result<T> {
    serde_json::from_str(&mark(json))
}

/// The character that stands for half of a pair.
fn stand_in(half: u16) -> char {
    char::from_u32(BASE + u32::from(half - SURROGATES.start())).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The half that this character stands for.
fn half(c: char) -> Option<u16> {
    u16::try_from(u32::from(c).checked_sub(BASE)?).ok().map(|offset| SURROGATES.start() + offset)
}

/// Puts stand-ins in the place of `\u` escapes of single halves.
fn mark(json: &str) -> Cow<'_, str> {
    if !json.contains("\\ud") && !json.contains("\\uD") {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let pair = escaped_unit(escape)
            .filter(|u| (0xd800..0xdc00).contains(u))
            .and_then(|_| escape.get(6..).and_then(escaped_unit).filter(|u| (0xdc00..0xe000).contains(u)));
        let length = match escaped_unit(escape) {
            Some(_) if pair.is_some() => 12,
            Some(unit) if SURROGATES.contains(&unit) => {
                out.push(stand_in(unit));
                rest = escape.get(6..).unwrap_or_default();
                continue;
            }
            // A backslash and what it escapes, so that the second of two backslashes begins nothing.
            _ => 1 + escape.chars().nth(1).map_or(0, char::len_utf8),
        };
        let (kept, after) = escape.split_at(length);
        out.push_str(kept);
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The code unit of an escape that the text begins with.
fn escaped_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u16::from_str_radix(digits, 16).ok()
}

/// Makes whole characters of halves that meet; one that stays alone becomes U+FFFD. A first half at the very end may still meet
/// its other one: it is given back for the piece that follows.
pub fn join(text: &str) -> (Cow<'_, str>, Option<char>) {
    if !text.chars().any(|c| half(c).is_some()) {
        return (Cow::Borrowed(text), None);
    }
    let mut out = String::with_capacity(text.len());
    let mut waiting: Option<char> = None;
    for c in text.chars() {
        let whole = waiting
            .and_then(half)
            .zip(half(c))
            .and_then(|(high, low)| char::decode_utf16([high, low]).next().and_then(Result::ok));
        if let Some(whole) = whole {
            out.push(whole);
            waiting = None;
            continue;
        }
        if waiting.take().is_some() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
        match half(c) {
            Some(high) if high < 0xdc00 => waiting = Some(c),
            Some(_) => out.push(char::REPLACEMENT_CHARACTER),
            None => out.push(c),
        }
    }
    (Cow::Owned(out), waiting)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As a reader of deltas does it.
    fn read(pieces: &[&str]) -> String {
        let mut text = String::new();
        let mut waiting = None;
        for piece in pieces {
            let piece: String = waiting.take().into_iter().chain(parse::<String>(piece).unwrap().chars()).collect();
            let (whole, rest) = join(&piece);
            text.push_str(&whole);
            waiting = rest;
        }
        text.extend(waiting.map(|_| '\u{fffd}'));
        text
    }

    #[test]
    fn halves_meet() {
        assert_eq!(read(&[r#""a\ud83d""#, r#""\ude00b""#]), "a\u{1f600}b");
        assert_eq!(read(&[r#""\uD83D\uDE00""#, r#""\\ud83d""#]), "\u{1f600}\\ud83d");
    }

    #[test]
    fn halves_that_stay_alone_are_replaced() {
        assert_eq!(read(&[r#""\ude00a""#, r#""\ud83d""#, r#""b\ud83d""#]), "\u{fffd}a\u{fffd}b\u{fffd}");
    }

    proptest! {
        #[test]
        fn any_cut_of_utf16_gives_the_text(text in "[a\u{e9}\u{4e2d}\u{1f600}\u{2ffff}\"\\\\]{0,20}", size in 1_usize..4) {
            let units: Vec<u16> = text.encode_utf16().collect();
            let pieces: Vec<String> = units
                .chunks(size)
                .map(|chunk| format!("\"{}\"", chunk.iter().map(|u| format!("\\u{u:04x}")).collect::<String>()))
                .collect();
            prop_assert_eq!(read(&pieces.iter().map(String::as_str).collect::<Vec<_>>()), text);
        }

        #[test]
        fn nothing_makes_it_panic(text in "([\\\\uUdD89abcf\"]|\u{4e2d}|\u{10f800}|\u{10ffff}){0,60}") {
            let _ = parse::<serde_json::Value>(&text);
            let _ = join(&text);
        }

        #[test]
        fn whole_json_stays_as_it_is(text in ".{0,40}") {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(parse::<String>(&json).unwrap(), text);
        }
    }
}

//! What of a candidate's text is for people.

/// Addresses that the page puts something else in the place of: a card, a picture.
const PLACEHOLDER: &str = "http://googleusercontent.com/";
const CARD: &str = "http://googleusercontent.com/card_content/";
/// The site closes an open block of code in every snapshot, and takes that back in the next.
const FENCE: &str = "```";

/// The text is nothing but the place of a card.
pub(super) fn is_card(text: &str) -> bool {
    text.trim().strip_prefix(CARD).is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The text without placeholders and, while more is to come, without an end that may be taken back.
pub(super) fn readable(text: &str, whole: bool) -> String {
    let mut readable = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(PLACEHOLDER) {
        let (before, found) = rest.split_at(at);
        readable.push_str(before);
        let length = placeholder(found);
        // An address that is no placeholder stays.
        if length == 0 {
            readable.push_str(PLACEHOLDER);
        }
        rest = found.get(length.max(PLACEHOLDER.len())..).unwrap_or_default();
    }
    readable.push_str(rest);
    if !whole {
        readable.truncate(settled(&readable).len());
    }
    readable
}

/// How long the placeholder is that the text begins with: `<kind>/<number>` behind the host.
fn placeholder(text: &str) -> usize {
    let Some(path) = text.strip_prefix(PLACEHOLDER) else { return 0 };
    let kind = path.bytes().take_while(|byte| byte.is_ascii_lowercase() || *byte == b'_').count();
    let Some(number) = path.get(kind..).and_then(|path| path.strip_prefix('/')) else { return 0 };
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    if kind == 0 || digits == 0 { 0 } else { PLACEHOLDER.len() + kind + 1 + digits }
}

/// The text up to where a placeholder may begin, or a fence that may go again.
fn settled(text: &str) -> &str {
    let text = match text.rfind(PLACEHOLDER) {
        Some(at) if is_begun(text.get(at + PLACEHOLDER.len()..).unwrap_or_default()) => text.get(..at).unwrap_or(text),
        _ => {
            let begun = (1..PLACEHOLDER.len()).rev().find_map(|length| text.strip_suffix(PLACEHOLDER.get(..length)?));
            begun.unwrap_or(text)
        }
    };
    match text.trim_end().strip_suffix(FENCE) {
        Some(before) => before.trim_end(),
        None => text.trim_end_matches(['`', '\n']),
    }
}

/// Whether this can become a placeholder's path.
fn is_begun(path: &str) -> bool {
    let kind = path.trim_start_matches(|c: char| c.is_ascii_lowercase() || c == '_');
    kind.is_empty() || kind == "/"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn placeholders_go_and_addresses_stay() {
        let whole = |text| readable(text, true);
        assert_eq!(whole("a http://googleusercontent.com/image_collection/12 b"), "a  b");
        assert_eq!(whole("http://googleusercontent.com/card_content/0"), "");
        assert_eq!(whole("see http://googleusercontent.com/ and x"), "see http://googleusercontent.com/ and x");
        assert!(is_card(" http://googleusercontent.com/card_content/3\n") && !is_card("http://example.com"));
    }

    #[test]
    fn what_may_be_taken_back_is_held() {
        let held = |text| readable(text, false);
        assert_eq!(held("a http://goog"), "a ");
        assert_eq!(held("a http://googleusercontent.com/ima"), "a ");
        assert_eq!(held("x\n```py\nprint(1)\n```"), "x\n```py\nprint(1)");
        assert_eq!(held("x\n```py\nprint(1)\nprint(2)\n```"), "x\n```py\nprint(1)\nprint(2)");
        assert_eq!(readable("x\n```py\nprint(1)\n```", true), "x\n```py\nprint(1)\n```");
    }

    proptest! {
        /// Whatever is held back, the end is the whole text, and nothing that was said is taken back.
        #[test]
        fn a_text_that_grows_is_never_taken_back(
            text in "([a-c`\n ]|http://googleusercontent.com/|image/1|http:){0,12}",
        ) {
            let whole = readable(&text, true);
            for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
                let said = readable(&text[..at], false);
                prop_assert!(whole.starts_with(&said), "{said:?} of {whole:?}");
            }
        }
    }
}

//! Text of sites that cut an answer between the halves of a surrogate pair.
//!
//! JavaScript strings are UTF-16, so a site that sends an answer in pieces may send half an emoji in one piece and half in the
//! next, each as a `\u` escape. serde_json gives such strings only as bytes, in WTF-8.

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A JSON string that may hold halves of surrogate pairs: WTF-8 (<https://simonsapin.github.io/wtf-8/>).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wtf8(Vec<u8>);

impl<'de> Deserialize<'de> for Wtf8 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Wtf8;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Wtf8, E> {
                Ok(Wtf8(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Joins pieces to whole characters.
#[derive(Debug, Default)]
pub struct Joiner {
    /// The second and third byte of a high surrogate that waits for its low half.
    high: Option<(u8, u8)>,
}

impl Joiner {
    /// The text of a piece, together with a half that the piece before left over. A half that stays alone becomes U+FFFD.
    pub fn push(&mut self, piece: &Wtf8) -> String {
        let mut out = Vec::with_capacity(piece.0.len() + 4);
        let mut rest = piece.0.as_slice();
        while let Some((&first, tail)) = rest.split_first() {
            if let [0xed, second @ 0xa0..=0xbf, third, tail @ ..] = rest {
                self.surrogate(&mut out, *second, *third);
                rest = tail;
            } else {
                self.flush(&mut out);
                out.push(first);
                rest = tail;
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    /// What is left over at the end of the text.
    pub fn finish(&mut self) -> &'static str {
        if self.high.take().is_some() { "\u{fffd}" } else { "" }
    }

    fn surrogate(&mut self, out: &mut Vec<u8>, second: u8, third: u8) {
        if second < 0xb0 {
            self.flush(out);
            self.high = Some((second, third));
            return;
        }
        let Some((high_second, high_third)) = self.high.take() else {
            out.extend_from_slice("\u{fffd}".as_bytes());
            return;
        };
        let ten_bits = |second: u8, third: u8| (u32::from(second & 0x0f) << 6) | u32::from(third & 0x3f);
        let point = 0x10000 + (ten_bits(high_second, high_third) << 10) + ten_bits(second, third);
        let joined = char::from_u32(point).unwrap_or('\u{fffd}');
        out.extend_from_slice(joined.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        if self.high.take().is_some() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn join(pieces: &[&str]) -> String {
        let mut joiner = Joiner::default();
        let mut text: String = pieces.iter().map(|p| joiner.push(&serde_json::from_str(p).unwrap())).collect();
        text.push_str(joiner.finish());
        text
    }

    #[test]
    fn halves_meet() {
        assert_eq!(join(&[r#""a\ud83d""#, r#""\ude00b""#]), "a\u{1f600}b");
        assert_eq!(join(&[r#""\ud83d\ude00""#]), "\u{1f600}");
    }

    #[test]
    fn halves_that_stay_alone_are_replaced() {
        assert_eq!(join(&[r#""\ude00a""#, r#""\ud83d""#, r#""b\ud83d""#]), "\u{fffd}a\u{fffd}b\u{fffd}");
    }

    proptest! {
        #[test]
        fn any_cut_of_utf16_gives_the_text(text in "[a\u{e9}\u{4e2d}\u{1f600}\u{10ffff}\"\\\\]{0,20}", size in 1_usize..4) {
            let units: Vec<u16> = text.encode_utf16().collect();
            let pieces: Vec<String> = units
                .chunks(size)
                .map(|chunk| format!("\"{}\"", chunk.iter().map(|u| format!("\\u{u:04x}")).collect::<String>()))
                .collect();
            prop_assert_eq!(join(&pieces.iter().map(String::as_str).collect::<Vec<_>>()), text);
        }
    }
}

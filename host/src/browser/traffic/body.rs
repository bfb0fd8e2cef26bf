//! Bodies as Chromium hands them over, turned back into the bytes that the site sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::super::event::EventBody;

/// The most that one event carries, in bytes.
pub(super) const MAX_PIECE: usize = 256 << 10;

pub(super) fn from_base64(text: &str) -> Result<Bytes, String> {
    STANDARD.decode(text).map(Bytes::from).map_err(|error| format!("unreadable base64: {error}"))
}

/// Cuts bytes into events of at most [`MAX_PIECE`].
pub(super) fn pieces(mut bytes: Bytes) -> impl Iterator<Item = EventBody> {
    std::iter::from_fn(move || {
        let length = bytes.len().min(MAX_PIECE);
        (length > 0).then(|| EventBody::Bytes(bytes.split_to(length)))
    })
}

/// The bytes of a body that `Network.getResponseBody` gave as text.
///
/// Chromium decodes a body that names no charset as windows-1252, `text/event-stream` included, although that one is UTF-8
/// by definition. The decoding is undone where that yields UTF-8; otherwise the text is taken as it stands.
pub(super) fn from_text(text: &str, content_type: &str) -> Bytes {
    if !content_type.to_ascii_lowercase().contains("charset")
        && !text.is_ascii()
        && let Some(bytes) = text.chars().map(windows_1252).collect::<Option<Vec<u8>>>()
        && std::str::from_utf8(&bytes).is_ok()
    {
        return Bytes::from(bytes);
    }
    Bytes::copy_from_slice(text.as_bytes())
}

/// The byte that windows-1252 decodes to this character, after the table in the Encoding Standard.
fn windows_1252(c: char) -> Option<u8> {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match u8::try_from(u32::from(c)) {
        Ok(byte @ (0..=0x7f | 0xa0..)) => Some(byte),
        _ => HIGH.iter().zip(0x80..).find_map(|(&high, byte)| (high == c).then_some(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a real Chromium 156 answered for a `text/event-stream` without a charset.
    #[test]
    fn undoes_the_decoding_that_chromium_did() {
        let seen = "data: Ã©â‚¬ä½\u{a0}ðŸ˜€\n\n";
        assert_eq!(from_text(seen, "text/event-stream"), "data: é€你😀\n\n");
    }

    #[test]
    fn leaves_declared_text_alone() {
        assert_eq!(from_text("Ã©", "text/plain; charset=utf-8"), "Ã©");
        assert_eq!(from_text("é€你", "application/json"), "é€你");
        assert_eq!(from_text("é", "text/plain"), "é", "one that cannot have been UTF-8");
    }

    /// What each byte is decoded to.
    fn decoding() -> Vec<char> {
        let mut decoded = vec![' '; 256];
        for c in (0..=0x2122).filter_map(char::from_u32) {
            if let Some(byte) = windows_1252(c) {
                decoded[usize::from(byte)] = c;
            }
        }
        decoded
    }

    proptest! {
        #[test]
        fn any_text_survives_windows_1252(text in ".*") {
            let decoded = decoding();
            let decoded: String = text.bytes().map(|byte| {
                decoded[usize::from(byte)]
            }).collect();
            prop_assert_eq!(from_text(&decoded, "text/event-stream"), text);
        }

        #[test]
        fn pieces_are_bounded_and_whole(length in 0usize..700_000) {
            let bytes = Bytes::from((0..length).map(|i| (i % 251) as u8).collect::<Vec<_>>());
            let mut joined = Vec::new();
            for piece in pieces(bytes.clone()) {
                let EventBody::Bytes(piece) = piece else { panic!("bytes") };
                prop_assert!(!piece.is_empty() && piece.len() <= MAX_PIECE);
                joined.extend_from_slice(&piece);
            }
            prop_assert_eq!(joined, bytes);
        }
    }
}

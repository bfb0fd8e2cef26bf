//! What a file is: by its first bytes, since servers lie, and by what was said of it else. And files that are written out in text.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use percent_encoding::percent_decode_str;

use crate::chat::media_type;

/// Sites leave the padding away, or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// First bytes and what they mean, after the MIME Sniffing Standard. A dot stands for any byte.
const SIGNS: [(&[u8], &str); 17] = [
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"RIFF....WEBP", "image/webp"),
    (b"....ftypavif", "image/avif"),
    (b"....ftypM4A ", "audio/mp4"),
    (b"....ftypqt  ", "video/quicktime"),
    (b"....ftyp", "video/mp4"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
    (b"RIFF....WAVE", "audio/wav"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"%PDF-", "application/pdf"),
];

/// The type of a file, of which `declared` was said. Never empty.
pub(super) fn kind(declared: &str, bytes: &[u8]) -> String {
    let declared = media_type(declared).unwrap_or_default();
    let sign = |sign: &[u8]| {
        bytes.len() >= sign.len() && sign.iter().zip(bytes).all(|(own, byte)| *own == b'.' || own == byte)
    };
    match SIGNS.iter().find(|(begin, _)| sign(begin)) {
        // One container for both: the bytes do not tell which.
        Some((_, "video/webm")) if declared == "audio/webm" => declared,
        Some((_, "video/mp4")) if declared.starts_with("audio/") => declared,
        Some((_, known)) => (*known).to_owned(),
        // An error page in place of a picture.
        None if is_html(bytes) => "text/html".into(),
        None if !declared.is_empty() => declared,
        None => "application/octet-stream".into(),
    }
}

fn is_html(bytes: &[u8]) -> bool {
    let begin = bytes.trim_ascii_start();
    let starts = |tag: &[u8]| begin.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag));
    starts(b"<!doctype html") || starts(b"<html")
}

/// Why a file that is written out cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unreadable {
    TooLarge(String),
    Damaged(String),
}

impl From<&str> for Unreadable {
    fn from(why: &str) -> Self {
        Self::Damaged(why.to_owned())
    }
}

/// A file that is written as a data URL (RFC 2397) or as bare base64, and what is said of its type. At most `max` bytes.
///
/// # Errors
/// When it is neither, or is too large.
pub(super) fn written_out(text: &str, max: usize) -> Result<(String, Bytes), Unreadable> {
    let (declared, bytes) = match text.get(..5) {
        Some(scheme) if scheme.eq_ignore_ascii_case("data:") => data_url(text.get(5..).unwrap_or_default(), max)?,
        _ => (String::new(), from_base64(text, max)?),
    };
    if bytes.len() > max {
        return Err(Unreadable::TooLarge(too_large(bytes.len(), max)));
    }
    Ok((declared, bytes.into()))
}

fn data_url(rest: &str, max: usize) -> Result<(String, Vec<u8>), Unreadable> {
    let (head, data) = rest.split_once(',').ok_or("it is a data URL without a comma")?;
    let at = head.len().checked_sub(";base64".len()).filter(|at| head.is_char_boundary(*at));
    match at.map(|at| head.split_at(at)) {
        Some((declared, end)) if end.eq_ignore_ascii_case(";base64") => {
            let data = percent_decode_str(data).decode_utf8().map_err(|_| "it is not base64")?;
            Ok((declared.to_owned(), from_base64(&data, max)?))
        }
        _ => Ok((head.to_owned(), percent_decode_str(data).collect())),
    }
}

fn from_base64(text: &str, max: usize) -> Result<Vec<u8>, Unreadable> {
    // Before it is decoded: three bytes in four letters, and perhaps line ends.
    if text.len() / 4 * 3 > max.saturating_add(max / 8).saturating_add(1024) {
        return Err(Unreadable::TooLarge(too_large(text.len() / 4 * 3, max)));
    }
    let decoded = if text.contains(|c: char| c.is_ascii_whitespace()) {
        BASE64.decode(text.split_ascii_whitespace().collect::<String>())
    } else {
        BASE64.decode(text)
    };
    decoded.map_err(|error| Unreadable::Damaged(format!("it is not base64: {error}")))
}

pub(super) fn too_large(size: usize, max: usize) -> String {
    format!("it has {size} bytes; at most {max} can be saved")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Unreadable {
        fn says(&self, what: &str) -> bool {
            matches!(self, Self::TooLarge(why) if why.contains(what))
        }
    }

    #[test]
    fn the_bytes_tell_more_than_what_is_said() {
        for (declared, bytes, expected) in [
            ("image/jpeg", &b"\x89PNG\r\n\x1a\n..."[..], "image/png"),
            ("text/plain", b"\xff\xd8\xff\xe0", "image/jpeg"),
            ("", b"GIF89a", "image/gif"),
            ("application/octet-stream", b"RIFF\x01\x02\x03\x04WEBPVP8 ", "image/webp"),
            ("image/png", b"RIFF\x01\x02\x03\x04WAVEfmt ", "audio/wav"),
            ("", b"\0\0\0\x20ftypisom", "video/mp4"),
            ("audio/mp4", b"\0\0\0\x20ftypisom", "audio/mp4"),
            ("", b"\x1a\x45\xdf\xa3", "video/webm"),
            ("Audio/WebM; codecs=opus", b"\x1a\x45\xdf\xa3", "audio/webm"),
            ("", b"ID3\x04", "audio/mpeg"),
            ("application/pdf", b"%PDF-1.7", "application/pdf"),
            ("image/png", b"\n <!DOCTYPE HTML><title>no", "text/html"),
            ("text/csv; charset=utf-8", b"a,b", "text/csv"),
            ("image/svg+xml", b"<svg", "image/svg+xml"),
            ("nonsense", b"a", "application/octet-stream"),
            ("x/y)\n![](https://evil.example/", b"a", "application/octet-stream"),
            ("audio/\"><script>", b"\0\0\0\x20ftypisom", "video/mp4"),
            ("", b"", "application/octet-stream"),
            ("", b"RIFF", "application/octet-stream"),
        ] {
            assert_eq!(kind(declared, bytes), expected, "{declared} {bytes:?}");
        }
    }

    #[test]
    fn reads_data_urls_and_bare_base64() {
        for (text, declared, bytes) in [
            ("data:image/png;base64,AAEC", "image/png", &[0, 1, 2][..]),
            ("DATA:image/png;BASE64,AAEC", "image/png", &[0, 1, 2]),
            ("data:text/plain;charset=utf-8;base64,AA%3D%3D", "text/plain;charset=utf-8", &[0]),
            ("data:,a%20b", "", b"a b"),
            ("data:text/plain,%C3%A9", "text/plain", "é".as_bytes()),
            ("AAEC", "", &[0, 1, 2]),
            ("AA==", "", &[0]),
            ("AA", "", &[0]),
            ("AA\nEC\n", "", &[0, 1, 2]),
            ("", "", &[]),
        ] {
            assert_eq!(written_out(text, 100), Ok((declared.to_owned(), Bytes::copy_from_slice(bytes))), "{text}");
        }
        for text in ["data:image/png;base64", "data:;base64,*", "not base64!", "data:é;base64,AA*A"] {
            assert!(written_out(text, 100).is_err(), "{text}");
        }
        assert!(written_out(&"A".repeat(40_000), 100).unwrap_err().says("at most 100"));
        assert!(written_out(&format!("data:,{}", "a".repeat(101)), 100).unwrap_err().says("at most 100"));
    }

    proptest! {
        #[test]
        fn whatever_was_written_out_is_read_again(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let encoded = BASE64.encode(&bytes);
            prop_assert_eq!(&written_out(&encoded, 300).unwrap().1[..], &bytes[..]);
            prop_assert_eq!(&written_out(&format!("data:x/y;base64,{encoded}"), 300).unwrap().1[..], &bytes[..]);
        }

        #[test]
        fn no_text_makes_it_panic(text in "(data:)?.*", declared in ".*", bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = written_out(&text, 100);
            prop_assert!(!kind(&declared, &bytes).is_empty());
        }
    }
}

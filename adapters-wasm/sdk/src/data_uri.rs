//! Files that are written out in an address (RFC 2397).

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Sites leave the padding away, or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// Without its parameters; `text/plain` where none is named.
    pub mime_type: String,
    pub bytes: Vec<u8>,
}

/// Reads `data:[type][;parameter...][;base64],data`. None if it is none.
pub fn parse(uri: &str) -> Option<Data> {
    let scheme = uri.get(..5)?;
    let (head, data) = uri.get(5..)?.split_once(',')?;
    if !scheme.eq_ignore_ascii_case("data:") {
        return None;
    }
    let mut parts = head.split(';');
    let mime_type = match parts.next().map(str::trim) {
        None | Some("") => "text/plain".to_owned(),
        Some(named) => named.to_ascii_lowercase(),
    };
    let encoded = percent_decoded(data);
    let bytes = if parts.any(|part| part.trim().eq_ignore_ascii_case("base64")) {
        let text: Vec<u8> = encoded.into_iter().filter(|b| !b.is_ascii_whitespace()).collect();
        BASE64.decode(text).ok()?
    } else {
        encoded
    };
    Some(Data { mime_type, bytes })
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escaped = (byte == b'%').then(|| hex(tail)).flatten();
        out.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    out
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_the_standard_allows() {
        let cases: [(&str, &str, &[u8]); 5] = [
            ("data:,a%20b%2", "text/plain", b"a b%2"),
            ("DATA:Image/PNG;base64,AAEC", "image/png", &[0, 1, 2]),
            ("data:image/png;base64,AAE", "image/png", &[0, 1]),
            ("data:text/html;charset=utf-8;base64,YQ%3D%3D", "text/html", b"a"),
            ("data:;base64,", "text/plain", b""),
        ];
        for (uri, mime_type, bytes) in cases {
            assert_eq!(parse(uri), Some(Data { mime_type: mime_type.into(), bytes: bytes.into() }), "{uri}");
        }
        for uri in ["", "data:", "data:image/png;base64", "https://a/,b", "data:;base64,\u{e9}", "dat\u{e9}:,"] {
            assert_eq!(parse(uri), None, "{uri}");
        }
    }

    proptest! {
        #[test]
        fn base64_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let uri = format!("data:image/webp;base64,{}", STANDARD.encode(&bytes));
            prop_assert_eq!(parse(&uri).unwrap().bytes, bytes);
        }

        #[test]
        fn no_text_makes_it_panic(text in "(data:)?.{0,40}") {
            let _ = parse(&text);
        }
    }
}

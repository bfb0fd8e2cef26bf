//! Files that are written out in an address (RFC 2397).

use std::fmt;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Sites leave the padding away, or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes of what stands before the comma. Longer ones are no file's type.
const MAX_HEAD: usize = 4 << 10;
const SCHEME: &[u8] = b"data:";

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// Without its parameters; `text/plain` where none is named.
    pub mime_type: String,
    pub bytes: Vec<u8>,
}

/// The text is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadUri;

impl fmt::Display for BadUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is no file written out in an address")
    }
}

impl std::error::Error for BadUri {}

/// Takes `data:[type][;parameter...][;base64],data` as it comes, and gives the file's bytes as soon as they are complete.
#[derive(Debug, Default)]
pub struct Parser {
    state: State,
    mime_type: Option<String>,
    /// The begin of an escape `%41`.
    escape: Vec<u8>,
    /// Base64 that is no whole group yet, or the last one.
    group: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Head(Vec<u8>),
    Plain,
    Base64,
    Broken,
}

impl Default for State {
    fn default() -> Self {
        Self::Head(Vec::new())
    }
}

impl Parser {
    pub fn new() -> Self {
        Self::default()
    }

    /// For base64 that has no address around it.
    pub fn base64(mime_type: &str) -> Self {
        Self { state: State::Base64, mime_type: Some(mime_type.to_owned()), ..Self::default() }
    }

    /// The file's type, without its parameters, as soon as it is known; `text/plain` where none is named.
    pub fn mime_type(&self) -> Option<&str> {
        self.mime_type.as_deref()
    }

    /// Adds a part of the address and returns the bytes of the file that it completes.
    ///
    /// # Errors
    /// When it is no such address; from then on always.
    pub fn push(&mut self, part: &[u8]) -> Result<Vec<u8>, BadUri> {
        let decoded = self.part(part);
        if decoded.is_err() {
            self.state = State::Broken;
        }
        decoded
    }

    /// The bytes that no more text can complete.
    ///
    /// # Errors
    /// When it was no such address, or breaks off.
    pub fn finish(mut self) -> Result<Vec<u8>, BadUri> {
        let rest = std::mem::take(&mut self.escape);
        match self.state {
            State::Plain => Ok(rest),
            State::Base64 => {
                let mut bytes = self.groups(&rest)?;
                bytes.extend(BASE64.decode(&self.group).map_err(|_| BadUri)?);
                Ok(bytes)
            }
            State::Head(_) | State::Broken => Err(BadUri),
        }
    }

    fn part(&mut self, mut part: &[u8]) -> Result<Vec<u8>, BadUri> {
        if let State::Head(head) = &mut self.state {
            let comma = part.iter().position(|&byte| byte == b',');
            let (before, after) = part.split_at(comma.unwrap_or(part.len()));
            head.extend_from_slice(before);
            let scheme = head.get(..SCHEME.len().min(head.len())).unwrap_or_default();
            let begins = SCHEME.get(..scheme.len()).is_some_and(|begin| scheme.eq_ignore_ascii_case(begin));
            if !begins || head.len() > MAX_HEAD {
                return Err(BadUri);
            }
            if comma.is_none() {
                return Ok(Vec::new());
            }
            let (mime_type, base64) = read_head(head)?;
            self.mime_type = Some(mime_type);
            self.state = if base64 { State::Base64 } else { State::Plain };
            part = after.get(1..).unwrap_or_default();
        }
        let text = self.unescaped(part);
        match self.state {
            State::Plain => Ok(text),
            State::Base64 => self.groups(&text),
            State::Head(_) | State::Broken => Err(BadUri),
        }
    }

    /// Takes the place of escapes. What may be the begin of one waits.
    fn unescaped(&mut self, part: &[u8]) -> Vec<u8> {
        let mut text = std::mem::take(&mut self.escape);
        text.extend_from_slice(part);
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text.as_slice();
        while let Some((&byte, tail)) = rest.split_first() {
            let digits = tail.split_at_checked(2);
            rest = match digits.map(|(digits, after)| (hex(digits), after)) {
                _ if byte != b'%' => {
                    out.push(byte);
                    tail
                }
                None => {
                    self.escape = rest.to_vec();
                    break;
                }
                Some((Some(escaped), after)) => {
                    out.push(escaped);
                    after
                }
                Some((None, _)) => {
                    out.push(byte);
                    tail
                }
            };
        }
        out
    }

    /// Decodes what is whole. A group with padding is the last.
    fn groups(&mut self, text: &[u8]) -> Result<Vec<u8>, BadUri> {
        self.group.extend(text.iter().filter(|byte| !byte.is_ascii_whitespace()));
        let padding = self.group.iter().position(|&byte| byte == b'=').unwrap_or(self.group.len());
        let rest = self.group.split_off(padding / 4 * 4);
        let whole = std::mem::replace(&mut self.group, rest);
        if self.group.len() > 4 {
            return Err(BadUri);
        }
        BASE64.decode(whole).map_err(|_| BadUri)
    }
}

/// The type, and whether what follows is base64.
fn read_head(head: &[u8]) -> Result<(String, bool), BadUri> {
    let head = head.get(SCHEME.len()..).ok_or(BadUri)?;
    let mut parts = std::str::from_utf8(head).map_err(|_| BadUri)?.split(';').map(str::trim);
    let mime_type = match parts.next() {
        None | Some("") => "text/plain".to_owned(),
        Some(named) => named.to_ascii_lowercase(),
    };
    Ok((mime_type, parts.any(|part| part.eq_ignore_ascii_case("base64"))))
}

/// Reads a whole address. None if it is none.
pub fn parse(uri: &str) -> Option<Data> {
    let mut parser = Parser::new();
    let mut bytes = parser.push(uri.as_bytes()).ok()?;
    let mime_type = parser.mime_type().map(str::to_owned)?;
    bytes.extend(parser.finish().ok()?);
    Some(Data { mime_type, bytes })
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

    fn in_pieces(parser: &mut Parser, text: &str, cuts: &[usize]) -> Option<Vec<u8>> {
        let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
        for &cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            bytes.extend(parser.push(piece).ok()?);
            rest = after;
        }
        bytes.extend(parser.push(rest).ok()?);
        bytes.extend(std::mem::take(parser).finish().ok()?);
        Some(bytes)
    }

    /// What is complete does not wait for the rest.
    #[test]
    fn bytes_come_as_soon_as_they_are_there() {
        let mut parser = Parser::new();
        assert_eq!(parser.push(b"data:image/png;base6"), Ok(vec![]));
        assert_eq!(parser.mime_type(), None);
        assert_eq!(parser.push(b"4,AAECAw"), Ok(vec![0, 1, 2]));
        assert_eq!(parser.mime_type(), Some("image/png"));
        assert_eq!(parser.push(b"%3"), Ok(vec![]));
        assert_eq!(parser.push(b"D"), Ok(vec![]));
        assert_eq!(parser.push(b"="), Ok(vec![]));
        assert_eq!(parser.finish(), Ok(vec![3]));
        let mut broken = Parser::new();
        assert_eq!((broken.push(b"http"), broken.push(b"data:,")), (Err(BadUri), Err(BadUri)));
    }

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
        let long = format!("data:{},a", "a".repeat(MAX_HEAD));
        for uri in [
            "",
            "data:",
            "data,",
            "data:image/png;base64",
            "https://a/,b",
            "data:;base64,\u{e9}",
            "dat\u{e9}:,",
            "data:;base64,AA==AAAA",
            "data:;base64,AAA=A",
            "data:;base64,A",
            &long,
        ] {
            assert_eq!(parse(uri), None, "{uri}");
        }
    }

    proptest! {
        #[test]
        fn base64_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let uri = format!("data:image/webp;base64,{}", STANDARD.encode(&bytes));
            prop_assert_eq!(parse(&uri).unwrap().bytes, bytes);
        }

        /// The same, however it is cut, and in an address or alone.
        #[test]
        fn cuts_make_no_difference(
            text in r"(data:image/png(;base64)?,)?([A-Za-z0-9+/ =%,;]|%[0-9a-fA-F]{2}|%3[dD]){0,40}",
            cuts in proptest::collection::vec(0usize..12, 0..20),
        ) {
            let mut parser = Parser::new();
            prop_assert_eq!(in_pieces(&mut parser, &text, &cuts), parse(&text).map(|data| data.bytes));

            let bare = text.split_once(',').map_or(text.as_str(), |(_, data)| data);
            let whole = parse(&format!("data:image/gif;base64,{bare}"));
            let mut parser = Parser::base64("image/gif");
            prop_assert_eq!(parser.mime_type(), Some("image/gif"));
            prop_assert_eq!(in_pieces(&mut parser, bare, &cuts), whole.map(|data| data.bytes));
        }

        #[test]
        fn no_text_makes_it_panic(text in "(data:)?.{0,40}") {
            let _ = parse(&text);
        }
    }
}

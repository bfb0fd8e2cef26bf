//! Google's frames: a first line `)]}'`, then `<length>`, a line feed, so much text, again and again. The length counts UTF-16 code
//! units, from the line feed behind the number to the one behind the text.

use std::fmt;

/// UTF-16 units of a frame. Longer ones are no chat site's.
const MAX_FRAME: usize = 16 << 20;
const PREFIX: &[u8] = b")]}'";

/// The bytes are no such frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadFrame;

impl fmt::Display for BadFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer is not made of length-framed texts")
    }
}

impl std::error::Error for BadFrame {}

/// Takes bytes as they come and gives the text of each frame as soon as it is complete. Characters may be cut in two.
#[derive(Debug, Default)]
pub struct Parser {
    state: State,
    /// Bytes of the prefix that were seen.
    prefix: usize,
}

#[derive(Debug)]
enum State {
    /// Before a frame: white space, then digits.
    Length(Option<usize>),
    /// Within a frame, with so many units to come.
    Text {
        left: usize,
        text: Vec<u8>,
    },
    Broken,
}

impl Default for State {
    fn default() -> Self {
        Self::Length(None)
    }
}

impl Parser {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes and returns the texts that they complete, without the white space around them.
    ///
    /// # Errors
    /// When the bytes are no such frames; from then on always.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, BadFrame> {
        let mut frames = Vec::new();
        for &byte in bytes {
            match self.byte(byte) {
                Ok(frame) => frames.extend(frame),
                Err(bad) => {
                    self.state = State::Broken;
                    return Err(bad);
                }
            }
        }
        Ok(frames)
    }

    fn byte(&mut self, byte: u8) -> Result<Option<String>, BadFrame> {
        match &mut self.state {
            State::Broken => return Err(BadFrame),
            State::Length(None) if PREFIX.get(self.prefix) == Some(&byte) => self.prefix += 1,
            State::Length(None) if byte.is_ascii_whitespace() => {}
            State::Length(length) if byte.is_ascii_digit() => {
                let value = length.unwrap_or(0) * 10 + usize::from(byte - b'0');
                if value > MAX_FRAME {
                    return Err(BadFrame);
                }
                *length = Some(value);
            }
            State::Length(Some(length)) if byte == b'\n' && *length >= 1 => {
                self.state = State::Text { left: *length - 1, text: Vec::new() };
                return self.complete();
            }
            State::Length(_) => return Err(BadFrame),
            State::Text { left, text } => {
                // A character is counted at its first byte; one beyond U+FFFF has two units. Its last byte may be yet to come.
                let units = match byte {
                    0x80..=0xbf => 0,
                    0xf0.. => 2,
                    _ => 1,
                };
                *left = left.checked_sub(units).ok_or(BadFrame)?;
                text.push(byte);
                return self.complete();
            }
        }
        Ok(None)
    }

    /// The frame, if that was its last character's last byte.
    fn complete(&mut self) -> Result<Option<String>, BadFrame> {
        let State::Text { left: 0, text } = &mut self.state else { return Ok(None) };
        match std::str::from_utf8(text) {
            Ok(text) => {
                let frame = text.trim().to_owned();
                self.state = State::Length(None);
                Ok(Some(frame))
            }
            Err(e) if e.error_len().is_none() => Ok(None),
            Err(_) => Err(BadFrame),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(text: &str) -> String {
        format!("{}\n{text}\n", text.encode_utf16().count() + 2)
    }

    #[test]
    fn reads_what_the_site_sends() {
        let wire = ")]}'\n\n25\n[[\"e\",4,null,null,229]]\n14\n[[\"di\",1229]]\n";
        let wire = wire.replace("25\n", "24\n").replace("14\n", "15\n");
        assert_eq!(Parser::new().push(wire.as_bytes()).unwrap(), ["[[\"e\",4,null,null,229]]", "[[\"di\",1229]]"]);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["<html>", "{\"error\":1}", ")]}'x", "99999999999\n", "0\n", "2\n\u{1f600}"] {
            let mut parser = Parser::new();
            assert_eq!(parser.push(text.as_bytes()), Err(BadFrame), "{text}");
            assert_eq!(parser.push(b"1\n"), Err(BadFrame));
        }
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same(
            texts in proptest::collection::vec("\\[[a-z\u{e9}\u{4e2d}\u{1f600}\n]{0,12}\\]", 0..8),
            prefix in any::<bool>(),
            size in 1_usize..9,
        ) {
            let prefix = if prefix { ")]}'\n\n" } else { "" };
            let wire = prefix.to_owned() + &texts.iter().map(|t| frame(t)).collect::<String>();
            let mut parser = Parser::new();
            let frames: Vec<String> = wire.as_bytes().chunks(size).flat_map(|c| parser.push(c).unwrap()).collect();
            prop_assert_eq!(frames, texts);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Parser::new().push(&bytes);
        }
    }
}

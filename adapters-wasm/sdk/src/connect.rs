//! Envelopes of the Connect protocol (<https://connectrpc.com/docs/protocol>, streaming RPCs): a byte of flags, four of length, data.

use std::fmt;

/// Bytes of one envelope. Longer ones are no chat site's.
const MAX_LENGTH: usize = 32 << 20;
const COMPRESSED: u8 = 0x01;
/// Connect's own flag, and that of gRPC-Web, which some servers use.
const END: u8 = 0x02 | 0x80;

/// One envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    pub flags: u8,
    /// JSON, or whatever the content type says.
    pub data: Vec<u8>,
}

impl Envelope {
    /// The last one of a stream: its data are `{}` or `{"error": {"code", "message"}}`.
    pub fn is_end(&self) -> bool {
        self.flags & END != 0
    }
}

/// Why the bytes are not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadEnvelope {
    TooLong,
    /// No browser asks for that, so no site should send it.
    Compressed,
}

impl fmt::Display for BadEnvelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the answer is not made of Connect envelopes",
            Self::Compressed => "a Connect envelope is compressed",
        })
    }
}

impl std::error::Error for BadEnvelope {}

/// Takes bytes as they come and gives envelopes as soon as they are complete.
#[derive(Debug, Default)]
pub struct Parser {
    buffer: Vec<u8>,
}

impl Parser {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes and returns the envelopes that they complete.
    ///
    /// # Errors
    /// When an envelope is compressed, or longer than 32 MiB: then these are none.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Envelope>, BadEnvelope> {
        self.buffer.extend_from_slice(bytes);
        let mut envelopes = Vec::new();
        let mut rest = self.buffer.as_slice();
        while let Some((&[flags, a, b, c, d], tail)) = rest.split_first_chunk() {
            let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
            if length > MAX_LENGTH {
                return Err(BadEnvelope::TooLong);
            }
            if flags & COMPRESSED != 0 {
                return Err(BadEnvelope::Compressed);
            }
            let Some((data, tail)) = tail.split_at_checked(length) else { break };
            envelopes.push(Envelope { flags, data: data.to_vec() });
            rest = tail;
        }
        let used = self.buffer.len() - rest.len();
        self.buffer.drain(..used);
        Ok(envelopes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(envelope: &Envelope) -> Vec<u8> {
        let length = u32::try_from(envelope.data.len()).unwrap().to_be_bytes();
        [&[envelope.flags], length.as_slice(), &envelope.data].concat()
    }

    #[test]
    fn the_end_is_flagged() {
        let envelopes = Parser::new().push(b"\0\0\0\0\x02{}\x02\0\0\0\0").unwrap();
        assert_eq!(envelopes.iter().map(Envelope::is_end).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn other_bytes_are_refused() {
        assert_eq!(Parser::new().push(b"<html>"), Err(BadEnvelope::TooLong));
        assert_eq!(Parser::new().push(b"\x01\0\0\0\0"), Err(BadEnvelope::Compressed));
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same(
            envelopes in proptest::collection::vec(
                (0_u8..128, proptest::collection::vec(any::<u8>(), 0..40))
                    .prop_map(|(flags, data)| Envelope { flags: flags << 1, data }),
                0..8,
            ),
            size in 1_usize..12,
        ) {
            let wire = envelopes.iter().flat_map(bytes).collect::<Vec<u8>>();
            let mut parser = Parser::new();
            let read: Vec<Envelope> = wire.chunks(size).flat_map(|c| parser.push(c).unwrap()).collect();
            prop_assert_eq!(read, envelopes);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Parser::new().push(&bytes);
        }
    }
}

//! Scripted streams: what is sent, in which pieces, with which pauses.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use super::files::Files;
use super::spec::{Chunk, ChunkAt, Frame, StepSpec};

/// One step, its files read.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Send { chunks: Source, pause: Duration },
    WaitFor(Duration),
    WaitSignal(String),
    Signal(String),
    Receive(Vec<(String, Value)>),
    Hang,
    Abort,
    Close(u16),
}

/// Something to send: cut when it is sent, since what it stands for may hold the prompt.
#[derive(Debug, Clone)]
pub(super) struct Source {
    text: Content,
    chunk: Chunk,
    frame: Option<Frame>,
    cut: Option<usize>,
    prefix: String,
    suffix: String,
    /// A file's lines are messages without their newline where each is a message of its own.
    lines_are_messages: bool,
}

#[derive(Debug, Clone)]
enum Content {
    Text(String),
    Binary(Bytes),
}

/// A piece that is sent at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    pub(super) binary: bool,
    /// Whether a pause follows.
    pub(super) pause: bool,
}

impl Step {
    /// As it is, in one piece.
    pub(super) fn text(text: String) -> Self {
        Self::Send { chunks: Source::whole(Content::Text(text)), pause: Duration::ZERO }
    }

    /// As they are, in one piece.
    pub(super) fn bytes(bytes: Vec<u8>) -> Self {
        Self::Send { chunks: Source::whole(Content::Binary(bytes.into())), pause: Duration::ZERO }
    }

    /// # Errors
    /// A sentence that says what is wrong with it.
    pub(super) fn read(spec: &StepSpec, files: &Files, socket: bool) -> Result<Self, String> {
        let pause = Duration::from_millis(spec.pause_ms);
        let keys = [
            spec.file.is_some(),
            spec.send.is_some(),
            spec.json.is_some(),
            spec.base64.is_some(),
            spec.wait_ms.is_some(),
            spec.wait.is_some(),
            spec.signal.is_some(),
            spec.receive.is_some(),
            spec.hang,
            spec.abort,
            spec.close.is_some(),
        ];
        if keys.iter().filter(|key| **key).count() != 1 {
            return Err("a step has exactly one of file, send, json, base64, wait_ms, wait, signal, receive, hang, \
                        abort, close"
                .into());
        }
        let whole = |text: String| Self::Send { chunks: Source::whole(Content::Text(text)), pause };
        Ok(if let Some(name) = &spec.file {
            let text = files.text(name)?;
            let chunk = spec.chunk.unwrap_or_else(|| default_chunk(name, spec.frame));
            if chunk == Chunk::Bytes(0) || spec.cut == Some(0) {
                return Err("chunk and cut are at least 1 byte".into());
            }
            let chunks = Source {
                text: Content::Text(text),
                chunk,
                frame: spec.frame,
                cut: spec.cut,
                prefix: spec.prefix.clone(),
                suffix: spec.suffix.clone(),
                lines_are_messages: socket,
            };
            Self::Send { chunks, pause }
        } else if let Some(text) = &spec.send {
            whole(text.clone())
        } else if let Some(json) = &spec.json {
            whole(json.to_string())
        } else if let Some(text) = &spec.base64 {
            let bytes = STANDARD.decode(text).map_err(|error| format!("base64: {error}"))?;
            Self::Send { chunks: Source::whole(Content::Binary(bytes.into())), pause }
        } else if let Some(ms) = spec.wait_ms {
            Self::WaitFor(Duration::from_millis(ms))
        } else if let Some(name) = &spec.wait {
            Self::WaitSignal(name.clone())
        } else if let Some(name) = &spec.signal {
            Self::Signal(name.clone())
        } else if let Some(wanted) = &spec.receive {
            if !socket {
                return Err("receive is for WebSockets (a wss:// url)".into());
            }
            Self::Receive(wanted.iter().map(|(pointer, value)| (pointer.clone(), value.clone())).collect())
        } else if let Some(code) = spec.close {
            Self::Close(code)
        } else if spec.abort {
            Self::Abort
        } else {
            Self::Hang
        })
    }
}

fn default_chunk(name: &str, frame: Option<Frame>) -> Chunk {
    let lines = [".jsonl", ".ndjson"].iter().any(|ending| name.ends_with(ending));
    Chunk::At(match frame {
        Some(_) => ChunkAt::Line,
        None if name.ends_with(".sse") => ChunkAt::Event,
        None if lines => ChunkAt::Line,
        None => ChunkAt::Whole,
    })
}

impl Source {
    fn whole(text: Content) -> Self {
        let (prefix, suffix) = (String::new(), String::new());
        let chunk = Chunk::At(ChunkAt::Whole);
        Self { text, chunk, frame: None, cut: None, prefix, suffix, lines_are_messages: false }
    }

    /// The pieces, with `fill` putting in what its placeholders stand for.
    pub(super) fn pieces(&self, fill: impl Fn(&str) -> String) -> Vec<Piece> {
        let chunks: Vec<(Bytes, bool)> = match &self.text {
            Content::Binary(bytes) => vec![(bytes.clone(), true)],
            Content::Text(text) => self.cut_text(&fill(text)),
        };
        let raw = |text: &str| (Bytes::copy_from_slice(fill(text).as_bytes()), false);
        let first = (!self.prefix.is_empty()).then(|| raw(&self.prefix));
        let last = (!self.suffix.is_empty()).then(|| raw(&self.suffix));
        first.into_iter().chain(chunks).chain(last).flat_map(|(bytes, binary)| self.recut(bytes, binary)).collect()
    }

    fn cut_text(&self, text: &str) -> Vec<(Bytes, bool)> {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        if let Some(frame) = self.frame {
            return text.lines().filter(|line| !line.is_empty()).map(|line| packed(line, frame)).collect();
        }
        match self.chunk {
            Chunk::At(ChunkAt::Whole) => vec![(bytes(text), false)],
            Chunk::At(ChunkAt::Event) => text.split_inclusive("\n\n").map(|event| (bytes(event), false)).collect(),
            Chunk::At(ChunkAt::Line) if self.lines_are_messages => {
                text.lines().filter(|line| !line.is_empty()).map(|line| (bytes(line), false)).collect()
            }
            Chunk::At(ChunkAt::Line) => text.split_inclusive('\n').map(|line| (bytes(line), false)).collect(),
            Chunk::Bytes(n) => text.as_bytes().chunks(n.max(1)).map(|c| (Bytes::copy_from_slice(c), false)).collect(),
        }
    }

    fn recut(&self, bytes: Bytes, binary: bool) -> Vec<Piece> {
        let size = self.cut.unwrap_or(usize::MAX).max(1);
        let mut pieces: Vec<Piece> = bytes
            .chunks(size)
            .map(|part| Piece { bytes: Bytes::copy_from_slice(part), binary, pause: false })
            .collect();
        if let Some(last) = pieces.last_mut() {
            last.pause = true;
        }
        pieces
    }
}

/// A line in its frame, and whether that is binary.
fn packed(line: &str, frame: Frame) -> (Bytes, bool) {
    match frame {
        Frame::SocketIo => (Bytes::copy_from_slice(line.as_bytes()), false),
        Frame::Length16 if line == ")]}'" => (Bytes::from_static(b")]}'\n\n"), false),
        Frame::Length16 => {
            let units = line.encode_utf16().count() + 2;
            (Bytes::from(format!("{units}\n{line}\n")), false)
        }
        Frame::Connect => {
            let (flag, message) = line.strip_prefix('!').map_or((0, line), |rest| (2, rest));
            let mut bytes = vec![flag];
            bytes.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend(message.as_bytes());
            (Bytes::from(bytes), true)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(text: &str, chunk: Chunk, frame: Option<Frame>, cut: Option<usize>) -> Source {
        let whole = Source::whole(Content::Text(text.to_owned()));
        Source { chunk, frame, cut, ..whole }
    }

    fn texts(source: &Source) -> Vec<String> {
        source.pieces(str::to_owned).iter().map(|p| String::from_utf8_lossy(&p.bytes).into_owned()).collect()
    }

    #[test]
    fn chunks_are_where_they_are_said_to_be() {
        let text = "data: a\n\ndata: b\n\n";
        assert_eq!(texts(&source(text, Chunk::At(ChunkAt::Event), None, None)), ["data: a\n\n", "data: b\n\n"]);
        assert_eq!(texts(&source("a\nb", Chunk::At(ChunkAt::Line), None, None)), ["a\n", "b"]);
        assert_eq!(texts(&source("abc", Chunk::Bytes(2), None, None)), ["ab", "c"]);
        let cut = source("abc", Chunk::At(ChunkAt::Whole), None, Some(2)).pieces(str::to_owned);
        assert_eq!(cut.iter().map(|piece| piece.pause).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn frames() {
        let length = texts(&source(")]}'\n[\"\u{1f600}\"]\n", Chunk::At(ChunkAt::Line), Some(Frame::Length16), None));
        assert_eq!(length, [")]}'\n\n", "8\n[\"\u{1f600}\"]\n"]);
        let connect = source("{}\n!{}\n", Chunk::At(ChunkAt::Line), Some(Frame::Connect), None).pieces(str::to_owned);
        assert_eq!(connect[0].bytes.as_ref(), b"\0\0\0\0\x02{}");
        assert_eq!(connect[1].bytes.as_ref(), b"\x02\0\0\0\x02{}");
        assert!(connect[0].binary);
    }

    proptest! {
        #[test]
        fn no_cut_loses_a_byte(text in "[a-z\n]{0,80}", cut in 1_usize..9, n in 1_usize..9) {
            for chunk in [Chunk::Bytes(n), Chunk::At(ChunkAt::Event), Chunk::At(ChunkAt::Line), Chunk::At(ChunkAt::Whole)] {
                prop_assert_eq!(texts(&source(&text, chunk, None, Some(cut))).concat(), text.clone());
            }
        }
    }
}

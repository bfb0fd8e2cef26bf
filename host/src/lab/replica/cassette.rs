//! A cassette: what a page received from a real site, with its times, as a file of JSON lines. `adapter record` writes it, and a
//! replica plays it in the state that `site.toml` names.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Milliseconds since the recording began.
    pub at_ms: u64,
    /// Which answer or WebSocket it belongs to.
    pub stream: u32,
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// The head of an answer. Of a WebSocket the method is `GET` and the scheme `wss` or `ws`.
    Open {
        method: String,
        url: String,
        status: u16,
        #[serde(rename = "type")]
        content_type: Option<String>,
    },
    /// Bytes of an answer, where they are text; or a text message of a WebSocket.
    Text(String),
    Base64(String),
    /// Everything was delivered, or the page had enough.
    End,
    Failed(String),
}

/// Bytes as the line has them.
pub fn data(bytes: &[u8]) -> What {
    match std::str::from_utf8(bytes) {
        Ok(text) => What::Text(text.to_owned()),
        Err(_) => What::Base64(STANDARD.encode(bytes)),
    }
}

/// An answer or a WebSocket, and what came on it.
#[derive(Debug, Clone, Default)]
pub(super) struct Tape {
    pub(super) opened: Duration,
    pub(super) method: String,
    pub(super) url: String,
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) pieces: Vec<(Duration, Piece)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Bytes(Vec<u8>),
    Abort,
}

impl Tape {
    pub(super) fn is_socket(&self) -> bool {
        self.url.starts_with("ws")
    }
}

/// Reads a file, stream by stream.
///
/// # Errors
/// The line that is wrong, and why.
pub(super) fn read(text: &str) -> Result<Vec<Tape>, String> {
    let mut tapes: Vec<(u32, Tape)> = Vec::new();
    for (n, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |why: String| format!("line {n}: {why}");
        let Line { at_ms, stream, what } = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        let at = Duration::from_millis(at_ms);
        if let What::Open { method, url, status, content_type } = what {
            tapes.push((stream, Tape { opened: at, method, url, status, content_type, pieces: Vec::new() }));
            continue;
        }
        let tape = tapes.iter_mut().rev().find(|(id, _)| *id == stream);
        let (_, tape) = tape.ok_or_else(|| wrong(format!("stream {stream} has not been opened")))?;
        match what {
            What::Text(text) => tape.pieces.push((at, Piece::Text(text))),
            What::Base64(text) => {
                let bytes = STANDARD.decode(text).map_err(|error| wrong(format!("base64: {error}")))?;
                tape.pieces.push((at, Piece::Bytes(bytes)));
            }
            What::Failed(_) => tape.pieces.push((at, Piece::Abort)),
            What::Open { .. } | What::End => {}
        }
    }
    Ok(tapes.into_iter().map(|(_, tape)| tape).collect())
}

/// The URL pattern by which a recorded address is found again: without its query, and with `*` for every part that looks like an id.
pub(super) fn pattern(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let is_id = |part: &str| part.len() >= 8 && part.bytes().any(|byte| byte.is_ascii_digit());
    // Scheme, nothing, host.
    let part = |(n, part): (usize, &str)| if n > 2 && is_id(part) { "*".to_owned() } else { part.to_owned() };
    path.split('/').enumerate().map(part).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_is_read_and_a_wrong_line_is_named() {
        let open = r#"{"at_ms":5,"stream":1,"open":{"method":"POST","url":"https://a.example/x","status":200,"type":"text/plain"}}"#;
        let text = format!(
            "{open}\n{{\"at_ms\":9,\"stream\":1,\"text\":\"a\"}}\n\n{{\"at_ms\":9,\"stream\":1,\"base64\":\"/w==\"}}\n{{\"at_ms\":10,\"stream\":1,\"end\":null}}"
        );
        let tapes = read(&text).unwrap();
        assert_eq!(tapes.len(), 1);
        let nine = Duration::from_millis(9);
        assert_eq!(tapes[0].pieces, [(nine, Piece::Text("a".into())), (nine, Piece::Bytes(vec![0xff]))]);
        assert!(read("{}").unwrap_err().starts_with("line 1: "));
        assert!(read(r#"{"at_ms":1,"stream":7,"text":"a"}"#).unwrap_err().contains("stream 7 has not been opened"));
    }

    #[test]
    fn lines_are_written_as_they_are_read() {
        for what in [
            What::Open { method: "GET".into(), url: "wss://a.example/".into(), status: 101, content_type: None },
            data(b"a"),
            data(&[0xff]),
            What::End,
            What::Failed("cut".into()),
        ] {
            let line = Line { at_ms: 1, stream: 2, what };
            let text = serde_json::to_string(&line).unwrap();
            assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line, "{text}");
        }
    }

    #[test]
    fn ids_in_addresses_are_any() {
        assert_eq!(pattern("https://a.example/api/chat?x=1"), "https://a.example/api/chat");
        assert_eq!(pattern("https://a.example/c/0f8fad5b-d9cb-469f/send"), "https://a.example/c/*/send");
        assert_eq!(pattern("https://chat12345678.example/v1/x"), "https://chat12345678.example/v1/x");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s)\\PC{0,200}") {
            let _ = read(&text);
        }
    }
}

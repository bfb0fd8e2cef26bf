//! The site's wire format: server-sent events whose data are JSON patches. Path and operator are inherited from the line before.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use webai_adapter::patch::{Change, Document, What};
use webai_adapter::{Failure, Finish, Missing, Piece, ResponseHead, Wire, data_uri, halves, sse};

const TEXT: &str = "/message/parts/0/text";
const REASONING: &str = "/message/reasoning";

#[derive(Deserialize)]
struct SiteError {
    code: String,
    message: String,
    retry_after: Option<u32>,
}

/// An answer as far as it has come.
#[derive(Default)]
pub(crate) struct Stream {
    events: sse::Parser,
    document: Document,
    over: bool,
}

impl Wire for Stream {
    fn bytes(&mut self, bytes: &[u8]) -> Result<Vec<Piece>, Failure> {
        let events = self.events.push(bytes).map_err(|e| Failure::Upstream(e.to_string()))?;
        let mut pieces = Vec::new();
        for event in events {
            if event.data == "[DONE]" {
                self.over = true;
                continue;
            }
            let changes = self.document.apply(&event.data).map_err(|_| unknown(&event.data))?;
            for change in changes {
                self.pieces(change, &mut pieces).ok_or_else(|| unknown(&event.data))?;
            }
        }
        Ok(pieces)
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn end(&mut self) -> Result<Finish, Failure> {
        let error = self.document.get("/message/error").and_then(|error| SiteError::deserialize(error).ok());
        if let Some(error) = error {
            return Err(failure(&error));
        }
        Ok(match self.document.text("/message/finish").as_deref() {
            Some("stop") => Finish::Stop,
            Some("length") => Finish::Length,
            Some("content_filter") => Finish::ContentFilter,
            Some(other) => Finish::Other(other.to_owned()),
            None => return Err(Failure::Upstream("the demo site broke the answer off".into())),
        })
    }

    fn conversation(&self) -> Option<String> {
        self.document.text("/conversation/id").map(Cow::into_owned)
    }

    fn model(&self) -> Option<String> {
        self.document.text("/message/model").map(Cow::into_owned)
    }

    fn refused(&self, head: &ResponseHead, body: &[u8]) -> Failure {
        #[derive(Deserialize)]
        struct Body {
            error: SiteError,
        }
        match serde_json::from_slice::<Body>(body) {
            Ok(body) => failure(&body.error),
            Err(_) => Failure::Upstream(format!("the demo site answered with status {}", head.status)),
        }
    }
}

impl Stream {
    /// None if the change is not as this adapter knows it.
    fn pieces(&self, change: Change, pieces: &mut Vec<Piece>) -> Option<()> {
        match (change.path.as_str(), change.what) {
            ("", What::Set) => {
                // The first event is the whole message, in which the first words may already be.
                self.document.text("/conversation/id")?;
                let reasoning = self.document.text(REASONING).unwrap_or_default();
                pieces.extend((!reasoning.is_empty()).then(|| Piece::Reasoning(reasoning.into_owned())));
                for part in self.document.get("/message/parts")?.as_array()? {
                    pieces.extend(piece(part)?);
                }
            }
            (TEXT, What::Grew(text)) => pieces.extend((!text.is_empty()).then_some(Piece::Text(text))),
            (REASONING, What::Grew(text)) => pieces.extend((!text.is_empty()).then_some(Piece::Reasoning(text))),
            (path, What::Set) if path.starts_with("/message/parts/") => pieces.extend(piece(self.document.get(path)?)?),
            // The title, the message's status and the like are the page's own business.
            _ => {}
        }
        Some(())
    }
}

/// What a part of the message is. An empty text is nothing; None is no part that this adapter knows.
fn piece(part: &Value) -> Option<Option<Piece>> {
    match part.get("type")?.as_str()? {
        "text" => {
            let text = halves::join(part.get("text")?.as_str()?).0;
            Some((!text.is_empty()).then(|| Piece::Text(text.into_owned())))
        }
        "image" => Some(Some(Piece::File(data_uri::parse(part.get("url")?.as_str()?)?))),
        _ => None,
    }
}

fn unknown(data: &str) -> Failure {
    let start: String = data.chars().take(80).collect();
    Failure::SiteChanged(Missing {
        step: "read the answer".into(),
        selector: format!("a known event instead of {start}"),
    })
}

fn failure(error: &SiteError) -> Failure {
    let message = error.message.clone();
    match error.code.as_str() {
        "rate_limited" => Failure::rate_limited(message, error.retry_after),
        "quota_exhausted" => Failure::quota_exhausted(message, error.retry_after),
        "content_blocked" => Failure::ContentBlocked(message),
        "signed_out" => Failure::LoginRequired(message),
        "challenge" => Failure::Challenge(message),
        "no_such_model" => Failure::ModelUnavailable(message),
        "bad_directive" => Failure::InvalidRequest(message),
        _ => Failure::Upstream(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = r#"data: {"v":{"conversation":{"id":"c-1","title":""},"message":{"id":"m","model":"echo","status":"streaming","reasoning":"","parts":[{"type":"text","text":"He"}],"error":null,"finish":null}},"t":1}"#;

    fn run(lines: &[&str]) -> (Stream, Vec<Piece>) {
        let mut answer = Stream::default();
        let text = lines.iter().map(|line| format!("{line}\n\n")).collect::<String>();
        // One byte at a time: the hardest cut.
        let pieces = text.as_bytes().chunks(1).flat_map(|byte| answer.bytes(byte).unwrap()).collect();
        (answer, pieces)
    }

    #[test]
    fn reads_a_whole_answer() {
        let (mut answer, pieces) = run(&[
            SEED,
            r#"data: {"p":"/message/parts/0/text","o":"append","v":"llo \ud83d","t":2}"#,
            r#"data: {"v":"\ude00","t":3}"#,
            r#"data: {"p":"/message/finish","o":"replace","v":"stop","t":4}"#,
            "data: [DONE]",
        ]);
        let text: String = pieces.iter().map(|p| if let Piece::Text(t) = p { t.as_str() } else { "" }).collect();
        assert_eq!(text, "Hello \u{1f600}");
        assert!(answer.is_over());
        assert!(matches!(answer.end(), Ok(Finish::Stop)));
        assert_eq!(answer.conversation().as_deref(), Some("c-1"));
    }

    #[test]
    fn another_format_is_a_changed_site() {
        let result = Stream::default().bytes(b"data: {\"delta\":\"x\"}\n\n");
        assert!(matches!(result, Err(Failure::SiteChanged(_))));
    }

    #[test]
    fn an_error_in_the_stream_is_kept() {
        let (mut answer, _) =
            run(&[SEED, r#"data: {"p":"/message/error","o":"replace","v":{"code":"overloaded","message":"busy"}}"#]);
        assert!(matches!(answer.end(), Err(Failure::Upstream(m)) if m == "busy"));
    }

    #[test]
    fn refusals_keep_their_kind() {
        let body = br#"{"error":{"code":"rate_limited","message":"slow down","retry_after":7}}"#;
        let head = |status| ResponseHead { url: String::new(), method: "POST".into(), status, headers: Vec::new() };
        let refused = |status, body| Stream::default().refused(&head(status), body);
        assert!(matches!(refused(429, body), Failure::RateLimited(l) if l.retry_after_s == Some(7)));
        assert!(matches!(refused(502, b"<html>"), Failure::Upstream(_)));
    }
}

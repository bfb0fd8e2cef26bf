//! The site's wire format: server-sent events whose data are JSON patches. Path and operator are inherited from the line before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use webai_adapter::wtf8::{Joiner, Wtf8};
use webai_adapter::{Failure, Missing, sse};

/// What a patch adds to the answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Patch {
    Text(String),
    Reasoning(String),
    Picture { mime: String, bytes: Vec<u8> },
}

#[derive(Deserialize)]
struct Line<'a> {
    p: Option<String>,
    o: Option<String>,
    #[serde(borrow)]
    v: Option<&'a RawValue>,
}

/// The first event: conversation and message as they are, to which the patches apply.
#[derive(Deserialize)]
struct Seed {
    conversation: Conversation,
    message: Message,
}

#[derive(Deserialize)]
struct Conversation {
    id: String,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    reasoning: Wtf8,
    #[serde(default)]
    parts: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Part {
    Text { text: String },
    Image { url: String },
}

#[derive(Deserialize)]
struct SiteError {
    code: String,
    message: String,
    retry_after: Option<u32>,
}

/// An answer as far as it has come.
#[derive(Default)]
pub(crate) struct Answer {
    events: sse::Parser,
    path: String,
    operator: String,
    seeded: bool,
    over: bool,
    text: Joiner,
    reasoning: Joiner,
    conversation: Option<String>,
    model: Option<String>,
    finish: Option<String>,
    error: Option<SiteError>,
}

impl Answer {
    /// Adds bytes of the stream; gives what they add to the answer.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Patch>, Failure> {
        let events = self.events.push(bytes).map_err(|e| Failure::Upstream(e.to_string()))?;
        let mut patches = Vec::new();
        for event in events {
            if event.data == "[DONE]" {
                self.over = true;
            } else {
                self.line(&event.data, &mut patches).ok_or_else(|| unknown(&event.data))?;
            }
        }
        Ok(patches)
    }

    /// The site's own end marker has come.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    pub(crate) fn finish_reason(&self) -> Option<&str> {
        self.finish.as_deref()
    }

    pub(crate) fn conversation(&self) -> Option<String> {
        self.conversation.clone()
    }

    pub(crate) fn model(&self) -> Option<String> {
        self.model.clone()
    }

    pub(crate) fn error(&self) -> Option<Failure> {
        self.error.as_ref().map(failure)
    }

    /// None if the line is not as this adapter knows it.
    fn line(&mut self, data: &str, patches: &mut Vec<Patch>) -> Option<()> {
        let line: Line<'_> = serde_json::from_str(data).ok()?;
        let value = line.v?;
        if !self.seeded {
            return self.seed(value.get(), patches);
        }
        if let Some(path) = line.p {
            self.path = path;
        }
        if let Some(operator) = line.o {
            self.operator = operator;
        }
        self.apply(value.get(), patches)
    }

    fn seed(&mut self, value: &str, patches: &mut Vec<Patch>) -> Option<()> {
        let seed: Seed = serde_json::from_str(value).ok()?;
        self.seeded = true;
        self.conversation = Some(seed.conversation.id);
        self.model = seed.message.model;
        self.add_reasoning(&seed.message.reasoning, patches);
        for part in seed.message.parts {
            match part {
                Part::Text { text } if text.is_empty() => {}
                Part::Text { text } => patches.push(Patch::Text(text)),
                Part::Image { url } => patches.push(picture(&url)?),
            }
        }
        Some(())
    }

    fn apply(&mut self, value: &str, patches: &mut Vec<Patch>) -> Option<()> {
        match (self.path.as_str(), self.operator.as_str()) {
            ("/message/parts/0/text", "append") => {
                let text = self.text.push(&serde_json::from_str(value).ok()?);
                if !text.is_empty() {
                    patches.push(Patch::Text(text));
                }
            }
            ("/message/reasoning", "append") => {
                let text: Wtf8 = serde_json::from_str(value).ok()?;
                self.add_reasoning(&text, patches);
            }
            ("/message/parts", "append") => {
                if let Part::Image { url } = serde_json::from_str(value).ok()? {
                    patches.push(picture(&url)?);
                }
            }
            ("/message/finish", "replace") => self.finish = serde_json::from_str(value).ok()?,
            ("/message/error", "replace") => self.error = serde_json::from_str(value).ok()?,
            // The title, the message's status and the like are the page's own business.
            _ => {}
        }
        Some(())
    }

    fn add_reasoning(&mut self, text: &Wtf8, patches: &mut Vec<Patch>) {
        let text = self.reasoning.push(text);
        if !text.is_empty() {
            patches.push(Patch::Reasoning(text));
        }
    }
}

fn unknown(data: &str) -> Failure {
    let start: String = data.chars().take(80).collect();
    Failure::SiteChanged(Missing {
        step: "read the answer".into(),
        selector: format!("a known event instead of {start}"),
    })
}

fn picture(url: &str) -> Option<Patch> {
    let (mime, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
    Some(Patch::Picture { mime: mime.to_owned(), bytes: STANDARD.decode(data).ok()? })
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

/// The site answered with an error instead of a stream.
pub(crate) fn refused(status: u16, body: &[u8]) -> Failure {
    #[derive(Deserialize)]
    struct Body {
        error: SiteError,
    }
    match serde_json::from_slice::<Body>(body) {
        Ok(body) => failure(&body.error),
        Err(_) => Failure::Upstream(format!("the demo site answered with status {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = r#"data: {"v":{"conversation":{"id":"c-1","title":""},"message":{"id":"m","model":"echo","status":"streaming","reasoning":"","parts":[{"type":"text","text":"He"}],"error":null,"finish":null}},"t":1}"#;

    fn run(lines: &[&str]) -> (Answer, Vec<Patch>) {
        let mut answer = Answer::default();
        let text = lines.iter().map(|line| format!("{line}\n\n")).collect::<String>();
        // One byte at a time: the hardest cut.
        let patches = text.as_bytes().chunks(1).flat_map(|byte| answer.push(byte).unwrap()).collect();
        (answer, patches)
    }

    #[test]
    fn reads_a_whole_answer() {
        let (answer, patches) = run(&[
            SEED,
            r#"data: {"p":"/message/parts/0/text","o":"append","v":"llo \ud83d","t":2}"#,
            r#"data: {"v":"\ude00","t":3}"#,
            r#"data: {"p":"/message/finish","o":"replace","v":"stop","t":4}"#,
            "data: [DONE]",
        ]);
        let text: String = patches.iter().map(|p| if let Patch::Text(t) = p { t.as_str() } else { "" }).collect();
        assert_eq!(text, "Hello \u{1f600}");
        assert!(answer.is_over());
        assert_eq!(answer.finish_reason(), Some("stop"));
        assert_eq!(answer.conversation().as_deref(), Some("c-1"));
    }

    #[test]
    fn another_format_is_a_changed_site() {
        let result = Answer::default().push(b"data: {\"delta\":\"x\"}\n\n");
        assert!(matches!(result, Err(Failure::SiteChanged(_))));
    }

    #[test]
    fn an_error_in_the_stream_is_kept() {
        let (answer, _) =
            run(&[SEED, r#"data: {"p":"/message/error","o":"replace","v":{"code":"overloaded","message":"busy"}}"#]);
        assert!(matches!(answer.error(), Some(Failure::Upstream(m)) if m == "busy"));
    }

    #[test]
    fn refusals_keep_their_kind() {
        let body = br#"{"error":{"code":"rate_limited","message":"slow down","retry_after":7}}"#;
        assert!(matches!(refused(429, body), Failure::RateLimited(l) if l.retry_after_s == Some(7)));
        assert!(matches!(refused(502, b"<html>"), Failure::Upstream(_)));
    }
}

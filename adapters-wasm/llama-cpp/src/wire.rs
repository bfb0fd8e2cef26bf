//! The server's wire format: OpenAI's chunks as server-sent events, with a comment now and then.

use serde::Deserialize;
use webai_adapter::sse::Parser;
use webai_adapter::{Failure, Finish, Missing, Piece, ResponseHead, Wire};

#[derive(Deserialize, Default)]
#[serde(default)]
struct Chunk {
    choices: Vec<Choice>,
    model: Option<String>,
    error: Option<ServerError>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Choice {
    delta: Delta,
    finish_reason: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Delta {
    content: Option<String>,
    reasoning_content: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ServerError {
    message: String,
    r#type: String,
}

/// An answer as far as it has come.
#[derive(Default)]
pub(crate) struct Stream {
    events: Parser,
    model: Option<String>,
    finish: Option<String>,
    failure: Option<Failure>,
    over: bool,
}

impl Wire for Stream {
    fn bytes(&mut self, bytes: &[u8]) -> Result<Vec<Piece>, Failure> {
        let mut pieces = Vec::new();
        for event in self.events.push(bytes).map_err(|e| changed(&e.to_string()))? {
            if event.data == "[DONE]" {
                self.over = true;
                continue;
            }
            let chunk: Chunk = serde_json::from_str(&event.data).map_err(|e| changed(&e.to_string()))?;
            self.chunk(chunk, &mut pieces);
        }
        Ok(pieces)
    }

    fn is_over(&self) -> bool {
        self.over || self.failure.is_some()
    }

    fn end(&mut self) -> Result<Finish, Failure> {
        match (self.failure.take(), self.finish.as_deref()) {
            (Some(failure), _) => Err(failure),
            (None, Some("stop")) => Ok(Finish::Stop),
            (None, Some("length")) => Ok(Finish::Length),
            // The page would run the tool and go on by itself, in another request.
            (None, Some("tool_calls")) => Err(Failure::Upstream(
                "the model called a tool of the page: switch those off in the page's settings".into(),
            )),
            (None, Some(other)) => Err(changed(&format!("finish_reason {other:?}"))),
            (None, None) => Err(Failure::Upstream("llama.cpp broke the answer off".into())),
        }
    }

    fn model(&self) -> Option<String> {
        self.model.clone()
    }

    fn refused(&self, head: &ResponseHead, body: &[u8]) -> Failure {
        let chunk: Chunk = serde_json::from_slice(body).unwrap_or_default();
        match chunk.error {
            Some(error) => failure(error),
            None => Failure::Upstream(format!("llama.cpp answered with status {}", head.status)),
        }
    }
}

impl Stream {
    fn chunk(&mut self, chunk: Chunk, pieces: &mut Vec<Piece>) {
        if let Some(error) = chunk.error {
            self.failure = Some(failure(error));
        }
        self.model = chunk.model.or(self.model.take());
        for Choice { delta, finish_reason } in chunk.choices {
            pieces.extend(said(delta.reasoning_content).map(Piece::Reasoning));
            pieces.extend(said(delta.content).map(Piece::Text));
            self.finish = finish_reason.or(self.finish.take());
        }
    }
}

fn said(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn changed(what: &str) -> Failure {
    Failure::SiteChanged(Missing { step: "read the answer".into(), selector: format!("a known event: {what}") })
}

/// Types as the server's sources name them.
fn failure(error: ServerError) -> Failure {
    match error.r#type.as_str() {
        "exceed_context_size_error" | "invalid_request_error" => Failure::InvalidRequest(error.message),
        "authentication_error" | "permission_error" => Failure::LoginRequired(error.message),
        "unavailable_error" => Failure::rate_limited(error.message, None),
        _ => Failure::Upstream(format!("llama.cpp could not answer: {}", error.message)),
    }
}

#[cfg(test)]
mod tests;

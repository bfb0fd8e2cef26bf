//! The site's wire format: server-sent events that patch a response made of fragments: thoughts, searches, text.

use serde::Deserialize;
use webai_adapter::markers::Markers;
use webai_adapter::patch::{Change, Document, What};
use webai_adapter::{Failure, Finish, Missing, Piece, ResponseHead, Wire, signs, sse};

/// Marks in the text that point at search results.
const REFERENCES: &[&str] = &["[reference:", "[citation:"];

/// An answer as far as it has come.
pub(crate) struct Stream {
    events: sse::Parser,
    document: Document,
    markers: Markers,
    /// The site's name of the model that was asked for.
    wanted: &'static str,
    model: Option<String>,
    failure: Option<Failure>,
    /// Something was passed on, so a rewriting has something to take back.
    told: bool,
    closed: bool,
}

impl Stream {
    pub(crate) fn new(wanted: &'static str) -> Self {
        Self {
            events: sse::Parser::new(),
            document: Document::default(),
            markers: Markers::new(REFERENCES, "]"),
            wanted,
            model: None,
            failure: None,
            told: false,
            closed: false,
        }
    }
}

impl Wire for Stream {
    /// Errors come with status 200 too, as JSON.
    fn accepts(&self, head: &ResponseHead) -> bool {
        let stream =
            |(name, value): &(String, String)| name == "content-type" && value.starts_with("text/event-stream");
        head.status == 200 && head.headers.iter().any(stream)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<Vec<Piece>, Failure> {
        let mut pieces = Vec::new();
        for event in self.events.push(bytes).map_err(|e| Failure::Upstream(e.to_string()))? {
            match event.name.as_str() {
                "ready" => self.ready(&event.data)?,
                "hint" => self.failure = self.failure.take().or_else(|| hint(&event.data)),
                "close" => self.closed = true,
                "" | "message" => {
                    let changes = self.document.apply(&event.data).map_err(|_| unknown(&event.data))?;
                    changes.into_iter().for_each(|change| self.change(change, &mut pieces));
                }
                // The title, and what further events may come: not the answer.
                _ => {}
            }
        }
        if self.is_over() {
            pieces.extend(text(self.markers.finish()));
        }
        self.told |= !pieces.is_empty();
        Ok(pieces)
    }

    fn is_over(&self) -> bool {
        self.closed || self.failure.is_some() || !matches!(self.status().as_deref(), None | Some("WIP" | "PENDING"))
    }

    fn end(&mut self) -> Result<Finish, Failure> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        Ok(match self.status().as_deref() {
            Some("FINISHED") => Finish::Stop,
            Some("INCOMPLETE") => Finish::Length,
            Some("CONTENT_FILTER") if self.told => Finish::ContentFilter,
            Some("CONTENT_FILTER") => return Err(Failure::ContentBlocked("DeepSeek refused this content".into())),
            None | Some("WIP" | "PENDING") => return Err(Failure::Upstream("DeepSeek broke the answer off".into())),
            Some(other) => Finish::Other(other.to_lowercase()),
        })
    }

    fn model(&self) -> Option<String> {
        self.model.clone()
    }

    fn refused(&self, head: &ResponseHead, body: &[u8]) -> Failure {
        refused(head.status, body)
    }
}

impl Stream {
    fn status(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.document.text("/response/status")
    }

    /// The first event names the model that answers.
    fn ready(&mut self, data: &str) -> Result<(), Failure> {
        #[derive(Deserialize)]
        struct Ready {
            model_type: Option<String>,
        }
        let ready: Ready = serde_json::from_str(data).map_err(|_| unknown(data))?;
        if let Some(model) = &ready.model_type
            && model != self.wanted
        {
            return Err(Failure::ModelUnavailable(format!("DeepSeek answered with {model} and not {}", self.wanted)));
        }
        self.model = ready.model_type;
        Ok(())
    }

    fn change(&mut self, change: Change, pieces: &mut Vec<Piece>) {
        let parts: Vec<&str> = change.path.split('/').skip(1).collect();
        match (parts.as_slice(), change.what) {
            ([] | ["response"] | ["response", "fragments"], What::Set) => {
                if self.told || !pieces.is_empty() {
                    pieces.push(Piece::Restart);
                    self.markers.finish();
                }
                let count = self.document.get("/response/fragments").and_then(|f| f.as_array()).map_or(0, Vec::len);
                (0..count).for_each(|index| self.fragment(&index.to_string(), pieces));
            }
            // A fragment that is new may hold its first words already.
            (["response", "fragments", index], What::Set) => self.fragment(index, pieces),
            (["response", "fragments", index, "content"], What::Grew(more)) => self.grew(index, &more, pieces),
            (["response", "fragments", index, "results"], What::Set) => self.results(index, pieces),
            (["response", "fragments", index, "results", result], What::Set) => {
                pieces.extend(self.citation(&format!("/response/fragments/{index}/results/{result}")));
            }
            _ => {}
        }
    }

    fn fragment(&mut self, index: &str, pieces: &mut Vec<Piece>) {
        let content = self.document.text(&format!("/response/fragments/{index}/content"));
        if let Some(content) = content.map(std::borrow::Cow::into_owned) {
            self.grew(index, &content, pieces);
        }
        self.results(index, pieces);
    }

    fn grew(&mut self, index: &str, more: &str, pieces: &mut Vec<Piece>) {
        let kind = self.document.text(&format!("/response/fragments/{index}/type"));
        match kind.as_deref() {
            Some("THINK") if !more.is_empty() => pieces.push(Piece::Reasoning(more.to_owned())),
            Some("RESPONSE" | "TEMPLATE_RESPONSE") => pieces.extend(text(self.markers.push(more))),
            // Notices, and what searches and opened pages hold.
            _ => {}
        }
    }

    fn results(&self, index: &str, pieces: &mut Vec<Piece>) {
        let list = format!("/response/fragments/{index}/results");
        let count = self.document.get(&list).and_then(|results| results.as_array()).map_or(0, Vec::len);
        pieces.extend((0..count).filter_map(|result| self.citation(&format!("{list}/{result}"))));
    }

    fn citation(&self, result: &str) -> Option<Piece> {
        let field = |name: &str| self.document.text(&format!("{result}/{name}")).map(std::borrow::Cow::into_owned);
        Some(Piece::Citation { url: field("url")?, title: field("title").unwrap_or_default() })
    }
}

fn text(text: String) -> Option<Piece> {
    (!text.is_empty()).then_some(Piece::Text(text))
}

fn unknown(data: &str) -> Failure {
    let start: String = data.chars().take(80).collect();
    Failure::SiteChanged(Missing {
        step: "read the answer".into(),
        selector: format!("a known event instead of {start}"),
    })
}

/// A notice beside the answer. Only those of type `error` stand in its place.
fn hint(data: &str) -> Option<Failure> {
    #[derive(Deserialize)]
    struct Hint {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        content: String,
        #[serde(default)]
        finish_reason: String,
    }
    let hint: Hint = serde_json::from_str(data).ok()?;
    if hint.kind != "error" {
        return None;
    }
    Some(match hint.finish_reason.as_str() {
        "rate_limit_reached" | "parallel_chat_limit_by_queue" => Failure::rate_limited(hint.content, None),
        "input_exceeds_limit" => Failure::InvalidRequest(hint.content),
        _ => Failure::Upstream(hint.content),
    })
}

/// An error in the answer's place: `{"code", "msg", "data": {"biz_code", "biz_msg"}}`, with any status.
fn refused(status: u16, body: &[u8]) -> Failure {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Body {
        code: i64,
        msg: String,
        data: Option<Business>,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Business {
        biz_code: i64,
        biz_msg: String,
    }
    if signs::is_challenge(body) {
        return Failure::Challenge("DeepSeek wants a person".into());
    }
    let body: Body = serde_json::from_slice(body).unwrap_or_default();
    let business = body.data.unwrap_or_default();
    let message = if body.msg.is_empty() { business.biz_msg } else { body.msg };
    match (status, body.code) {
        (401, _) | (_, 40003) => Failure::LoginRequired("nobody is signed in to DeepSeek".into()),
        (403, _) => Failure::Challenge("DeepSeek refuses this browser".into()),
        (429, _) => Failure::rate_limited(message, None),
        (422, _) => Failure::InvalidRequest(message),
        (_, code) => {
            Failure::Upstream(format!("DeepSeek answered {status}, code {code}/{}: {message}", business.biz_code))
        }
    }
}

#[cfg(test)]
mod tests;

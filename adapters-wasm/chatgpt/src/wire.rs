//! The site's wire format: several messages in one stream, each a document and then patches to it. The stream may go on in the
//! messages of a WebSocket.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use webai_adapter::markers::Markers;
use webai_adapter::patch::{Change, Document, What};
use webai_adapter::snapshot::{self, Snapshot};
use webai_adapter::{Failure, Finish, Missing, Piece, ResponseHead, Wire, signs, sse};

const PART: &str = "/message/content/parts/0";
/// Marks in the text that stand for sources, between characters of a private area.
const CITATIONS: &[&str] = &["\u{e200}"];
const CITATION_END: &str = "\u{e201}";
/// Messages of the socket that came before the stream said that they are its own.
const MAX_EARLY: usize = 2000;

/// What a message is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Channel {
    Answer,
    Thoughts,
    /// Echoes, tools, what the page hides.
    Other,
}

/// An answer as far as it has come.
pub(crate) struct Stream {
    events: sse::Parser,
    document: Document,
    /// The text of the message under way, as the site has it.
    text: Snapshot,
    markers: Markers,
    /// What was passed on of the messages before.
    before: Vec<Piece>,
    /// The same of this one.
    told: String,
    conversation: Option<String>,
    model: Option<String>,
    finish: Option<String>,
    answered: bool,
    failure: Option<Failure>,
    topics: Option<Vec<String>>,
    early: Vec<String>,
    over: bool,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            events: sse::Parser::new(),
            document: Document::default(),
            text: Snapshot::new(),
            markers: Markers::new(CITATIONS, CITATION_END),
            before: Vec::new(),
            told: String::new(),
            conversation: None,
            model: None,
            finish: None,
            answered: false,
            failure: None,
            topics: None,
            early: Vec::new(),
            over: false,
        }
    }
}

impl Wire for Stream {
    fn bytes(&mut self, bytes: &[u8]) -> Result<Vec<Piece>, Failure> {
        let mut pieces = self.stream(bytes)?;
        if self.topics.is_some() {
            for message in std::mem::take(&mut self.early) {
                pieces.extend(self.message(&message)?);
            }
        }
        Ok(pieces)
    }

    fn message(&mut self, message: &str) -> Result<Vec<Piece>, Failure> {
        if self.topics.is_none() {
            if self.early.len() < MAX_EARLY {
                self.early.push(message.to_owned());
            }
            return Ok(Vec::new());
        }
        // The socket is for everything that the page wants to know.
        let Ok(message) = serde_json::from_str(message) else { return Ok(Vec::new()) };
        let (mut items, mut done) = (Vec::new(), false);
        self.items(&message, false, &mut items, &mut done);
        let mut pieces = Vec::new();
        for item in items {
            pieces.extend(self.stream(item.as_bytes())?);
        }
        self.over |= done;
        Ok(pieces)
    }

    fn is_over(&self) -> bool {
        self.over || self.failure.is_some()
    }

    fn is_handed_off(&self) -> bool {
        self.topics.is_some()
    }

    fn end(&mut self) -> Result<Finish, Failure> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        match self.finish.as_deref() {
            Some("stop") => Ok(Finish::Stop),
            Some("max_tokens") => Ok(Finish::Length),
            Some("content_filter") if !self.answered => {
                Err(Failure::ContentBlocked("ChatGPT refused this content".into()))
            }
            Some("content_filter") => Ok(Finish::ContentFilter),
            Some(other) => Ok(Finish::Other(other.to_owned())),
            None if self.over && self.answered => Ok(Finish::Stop),
            None => Err(Failure::Upstream("ChatGPT broke the answer off".into())),
        }
    }

    fn conversation(&self) -> Option<String> {
        self.conversation.clone()
    }

    fn model(&self) -> Option<String> {
        self.model.clone()
    }

    fn refused(&self, head: &ResponseHead, body: &[u8]) -> Failure {
        refused(head.status, body)
    }
}

impl Stream {
    fn stream(&mut self, bytes: &[u8]) -> Result<Vec<Piece>, Failure> {
        let mut pieces = Vec::new();
        for event in self.events.push(bytes).map_err(|e| Failure::Upstream(e.to_string()))? {
            match event.data.as_str() {
                "[DONE]" => self.over = true,
                data if event.name != "delta_encoding" => self.line(data, &mut pieces)?,
                _ => {}
            }
        }
        Ok(pieces)
    }

    fn line(&mut self, data: &str, pieces: &mut Vec<Piece>) -> Result<(), Failure> {
        #[derive(Deserialize)]
        struct Notice {
            #[serde(rename = "type")]
            kind: Option<String>,
            error: Option<Value>,
            #[serde(default)]
            options: Vec<HandOff>,
        }
        #[derive(Deserialize)]
        struct HandOff {
            topic_id: Option<String>,
        }
        let notice: Notice = serde_json::from_str(data).map_err(|_| unknown(data))?;
        if let Some(error) = notice.error {
            self.failure = Some(in_stream(error.as_str().unwrap_or_default()));
            return Ok(());
        }
        match notice.kind.as_deref() {
            None => {
                let changes = self.document.apply(data).map_err(|_| unknown(data))?;
                changes.into_iter().for_each(|change| self.change(change, pieces));
            }
            Some("message_stream_complete") => self.over = true,
            Some("moderation") => self.finish = Some("content_filter".into()),
            Some("stream_handoff") => {
                self.topics = Some(notice.options.into_iter().filter_map(|option| option.topic_id).collect());
            }
            // Titles, markers, and what else only the page needs.
            Some(_) => {}
        }
        Ok(())
    }

    fn change(&mut self, change: Change, pieces: &mut Vec<Piece>) {
        match (change.path.as_str(), change.what) {
            ("", _) => self.next_message(pieces),
            (PART, _) => self.text(pieces),
            (path, What::Grew(more))
                if path.starts_with("/message/content/thoughts/") && path.ends_with("/content") =>
            {
                pieces.push(Piece::Reasoning(more));
            }
            (path, What::Set) if path.starts_with("/message/content/thoughts/") => {
                let content = self.document.text(&format!("{path}/content")).or_else(|| self.document.text(path));
                pieces.extend(content.filter(|text| !text.is_empty()).map(|text| Piece::Reasoning(text.into_owned())));
            }
            (path, What::Set) if path.starts_with("/message/metadata/content_references") => {
                pieces.extend(self.document.get(path).map(Piece::citations).unwrap_or_default());
            }
            (path, _) if path.starts_with("/message/metadata") || path == "/message/end_turn" => self.metadata(),
            _ => {}
        }
    }

    /// A message begins, and may hold its first words already.
    fn next_message(&mut self, pieces: &mut Vec<Piece>) {
        if !self.told.is_empty() {
            self.before.push(Piece::Text(std::mem::take(&mut self.told)));
        }
        self.text = Snapshot::new();
        self.markers.finish();
        let id = self.document.text("/conversation_id").filter(|id| !id.starts_with("WEB:")).map(Cow::into_owned);
        self.conversation = id.or(self.conversation.take());
        self.metadata();
        self.text(pieces);
    }

    fn channel(&self) -> Channel {
        let text = |name: &str| self.document.text(&format!("/message/{name}"));
        let hidden =
            self.document.get("/message/metadata/is_visually_hidden_from_conversation") == Some(&Value::Bool(true));
        if hidden
            || text("author/role").as_deref() != Some("assistant")
            || text("recipient").is_some_and(|r| r != "all")
        {
            return Channel::Other;
        }
        match (text("content/content_type").as_deref(), text("channel").as_deref()) {
            (Some("text" | "multimodal_text"), None | Some("final")) => Channel::Answer,
            (Some("text" | "multimodal_text"), Some("commentary")) => Channel::Thoughts,
            _ => Channel::Other,
        }
    }

    /// What is new in the text of this message.
    fn text(&mut self, pieces: &mut Vec<Piece>) {
        let channel = self.channel();
        let Some(text) = self.document.text(PART).map(Cow::into_owned) else { return };
        let more = match self.text.take(&text) {
            snapshot::Change::Nothing => return,
            snapshot::Change::Grew(more) => more,
            snapshot::Change::Rewritten(whole) => {
                if channel == Channel::Answer {
                    pieces.push(Piece::Restart);
                    pieces.extend(self.before.iter().cloned());
                    self.told.clear();
                    self.markers.finish();
                }
                whole
            }
        };
        match channel {
            Channel::Answer => {
                let shown = self.markers.push(more);
                self.answered |= !shown.is_empty();
                self.told.push_str(&shown);
                pieces.extend((!shown.is_empty()).then_some(Piece::Text(shown)));
            }
            Channel::Thoughts => pieces.push(Piece::Reasoning(more.to_owned())),
            Channel::Other => {}
        }
    }

    fn metadata(&mut self) {
        if self.channel() != Channel::Answer {
            return;
        }
        let text = |name: &str| self.document.text(&format!("/message/metadata/{name}")).map(Cow::into_owned);
        let (model, finish) = (text("model_slug"), text("finish_details/type"));
        self.model = model.or(self.model.take());
        self.finish = finish.or(self.finish.take());
    }

    /// The pieces of our stream in a message of the socket, however it is wrapped.
    fn items(&self, value: &Value, ours: bool, items: &mut Vec<String>, done: &mut bool) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.items(value, ours, items, done)),
            Value::Object(fields) => {
                let topic = fields.get("topic_id").and_then(Value::as_str);
                let known = |topic: &str| self.topics.iter().flatten().any(|known| known == topic);
                let ours = topic.map_or(ours, known);
                let item = fields.get("encoded_item").and_then(Value::as_str);
                items.extend(item.filter(|_| ours).map(str::to_owned));
                *done |= ours && fields.get("type").and_then(Value::as_str) == Some("done");
                fields.values().for_each(|value| self.items(value, ours, items, done));
            }
            _ => {}
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

/// An error in the stream is a sentence for people.
fn in_stream(text: &str) -> Failure {
    let lower = text.to_lowercase();
    if lower.contains("limit") {
        return Failure::rate_limited(text, None);
    }
    if lower.contains("policy") || lower.contains("violat") {
        return Failure::ContentBlocked(text.to_owned());
    }
    Failure::Upstream(text.to_owned())
}

/// `{"detail": text | {"message", "clears_in"}}`
fn refused(status: u16, body: &[u8]) -> Failure {
    if signs::is_challenge(body) {
        return Failure::Challenge("ChatGPT wants a person".into());
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let message = body.pointer("/detail/message").or(body.get("detail")).and_then(Value::as_str);
    let message = message.unwrap_or("no reason was given").to_owned();
    let clears_in = body.pointer("/detail/clears_in").and_then(Value::as_u64).and_then(|s| u32::try_from(s).ok());
    match status {
        401 => Failure::LoginRequired("the session with ChatGPT has ended".into()),
        403 => Failure::Challenge(message),
        404 => Failure::ModelUnavailable(message),
        413 | 422 => Failure::InvalidRequest(message),
        429 => Failure::rate_limited(message, clears_in),
        _ => Failure::Upstream(format!("ChatGPT answered with status {status}: {message}")),
    }
}

#[cfg(test)]
mod tests;

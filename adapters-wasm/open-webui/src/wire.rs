//! The site's wire format. The request for an answer is itself answered at once, with the chat's id; all else comes as events on
//! the socket, which serves every chat of this person at once.

use serde::Deserialize;
use serde_json::Value;
use webai_adapter::socket_io::{Packet, parse};
use webai_adapter::{Failure, Finish, Missing, Piece, ResponseHead, Wire};

/// Events that come before it is known whose they are. The answer to the request is sent before the model has said much.
const MAX_EARLY: usize = 4096;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Started {
    status: bool,
    chat_id: String,
}

#[derive(Deserialize)]
struct Envelope {
    chat_id: String,
    data: Event,
}

#[derive(Deserialize)]
struct Event {
    r#type: String,
    #[serde(default)]
    data: Value,
}

/// An answer as far as it has come.
#[derive(Default)]
pub(crate) struct Stream {
    /// The answer to the request, as far as it has come.
    head: Vec<u8>,
    chat: Option<String>,
    early: Vec<Envelope>,
    /// What has been said, so that what the end says of the whole can be compared.
    text: String,
    reasoning: String,
    /// How it will have ended, known before the last event has come.
    finish: Option<Finish>,
    done: bool,
    failure: Option<Failure>,
    model: Option<String>,
}

impl Wire for Stream {
    fn bytes(&mut self, bytes: &[u8]) -> Result<Vec<Piece>, Failure> {
        self.head.extend_from_slice(bytes);
        let Ok(started) = serde_json::from_slice::<Started>(&self.head) else { return Ok(Vec::new()) };
        if !started.status || started.chat_id.is_empty() {
            return Err(changed("the answer to the request names no chat"));
        }
        let early = std::mem::take(&mut self.early);
        let ours = early.into_iter().filter(|envelope| envelope.chat_id == started.chat_id);
        let pieces = ours.flat_map(|envelope| self.event(envelope.data)).collect();
        self.chat = Some(started.chat_id);
        Ok(pieces)
    }

    fn message(&mut self, message: &str) -> Result<Vec<Piece>, Failure> {
        let Some(Packet::Event { arguments, .. }) = parse(message) else { return Ok(Vec::new()) };
        // Other events of the socket have arguments of other kinds.
        let Ok((_, envelope)) = serde_json::from_str::<(String, Envelope)>(arguments) else { return Ok(Vec::new()) };
        match &self.chat {
            Some(chat) if *chat == envelope.chat_id => Ok(self.event(envelope.data)),
            None if self.early.len() < MAX_EARLY => {
                self.early.push(envelope);
                Ok(Vec::new())
            }
            _ => Ok(Vec::new()),
        }
    }

    fn is_over(&self) -> bool {
        self.done || self.failure.is_some()
    }

    fn is_handed_off(&self) -> bool {
        true
    }

    fn end(&mut self) -> Result<Finish, Failure> {
        match self.failure.take() {
            Some(failure) => Err(failure),
            None if self.done => Ok(self.finish.take().unwrap_or(Finish::Stop)),
            None => Err(Failure::Upstream("the connection to Open WebUI ended before the answer".into())),
        }
    }

    /// A temporary chat is forgotten with its page.
    fn conversation(&self) -> Option<String> {
        self.chat.clone().filter(|chat| !chat.starts_with("temporary:"))
    }

    fn model(&self) -> Option<String> {
        self.model.clone()
    }

    fn refused(&self, head: &ResponseHead, body: &[u8]) -> Failure {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Refusal {
            detail: Value,
        }
        let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
        let detail = refusal.detail.as_str().map_or_else(|| format!("status {}", head.status), str::to_owned);
        match head.status {
            401 => Failure::LoginRequired(format!("Open WebUI: {detail}")),
            404 => Failure::ModelUnavailable(format!("Open WebUI: {detail}")),
            429 => Failure::rate_limited(detail, None),
            _ => Failure::Upstream(format!("Open WebUI could not answer: {detail}")),
        }
    }
}

impl Stream {
    fn event(&mut self, event: Event) -> Vec<Piece> {
        let Event { r#type, data } = event;
        match r#type.as_str() {
            "response:completion" => self.delta(&data),
            "chat:completion" => self.completion(&data),
            "chat:message:error" => {
                let message = at(&data, "/error/content").or(at(&data, "/error")).unwrap_or("no reason");
                self.failure = Some(backend(message));
                Vec::new()
            }
            // Stopped in another window, or by the server.
            "chat:tasks:cancel" => {
                self.done = true;
                Vec::new()
            }
            "status" => at(&data, "/description").map(|text| Piece::Progress(text.into())).into_iter().collect(),
            "source" | "citation" => source(&data).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// The names are those of OpenAI's Responses API.
    fn delta(&mut self, data: &Value) -> Vec<Piece> {
        let delta = at(data, "/delta").filter(|delta| !delta.is_empty()).map(str::to_owned);
        match (at(data, "/type"), delta) {
            (Some("response.output_text.delta"), Some(delta)) => {
                self.text.push_str(&delta);
                vec![Piece::Text(delta)]
            }
            (Some("response.reasoning_text.delta"), Some(delta)) => {
                self.reasoning.push_str(&delta);
                vec![Piece::Reasoning(delta)]
            }
            // What the connected server sends without text, as it came: a role, an end.
            _ => {
                self.backend_chunk(data);
                Vec::new()
            }
        }
    }

    fn completion(&mut self, data: &Value) -> Vec<Piece> {
        self.backend_chunk(data);
        if let Some(message) = at(data, "/error/message").or(at(data, "/error/detail")).or(at(data, "/error/content")) {
            self.failure = Some(backend(message));
        }
        if data.get("done") != Some(&Value::Bool(true)) {
            return Vec::new();
        }
        self.done = true;
        self.settle(output_text(data))
    }

    /// What was filtered on its way, or said by a function of the server, comes only with the whole text, which ends without space.
    fn settle(&mut self, whole: String) -> Vec<Piece> {
        if whole.is_empty() || whole.trim_end() == self.text.trim_end() {
            return Vec::new();
        }
        let pieces = match whole.strip_prefix(self.text.as_str()) {
            Some(rest) => vec![Piece::Text(rest.to_owned())],
            None => {
                let reasoning = Some(self.reasoning.clone()).filter(|said| !said.is_empty()).map(Piece::Reasoning);
                let text = Piece::Text(whole.clone());
                [Some(Piece::Restart), reasoning, Some(text)].into_iter().flatten().collect()
            }
        };
        self.text = whole;
        pieces
    }

    fn backend_chunk(&mut self, data: &Value) {
        if let Some(model) = at(data, "/model") {
            self.model = Some(model.to_owned());
        }
        if at(data, "/choices/0/finish_reason") == Some("length") {
            self.finish = Some(Finish::Length);
        }
    }
}

/// The text of a finished answer, without thoughts and the like.
fn output_text(data: &Value) -> String {
    let items = data.get("output").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let messages = items.iter().filter(|item| at(item, "/type") == Some("message"));
    let parts = messages.filter_map(|item| item.get("content")?.as_array()).flatten();
    parts.filter_map(|part| at(part, "/text")).collect()
}

fn source(data: &Value) -> Option<Piece> {
    let url = at(data, "/source/url").or(at(data, "/metadata/0/source"))?;
    let title = at(data, "/source/name").unwrap_or(url);
    url.starts_with("http").then(|| Piece::Citation { url: url.into(), title: title.into() })
}

fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

/// An error of the connected server: Open WebUI hands on its words, and not its status.
fn backend(message: &str) -> Failure {
    let lower = message.to_lowercase();
    if ["too many requests", "rate limit", "ratelimit"].iter().any(|sign| lower.contains(sign)) {
        return Failure::rate_limited(message, None);
    }
    Failure::Upstream(format!("Open WebUI could not answer: {message}"))
}

fn changed(what: &str) -> Failure {
    Failure::SiteChanged(Missing { step: "read the answer".into(), selector: what.into() })
}

#[cfg(test)]
mod tests;

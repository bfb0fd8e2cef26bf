//! The site's wire format: Connect envelopes of JSON, each setting or extending a block of the message.

use serde::Deserialize;
use serde_json::Value;
use webai_adapter::connect::{Envelope, Parser};
use webai_adapter::snapshot::{Change, Snapshot};
use webai_adapter::{Failure, Finish, Missing, Piece, ResponseHead, Wire, signs};

const COMPLETED: &str = "MESSAGE_STATUS_COMPLETED";

/// One envelope. Which of the fields is there depends on its mask, so there is no need to read that.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Event {
    op: String,
    chat: Option<Named>,
    message: Option<Message>,
    block: Option<BlockEvent>,
    done: Option<Value>,
    error: Option<ConnectError>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Message {
    role: String,
    status: String,
    blocks: Vec<BlockEvent>,
    refs: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct BlockEvent {
    id: String,
    text: Option<Content>,
    think: Option<Content>,
    tool: Option<Value>,
    exception: Option<Exception>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Content {
    content: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Exception {
    error: Reason,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Reason {
    reason: String,
}

/// The error of a trailer, or of a body in the answer's place.
#[derive(Deserialize, Default)]
#[serde(default)]
struct ConnectError {
    code: String,
    message: String,
}

/// Text or thoughts, as far as they have come.
struct Block {
    id: String,
    is_thought: bool,
    content: Snapshot,
}

impl Block {
    fn piece(&self, text: &str) -> Piece {
        let text = text.to_owned();
        if self.is_thought { Piece::Reasoning(text) } else { Piece::Text(text) }
    }
}

/// An answer as far as it has come.
#[derive(Default)]
pub(crate) struct Stream {
    envelopes: Parser,
    blocks: Vec<Block>,
    /// The message under way is an echo of the prompt.
    is_echo: bool,
    conversation: Option<String>,
    status: String,
    failure: Option<Failure>,
    done: bool,
    over: bool,
}

impl Wire for Stream {
    fn bytes(&mut self, bytes: &[u8]) -> Result<Vec<Piece>, Failure> {
        let envelopes = self.envelopes.push(bytes).map_err(|e| changed(&e.to_string()))?;
        let mut pieces = Vec::new();
        for envelope in envelopes {
            self.envelope(&envelope, &mut pieces)?;
        }
        Ok(pieces)
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn end(&mut self) -> Result<Finish, Failure> {
        match (self.failure.take(), self.status.as_str()) {
            (Some(failure), _) => Err(failure),
            (None, COMPLETED) => Ok(Finish::Stop),
            (None, _) if self.done => Ok(Finish::Stop),
            (None, _) => Err(Failure::Upstream("Kimi broke the answer off".into())),
        }
    }

    fn conversation(&self) -> Option<String> {
        self.conversation.clone()
    }

    fn refused(&self, head: &ResponseHead, body: &[u8]) -> Failure {
        refused(head.status, body)
    }
}

impl Stream {
    /// In this chat, or in a new one.
    pub(crate) fn of(chat: Option<String>) -> Self {
        Self { conversation: chat, ..Self::default() }
    }

    fn envelope(&mut self, envelope: &Envelope, pieces: &mut Vec<Piece>) -> Result<(), Failure> {
        let event: Event = serde_json::from_slice(&envelope.data).map_err(|e| changed(&e.to_string()))?;
        self.over |= envelope.is_end();
        if let Some(error) = event.error {
            self.failure = Some(failure(error));
        }
        if let Some(chat) = event.chat {
            self.conversation = Some(chat.id);
        }
        self.done |= event.done.is_some();
        if let Some(message) = event.message {
            self.message(message, pieces);
        }
        if let Some(block) = event.block {
            self.block(block, event.op == "append", pieces);
        }
        Ok(())
    }

    fn message(&mut self, message: Message, pieces: &mut Vec<Piece>) {
        if !message.role.is_empty() {
            self.is_echo = message.role != "assistant";
        }
        if self.is_echo {
            return;
        }
        if !message.status.is_empty() {
            self.status = message.status;
        }
        message.blocks.into_iter().for_each(|block| self.block(block, false, pieces));
        pieces.extend(Piece::citations(&message.refs));
    }

    fn block(&mut self, event: BlockEvent, appends: bool, pieces: &mut Vec<Piece>) {
        if self.is_echo {
            return;
        }
        if let Some(content) = event.think {
            self.content(&event.id, true, appends, &content.content, pieces);
        }
        if let Some(content) = event.text {
            self.content(&event.id, false, appends, &content.content, pieces);
        }
        if let Some(tool) = event.tool {
            pieces.extend(Piece::citations(&tool));
        }
        if let Some(Exception { error: Reason { reason } }) = event.exception {
            self.failure = Some(match reason.as_str() {
                "REASON_COMPLETION_OVERLOADED" => Failure::rate_limited("Kimi is overloaded", None),
                _ => Failure::Upstream(format!("Kimi could not answer: {reason}")),
            });
        }
    }

    fn content(&mut self, id: &str, is_thought: bool, appends: bool, content: &str, pieces: &mut Vec<Piece>) {
        let at = self.blocks.iter().position(|block| block.id == id && block.is_thought == is_thought);
        let at = at.unwrap_or_else(|| {
            self.blocks.push(Block { id: id.to_owned(), is_thought, content: Snapshot::new() });
            self.blocks.len() - 1
        });
        let Some(block) = self.blocks.get_mut(at) else { return };
        let whole = if appends { format!("{}{content}", block.content.text()) } else { content.to_owned() };
        match block.content.take(&whole) {
            Change::Nothing => {}
            Change::Grew(more) => pieces.push(block.piece(more)),
            Change::Rewritten(_) => {
                pieces.push(Piece::Restart);
                let blocks = self.blocks.iter().filter(|block| !block.content.text().is_empty());
                pieces.extend(blocks.map(|block| block.piece(block.content.text())));
            }
        }
    }
}

fn changed(why: &str) -> Failure {
    Failure::SiteChanged(Missing { step: "read the answer".into(), selector: format!("a known envelope: {why}") })
}

/// Codes as <https://connectrpc.com/docs/protocol#error-codes> has them.
fn failure(error: ConnectError) -> Failure {
    match error.code.as_str() {
        "resource_exhausted" => Failure::rate_limited(error.message, None),
        "unauthenticated" => Failure::LoginRequired("nobody is signed in to Kimi".into()),
        "invalid_argument" | "out_of_range" => Failure::InvalidRequest(error.message),
        code => Failure::Upstream(format!("Kimi answered {code}: {}", error.message)),
    }
}

fn refused(status: u16, body: &[u8]) -> Failure {
    if signs::is_challenge(body) {
        return Failure::Challenge("Kimi wants a person".into());
    }
    let error: ConnectError = serde_json::from_slice(body).unwrap_or_default();
    match status {
        401 | 403 => Failure::LoginRequired("nobody is signed in to Kimi".into()),
        429 => Failure::rate_limited(error.message, None),
        _ if !error.code.is_empty() => failure(error),
        _ => Failure::Upstream(format!("Kimi answered with status {status}")),
    }
}

#[cfg(test)]
mod tests;

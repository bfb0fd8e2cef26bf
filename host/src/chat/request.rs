//! A chat request as all dialects understand it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

/// What kind of answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    #[default]
    Text,
    Image,
    Video,
    Audio,
}

/// Who speaks in a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `system` and `developer`.
    System,
    User,
    Assistant,
    /// The result of a tool call.
    Tool,
}

/// A file or picture of the request, decoded and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// File name; made up where the client gave none.
    pub name: String,
    pub mime_type: String,
    pub bytes: Bytes,
}

/// One piece of a turn's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Text(String),
    Attachment(Arc<Attachment>),
}

/// One message of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub role: Role,
    /// The speaker's name, or the call that a tool's result answers.
    pub name: Option<String>,
    pub parts: Vec<Part>,
}

/// By which a client's retry of the same request is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    /// Of who asks, and of the key that he gave the request; where he gave none, of what is asked.
    pub hash: [u8; 32],
    /// Of what is asked.
    pub body: [u8; 32],
    /// The client says that this may be a retry.
    pub again: bool,
}

/// A request for one answer.
#[derive(Debug, Clone)]
pub struct Request {
    /// Shown to the client as `x-request-id`.
    pub id: String,
    /// The public model id, such as `demo/echo`.
    pub model: String,
    /// All turns in order, never empty.
    pub turns: Vec<Turn>,
    /// The text ends before the first of these.
    pub stop: Vec<String>,
    /// An upper bound in estimated tokens, applied to the stream.
    pub max_tokens: Option<u64>,
    /// Settings for the adapter by name, such as `reasoning-effort`.
    pub options: BTreeMap<String, String>,
    /// Whether the chat should leave no trace in the account's history, where the site can do that. None: it goes on with the chat
    /// that it continues, where the adapter can do that, and leaves no trace elsewhere.
    pub temporary: Option<bool>,
    /// The name of the key that it came with.
    pub caller: String,
    /// The API's dialect, such as `openai`.
    pub dialect: &'static str,
    /// Whether the client takes the answer as it comes.
    pub stream: bool,
    pub fingerprint: Option<Fingerprint>,
}

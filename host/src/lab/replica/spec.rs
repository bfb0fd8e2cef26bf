//! `site.toml` as it is written. `docs/adapters.md` is its reference.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// One value, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Many<T> {
    One(T),
    List(Vec<T>),
}

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl<T> Many<T> {
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::List(list) => list,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }
}

/// The whole file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SiteFile {
    pub model: Option<String>,
    pub prompt: Option<String>,
    pub config: BTreeMap<String, Value>,
    pub vars: BTreeMap<String, String>,
    pub expect: Expect,
    pub skip: BTreeMap<String, String>,
    pub prompts: Vec<PromptSpec>,
    pub routes: Vec<RouteSpec>,
    pub cassettes: Vec<CassetteSpec>,
    pub states: BTreeMap<String, StateSpec>,
    pub cases: Vec<CaseSpec>,
}

/// What counts as a prompt.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptSpec {
    pub url: String,
    #[serde(default)]
    pub method: Option<String>,
    #[serde(default)]
    pub text: Many<String>,
    #[serde(default)]
    pub when: When,
}

/// A recording that answers in a state.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CassetteSpec {
    pub state: String,
    pub file: String,
}

/// Conditions on a request; all must hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    pub json: BTreeMap<String, Value>,
    pub contains: Many<String>,
    pub query: BTreeMap<String, String>,
    pub header: BTreeMap<String, String>,
    /// Steps into the body, before `json` and `contains` look at it.
    pub text: Many<String>,
    pub times: Option<u32>,
}

/// How one kind of request is answered.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteSpec {
    pub url: Many<String>,
    pub method: Option<String>,
    pub state: Many<String>,
    pub when: When,
    pub file: Option<String>,
    pub folder: Option<String>,
    pub body: Option<String>,
    pub json: Option<Value>,
    pub redirect: Option<String>,
    pub base64: Option<String>,
    pub steps: Option<Vec<StepSpec>>,
    pub stream: Option<String>,
    pub abort: bool,
    pub app: Option<String>,
    pub status: Option<u16>,
    #[serde(rename = "type")]
    pub content_type: Option<String>,
    pub headers: BTreeMap<String, Many<String>>,
    pub delay_ms: u64,
    pub signal: Option<String>,
    // For `stream`.
    pub chunk: Option<Chunk>,
    pub frame: Option<Frame>,
    pub cut: Option<usize>,
    pub pause_ms: u64,
    pub prefix: String,
    pub suffix: String,
}

/// One step of a scripted stream: one of its first group of keys.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StepSpec {
    pub file: Option<String>,
    pub send: Option<String>,
    pub json: Option<Value>,
    pub base64: Option<String>,
    pub wait_ms: Option<u64>,
    pub wait: Option<String>,
    pub signal: Option<String>,
    pub receive: Option<BTreeMap<String, Value>>,
    pub hang: bool,
    pub abort: bool,
    pub close: Option<u16>,
    // For `file`.
    pub chunk: Option<Chunk>,
    pub frame: Option<Frame>,
    pub cut: Option<usize>,
    pub pause_ms: u64,
    pub prefix: String,
    pub suffix: String,
}

/// Where a file is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Chunk {
    Bytes(usize),
    At(ChunkAt),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChunkAt {
    /// After each empty line.
    Event,
    Line,
    Whole,
}

/// How each line of a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Frame {
    #[serde(rename = "connect")]
    Connect,
    #[serde(rename = "length16")]
    Length16,
    #[serde(rename = "socket.io")]
    SocketIo,
}

/// One state of the site.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateSpec {
    pub vars: BTreeMap<String, String>,
    pub remove: Option<String>,
    pub setup: Vec<SetupSpec>,
    pub expect: Option<Expect>,
    pub model: Option<String>,
    pub prompt: Option<String>,
    pub messages: Vec<MessageSpec>,
}

/// A request that is sent to the replica itself when a state begins.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetupSpec {
    #[serde(default)]
    pub method: Option<String>,
    pub url: String,
    #[serde(default)]
    pub json: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageSpec {
    pub role: RoleName,
    pub content: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleName {
    System,
    User,
    Assistant,
    Tool,
}

/// A case of the author's own.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaseSpec {
    pub name: String,
    pub state: Option<String>,
    pub model: Option<String>,
    /// Asked before the case, in the state `ok`: the case goes on with that chat.
    pub first: Option<String>,
    pub prompt: Option<String>,
    pub messages: Vec<MessageSpec>,
    pub attachments: Vec<String>,
    pub settings: BTreeMap<String, String>,
    pub temporary: bool,
    pub expect: Expect,
}

/// What a case must come to. What is not named is not checked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    pub text: Option<String>,
    pub text_file: Option<String>,
    pub text_contains: Many<String>,
    pub text_absent: Many<String>,
    pub reasoning: Option<String>,
    pub reasoning_contains: Many<String>,
    pub citations: Option<Vec<CitationSpec>>,
    pub progress: Option<Vec<String>>,
    pub media: Option<Vec<MediaSpec>>,
    pub min_deltas: Option<usize>,
    pub max_deltas: Option<usize>,
    pub restarts: Option<usize>,
    pub finish: Option<String>,
    pub model: Option<String>,
    pub conversation: Option<String>,
    pub failure: Many<String>,
    pub retry_after_s: Option<u64>,
    pub message_contains: Many<String>,
    pub step: Option<String>,
    pub selector: Option<String>,
    pub submitted: Option<bool>,
    pub prompts: Option<usize>,
    pub prompt_contains: Many<String>,
    pub requests: Vec<RequestSpec>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CitationSpec {
    pub url: String,
    #[serde(default)]
    pub title: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaSpec {
    #[serde(rename = "type")]
    pub mime: String,
    #[serde(default)]
    pub file: Option<String>,
}

/// A request that the page must have sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestSpec {
    pub url: String,
    #[serde(default)]
    pub method: Option<String>,
    #[serde(default)]
    pub count: Option<usize>,
    #[serde(default)]
    pub json: BTreeMap<String, Value>,
    #[serde(default)]
    pub contains: Many<String>,
    #[serde(default)]
    pub text: Many<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_unknown_keys_are_named() {
        let text = r#"
            model = "chat"
            [[prompts]]
            url = "https://chat.example.com/api"
            text = ["form:f.req", "json:/1"]
            [[routes]]
            url = ["https://chat.example.com/", "https://chat.example.com/c/*"]
            file = "index.html"
            [[routes]]
            url = "https://chat.example.com/api"
            state = "limit"
            chunk = 7
            frame = "socket.io"
            stream = "a.jsonl"
            [states.limit]
            expect = { failure = "quota-exhausted" }
        "#;
        let file: SiteFile = toml::from_str(text).unwrap();
        assert_eq!(file.routes.len(), 2);
        assert_eq!(file.routes[1].chunk, Some(Chunk::Bytes(7)));
        assert_eq!(file.routes[1].frame, Some(Frame::SocketIo));
        let error = toml::from_str::<SiteFile>("[[routes]]\nurls = \"x\"").unwrap_err().to_string();
        assert!(error.contains("urls") && error.contains("line 2"), "{error}");
    }
}

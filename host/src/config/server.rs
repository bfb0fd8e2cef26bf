//! `server`: the address, the keys, and what clients get while they wait.

use std::time::Duration;

use super::key::Key;
use super::shape::Shape;
use super::values::Values;

pub(super) const KEYS: &[Key] = &[
    Key::new("server.host", Shape::Text, "0.0.0.0", "the address to listen on"),
    Key::new("server.port", Shape::Integer { min: 0, max: 65535 }, "3000", "the port to listen on; 0 takes a free one")
        .env("PORT"),
    Key::new(
        "server.auth",
        Shape::Text,
        "",
        "the admin key; empty: one is made at the first start and kept in the data folder",
    )
    .env("AUTH_TOKEN")
    .secret(),
    Key::new("server.apiKeys", Shape::List(API_KEYS), "", "further keys, for API clients only").secret(),
    Key::new(
        "server.keepalive.mode",
        Shape::Choice(&["content", "comment", "off"]),
        "content",
        "what a silent stream sends: a chunk with an empty delta, an SSE comment, or nothing",
    ),
    Key::new(
        "server.keepalive.nonStream",
        Shape::Choice(&["off", "whitespace"]),
        "off",
        "whether a request that does not stream gets a space every 10 s from 45 s on",
    ),
    Key::new("server.keepalive.interval", Shape::Duration, "10s", "the time between two signs of life"),
    Key::new(
        "server.keepalive.holdStatus",
        Shape::Duration,
        "10s",
        "how long a stream's status line waits for the first piece, so that errors before it have a status of their own",
    ),
    Key::new(
        "server.reasoning",
        Shape::Choice(&["reasoning_content", "reasoning", "think", "none"]),
        "reasoning_content",
        "how a model's visible reasoning is sent; a request may say otherwise by the header x-webai-reasoning",
    ),
    Key::new(
        "server.images",
        Shape::Choice(&["keep", "declared"]),
        "keep",
        "pictures that an answer's text names: kept, or kept only where they lie in the answer, with whoever shows it, or at hosts \
         that the adapter's manifest declares; others become links, because their addresses could carry data out",
    ),
    Key::new(
        "server.media",
        Shape::Choice(&["url", "data"]),
        "url",
        "how pictures and files of an answer are sent: as links to this server (see history.mediaTtl) or as data: URIs; a request may say otherwise by the header x-webai-media",
    ),
    Key::new(
        "server.publicUrl",
        Shape::Text,
        "",
        "where clients reach this server, such as https://ai.example.com, for links to pictures; empty: as each request was addressed",
    ),
    Key::new(
        "server.metrics",
        Shape::Choice(&["key", "open"]),
        "key",
        "who reads /metrics: whoever has a key, or everybody; models and accounts are named there",
    ),
    Key::unused("server.imageMarkdown", "pictures are always Markdown here"),
];

const API_KEYS: &[Key] = &[
    Key::new("name", Shape::Text, "", "a name for the log"),
    Key::new("key", Shape::Text, "", "the key, or its SHA-256 as `sha256:<64 hex digits>`").secret(),
];

/// What a silent stream sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    Content,
    Comment,
    Off,
}

/// What a request that does not stream gets while it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonStreamBeat {
    Off,
    Whitespace,
}

/// What becomes of pictures that an answer's text names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Images {
    Keep,
    /// Those of hosts that the adapter does not declare become links.
    Declared,
}

/// How reasoning is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reasoning {
    /// The field `reasoning_content`.
    ReasoningContent,
    /// The field `reasoning`.
    Reasoning,
    /// In the text, between `<think>` and `</think>`.
    Think,
    None,
}

impl Reasoning {
    /// By its name in the configuration.
    pub fn parse(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "reasoning_content" => Some(Self::ReasoningContent),
            "reasoning" => Some(Self::Reasoning),
            "think" => Some(Self::Think),
            "none" => Some(Self::None),
            _ => None,
        }
    }
}

/// How pictures and files of an answer are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaForm {
    /// As a link to this server, which keeps them for a while.
    Url,
    /// As `data:` URIs.
    Data,
}

impl MediaForm {
    /// By its name in the configuration.
    pub fn parse(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "url" => Some(Self::Url),
            "data" => Some(Self::Data),
            _ => None,
        }
    }
}

/// A key for API clients.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeyEntry {
    pub name: String,
    /// In clear, or `sha256:<hex>`.
    pub key: String,
}

impl std::fmt::Debug for ApiKeyEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKeyEntry").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Clone, PartialEq)]
pub struct Server {
    pub host: String,
    pub port: u16,
    /// The admin key, if one is configured.
    pub auth: Option<String>,
    pub api_keys: Vec<ApiKeyEntry>,
    pub beat: Beat,
    pub non_stream_beat: NonStreamBeat,
    pub beat_interval: Duration,
    pub hold_status: Duration,
    pub reasoning: Reasoning,
    pub images: Images,
    pub media: MediaForm,
    /// Without a slash at its end.
    pub public_url: Option<String>,
    /// Whether `/metrics` needs no key.
    pub open_metrics: bool,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn read(values: &Values) -> Self {
        Self {
            host: values.text("server.host"),
            port: values.u16("server.port"),
            auth: values.optional_text("server.auth"),
            api_keys: values
                .list("server.apiKeys", API_KEYS)
                .iter()
                .map(|item| ApiKeyEntry { name: item.text("name"), key: item.text("key") })
                .filter(|entry| !entry.key.is_empty())
                .collect(),
            beat: match values.text("server.keepalive.mode").as_str() {
                "comment" => Beat::Comment,
                "off" => Beat::Off,
                _ => Beat::Content,
            },
            non_stream_beat: match values.text("server.keepalive.nonStream").as_str() {
                "whitespace" => NonStreamBeat::Whitespace,
                _ => NonStreamBeat::Off,
            },
            beat_interval: values.duration("server.keepalive.interval").max(Duration::from_millis(100)),
            hold_status: values.duration("server.keepalive.holdStatus"),
            reasoning: Reasoning::parse(&values.text("server.reasoning")).unwrap_or(Reasoning::ReasoningContent),
            images: match values.text("server.images").as_str() {
                "declared" => Images::Declared,
                _ => Images::Keep,
            },
            media: MediaForm::parse(&values.text("server.media")).unwrap_or(MediaForm::Url),
            public_url: values.optional_text("server.publicUrl").map(|url| url.trim_end_matches('/').to_owned()),
            open_metrics: values.text("server.metrics") == "open",
        }
    }
}

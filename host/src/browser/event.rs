//! What a page tells: its traffic, its texts, its state. Mirrors the contract's `page.event`.

use bytes::Bytes;

/// Which of the page's own requests to deliver.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// URL pattern, see `wit/page.wit`.
    pub url: String,
    pub method: Option<String>,
    pub statuses: Vec<u16>,
    pub content_types: Vec<String>,
}

/// What an `expect` waits for. Strings are selectors, but for `Url`, which is a URL pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    Attached(String),
    Detached(String),
    Visible(String),
    Hidden(String),
    Enabled(String),
    Disabled(String),
    Url(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    pub url: String,
    pub method: String,
    pub status: u16,
    /// Lower-case names; cookies and credentials are removed.
    pub headers: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Complete,
    /// The page cancelled it, as most do after the end marker.
    Aborted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialogInfo {
    pub kind: String,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventBody {
    Response(ResponseHead),
    /// At most 256 KiB.
    Bytes(Bytes),
    /// A text message of a WebSocket.
    Text(String),
    /// A binary message of a WebSocket.
    Binary(Bytes),
    End(Ending),
    Failed(String),
    /// The text of a watched element.
    Watched(String),
    Reached,
    Dialog(DialogInfo),
    Navigated(String),
}

/// One event of a page, in Chromium's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageEvent {
    /// The number that `listen`, `watch` or `expect` returned; 0 for the page itself.
    pub source: u32,
    /// Tells apart the requests of one listen.
    pub stream: u32,
    pub body: EventBody,
}

//! `history`: what is kept of requests, how much, and for how long.

use std::time::Duration;

use super::key::Key;
use super::shape::Shape;
use super::values::Values;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "history.mode",
        Shape::Choice(&["off", "metadata", "full"]),
        "metadata",
        "what is kept of a request: nothing (the day's sums alone), its figures, or prompt and answer too",
    ),
    Key::new("history.maxAge", Shape::Age, "30d", "how long a request is kept"),
    Key::new("history.maxSize", Shape::Bytes, "256MB", "how large the history may be; the oldest requests go first"),
    Key::new("history.mediaTtl", Shape::Age, "24h", "how long the link to a picture or file of an answer leads to it"),
    Key::new(
        "history.mediaMaxSize",
        Shape::Bytes,
        "512MB",
        "how large all pictures and files of answers may be together; what would go first goes earlier",
    ),
];

/// What is kept of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryMode {
    /// The day's sums alone.
    Off,
    Metadata,
    /// Prompt and answer too.
    Full,
}

#[derive(Debug, Clone)]
pub struct History {
    pub mode: HistoryMode,
    pub max_age: Duration,
    /// In bytes.
    pub max_size: u64,
    pub media_ttl: Duration,
    /// In bytes.
    pub media_max_size: u64,
}

impl History {
    pub(super) fn read(values: &Values) -> Self {
        Self {
            mode: match values.text("history.mode").as_str() {
                "off" => HistoryMode::Off,
                "full" => HistoryMode::Full,
                _ => HistoryMode::Metadata,
            },
            max_age: values.duration("history.maxAge"),
            max_size: values.u64("history.maxSize"),
            media_ttl: values.duration("history.mediaTtl"),
            media_max_size: values.u64("history.mediaMaxSize"),
        }
    }
}

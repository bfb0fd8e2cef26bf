//! What is logged, how, and where the program keeps its data.

use std::path::PathBuf;

use super::key::Key;
use super::shape::Shape;
use super::values::Values;

pub(super) const KEYS: &[Key] = &[
    Key::new("logLevel", Shape::Choice(&["error", "warn", "info", "debug", "trace"]), "info", "how much is logged")
        .env("LOG_LEVEL"),
    Key::new("logFormat", Shape::Choice(&["text", "json"]), "text", "text for people, or one JSON object a line")
        .env("LOG_FORMAT"),
    Key::new("dataDir", Shape::Text, "data", "the folder for keys, browser profiles and caches: a local disk"),
];

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// `error` to `trace`.
    pub level: String,
    pub format: LogFormat,
    pub data_dir: PathBuf,
}

impl Log {
    pub(super) fn read(values: &Values) -> Self {
        Self {
            level: values.text("logLevel"),
            format: if values.text("logFormat") == "json" { LogFormat::Json } else { LogFormat::Text },
            data_dir: values.path("dataDir"),
        }
    }
}

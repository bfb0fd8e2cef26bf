//! The log: to stderr, for people or as one JSON object a line.
//!
//! A request's id is on every line that the request causes, whichever part of the program writes it: as the span that leads a line of
//! text, and as `span.id` in JSON.

use std::io;

use tracing::Span;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};

/// Targets of this program's lines: its modules, and those that are named for who speaks.
const OWN: [&str; 4] = ["webai2api", "adapter", "fence", "chromium"];

/// Starts logging for the whole process. A second call changes nothing.
pub fn start(log: &Log) {
    let registry = tracing_subscriber::registry().with(filter(&log.level));
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false);
    let started = match log.format {
        LogFormat::Json => {
            registry.with(layer.json().flatten_event(true).with_current_span(true).with_span_list(false)).try_init()
        }
        LogFormat::Text => registry.with(layer.with_ansi(io::IsTerminal::is_terminal(&io::stderr()))).try_init(),
    };
    drop(started);
}

/// The libraries' own lines are of no use to an operator, and at debug level they may hold what pages send.
fn filter(level: &str) -> EnvFilter {
    let own = OWN.map(|target| format!(",{target}={level}")).concat();
    EnvFilter::try_new(format!("warn{own}")).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// The span of one request. It is there at every level: an error's line has the id too.
pub fn request_span(id: &str) -> Span {
    tracing::error_span!("request", id)
}

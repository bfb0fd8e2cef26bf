//! What an adapter was doing: its steps and its log, as the program's own log tells them.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines of one case that are kept.
const LINES_MAX: usize = 500;

/// A layer of the log that keeps what adapters do. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Journal(Arc<Mutex<Vec<Line>>>);

/// Something that an adapter did or said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) at: Instant,
    pub(super) text: String,
    /// A name given to `page.step`.
    pub(super) step: Option<String>,
}

impl Journal {
    /// Takes what has been kept since the last time.
    pub(super) fn take(&self) -> Vec<Line> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    step: Option<String>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            // Writing to a string does not fail.
            let _ = write!(self.message, "{value:?}");
        } else if field.name() == "step" {
            self.step = Some(format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            "step" => self.step = Some(value.to_owned()),
            _ => {}
        }
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let meta = event.metadata();
        let adapters_own = meta.target() == "adapter";
        if !adapters_own && !meta.target().ends_with("plugin::imports::page") {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let text = match &fields.step {
            Some(step) if !adapters_own => format!("step: {step}"),
            _ if adapters_own => format!("log {}: {}", meta.level().as_str().to_lowercase(), fields.message),
            _ => return,
        };
        let step = fields.step.filter(|_| !adapters_own);
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < LINES_MAX {
            lines.push(Line { at: Instant::now(), text, step });
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn steps_and_the_adapters_own_words_are_kept() {
        let journal = Journal::default();
        let subscriber = tracing_subscriber::registry().with(journal.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(target: "webai2api::plugin::imports::page", step = "send", "step");
            tracing::info!(target: "adapter", adapter = "a", "hello {}", 1);
            tracing::info!("something else");
        });
        let lines: Vec<String> = journal.take().into_iter().map(|line| line.text).collect();
        assert_eq!(lines, ["step: send", "log info: hello 1"]);
        assert!(journal.take().is_empty());
    }
}

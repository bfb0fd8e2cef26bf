//! One log line per request, written when the request is over, however it ends; and the request's share of the metrics.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::Span;

use super::metrics;

/// What is known of a request. Logged and counted when dropped.
#[derive(Debug)]
pub struct Entry {
    pub method: String,
    /// Without the query.
    pub path: String,
    /// The router's pattern that the path matched; none: it matched none.
    pub route: Option<String>,
    pub began: Instant,
    pub status: u16,
    /// `ok`, an error's code, or none: the client went away first.
    pub outcome: Option<String>,
    /// Probes come every few seconds and are logged at debug level.
    pub quiet: bool,
    pub model: Option<String>,
    /// Whether some adapter offers that model: no other becomes a label of a metric.
    pub model_known: bool,
    pub adapter: Option<String>,
    pub instance: Option<String>,
    pub stream: bool,
    pub queued: Option<Duration>,
    /// From the beginning.
    pub submitted: Option<Duration>,
    /// From the beginning to the first piece of the answer.
    pub first: Option<Duration>,
    pub tokens: u64,
    /// Of the request; its line belongs there wherever it is written.
    span: Span,
}

/// A handle on the entry of a request; the line is written when the last one goes.
#[derive(Debug, Clone)]
pub struct RequestLog(Arc<Mutex<Entry>>);

impl RequestLog {
    pub fn new(method: String, path: String, span: Span) -> Self {
        Self(Arc::new(Mutex::new(Entry {
            method,
            path: hushed(path),
            route: None,
            began: Instant::now(),
            status: 0,
            outcome: None,
            quiet: false,
            model: None,
            model_known: false,
            adapter: None,
            instance: None,
            stream: false,
            queued: None,
            submitted: None,
            first: None,
            tokens: 0,
            span,
        })))
    }

    pub fn note(&self, note: impl FnOnce(&mut Entry)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn began(&self) -> Instant {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).began
    }
}

impl Entry {
    fn outcome(&self) -> &str {
        self.outcome.as_deref().unwrap_or("client_gone")
    }

    /// The code that web servers use for a client that went away; nobody receives it.
    fn status(&self) -> u16 {
        if self.outcome.is_none() { 499 } else { self.status }
    }

    fn log(&self, total: Duration) {
        let (total_ms, status, outcome) = (millis(total), self.status(), self.outcome());
        if self.quiet {
            tracing::debug!(method = self.method, path = self.path, status, outcome, total_ms, "request");
        } else if let Some(model) = &self.model {
            tracing::info!(
                path = self.path,
                model,
                adapter = self.adapter.as_deref().unwrap_or("-"),
                instance = self.instance.as_deref().unwrap_or("-"),
                stream = self.stream,
                status,
                outcome,
                queue_ms = self.queued.map(millis),
                submit_ms = self.submitted.map(millis),
                first_ms = self.first.map(millis),
                total_ms,
                tokens = self.tokens,
                "request"
            );
        } else {
            tracing::info!(method = self.method, path = self.path, status, outcome, total_ms, "request");
        }
    }

    fn measure(&self, total: Duration) {
        metrics::responded(self.route.as_deref(), self.status());
        let Some(model) = &self.model else { return };
        let known = self.model_known.then_some(model.as_str());
        // `demo@0.1.0` once it has a page; until then the model's own name says whose it is.
        let label = self.adapter.as_deref().and_then(|label| label.split('@').next());
        let adapter = label.or_else(|| Some(known?.split_once('/')?.0));
        metrics::request_ended(adapter, known, self.outcome(), total);
        let Some(adapter) = adapter else { return };
        if let Some(wait) = self.queued {
            metrics::queue_waited(adapter, wait);
        }
        if let Some(first) = self.first {
            metrics::first_token(adapter, first);
            metrics::answered(adapter, self.tokens, total.saturating_sub(first));
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let total = self.began.elapsed();
        self.span.in_scope(|| self.log(total));
        self.measure(total);
    }
}

/// What follows `/media/` is a secret that opens a file.
fn hushed(path: String) -> String {
    match path.split_once("/media/") {
        Some((before, _)) => format!("{before}/media/..."),
        None => path,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_of_a_link_is_not_logged() {
        for (path, logged) in [
            ("/v1/models", "/v1/models"),
            ("/media/c2VjcmV0", "/media/..."),
            ("/x/media/c2VjcmV0/media/y", "/x/media/..."),
            ("/media", "/media"),
        ] {
            let log = RequestLog::new("GET".into(), path.into(), Span::none());
            log.note(|entry| assert_eq!(entry.path, logged));
        }
    }
}

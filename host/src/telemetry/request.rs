//! One log line per request, written when the request is over, however it ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is known of a request. Logged when dropped.
#[derive(Debug)]
pub struct Entry {
    pub id: String,
    pub method: String,
    /// Without the query.
    pub path: String,
    pub began: Instant,
    pub status: u16,
    /// `ok`, an error's code, or none: the client went away first.
    pub outcome: Option<String>,
    /// Probes come every few seconds and are logged at debug level.
    pub quiet: bool,
    pub model: Option<String>,
    pub adapter: Option<String>,
    pub instance: Option<String>,
    pub stream: bool,
    pub queued: Option<Duration>,
    /// From the beginning.
    pub submitted: Option<Duration>,
    /// From the beginning to the first piece of the answer.
    pub first: Option<Duration>,
    pub tokens: u64,
}

/// A handle on the entry of a request; the line is written when the last one goes.
#[derive(Debug, Clone)]
pub struct RequestLog(Arc<Mutex<Entry>>);

impl RequestLog {
    pub fn new(id: String, method: String, path: String) -> Self {
        Self(Arc::new(Mutex::new(Entry {
            id,
            method,
            path: hushed(path),
            began: Instant::now(),
            status: 0,
            outcome: None,
            quiet: false,
            model: None,
            adapter: None,
            instance: None,
            stream: false,
            queued: None,
            submitted: None,
            first: None,
            tokens: 0,
        })))
    }

    pub fn note(&self, note: impl FnOnce(&mut Entry)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn began(&self) -> Instant {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).began
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let total_ms = millis(self.began.elapsed());
        let gone = self.outcome.is_none();
        let outcome = self.outcome.as_deref().unwrap_or("client_gone");
        // The code that web servers use for a client that went away; nobody receives it.
        let status = if gone { 499 } else { self.status };
        if self.quiet {
            tracing::debug!(id = self.id, method = self.method, path = self.path, status, outcome, total_ms, "request");
        } else if let Some(model) = &self.model {
            tracing::info!(
                id = self.id,
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
            tracing::info!(id = self.id, method = self.method, path = self.path, status, outcome, total_ms, "request");
        }
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
            let log = RequestLog::new("req_1".into(), "GET".into(), path.into());
            log.note(|entry| assert_eq!(entry.path, logged));
        }
    }
}

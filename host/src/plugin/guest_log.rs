//! What an adapter writes into its own log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::sync::watch;

use super::Adapter;

/// Lines a second that are kept.
const MAX_LINES: u32 = 50;
/// Characters of a line that are kept.
const MAX_LINE: usize = 2000;

/// Lines of one adapter that are kept for whoever asks later.
const KEPT_LINES: usize = 1000;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

/// A line of an adapter's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// Counts up from 1 since the program's start.
    pub number: u64,
    /// Milliseconds since 1970.
    pub time: u64,
    pub level: Level,
    pub version: String,
    pub request: String,
    pub message: String,
}

/// The last lines of one adapter, over all its versions.
#[derive(Debug)]
pub struct AdapterLog {
    lines: Mutex<VecDeque<LogLine>>,
    last: watch::Sender<u64>,
}

impl Default for AdapterLog {
    fn default() -> Self {
        Self { lines: Mutex::default(), last: watch::Sender::new(0) }
    }
}

impl AdapterLog {
    /// The newest lines after this number, the oldest of them first.
    pub fn after(&self, number: u64, max: usize) -> Vec<LogLine> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut newest: Vec<_> =
            lines.iter().rev().take_while(|line| line.number > number).take(max).cloned().collect();
        newest.reverse();
        newest
    }

    /// Returns when there is a line after this number.
    pub async fn wait_after(&self, number: u64) {
        // The sender lives as long as this does.
        let _ = self.last.subscribe().wait_for(|last| *last > number).await;
    }

    pub(super) fn push(&self, level: Level, version: &str, request: &str, message: &str) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let number = lines.back().map_or(1, |line| line.number + 1);
        let (version, request, message) = (version.to_owned(), request.to_owned(), message.to_owned());
        lines.push_back(LogLine { number, time, level, version, request, message });
        if lines.len() > KEPT_LINES {
            lines.pop_front();
        }
        self.last.send_replace(number);
    }
}

/// One call's writing end of its adapter's log: a guest that floods it loses lines, and the log says how many.
#[derive(Debug)]
pub(super) struct GuestLog {
    adapter: String,
    version: String,
    request: String,
    kept: Arc<AdapterLog>,
    window: Instant,
    lines: u32,
    suppressed: u32,
}

impl GuestLog {
    pub(super) fn new(adapter: &Adapter, request: &str) -> Self {
        Self {
            adapter: adapter.manifest.id.clone(),
            version: adapter.manifest.version.to_string(),
            request: request.into(),
            kept: Arc::clone(&adapter.log),
            window: Instant::now(),
            lines: 0,
            suppressed: 0,
        }
    }

    pub(super) fn write(&mut self, level: Level, message: &str) {
        if self.window.elapsed() >= Duration::from_secs(1) {
            self.report_suppressed();
            (self.window, self.lines) = (Instant::now(), 0);
        }
        self.lines += 1;
        if self.lines > MAX_LINES {
            self.suppressed += 1;
            return;
        }
        let message: String = message.chars().take(MAX_LINE).collect();
        self.kept.push(level, &self.version, &self.request, &message);
        let adapter = &self.adapter;
        match level {
            Level::Error => tracing::error!(target: "adapter", adapter, "{message}"),
            Level::Warn => tracing::warn!(target: "adapter", adapter, "{message}"),
            Level::Info => tracing::info!(target: "adapter", adapter, "{message}"),
            Level::Debug => tracing::debug!(target: "adapter", adapter, "{message}"),
        }
    }

    fn report_suppressed(&mut self) {
        if self.suppressed > 0 {
            let (adapter, request) = (&self.adapter, &self.request);
            tracing::warn!(target: "adapter", adapter, "{} lines suppressed", self.suppressed);
            let told = format!("{} lines suppressed", self.suppressed);
            self.kept.push(Level::Warn, &self.version, request, &told);
            self.suppressed = 0;
        }
    }
}

impl Drop for GuestLog {
    fn drop(&mut self) {
        self.report_suppressed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_lines_are_kept_and_followed() {
        let log = AdapterLog::default();
        for n in 0..KEPT_LINES + 10 {
            log.push(Level::Info, "1.0.0", "req", &n.to_string());
        }
        let all = log.after(0, usize::MAX);
        assert_eq!((all.len(), all[0].number, all[0].message.as_str()), (KEPT_LINES, 11, "10"));
        let last = all.last().unwrap().number;
        assert_eq!(log.after(last - 5, 2).iter().map(|l| l.number).collect::<Vec<_>>(), [last - 1, last]);
        log.wait_after(last - 1).await;
        let waiting = log.wait_after(last);
        log.push(Level::Warn, "1.0.0", "req", "new");
        waiting.await;
        assert_eq!(log.after(last, 10)[0].message, "new");
    }
}

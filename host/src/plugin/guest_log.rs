//! What an adapter writes into its own log.

use std::time::{Duration, Instant};

/// Lines a second that are kept.
const MAX_LINES: u32 = 50;
/// Characters of a line that are kept.
const MAX_LINE: usize = 2000;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

/// One call's writing end of its adapter's log: a guest that floods it loses lines, and the log says how many.
#[derive(Debug)]
pub(super) struct GuestLog {
    adapter: String,
    request: String,
    window: Instant,
    lines: u32,
    suppressed: u32,
}

impl GuestLog {
    pub(super) fn new(adapter: &str, request: &str) -> Self {
        Self { adapter: adapter.into(), request: request.into(), window: Instant::now(), lines: 0, suppressed: 0 }
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
        let (adapter, request) = (&self.adapter, &self.request);
        match level {
            Level::Error => tracing::error!(target: "adapter", adapter, request, "{message}"),
            Level::Warn => tracing::warn!(target: "adapter", adapter, request, "{message}"),
            Level::Info => tracing::info!(target: "adapter", adapter, request, "{message}"),
            Level::Debug => tracing::debug!(target: "adapter", adapter, request, "{message}"),
        }
    }

    fn report_suppressed(&mut self) {
        if self.suppressed > 0 {
            let (adapter, request) = (&self.adapter, &self.request);
            tracing::warn!(target: "adapter", adapter, request, "{} lines suppressed", self.suppressed);
            self.suppressed = 0;
        }
    }
}

impl Drop for GuestLog {
    fn drop(&mut self) {
        self.report_suppressed();
    }
}

//! What an adapter writes into its own log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::sync::watch;

use super::Adapter;

/// Lines a second of one adapter that are kept, however many calls it has at once.
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
    pace: Mutex<Pace>,
    last: watch::Sender<u64>,
}

/// How much was written lately.
#[derive(Debug, Default)]
struct Pace {
    /// When the present second began.
    since: Option<Instant>,
    lines: u32,
}

impl Default for AdapterLog {
    fn default() -> Self {
        Self { lines: Mutex::default(), pace: Mutex::default(), last: watch::Sender::new(0) }
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

    /// Counts a line of a guest's. False where there are too many in this second.
    fn admits(&self, now: Instant) -> bool {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        if pace.since.is_none_or(|since| now.duration_since(since) >= Duration::from_secs(1)) {
            *pace = Pace { since: Some(now), lines: 0 };
        }
        pace.lines = pace.lines.saturating_add(1);
        pace.lines <= MAX_LINES
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

/// One call's writing end of its adapter's log: where its guests flood it, lines are lost, and the log says how many.
#[derive(Debug)]
pub(super) struct GuestLog {
    adapter: String,
    version: String,
    request: String,
    kept: Arc<AdapterLog>,
    /// Lines of this call that were lost since it was last told.
    suppressed: u32,
}

impl GuestLog {
    pub(super) fn new(adapter: &Adapter, request: &str) -> Self {
        Self {
            adapter: adapter.manifest.id.clone(),
            version: adapter.manifest.version.to_string(),
            request: request.into(),
            kept: Arc::clone(&adapter.log),
            suppressed: 0,
        }
    }

    pub(super) fn write(&mut self, level: Level, message: &str) {
        if !self.kept.admits(Instant::now()) {
            self.suppressed = self.suppressed.saturating_add(1);
            return;
        }
        self.report_suppressed();
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

    fn call(log: &Arc<AdapterLog>, request: usize) -> GuestLog {
        GuestLog {
            adapter: "a".into(),
            version: "1.0.0".into(),
            request: request.to_string(),
            kept: Arc::clone(log),
            suppressed: 0,
        }
    }

    #[test]
    fn calls_at_once_share_what_their_adapter_may_write() {
        let log = Arc::new(AdapterLog::default());
        let mut calls: Vec<GuestLog> = (0..8).map(|n| call(&log, n)).collect();
        for n in 0..800 {
            calls[n % 8].write(Level::Info, "line");
        }
        drop(calls);
        let all = log.after(0, usize::MAX);
        let (lines, told): (Vec<_>, Vec<_>) = all.iter().partition(|line| line.message == "line");
        // Two seconds' worth where the test took longer than one.
        assert!(lines.len() <= 2 * MAX_LINES as usize, "{} lines", lines.len());
        let lost = told.iter().filter_map(|line| line.message.strip_suffix(" lines suppressed")?.parse::<usize>().ok());
        assert_eq!(lines.len() + lost.sum::<usize>(), 800);
    }

    #[test]
    fn a_second_later_there_is_room_again() {
        let (log, now) = (AdapterLog::default(), Instant::now());
        let admitted = |now| (0..MAX_LINES * 2).filter(|_| log.admits(now)).count();
        assert_eq!(admitted(now), MAX_LINES as usize);
        assert_eq!(admitted(now + Duration::from_millis(999)), 0);
        assert_eq!(admitted(now + Duration::from_secs(1)), MAX_LINES as usize);
    }
}

//! The task that looks at the memory, tells what it sees, and asks for what is to be done.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::task::AbortOnDropHandle;

use super::pressure::{Pressure, Sample, Step};
use super::{LimitSource, Reader, Shares, Usage};
use crate::telemetry::metrics;

/// Memory can run out within a few of these; a look costs some milliseconds.
const LOOK: Duration = Duration::from_secs(5);
/// In which a refusal is likely to be over, if it ends.
const RETRY_AFTER: Duration = Duration::from_secs(15);

/// Who has the browsers. Each of these returns at once.
pub trait Household: Send + Sync + 'static {
    /// Instances whose browser is ready, by name, with its main process.
    fn browsers(&self) -> Vec<(String, u32)>;

    /// Closes the pages that wait for a request, and opens none ahead for a while. How many were closed.
    fn close_idle_pages(&self) -> usize;

    /// Sees to it that this instance's browser is started anew, as soon as no request is on it. False where that cannot be.
    fn recycle(&self, instance: &str) -> bool;
}

/// Why new work is refused: bytes used, and of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub used: u64,
    pub limit: u64,
}

impl Refusal {
    pub fn retry_after(&self) -> Duration {
        RETRY_AFTER
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory is short ({} of {} MiB used)", mebibytes(self.used), mebibytes(self.limit))
    }
}

/// Whether new work is taken, for all who would begin some. Without a guard it always is.
#[derive(Debug, Clone)]
pub struct MemoryState(watch::Receiver<Option<Refusal>>);

impl Default for MemoryState {
    fn default() -> Self {
        Self(watch::channel(None).1)
    }
}

impl MemoryState {
    /// Why new work is refused now; none: it is taken.
    pub fn refusal(&self) -> Option<Refusal> {
        *self.0.borrow()
    }
}

/// Looks at the memory for as long as it lives.
#[derive(Debug)]
pub struct MemoryGuard {
    state: MemoryState,
    _task: AbortOnDropHandle<()>,
}

impl MemoryGuard {
    /// `limit` is the operator's, in bytes; none: the container's, or else the machine's. Must be called within a runtime.
    pub fn start(limit: Option<u64>, reader: Reader, household: Arc<dyn Household>) -> Self {
        let (sender, state) = watch::channel(None);
        let watcher = Watcher { limit, reader, household, sender, pressure: Pressure::default() };
        Self { state: MemoryState(state), _task: AbortOnDropHandle::new(tokio::spawn(watcher.run())) }
    }

    pub fn state(&self) -> MemoryState {
        self.state.clone()
    }
}

struct Watcher {
    limit: Option<u64>,
    reader: Reader,
    household: Arc<dyn Household>,
    sender: watch::Sender<Option<Refusal>>,
    pressure: Pressure,
}

impl Watcher {
    async fn run(mut self) {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known: Vec<String> = Vec::new();
        loop {
            ticks.tick().await;
            let (reader, limit, browsers) = (self.reader.clone(), self.limit, self.household.browsers());
            let looked = tokio::task::spawn_blocking(move || look(&reader, limit, &browsers));
            let Ok((shares, usage)) = looked.await else { continue };
            tell(&shares, &mut known);
            let Some(usage) = usage else { continue };
            let sample = Sample { used: usage.used, limit: usage.limit, browsers: shares.browsers };
            let step = self.pressure.decide(&sample, Instant::now());
            self.act(step, &usage);
            metrics::memory_guard(usage.used, usage.limit, self.pressure.is_refusing());
        }
    }

    fn act(&self, step: Step, usage: &Usage) {
        let (used_mib, limit_mib) = (mebibytes(usage.used), mebibytes(usage.limit));
        let percent = usage.used.saturating_mul(100) / usage.limit.max(1);
        let of = usage.source;
        match step {
            Step::Nothing => self.refresh(usage),
            Step::CloseIdlePages => {
                metrics::memory_step("close_idle_pages");
                let closed = self.household.close_idle_pages();
                tracing::warn!(used_mib, limit_mib, percent, ?of, closed, "memory runs short: idle pages are closed");
            }
            Step::RecycleBrowser(instance) => {
                metrics::memory_step("recycle_browser");
                let done = self.household.recycle(&instance);
                tracing::warn!(
                    used_mib,
                    limit_mib,
                    percent,
                    ?of,
                    instance,
                    done,
                    "memory runs short: the largest browser is started anew when no request is on it"
                );
            }
            Step::RefuseWork => {
                metrics::memory_step("refuse_work");
                self.sender.send_replace(Some(Refusal { used: usage.used, limit: usage.limit }));
                tracing::error!(used_mib, limit_mib, percent, ?of, "memory is all but used up: new work is refused");
            }
            Step::TakeWork => {
                self.sender.send_replace(None);
                tracing::info!(used_mib, limit_mib, percent, ?of, "there is memory again: new work is taken");
            }
        }
    }

    /// The figures of a refusal are those of now.
    fn refresh(&self, usage: &Usage) {
        if self.pressure.is_refusing() {
            self.sender.send_replace(Some(Refusal { used: usage.used, limit: usage.limit }));
        }
    }
}

fn look(reader: &Reader, limit: Option<u64>, browsers: &[(String, u32)]) -> (Shares, Option<Usage>) {
    let shares = reader.shares(std::process::id(), browsers);
    let usage = match limit {
        Some(limit) => Some(Usage { used: shares.total(), limit, source: LimitSource::Configured }),
        None => reader.system(),
    };
    (shares, usage)
}

/// Into the metrics; what is gone is told once more, as nothing.
fn tell(shares: &Shares, known: &mut Vec<String>) {
    metrics::host_memory(shares.host);
    for gone in known.iter().filter(|name| !shares.browsers.iter().any(|(here, _)| here == *name)) {
        metrics::browser_memory(gone, 0);
    }
    for (name, bytes) in &shares.browsers {
        metrics::browser_memory(name, *bytes);
    }
    *known = shares.browsers.iter().map(|(name, _)| name.clone()).collect();
}

fn mebibytes(bytes: u64) -> u64 {
    bytes >> 20
}

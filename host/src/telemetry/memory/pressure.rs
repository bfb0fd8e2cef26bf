//! What is to be done, by what is used: pure, so that it can be tried without a machine that is short of memory.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// What is known at one moment, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    pub used: u64,
    pub limit: u64,
    /// Browsers that run, by the name of their instance.
    pub browsers: Vec<(String, u64)>,
}

impl Sample {
    /// The share of the limit that is used.
    pub fn share(&self) -> f64 {
        if self.limit == 0 { 0.0 } else { self.used as f64 / self.limit as f64 }
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Nothing,
    CloseIdlePages,
    /// The largest that was not recycled of late, by the name of its instance.
    RecycleBrowser(String),
    RefuseWork,
    /// There is room again.
    TakeWork,
}

/// Shares of the limit, and times between two steps.
#[derive(Debug, Clone, Copy)]
pub struct Thresholds {
    /// From here on memory is freed.
    pub soft: f64,
    /// From here on new work is refused.
    pub hard: f64,
    /// So far below a threshold it counts as left: what swings around it must not be felt each time.
    pub slack: f64,
    /// After a step it is seen for so long whether it helped.
    pub settle: Duration,
    /// A browser is not recycled again before this: where that does not help, it is not the browser.
    pub again: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { soft: 0.85, hard: 0.95, slack: 0.05, settle: Duration::from_secs(15), again: Duration::from_secs(600) }
    }
}

/// Decides step by step. One step a sample: the next sample shows what it did.
#[derive(Debug, Default)]
pub struct Pressure {
    thresholds: Thresholds,
    refusing: bool,
    /// Idle pages were closed since it was calm.
    closed: bool,
    last_step: Option<Instant>,
    recycled: BTreeMap<String, Instant>,
}

impl Pressure {
    pub fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, ..Self::default() }
    }

    /// Whether new work is refused.
    pub fn is_refusing(&self) -> bool {
        self.refusing
    }

    /// The next step.
    pub fn decide(&mut self, sample: &Sample, now: Instant) -> Step {
        let (share, at) = (sample.share(), self.thresholds);
        if !self.refusing && share >= at.hard {
            self.refusing = true;
            return Step::RefuseWork;
        }
        if self.refusing && share < at.hard - at.slack {
            self.refusing = false;
            return Step::TakeWork;
        }
        if share < at.soft - at.slack {
            self.closed = false;
        }
        if share < at.soft {
            return Step::Nothing;
        }
        if self.last_step.is_some_and(|last| now.duration_since(last) < at.settle) {
            return Step::Nothing;
        }
        let step = self.relief(sample, now);
        if step != Step::Nothing {
            self.last_step = Some(now);
        }
        step
    }

    fn relief(&mut self, sample: &Sample, now: Instant) -> Step {
        if !self.closed {
            self.closed = true;
            return Step::CloseIdlePages;
        }
        let again = self.thresholds.again;
        self.recycled.retain(|_, at| now.duration_since(*at) < again);
        let rested = sample.browsers.iter().filter(|(name, bytes)| *bytes > 0 && !self.recycled.contains_key(name));
        let Some((largest, _)) = rested.max_by_key(|(_, bytes)| *bytes) else { return Step::Nothing };
        self.recycled.insert(largest.clone(), now);
        // Its pages are opened anew, and those may be closed anew.
        self.closed = false;
        Step::RecycleBrowser(largest.clone())
    }
}

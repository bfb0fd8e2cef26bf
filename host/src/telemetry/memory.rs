//! Memory: what there is, what is used, and what is done before it runs out.
//!
//! `cgroup` and `process` only read, below a folder that stands for `/`; `pressure` only decides; `guard` is the task that does
//! both, and asks a [`Household`] to act.

mod cgroup;
mod guard;
mod pressure;
mod process;

use std::path::{Path, PathBuf};

pub use guard::{Household, MemoryGuard, MemoryState, Refusal};
pub use pressure::{Pressure, Sample, Step, Thresholds};

/// What the memory of this program is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitSource {
    /// The operator's setting: this program and its browsers alone count.
    Configured,
    /// The container's: all that runs in it counts.
    Cgroup,
    /// The machine's: all that runs on it counts.
    Machine,
}

/// A limit, and how much of it is used, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub used: u64,
    pub limit: u64,
    pub source: LimitSource,
}

impl Usage {
    pub fn free(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// What this program and each of its browsers use, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shares {
    pub host: u64,
    /// By the name of the instance.
    pub browsers: Vec<(String, u64)>,
}

impl Shares {
    pub fn total(&self) -> u64 {
        self.browsers.iter().fold(self.host, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }
}

/// Reads the system's files. They are small, but reading a browser's takes some milliseconds: not on a runtime's thread.
#[derive(Debug, Clone)]
pub struct Reader {
    root: PathBuf,
}

impl Default for Reader {
    fn default() -> Self {
        Self::below(Path::new("/"))
    }
}

impl Reader {
    /// `root` stands for `/`.
    pub fn below(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// What the container, or else the machine, has and uses. None where the system does not tell.
    pub fn system(&self) -> Option<Usage> {
        cgroup::usage(&self.root).or_else(|| self.machine())
    }

    fn machine(&self) -> Option<Usage> {
        let text = std::fs::read_to_string(self.root.join("proc/meminfo")).ok()?;
        let limit = process::kibibytes(&text, "MemTotal:")?;
        let used = limit.saturating_sub(process::kibibytes(&text, "MemAvailable:")?);
        Some(Usage { used, limit, source: LimitSource::Machine })
    }

    /// The shares of this process and of browsers, given by name and main process. A browser that is gone has none.
    pub fn shares(&self, own: u32, browsers: &[(String, u32)]) -> Shares {
        let children = process::children(&self.root);
        let share = |(name, pid): &(String, u32)| {
            let all = process::tree(*pid, &children);
            (name.clone(), all.into_iter().map(|pid| process::size(&self.root, pid)).sum())
        };
        Shares { host: process::size(&self.root, own), browsers: browsers.iter().map(share).collect() }
    }
}

#[cfg(test)]
mod tests;

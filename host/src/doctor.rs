//! `webai2api doctor`: looks at everything that the program needs, and says of each what was seen and what mends it.
//!
//! Nothing is changed, and nothing is printed here. Where a server runs, it is asked; no second browser is started beside it.

mod browser;
mod machine;
mod parts;
mod server;
mod storage;
mod words;

use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use serde_json::{Value, json};

use crate::config::Loaded;
use crate::http::{Language, Text};

/// What a check came to, the better one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Ok,
    /// It works, but not as well as it could.
    Warning,
    /// The program cannot do its work until this is mended.
    Problem,
}

impl Verdict {
    /// Its name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }

    /// For people.
    pub fn text(self) -> Text {
        match self {
            Self::Ok => words::ok(),
            Self::Warning => words::warning(),
            Self::Problem => words::problem(),
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// For programs.
    pub name: &'static str,
    /// For people.
    pub title: Text,
    pub verdict: Verdict,
    /// What was seen.
    pub seen: Text,
    /// What mends it, in one sentence; none where nothing has to be.
    pub cure: Option<Text>,
}

impl Check {
    fn ok(name: &'static str, title: Text, seen: Text) -> Self {
        Self { name, title, verdict: Verdict::Ok, seen, cure: None }
    }

    fn warning(name: &'static str, title: Text, seen: Text, cure: Text) -> Self {
        Self { name, title, verdict: Verdict::Warning, seen, cure: Some(cure) }
    }

    fn problem(name: &'static str, title: Text, seen: Text, cure: Text) -> Self {
        Self { verdict: Verdict::Problem, ..Self::warning(name, title, seen, cure) }
    }
}

/// What the command line knows.
#[derive(Debug)]
pub struct Surroundings {
    /// The configuration, or all that is wrong with it.
    pub config: Result<Loaded, String>,
    /// Folders with the adapters that are part of the program.
    pub bundled_adapters: Vec<PathBuf>,
    /// For a server that runs.
    pub admin_key: Option<String>,
    /// Whether there is a screen for a browser with a window.
    pub display: bool,
}

/// Looks at all of it, in the order in which trouble is likely. Takes as long as a browser's start.
pub async fn examine(surroundings: &Surroundings) -> Vec<Check> {
    let clocks = (Instant::now(), SystemTime::now());
    let mut checks = vec![parts::configuration(&surroundings.config)];
    // What hangs on a configuration that is wrong is not looked at: the defaults would be another program's.
    let config = surroundings.config.as_ref().ok().map(|loaded| &loaded.config);
    let mut running = None;
    if let Some(config) = config {
        let (check, found) = server::port(config, surroundings.admin_key.as_deref()).await;
        running = found;
        checks.extend(browser::all(config, running.as_ref(), surroundings.display).await);
        checks.push(check);
        checks.extend(storage::all(&config.log.data_dir, running.is_some()).await);
    }
    checks.push(machine::fonts().await);
    checks.push(machine::memory(config, running.is_some()).await);
    checks.push(machine::clock(clocks, config.map(|config| config.log.data_dir.as_path())));
    if let Some(config) = config {
        checks.push(parts::adapters(config, running.as_ref(), &surroundings.bundled_adapters).await);
        checks.extend(parts::accounts(config, running.as_ref()));
    }
    checks
}

/// The worst of all verdicts.
pub fn worst(checks: &[Check]) -> Verdict {
    checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok)
}

/// The sentence below the list.
pub fn conclusion(checks: &[Check]) -> Text {
    let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
    match (count(Verdict::Problem), count(Verdict::Warning)) {
        (0, 0) => words::all_well(),
        (0, warnings) => words::works_with_warnings(warnings),
        (problems, warnings) => words::has_problems(problems, warnings),
    }
}

/// For programs.
pub fn to_json(checks: &[Check], language: Language) -> Value {
    let one = |check: &Check| {
        json!({
            "name": check.name,
            "verdict": check.verdict.name(),
            "seen": check.seen.written_in(language),
            "cure": check.cure.as_ref().map(|cure| cure.written_in(language)),
        })
    };
    json!({ "verdict": worst(checks).name(), "checks": checks.iter().map(one).collect::<Vec<_>>() })
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    match bytes / MIB {
        mib @ 0..10_240 => format!("{mib} MiB"),
        mib => format!("{} GiB", mib / 1024),
    }
}

#[cfg(test)]
mod tests;

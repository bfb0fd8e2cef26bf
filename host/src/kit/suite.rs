//! The conformance suite: one set of cases for every adapter, and the author's own.

mod bench;
mod cases;
mod expect;
mod names;
mod report;

use std::path::PathBuf;

use super::Journal;
use crate::lab::replica::ReplicaError;
use bench::Bench;
use cases::Plan;
pub use report::{Case, Report, Verdict};

/// What is to be tried, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The adapter's file.
    pub adapter: Vec<u8>,
    /// The folder with `site.toml`.
    pub fixtures: PathBuf,
    /// Only cases whose name contains this.
    pub only: Option<String>,
    /// The browser; none looks in the usual places.
    pub browser: Option<PathBuf>,
    /// Where pictures of pages go on which a case failed.
    pub pictures: PathBuf,
    pub journal: Journal,
}

/// Why the suite could not run.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    #[error("the adapter cannot be loaded: {0}")]
    Adapter(String),
    #[error("no browser: {0}")]
    Browser(String),
    #[error("{what}: {message}")]
    Internal { what: &'static str, message: String },
    #[error("no case is named like {0:?}; there are: {1}")]
    NoSuchCase(String, String),
}

/// Runs every case, one after the other; `tell` hears of each as it ends.
///
/// # Errors
/// When there is nothing to run them with. That a case fails is no error.
pub async fn run(options: Options, mut tell: impl FnMut(&Case)) -> Result<Report, SuiteError> {
    let bench = Bench::start(&options).await?;
    let plans = cases::all(&bench);
    let chosen: Vec<&Plan> =
        plans.iter().filter(|plan| options.only.as_ref().is_none_or(|only| plan.name.contains(only))).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
        return Err(SuiteError::NoSuchCase(options.only.unwrap_or_default(), names.join(", ")));
    }
    let mut cases = Vec::with_capacity(chosen.len());
    for plan in chosen {
        let case = cases::run(&bench, plan).await;
        tell(&case);
        cases.push(case);
    }
    let adapter = bench.host.label.clone();
    bench.stop().await;
    Ok(Report::new(adapter, cases))
}

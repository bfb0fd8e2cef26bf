//! What authors of adapters use: a project made from a template, the conformance suite, a watcher that builds anew.
//!
//! **Invariant:** the suite runs an adapter through the same dispatcher, sandbox and browser as the server does; only the site
//! is another one.

mod build;
mod check;
mod host;
mod journal;
mod record;
mod scaffold;
mod scrub;
mod suite;
mod watch;

pub use build::{BuildError, Built, build};
pub use check::{Findings, check};
pub use journal::Journal;
pub use record::{RecordError, RecordOptions, Recorded, record};
pub use scaffold::{Language, ScaffoldError, scaffold};
pub use suite::{Case, Options, Report, SuiteError, Verdict, run};
pub use watch::{WatchError, watch};

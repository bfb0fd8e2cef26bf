//! What authors of adapters use: a project made from a template, the conformance suite, a watcher that builds anew.
//!
//! **Invariant:** the suite runs an adapter through the same dispatcher, sandbox and browser as the server does; only the site
//! is another one.

mod build;
mod journal;
mod suite;

pub use build::{BuildError, Built, build};
pub use journal::Journal;
pub use suite::{Case, Options, Report, SuiteError, Verdict, run};

//! What the registry tells about an adapter, for the admin API and the command line.

use serde::Serialize;

use crate::plugin::grant::Grant;
use crate::plugin::health::Health;

/// Where a file lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Part of the program, and so approved.
    Bundled,
    /// The operator's folder.
    Folder,
}

/// Whether an adapter answers requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Serving,
    /// The operator switched it off, or it comes with the program and nobody wanted it yet.
    Disabled,
    /// It crashed too often, or tried what it was not granted.
    Quarantined,
    /// It waits for the operator's approval, and nothing of it serves.
    Pending,
    /// None of its files can be loaded.
    Failed,
}

/// One adapter and all that is known of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    pub id: String,
    pub name: String,
    pub state: State,
    /// Of what serves.
    pub version: Option<String>,
    pub sha256: Option<String>,
    pub verified: Option<String>,
    pub source: Source,
    pub file: String,
    pub models: Vec<String>,
    /// What it may do.
    pub grant: Grant,
    /// Why it is out of use, if it is.
    pub quarantine: Option<String>,
    /// Why a file of its, as it is now, does not serve.
    pub problem: Option<String>,
    pub pending: Option<Pending>,
    /// Requests that still run on versions that were replaced.
    pub draining: usize,
    /// Versions that can be gone back to, the oldest first.
    pub kept: Vec<KeptVersion>,
    pub health: Health,
}

/// A version that waits for approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pending {
    pub version: String,
    pub sha256: String,
    pub file: String,
    /// All that it asks for.
    pub asks: Grant,
    /// The part of it that is not approved yet.
    pub more: Grant,
    /// `more` in words, one sentence a line.
    pub sentences: Vec<String>,
    /// What approving it means.
    pub meaning: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptVersion {
    pub version: String,
    pub sha256: String,
    pub serving: bool,
}

/// A file that is no adapter, or not a whole one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokenFile {
    pub file: String,
    pub problem: String,
}

//! Adapters: loading them, holding them to what they were granted, and calling them.
//!
//! wasmtime stays behind this module's face: nothing outside knows a store, a trap or a handle.
//!
//! **Invariant:** nothing here knows an HTTP type. A request takes its adapter's version once and keeps it to its end.

mod allowance;
mod bindings;
mod border;
mod call;
mod clock;
mod compile;
mod discovery;
mod engine;
mod grant;
mod guest_log;
mod handles;
mod health;
mod imports;
mod limiter;
mod loader;
mod manifest;
mod meter;
mod package;
mod recorder;
mod registry;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::chat::{Attachment, Kind};

pub use call::{Account, Asked, Call, Report, Timing};
pub use clock::Deadlines;
pub use compile::{CompileError, Compiler, compile_into, confine_compiler};
pub use engine::{Engine, EngineError};
pub use grant::{Grant, LimitsGrant, MEANING, RewriteGrant};
pub use guest_log::{AdapterLog, Level, LogLine};
pub use handles::Means;
pub use health::Health;
pub use loader::{Adapter, LoadError, try_link};
pub use manifest::{Features, Manifest, ManifestError, Model, Overflow, Problem, Rewritable, Rung, Schema, Version};
pub use package::{MAX_SIZE, PackageError, pack, read_manifest};
pub use recorder::{Heard, Recorder};
pub use registry::{
    BrokenFile, Change, ChangeError, Entry, KeptVersion, Pending, Registry, RegistryOptions, Source, State, Survey,
    Wishes, survey,
};

/// The contract's version as it stands in the names of its interfaces: `webai:adapter/page@0.1.0`.
pub const INTERFACE_VERSION: &str = "@0.1.0";

/// A chat of the site's that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continues {
    /// The site's own id of it.
    pub conversation: String,
    /// What is new, rendered. The attachments of the request are those that are new.
    pub new_turn: String,
}

/// A request as an adapter sees it.
#[derive(Debug)]
pub struct AdapterRequest {
    /// For the log.
    pub id: String,
    pub kind: Kind,
    /// The model's id in the manifest.
    pub model: String,
    /// The whole conversation, rendered.
    pub prompt: String,
    pub attachments: Vec<Arc<Attachment>>,
    /// The chat that goes on.
    pub continues: Option<Continues>,
    pub temporary: bool,
    pub options: BTreeMap<String, String>,
}

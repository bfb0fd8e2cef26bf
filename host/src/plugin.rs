//! Adapters: loading them, holding them to what they were granted, and calling them.
//!
//! wasmtime stays behind this module's face: nothing outside knows a store, a trap or a handle.
//!
//! **Invariant:** nothing here knows an HTTP type. A request takes its adapter's version once and keeps it to its end.

mod bindings;
mod call;
mod clock;
mod engine;
mod grant;
mod guest_log;
mod handles;
mod imports;
mod limiter;
mod loader;
mod manifest;
mod meter;
mod package;
mod registry;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::chat::{Attachment, Kind};

pub use call::{Account, Call, Report, Timing};
pub use clock::Deadlines;
pub use engine::{Engine, EngineError};
pub use grant::{Grant, MEANING, RewriteGrant};
pub use loader::{Adapter, LoadError};
pub use manifest::{Features, Manifest, ManifestError, Model, Overflow, Problem, Rewritable, Rung, Schema, Version};
pub use package::{PackageError, pack, read_manifest};
pub use registry::{Registry, RegistryOptions, Status};

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
    pub temporary: bool,
    pub options: BTreeMap<String, String>,
}

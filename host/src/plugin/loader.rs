//! From an adapter's bytes to something that can be called.

use std::fmt;

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, HasSelf, Linker};

use super::bindings::discovery::DiscoveringPre;
use super::bindings::{self, AdapterPre};
use super::discovery;
use super::engine::Engine;
use super::handles::HostState;
use super::manifest::Manifest;
use super::package::{self, PackageError};

/// One loaded version of an adapter.
pub struct Adapter {
    pub manifest: Manifest,
    /// SHA-256 of the file, in hexadecimal.
    pub hash: String,
    /// Counts up with every version that is loaded.
    pub generation: u64,
    pub(super) pre: AdapterPre<HostState>,
    /// Its `discovery`, if it exports it.
    pub(super) discovering: Option<DiscoveringPre<HostState>>,
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Adapter({}, generation {})", self.label(), self.generation)
    }
}

impl Adapter {
    /// `id@version`, for people and logs.
    pub fn label(&self) -> String {
        format!("{}@{}", self.manifest.id, self.manifest.version)
    }
}

/// Why an adapter cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{path}: {message}")]
    Read { path: String, message: String },
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error("cannot compile {adapter}: {message}")]
    Compile { adapter: String, message: String },
    #[error("{adapter} does not fit contract 0.1: {message}")]
    Link { adapter: String, message: String },
}

/// SHA-256 in hexadecimal.
pub(super) fn hash(file: &[u8]) -> String {
    Sha256::digest(file).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads the manifest, compiles and links. Blocks for as long as Cranelift needs (27 ms for a Rust adapter, seconds for a script
/// engine; next to nothing when the cache has it): not for a runtime thread.
///
/// # Errors
/// When any of it fails; nothing of the adapter has run then.
pub(super) fn load(engine: &Engine, file: &[u8], generation: u64) -> Result<Adapter, LoadError> {
    let manifest = package::read_manifest(file)?;
    let adapter = format!("{}@{}", manifest.id, manifest.version);
    let component = Component::new(engine.inner(), file)
        .map_err(|e| LoadError::Compile { adapter: adapter.clone(), message: format!("{e:#}") })?;
    let mut linker: Linker<HostState> = Linker::new(engine.inner());
    let link = |message: String| LoadError::Link { adapter: adapter.clone(), message };
    bindings::Adapter::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)
        .map_err(|e| link(format!("{e:#}")))?;
    let pre = linker.instantiate_pre(&component).map_err(|e| link(format!("{e:#}")))?;
    let discovering = discovery::find(&component, &pre).map_err(link)?;
    let pre = AdapterPre::new(pre).map_err(|e| link(format!("{e:#}")))?;
    Ok(Adapter { manifest, hash: hash(file), generation, pre, discovering })
}

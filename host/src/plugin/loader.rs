//! From an adapter's bytes to something that can be called.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};
use wasmtime::component::{HasSelf, Linker};

use super::bindings::discovery::DiscoveringPre;
use super::bindings::{self, AdapterPre};
use super::discovery;
use super::engine::Engine;
use super::guest_log::AdapterLog;
use super::handles::HostState;
use super::manifest::{Manifest, Problem};
use super::package::{self, PackageError};

/// One loaded version of an adapter.
pub struct Adapter {
    pub manifest: Manifest,
    /// SHA-256 of the file, in hexadecimal.
    pub hash: String,
    /// Counts up with every version that is loaded.
    pub generation: u64,
    /// The operator's settings, as JSON, with the defaults of the manifest's schema.
    pub settings: Arc<str>,
    /// What its guests say.
    pub log: Arc<AdapterLog>,
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
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Settings(Vec<Problem>),
    #[error("cannot compile {adapter}: {message}")]
    Compile { adapter: String, message: String },
    #[error("{adapter} does not fit contract 0.1: {message}")]
    Link { adapter: String, message: String },
}

/// SHA-256 in hexadecimal.
pub(super) fn hash(file: &[u8]) -> String {
    Sha256::digest(file).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What an adapter is given beside its file.
#[derive(Debug, Clone, Default)]
pub(super) struct Given<'a> {
    pub generation: u64,
    /// The operator's settings for it, if there are any.
    pub settings: Option<&'a Value>,
    pub log: Arc<AdapterLog>,
}

/// Whether a component could be loaded, whatever its manifest says: compiles and links it, and throws that away. Blocks as [`load`]
/// does.
///
/// # Errors
/// Why not.
pub fn try_link(file: &[u8]) -> Result<(), LoadError> {
    let adapter = "this file".to_owned();
    let engine = Engine::new(None)
        .map_err(|error| LoadError::Compile { adapter: adapter.clone(), message: error.to_string() })?;
    link(&engine, file, &adapter).map(drop)
}

/// Reads the manifest, compiles and links. Blocks for as long as Cranelift needs (27 ms for a Rust adapter, seconds for a script
/// engine; next to nothing when the cache has it): not for a runtime thread.
///
/// # Errors
/// When any of it fails; nothing of the adapter has run then.
pub(super) fn load(engine: &Engine, file: &[u8], given: Given<'_>) -> Result<Adapter, LoadError> {
    let manifest = package::read_manifest(file)?;
    let settings = settings(&manifest, given.settings)?;
    let adapter = format!("{}@{}", manifest.id, manifest.version);
    let (pre, discovering) = link(engine, file, &adapter)?;
    Ok(Adapter { manifest, hash: hash(file), generation: given.generation, settings, log: given.log, pre, discovering })
}

type Linked = (AdapterPre<HostState>, Option<DiscoveringPre<HostState>>);

fn link(engine: &Engine, file: &[u8], adapter: &str) -> Result<Linked, LoadError> {
    let component = engine.compile(file).map_err(|e| compile_error(adapter.to_owned(), &format!("{e:#}")))?;
    let mut linker: Linker<HostState> = Linker::new(engine.inner());
    let failed = |message: String| LoadError::Link { adapter: adapter.to_owned(), message: explain(message) };
    bindings::Adapter::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)
        .map_err(|e| failed(format!("{e:#}")))?;
    let general = linker.instantiate_pre(&component).map_err(|e| failed(format!("{e:#}")))?;
    let pre = AdapterPre::new(general.clone()).map_err(|e| failed(format!("{e:#}")))?;
    let discovering = discovery::find(&component, &general).map_err(failed)?;
    Ok((pre, discovering))
}

/// The settings with their defaults, if they fit.
pub(super) fn settings(manifest: &Manifest, given: Option<&Value>) -> Result<Arc<str>, LoadError> {
    let empty = Value::Object(serde_json::Map::new());
    let given = given.filter(|value| !value.is_null()).unwrap_or(&empty);
    let filled = match &manifest.schema {
        Some(schema) => {
            schema.apply(&format!("backend.adapter.{}", manifest.id), given).map_err(LoadError::Settings)?
        }
        None => given.clone(),
    };
    Ok(Arc::from(filled.to_string()))
}

pub(super) fn compile_error(adapter: String, message: &str) -> LoadError {
    LoadError::Compile { adapter, message: explain(message.to_owned()) }
}

/// Puts the cure behind what wasmtime says of the usual mistakes.
fn explain(message: String) -> String {
    let cure = if message.contains("component model async") || message.contains("async lift") {
        "it was built with component-model async: rebuild it with componentize-qjs --sync"
    } else if message.contains("wasi:") {
        "it needs WASI, and an adapter has no files, network or environment: build it for wasm32-unknown-unknown"
    } else if message.contains("no exported instance") || message.contains("no export") {
        "it does not export webai:adapter/provider: build it with the SDK, and register the adapter"
    } else {
        return message;
    };
    format!("{cure} ({message})")
}

//! Looks at the folders and loads what changed.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::{RegistryOptions, Snapshot, Status};
use crate::plugin::engine::Engine;
use crate::plugin::loader::{self, Adapter, LoadError};
use crate::plugin::package::MAX_SIZE;

/// What was seen of a file when it was looked at last.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
}

#[derive(Debug, Default)]
struct Entry {
    stamp: Option<Stamp>,
    hash: String,
    adapter: Option<Arc<Adapter>>,
    problem: Option<String>,
}

/// Knows every adapter file, and what is loaded of it.
pub(super) struct Scanner {
    engine: Engine,
    options: RegistryOptions,
    entries: HashMap<PathBuf, Entry>,
    generation: u64,
}

impl Scanner {
    pub(super) fn new(engine: Engine, options: RegistryOptions) -> Self {
        Self { engine, options, entries: HashMap::new(), generation: 0 }
    }

    /// One look at all folders. Blocks while it compiles.
    pub(super) fn scan(&mut self) -> Snapshot {
        let files = self.files();
        self.entries.retain(|path, entry| {
            let kept = files.contains(path);
            if !kept && let Some(adapter) = &entry.adapter {
                tracing::info!(adapter = adapter.label(), "its file is gone: the adapter takes no more requests");
            }
            kept
        });
        for path in &files {
            self.look_at(path);
        }
        self.snapshot(&files)
    }

    /// The adapter files in the order in which they count: of two with the same id, the later one serves.
    fn files(&self) -> Vec<PathBuf> {
        let dropped_in = self.options.dropped_in.iter().filter(|_| self.options.allow_unapproved);
        self.options.bundled.iter().chain(dropped_in).flat_map(|folder| wasm_files(folder)).collect()
    }

    fn look_at(&mut self, path: &Path) {
        let entry = self.entries.entry(path.to_owned()).or_default();
        let stamp = std::fs::metadata(path).ok().map(|meta| Stamp { size: meta.len(), modified: meta.modified().ok() });
        if stamp.is_some() && entry.stamp == stamp {
            return;
        }
        entry.stamp = stamp;
        let started = Instant::now();
        match read(path).and_then(|file| {
            let hash = loader::hash(&file);
            if entry.adapter.is_some() && entry.hash == hash {
                return Ok(None);
            }
            self.generation += 1;
            let adapter = loader::load(&self.engine, &file, self.generation)?;
            Ok(Some((hash, adapter)))
        }) {
            Ok(None) => entry.problem = None,
            Ok(Some((hash, adapter))) => {
                let ms = started.elapsed().as_millis();
                tracing::info!(adapter = adapter.label(), ms, "adapter loaded");
                (entry.hash, entry.problem) = (hash, None);
                entry.adapter = Some(Arc::new(adapter));
            }
            Err(error) => {
                let serving = entry.adapter.as_ref().map(|a| a.label());
                tracing::warn!(path = %path.display(), serving, "adapter not loaded: {error}");
                entry.problem = Some(error.to_string());
            }
        }
    }

    fn snapshot(&self, files: &[PathBuf]) -> Snapshot {
        let mut adapters: BTreeMap<String, Arc<Adapter>> = BTreeMap::new();
        for adapter in files.iter().filter_map(|path| self.entries.get(path)?.adapter.as_ref()) {
            if !self.options.disabled.contains(&adapter.manifest.id) {
                adapters.insert(adapter.manifest.id.clone(), Arc::clone(adapter));
            }
        }
        let status = files
            .iter()
            .filter_map(|path| {
                let entry = self.entries.get(path)?;
                let adapter = entry.adapter.as_ref();
                let serves = adapter.filter(|a| adapters.get(&a.manifest.id).is_some_and(|s| Arc::ptr_eq(s, a)));
                let problem = entry.problem.clone().or_else(|| {
                    let hidden = adapter.filter(|_| serves.is_none())?;
                    Some(format!("{} is disabled, or another file of the same id serves", hidden.label()))
                });
                Some(Status { path: path.clone(), serving: serves.map(|a| a.label()), problem })
            })
            .collect();
        Snapshot { adapters, status }
    }
}

/// The `.wasm` files of a folder, by name. A folder that is not there has none.
fn wasm_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "wasm"))
        .collect();
    files.sort();
    files
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let failed = |message: String| LoadError::Read { path: path.display().to_string(), message };
    let size = std::fs::metadata(path).map_err(|e| failed(e.to_string()))?.len();
    if size > MAX_SIZE as u64 {
        return Err(failed(format!("{size} bytes; an adapter may have at most {MAX_SIZE}")));
    }
    std::fs::read(path).map_err(|e| failed(e.to_string()))
}

//! Which adapters are loaded: a snapshot that requests read without waiting, and a watcher that replaces it.
//!
//! **Invariant:** a version that cannot be loaded never replaces one that serves.

mod scan;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch as channel;
use tokio_util::task::AbortOnDropHandle;

use super::engine::Engine;
use super::loader::Adapter;
use scan::Scanner;

/// Where adapters come from.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// Folders whose files are approved by being there: part of the program.
    pub bundled: Vec<PathBuf>,
    /// The operator's folder. Its files are loaded only with `allow_unapproved`.
    pub dropped_in: Option<PathBuf>,
    pub allow_unapproved: bool,
    /// Ids that are not to be loaded.
    pub disabled: Vec<String>,
}

/// What became of one adapter file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub path: PathBuf,
    /// `id@version` of what serves, if anything of this file does.
    pub serving: Option<String>,
    /// Why the file, as it is now, does not serve.
    pub problem: Option<String>,
}

#[derive(Debug, Default)]
struct Snapshot {
    adapters: BTreeMap<String, Arc<Adapter>>,
    status: Vec<Status>,
}

/// The loaded adapters.
#[derive(Debug)]
pub struct Registry {
    snapshot: Arc<ArcSwap<Snapshot>>,
    changes: channel::Receiver<u64>,
    _watcher: AbortOnDropHandle<()>,
}

impl Registry {
    /// Begins to load what is there, and from then on follows every change of the folders.
    ///
    /// Files that cannot be loaded are reported by [`status`](Self::status) and in the log; they are no error.
    pub fn start(engine: Engine, options: RegistryOptions) -> Self {
        let snapshot = Arc::new(ArcSwap::from_pointee(Snapshot::default()));
        let (sender, changes) = channel::channel(0);
        let scanner = Scanner::new(engine, options.clone());
        let watcher = tokio::spawn(watch::run(scanner, options, Arc::clone(&snapshot), sender));
        Self { snapshot, changes, _watcher: AbortOnDropHandle::new(watcher) }
    }

    /// Whether the folders have been looked at once.
    pub fn loaded(&self) -> bool {
        *self.changes.borrow() > 0
    }

    /// The version of an adapter that serves now.
    pub fn get(&self, id: &str) -> Option<Arc<Adapter>> {
        self.snapshot.load().adapters.get(id).cloned()
    }

    /// All adapters that serve now, by id.
    pub fn all(&self) -> Vec<Arc<Adapter>> {
        self.snapshot.load().adapters.values().cloned().collect()
    }

    /// What became of each file.
    pub fn status(&self) -> Vec<Status> {
        self.snapshot.load().status.clone()
    }

    /// Changes whenever the snapshot was replaced.
    pub fn changes(&self) -> channel::Receiver<u64> {
        self.changes.clone()
    }
}

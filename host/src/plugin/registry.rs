//! Which adapters are loaded: a snapshot that requests read without waiting, and one task that replaces it.
//!
//! **Invariants:** a version that cannot be loaded, or that asks for more than was approved, never replaces one that serves.
//! Only that task decides and writes; the operator's orders go through it, too.

mod entry;
mod files;
mod kept;
mod lock;
mod manage;
mod scan;
mod survey;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch as channel};
use tokio_util::task::AbortOnDropHandle;

use super::call::{Asked, Report};
use super::compile::Compiler;
use super::engine::Engine;
use super::guest_log::AdapterLog;
use super::health::{Health, HealthBook};
use super::loader::Adapter;
use crate::telemetry::metrics;
pub use entry::{BrokenFile, Entry, KeptVersion, Pending, Source, State};
use manage::Order;
pub use manage::{Change, ChangeError};
use scan::Scanner;
pub use survey::{Survey, survey};

/// Orders that may wait for the one before.
const ORDERS: usize = 16;

/// Where adapters come from.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// Folders whose files are approved by being there: part of the program.
    pub bundled: Vec<PathBuf>,
    /// The operator's folder. Its files wait for approval.
    pub dropped_in: Option<PathBuf>,
    /// Ids that nobody may switch on.
    pub disabled: Vec<String>,
    /// The data folder, for `adapters.lock` and the last good versions. Without one, all is forgotten at the end.
    pub state: Option<PathBuf>,
    pub wishes: Wishes,
    /// Who compiles; none: this process does.
    pub compiler: Option<Compiler>,
    /// Crashes within ten minutes after which an adapter is out of use; none: no number of them puts it there.
    pub crashes_max: Option<usize>,
}

/// What of the options may be changed while adapters run, by [`Change::Configure`].
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Files of the operator's folder do not wait for approval: for development.
    pub allow_unapproved: bool,
    /// Which bundled ones serve without the operator's switching them on; none: all of them.
    pub bundled_on: Option<BTreeSet<String>>,
    /// The operator's settings by id.
    pub settings: BTreeMap<String, Value>,
}

#[derive(Debug, Default)]
struct Snapshot {
    adapters: BTreeMap<String, Arc<Adapter>>,
    entries: Vec<Entry>,
    broken: Vec<BrokenFile>,
    retired: Vec<(String, Weak<Adapter>)>,
    logs: BTreeMap<String, Arc<AdapterLog>>,
}

#[derive(Debug)]
struct Shared {
    snapshot: ArcSwap<Snapshot>,
    health: HealthBook,
}

/// The loaded adapters.
#[derive(Debug)]
pub struct Registry {
    shared: Arc<Shared>,
    changes: channel::Receiver<u64>,
    orders: mpsc::Sender<Order>,
    _watcher: AbortOnDropHandle<()>,
}

impl Registry {
    /// Begins to load what is there, and from then on follows every change of the folders.
    ///
    /// Files that cannot be loaded are reported by [`list`](Self::list) and in the log; they are no error.
    pub fn start(engine: Engine, options: RegistryOptions) -> Self {
        let health = HealthBook::new(options.crashes_max);
        let shared = Arc::new(Shared { snapshot: ArcSwap::default(), health });
        let (sender, changes) = channel::channel(0);
        let (orders, received) = mpsc::channel(ORDERS);
        let scanner = Scanner::new(engine, options.clone(), Arc::clone(&shared));
        let watcher = tokio::spawn(watch::run(scanner, options, Arc::clone(&shared), sender, received));
        Self { shared, changes, orders, _watcher: AbortOnDropHandle::new(watcher) }
    }

    /// Whether the folders have been looked at once.
    pub fn loaded(&self) -> bool {
        *self.changes.borrow() > 0
    }

    /// The version of an adapter that serves now, in quarantine or not.
    pub fn get(&self, id: &str) -> Option<Arc<Adapter>> {
        self.shared.snapshot.load().adapters.get(id).cloned()
    }

    /// All adapters that serve now, by id.
    pub fn all(&self) -> Vec<Arc<Adapter>> {
        self.shared.snapshot.load().adapters.values().cloned().collect()
    }

    /// Why an adapter is out of use, if it is.
    pub fn quarantined(&self, id: &str) -> Option<String> {
        self.shared.health.quarantined(id)
    }

    /// How an adapter fares.
    pub fn health(&self, id: &str) -> Health {
        self.shared.health.health(id)
    }

    /// Notes how a request went; puts the adapter out of use where that is called for.
    pub fn report(&self, adapter: &Adapter, report: &Report) {
        if let Some(reason) = self.shared.health.note(&adapter.manifest.id, &adapter.hash, report) {
            self.quarantine(adapter, reason);
        }
    }

    /// Notes how a call went that was for no request; puts the adapter out of use where that is called for.
    pub fn report_asked<T>(&self, adapter: &Adapter, asked: &Asked<T>) {
        if let Some(reason) = self.shared.health.note_asked(&adapter.manifest.id, &adapter.hash, asked) {
            self.quarantine(adapter, reason);
        }
    }

    /// Writes down that an adapter is out of use, which it is already.
    fn quarantine(&self, adapter: &Adapter, reason: String) {
        let (id, sha256) = (&adapter.manifest.id, &adapter.hash);
        tracing::error!(adapter = adapter.label(), reason, "the adapter is out of use until it is enabled or replaced");
        metrics::adapter_quarantined(id);
        let change = Change::Quarantine { id: id.clone(), sha256: sha256.clone(), reason };
        let (done, _) = oneshot::channel();
        // A full queue may lose that.
        let _ = self.orders.try_send(Order { change, done });
    }

    /// All that is known, by id.
    pub fn list(&self) -> Vec<Entry> {
        let snapshot = self.shared.snapshot.load();
        snapshot.entries.iter().map(|entry| self.lively(entry, &snapshot)).collect()
    }

    /// All that is known of one adapter.
    pub fn entry(&self, id: &str) -> Option<Entry> {
        let snapshot = self.shared.snapshot.load();
        snapshot.entries.iter().find(|entry| entry.id == id).map(|entry| self.lively(entry, &snapshot))
    }

    /// Files in the folders that are no adapters.
    pub fn broken(&self) -> Vec<BrokenFile> {
        self.shared.snapshot.load().broken.clone()
    }

    /// What an adapter's guests have said; none before it was loaded for the first time.
    pub fn log(&self, id: &str) -> Option<Arc<AdapterLog>> {
        self.shared.snapshot.load().logs.get(id).cloned()
    }

    /// Makes a change, and looks at the folders. The id of the adapter that it is of, once what serves is decided.
    ///
    /// # Errors
    /// See [`ChangeError`]; nothing was changed then.
    pub async fn change(&self, change: Change) -> Result<String, ChangeError> {
        let (done, answer) = oneshot::channel();
        self.orders.send(Order { change, done }).await.map_err(|_| ChangeError::Ended)?;
        answer.await.map_err(|_| ChangeError::Ended)?
    }

    /// Changes whenever the snapshot was replaced.
    pub fn changes(&self) -> channel::Receiver<u64> {
        self.changes.clone()
    }

    /// An entry with what changes from request to request.
    fn lively(&self, entry: &Entry, snapshot: &Snapshot) -> Entry {
        let quarantine = self.shared.health.quarantined(&entry.id);
        let state = match entry.state {
            State::Serving if quarantine.is_some() => State::Quarantined,
            state => state,
        };
        let old = snapshot.retired.iter().filter(|(id, _)| *id == entry.id);
        let draining = old.map(|(_, adapter)| adapter.strong_count()).sum();
        Entry { state, quarantine, draining, health: self.shared.health.health(&entry.id), ..entry.clone() }
    }
}

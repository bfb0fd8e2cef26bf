//! Jobs: which request gets which page, when, and for how long.
//!
//! **Invariants:** a page is in one place only: idle in its pool, or leased to one job. No prompt is submitted twice: a job is
//! dispatched anew only while its call has not passed the point of no return.

mod catalog;
mod job;
mod keeper;
mod ledger;
mod pool;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::browser::{Instance, InstanceState};
pub use crate::chat::JobEvent;
use crate::chat::{Failure, FailureKind, Kind, Request};
use crate::plugin::{Adapter, Deadlines, Means, Model, Recorder, Registry};
use crate::store::Kv;
use catalog::Catalog;
use ledger::Ledger;
use pool::Pool;

/// Pieces of an answer that may wait for a slow client, beside what the page holds.
const EVENTS: usize = 64;
/// What a client is told to wait when nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A model that some loaded adapter offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// `<adapter>/<id in the manifest>`.
    pub id: String,
    pub adapter: String,
    pub adapter_version: String,
    pub kind: Kind,
    pub label: String,
    /// What the manifest says of it, such as `reasoning` or `vision`.
    pub features: BTreeMap<String, String>,
    /// `replica`, or when and against what it was last tried.
    pub verified: String,
    pub state: ModelState,
}

/// How the adapter of a model fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelState {
    Ok,
    /// Many of its last requests failed by the adapter's fault, or the site's having changed.
    Degraded,
    /// It is out of use.
    Quarantined,
}

impl ModelState {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Quarantined => "quarantined",
        }
    }
}

/// Whether requests can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// The browser is being started.
    Starting,
    Ready,
    /// Requests are answered, but something is out of order.
    Degraded(String),
    /// Nothing can be answered until this is mended.
    Failed(String),
    Draining,
}

/// How requests are dispatched.
#[derive(Debug, Clone)]
pub struct DispatchOptions {
    /// Pages that one adapter may have at once.
    pub pages: usize,
    /// Requests of one adapter that may wait for a page.
    pub queue: usize,
    /// How long one may wait.
    pub queue_wait: Duration,
    pub deadlines: Deadlines,
    /// After its caller has gone, a page must be at rest within this time; else it is closed and replaced.
    pub cancel: Duration,
    /// What adapters keep; none keeps nothing.
    pub kv: Option<Arc<Kv>>,
    /// The most bytes of all files of one answer.
    pub media_max: usize,
    /// Keeps what adapters hear, for `adapter record`.
    pub recorder: Option<Arc<Recorder>>,
    /// Where a picture of the page is kept when a request fails on it, named after the request's id.
    pub pictures: Option<PathBuf>,
}

impl Default for DispatchOptions {
    fn default() -> Self {
        Self {
            pages: 4,
            queue: 16,
            queue_wait: Duration::from_secs(120),
            deadlines: Deadlines::default(),
            cancel: Duration::from_secs(1),
            kv: None,
            media_max: 64 << 20,
            recorder: None,
            pictures: None,
        }
    }
}

/// A request under way. Dropping it cancels it.
#[derive(Debug)]
pub struct Job {
    events: mpsc::Receiver<JobEvent>,
    _cancel: DropGuard,
}

impl Job {
    /// The next event; none after `Done` or `Failed`.
    pub async fn next(&mut self) -> Option<JobEvent> {
        self.events.recv().await
    }
}

/// The way in for every dialect. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Dispatcher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Arc<Registry>,
    instance: Arc<Instance>,
    options: DispatchOptions,
    pools: Mutex<BTreeMap<String, Arc<Pool>>>,
    ledger: Ledger,
    catalog: Catalog,
    /// Every task of this module: jobs, and pages on their way back.
    tasks: TaskTracker,
    /// No new jobs; idle pages are not reset any more.
    draining: CancellationToken,
    /// What still runs is to end now.
    abort: CancellationToken,
}

impl Dispatcher {
    /// Begins to keep a page warm for every adapter.
    pub fn start(registry: Arc<Registry>, instance: Arc<Instance>, options: DispatchOptions) -> Self {
        let inner = Arc::new(Inner {
            registry,
            instance,
            options,
            pools: Mutex::default(),
            ledger: Ledger::default(),
            catalog: Catalog::default(),
            tasks: TaskTracker::new(),
            draining: CancellationToken::new(),
            abort: CancellationToken::new(),
        });
        inner.tasks.spawn(keeper::run(Arc::clone(&inner)));
        Self(inner)
    }

    /// The models that can be asked for, by id. Adapters that can say what their account has are asked in the background: until
    /// they have answered, what their manifests say stands.
    pub fn models(&self) -> Vec<ModelInfo> {
        let of = |adapter: &Arc<Adapter>| {
            self.ask_if_due(adapter);
            let manifest = &adapter.manifest;
            let state = self.0.state(&manifest.id);
            let describe = |model: Model| ModelInfo {
                id: format!("{}/{}", manifest.id, model.id),
                adapter: manifest.id.clone(),
                adapter_version: manifest.version.to_string(),
                kind: model.kind,
                label: model.label,
                features: model.features,
                verified: manifest.verified.clone(),
                state,
            };
            self.0.catalog.models(adapter).into_iter().map(describe).collect::<Vec<_>>()
        };
        self.0.registry.all().iter().flat_map(of).collect()
    }

    /// Before a request for this model: where it is not known, and its adapter has not said yet which there are, waits for that.
    async fn learn(&self, model: &str) {
        let adapter = model.split_once('/').and_then(|(id, _)| self.0.registry.get(id));
        let Some(adapter) = adapter.filter(|_| self.0.available().is_ok() && self.0.find(model).is_err()) else {
            return;
        };
        self.ask_if_due(&adapter);
        self.0.catalog.first_answer(&adapter).await;
    }

    fn ask_if_due(&self, adapter: &Arc<Adapter>) {
        if !self.0.draining.is_cancelled() && self.0.catalog.is_due(adapter) {
            self.0.tasks.spawn(catalog::discover(Arc::clone(&self.0), Arc::clone(adapter)));
        }
    }

    /// The adapters, to look at and to manage.
    pub fn adapters(&self) -> &Registry {
        &self.0.registry
    }

    /// What a model makes; none if there is no such model. Waits for an adapter that has yet to say which models there are.
    pub async fn kind(&self, model: &str) -> Option<Kind> {
        self.learn(model).await;
        self.0.find(model).ok().map(|(_, model)| model.kind)
    }

    pub fn health(&self) -> Health {
        if self.0.draining.is_cancelled() {
            return Health::Draining;
        }
        match &*self.0.instance.state().borrow() {
            InstanceState::Starting => Health::Starting,
            _ if !self.0.registry.loaded() => Health::Starting,
            InstanceState::Ready { .. } if self.0.registry.all().is_empty() => {
                Health::Failed("no adapter is loaded".into())
            }
            InstanceState::Ready { .. } => Health::Ready,
            InstanceState::Restarting { attempt, reason } => {
                Health::Degraded(format!("the browser is being restarted (attempt {attempt}): {reason}"))
            }
            InstanceState::Failed(reason) => Health::Failed(reason.clone()),
            InstanceState::Stopped => Health::Draining,
        }
    }

    /// Takes a request into the queue.
    ///
    /// # Errors
    /// At once where the model is unknown, the queue is full, or nothing can be answered now.
    pub fn submit(&self, request: Request) -> Result<Job, Failure> {
        self.0.available()?;
        let (adapter, model) = self.0.find(&request.model)?;
        if let Some(reason) = self.0.registry.quarantined(&adapter.manifest.id) {
            let failure = Failure::new(FailureKind::Quarantined, reason);
            return Err(Failure { adapter: Some(adapter.label()), ..failure });
        }
        let place = self
            .0
            .pool(&adapter.manifest.id)
            .enter()
            .ok_or_else(|| Failure::new(FailureKind::ServerBusy { retry_after: RETRY_AFTER }, ""))?;
        let (sender, events) = mpsc::channel(EVENTS);
        let cancel = self.0.abort.child_token();
        let job = job::Running::new(Arc::clone(&self.0), adapter, model, request, sender, cancel.clone());
        self.0.tasks.spawn(job.run(place).in_current_span());
        Ok(Job { events, _cancel: cancel.drop_guard() })
    }

    /// Takes no more requests, and waits until those that run have ended; what has not ended at the deadline is cancelled.
    pub async fn drain(&self, deadline: Duration) {
        self.0.draining.cancel();
        self.0.tasks.close();
        if tokio::time::timeout(deadline, self.0.tasks.wait()).await.is_err() {
            self.0.abort.cancel();
            // What is cancelled frees its page within a second.
            let _ = tokio::time::timeout(Duration::from_secs(2), self.0.tasks.wait()).await;
        }
        self.0.pools.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Inner {
    /// What a call of an adapter is lent beside its page.
    fn means(&self, adapter: &Adapter) -> Means {
        let memory = self.options.kv.as_ref().map(|kv| kv.memory(&adapter.manifest.id, self.instance.name()));
        Means {
            config: Arc::clone(&adapter.settings),
            memory,
            media_max: self.options.media_max,
            recorder: self.options.recorder.clone(),
        }
    }

    /// The adapter of `<adapter>/<model>`; for a model's bare name the one that fares best of those that have it.
    fn find(&self, model: &str) -> Result<(Arc<Adapter>, Model), Failure> {
        let found = match model.split_once('/') {
            Some((id, name)) => {
                self.registry.get(id).and_then(|adapter| Some((self.catalog.model(&adapter, name)?, adapter)))
            }
            None => {
                let all = self.registry.all().into_iter();
                let having = all.filter_map(|adapter| Some((self.catalog.model(&adapter, model)?, adapter)));
                // Of several that fare alike, the first by id.
                having.min_by_key(|(_, adapter)| self.state(&adapter.manifest.id) as u8)
            }
        };
        let unknown = || Failure::new(FailureKind::ModelNotFound { model: model.to_owned() }, "");
        found.map(|(model, adapter)| (adapter, model)).ok_or_else(unknown)
    }

    fn state(&self, adapter: &str) -> ModelState {
        if self.registry.quarantined(adapter).is_some() {
            return ModelState::Quarantined;
        }
        if self.registry.health(adapter).degraded { ModelState::Degraded } else { ModelState::Ok }
    }

    /// Whether a request could be answered now.
    fn available(&self) -> Result<(), Failure> {
        if self.draining.is_cancelled() {
            return Err(Failure::new(FailureKind::ShuttingDown, ""));
        }
        let starting = |message: &str| Err(Failure::new(FailureKind::Starting { retry_after: RETRY_AFTER }, message));
        if !self.registry.loaded() {
            return starting("");
        }
        match &*self.instance.state().borrow() {
            InstanceState::Ready { .. } => Ok(()),
            InstanceState::Starting => starting(""),
            InstanceState::Restarting { reason, .. } => starting(&format!("the browser is being restarted: {reason}")),
            InstanceState::Failed(reason) => Err(Failure::new(FailureKind::BrowserFailed, reason.clone())),
            InstanceState::Stopped => Err(Failure::new(FailureKind::ShuttingDown, "")),
        }
    }

    fn pool(&self, adapter: &str) -> Arc<Pool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(Pool::new(self.options.pages, self.options.queue, self.options.deadlines.navigate));
        Arc::clone(pools.entry(adapter.to_owned()).or_insert_with(make))
    }
}

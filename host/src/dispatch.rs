//! Jobs: which request gets which page, when, and for how long.
//!
//! **Invariants:** a page is in one place only: idle in its pool, or leased to one job. No prompt is submitted twice: a job is
//! dispatched anew only while its call has not passed the point of no return.

mod account;
mod board;
mod catalog;
mod continuity;
mod failover;
mod feed;
mod fleet;
mod history;
mod house;
mod job;
mod keeper;
mod lease;
mod ledger;
mod member;
mod plan;
mod replace;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::browser::InstanceState;
pub use crate::chat::JobEvent;
use crate::chat::{Failure, FailureKind, Kind, Request};
use crate::plugin::{Adapter, Deadlines, Means, Model, Recorder, Registry};
use crate::store::{Database, Kv};
pub use account::SignIn;
pub use board::{AccountView, QueueView, RunningView, WaitingView, WorkerView};
use board::{Board, Rank, Want};
use catalog::Catalog;
use feed::Feed;
pub use feed::{Job, QueuePlace};
pub use job::Try;
use lease::Opener;
use ledger::Ledger;
pub use member::Member;
pub use plan::{InstancePlan, Limits, Rules, Strategy, WorkerPlan};
use replace::Replacements;

/// Pieces of an answer that may wait for a slow client, beside what the page holds.
const EVENTS: usize = 64;
/// For a page to be free whose account is to be looked at.
const PROBE: Duration = Duration::from_secs(10);
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
    pub rules: Rules,
    /// How long a request may wait for a page.
    pub queue_wait: Duration,
    pub deadlines: Deadlines,
    /// After its caller has gone, a page must be at rest within this time; else it is closed and replaced.
    pub cancel: Duration,
    /// For how long a conversation can go on in the chat where it was begun; none: each request begins a new one.
    pub conversations: Option<Duration>,
    /// What adapters keep; none keeps nothing.
    pub kv: Option<Arc<Kv>>,
    /// Where what was asked and answered is noted, and which chats can go on; none notes nothing.
    pub history: Option<Database>,
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
            rules: Rules::default(),
            queue_wait: Duration::from_secs(120),
            deadlines: Deadlines::default(),
            cancel: Duration::from_secs(1),
            conversations: None,
            kv: None,
            history: None,
            media_max: 64 << 20,
            recorder: None,
            pictures: None,
        }
    }
}

/// An adapter that has the model which is asked for.
#[derive(Debug, Clone)]
struct Offer {
    adapter: Arc<Adapter>,
    model: Model,
}

/// The way in for every dialect. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Dispatcher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Arc<Registry>,
    members: Mutex<Vec<Arc<Member>>>,
    board: Arc<Board>,
    options: ArcSwap<DispatchOptions>,
    opener: ArcSwap<Opener>,
    ledger: Ledger,
    catalog: Catalog,
    /// No page is opened ahead of requests until then.
    lean_until: Mutex<Option<Instant>>,
    /// The keeper is to look at once.
    look: Notify,
    /// One change of the configuration at a time.
    applying: tokio::sync::Mutex<()>,
    replacements: Replacements,
    /// Every task of this module: jobs, and pages on their way back.
    tasks: TaskTracker,
    /// No new jobs; idle pages are not reset any more.
    draining: CancellationToken,
    /// What still runs is to end now.
    abort: CancellationToken,
}

impl Dispatcher {
    /// Begins to keep a page warm for every adapter.
    pub fn start(registry: Arc<Registry>, members: Vec<Arc<Member>>, options: DispatchOptions) -> Self {
        let inner = Arc::new(Inner {
            registry,
            members: Mutex::default(),
            board: Board::new(options.rules.clone()),
            opener: ArcSwap::new(Opener::new(options.deadlines.navigate)),
            options: ArcSwap::from_pointee(options),
            ledger: Ledger::default(),
            catalog: Catalog::default(),
            lean_until: Mutex::default(),
            look: Notify::new(),
            applying: tokio::sync::Mutex::default(),
            replacements: Replacements::default(),
            tasks: TaskTracker::new(),
            draining: CancellationToken::new(),
            abort: CancellationToken::new(),
        });
        for member in members {
            inner.add(member);
        }
        let board = Arc::clone(&inner.board);
        inner.tasks.spawn(inner.draining.clone().run_until_cancelled_owned(board.watch_the_clock()));
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
        let offers = self.0.find(model).ok()?;
        offers.first().map(|offer| offer.model.kind)
    }

    /// Who waits and who runs.
    pub fn queue(&self) -> QueueView {
        self.0.board.queue_view()
    }

    pub fn workers(&self) -> Vec<WorkerView> {
        self.0.board.workers()
    }

    pub fn accounts(&self) -> Vec<AccountView> {
        self.0.board.accounts()
    }

    /// The instances, with their browsers.
    pub fn members(&self) -> Vec<Arc<Member>> {
        self.0.all_members()
    }

    /// Asks an account's site now who is signed in. None where there is no such account, no page is free for that, or the site does not
    /// tell.
    pub async fn probe(&self, instance: &str, adapter: &str) -> Option<SignIn> {
        let adapter = self.0.registry.get(adapter)?;
        let until = Instant::now() + PROBE;
        if !self.0.instances().iter().any(|name| name == instance) {
            return None;
        }
        let claim = self.0.board.claim(instance, &adapter, "probe", until).await?;
        keeper::probe(&self.0, claim).await
    }

    /// Takes a request into the queue.
    ///
    /// # Errors
    /// At once where the model is unknown, the queue is full, or nothing can be answered now.
    pub async fn submit(&self, request: Request) -> Result<Job, Failure> {
        self.0.available()?;
        let offers = self.0.find(&request.model)?;
        self.0.sync();
        let options = self.0.options();
        let want = self.0.want(&request, &offers, &options).await;
        let (sender, events) = mpsc::channel(EVENTS);
        let (feed, cancel) = (Feed::new(events), self.0.abort.child_token());
        // From here to the job's start nothing is awaited, and no repetition gets between looking and noting.
        let mut ledger = self.0.ledger.lock();
        if let Some(job) = ledger.join(request.fingerprint)? {
            return Ok(job);
        }
        let ticket = self.0.board.queue(want.clone())?;
        let record = ledger.open(request.fingerprint, &feed);
        drop(ledger);
        let running = job::Running {
            inner: Arc::clone(&self.0),
            options,
            want,
            models: offers.into_iter().map(|offer| offer.model).collect(),
            request,
            events: sender,
            cancel: cancel.clone(),
            record,
            started: Instant::now(),
        };
        let job = feed.lead(cancel, QueuePlace::new(&self.0.board, ticket.number()));
        self.0.tasks.spawn(running.run(ticket).in_current_span());
        Ok(job)
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
        self.0.board.sync(&[], &[]);
    }
}

impl Inner {
    fn options(&self) -> Arc<DispatchOptions> {
        self.options.load_full()
    }

    fn opener(&self) -> Arc<Opener> {
        self.opener.load_full()
    }

    /// What a call of an adapter is lent beside its page.
    fn means(&self, adapter: &Adapter, instance: &str) -> Means {
        let options = self.options();
        let memory = options.kv.as_ref().map(|kv| kv.memory(&adapter.manifest.id, instance));
        Means {
            config: Arc::clone(&adapter.settings),
            memory,
            media_max: options.media_max,
            recorder: options.recorder.clone(),
        }
    }

    /// The adapter of `<adapter>/<model>`; for a model's bare name all that have it, those that fare best first.
    fn find(&self, model: &str) -> Result<Vec<Offer>, Failure> {
        let mut offers: Vec<Offer> = match model.split_once('/') {
            Some((id, name)) => {
                self.registry.get(id).and_then(|adapter| self.offer(adapter, name)).into_iter().collect()
            }
            None => self.registry.all().into_iter().filter_map(|adapter| self.offer(adapter, model)).collect(),
        };
        let Some(first) = offers.first() else {
            return Err(Failure::new(FailureKind::ModelNotFound { model: model.to_owned() }, ""));
        };
        let quarantined = |offer: &Offer| self.registry.quarantined(&offer.adapter.manifest.id);
        if let Some(reason) = quarantined(first).filter(|_| offers.iter().all(|offer| quarantined(offer).is_some())) {
            let failure = Failure::new(FailureKind::Quarantined, reason);
            return Err(Failure { adapter: Some(first.adapter.label()), ..failure });
        }
        offers.retain(|offer| quarantined(offer).is_none());
        // Of several that fare alike, the first by id.
        offers.sort_by_key(|offer| self.state(&offer.adapter.manifest.id) as u8);
        Ok(offers)
    }

    fn offer(&self, adapter: Arc<Adapter>, model: &str) -> Option<Offer> {
        let model = self.catalog.model(&adapter, model)?;
        Some(Offer { adapter, model })
    }

    async fn want(&self, request: &Request, offers: &[Offer], options: &DispatchOptions) -> Want {
        // A conversation is known by how it begins.
        let beginning = request.turns.iter().position(|turn| turn.role == crate::chat::Role::User).unwrap_or(0);
        Want {
            id: request.id.clone(),
            caller: request.caller.clone(),
            model: request.model.clone(),
            adapters: offers.iter().map(|offer| Arc::clone(&offer.adapter)).collect(),
            prefer: self.where_it_goes_on(request, offers, options).await,
            sticky: continuity::hash(request.turns.get(..=beginning).unwrap_or(&request.turns)),
            avoid: Vec::new(),
            until: Instant::now() + options.queue_wait,
            rank: Rank::Request,
        }
    }

    /// The instance that has the chat with which a request goes on.
    async fn where_it_goes_on(&self, request: &Request, offers: &[Offer], options: &DispatchOptions) -> Option<String> {
        options.conversations.filter(|_| request.temporary.is_none())?;
        let instances = self.instances();
        // With one instance there is no choice.
        let (known, _) = continuity::split(&request.turns).filter(|_| instances.len() > 1)?;
        let (chats, said) = (continuity::Chats(options.history.as_ref()), continuity::hash(known));
        let mut places = Vec::new();
        for offer in offers.iter().filter(|offer| offer.adapter.manifest.features.conversations) {
            for instance in &instances {
                let key = continuity::key(instance, &offer.adapter.manifest.id, &offer.model.id, said);
                places.push((instance.clone(), key));
            }
        }
        chats.first(places).await
    }

    fn state(&self, adapter: &str) -> ModelState {
        if self.registry.quarantined(adapter).is_some() {
            return ModelState::Quarantined;
        }
        if self.registry.health(adapter).degraded { ModelState::Degraded } else { ModelState::Ok }
    }

    fn members(&self) -> MutexGuard<'_, Vec<Arc<Member>>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all_members(&self) -> Vec<Arc<Member>> {
        self.members().clone()
    }

    fn member(&self, name: &str) -> Option<Arc<Member>> {
        self.members().iter().find(|member| member.name() == name).cloned()
    }

    /// Their names.
    fn instances(&self) -> Vec<String> {
        self.all_members().iter().map(|member| member.name().to_owned()).collect()
    }

    /// Has the board know the workers that there are to be by now.
    fn sync(self: &Arc<Self>) {
        let adapters: Vec<String> = self.registry.all().iter().map(|adapter| adapter.manifest.id.clone()).collect();
        self.board.sync(&self.all_members(), &adapters);
    }
}

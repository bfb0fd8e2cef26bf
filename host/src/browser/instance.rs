//! One Chromium with its own profile, kept running.
//!
//! An instance is an account holder's browser: its cookies, its proxy, its process. Its supervisor starts it, starts it again
//! when it dies, and closes it in such a way that cookies reach the disk.

mod cookies;
mod keeper;
mod live;
mod storage;
mod supervisor;
mod targets;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::PageError;
use super::launch::{LaunchOptions, Profile, ProfileDir};
use super::origin::Origin;
use super::page::{Page, PageSpec};
pub use keeper::{ArchiveSource, Keeping, SessionImport, SessionImported, SessionRead, StartImport};
use keeper::{Keeper, Order};
use live::Live;
pub(super) use targets::Opener;

/// How long [`Instance::stop`] may take: the browser closes gracefully or is killed before that.
const STOP_DEADLINE: Duration = Duration::from_secs(15);
/// For an order about the session: a browser that is being started is waited for.
const ORDER_DEADLINE: Duration = Duration::from_secs(60);
/// Orders that may wait.
const ORDERS: usize = 8;

/// What makes an instance.
#[derive(Debug, Clone)]
pub struct InstanceOptions {
    /// For logs.
    pub name: String,
    pub profile: Profile,
    pub launch: LaunchOptions,
}

/// Where an instance stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceState {
    /// Started for the first time.
    Starting,
    Ready {
        /// Such as `Chrome/156.0.8078.79`.
        version: String,
        /// Of the browser's main process.
        pid: Option<u32>,
    },
    /// It died, or did not start, and is started again after a while.
    Restarting {
        attempt: u32,
        reason: String,
    },
    /// It cannot run until somebody mends this. It is tried again from time to time.
    Failed(String),
    Stopped,
}

/// A supervised Chromium. Dropping it kills it; [`stop`](Self::stop) closes it so that nothing is lost.
#[derive(Debug)]
pub struct Instance {
    name: String,
    state: watch::Receiver<InstanceState>,
    live: watch::Receiver<Option<Arc<Live>>>,
    /// None: nobody keeps its session.
    session: Option<mpsc::Sender<Order>>,
    stop: CancellationToken,
    recycle: Arc<Notify>,
    _kill: DropGuard,
}

impl Instance {
    /// Starts the supervisor, which starts Chromium. Must be called within a runtime.
    pub fn spawn(options: InstanceOptions) -> Self {
        Self::start(options, None)
    }

    /// The same, with its session kept over restarts and crashes.
    pub fn spawn_kept(options: InstanceOptions, keeping: Keeping) -> Self {
        Self::start(options, Some(keeping))
    }

    fn start(options: InstanceOptions, keeping: Option<Keeping>) -> Self {
        let (state_sender, state) = watch::channel(InstanceState::Starting);
        let (live_sender, live) = watch::channel(None);
        let stop = CancellationToken::new();
        let kill = CancellationToken::new();
        let profile = ProfileDir::new(&options.profile);
        let (session, keeper) = match keeping {
            None => (None, None),
            Some(keeping) => {
                let (session, orders) = mpsc::channel(ORDERS);
                (Some(session), Some(Keeper::new(&options.name, profile.path(), keeping, orders)))
            }
        };
        let recycle = Arc::new(Notify::new());
        let supervisor = supervisor::Supervisor {
            name: options.name.clone(),
            profile,
            keeper,
            launch: options.launch,
            state: state_sender,
            live: live_sender,
            stop: stop.clone(),
            recycle: Arc::clone(&recycle),
            kill: kill.clone(),
        };
        // It ends by the tokens; the second is cancelled when this handle is dropped.
        tokio::spawn(supervisor.run());
        Self { name: options.name, state, live, session, stop, recycle, _kill: kill.drop_guard() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its state, now and at each change.
    pub fn state(&self) -> watch::Receiver<InstanceState> {
        self.state.clone()
    }

    /// Opens a tab in a window of its own. It shows `about:blank`; the first act is
    /// [`back_to_entry`](Page::back_to_entry).
    ///
    /// # Errors
    /// `Other { code: "browser-not-ready" }` while no browser runs; what went wrong otherwise.
    pub async fn open_page(&self, spec: PageSpec) -> Result<Page, PageError> {
        let live = self.live.borrow().clone();
        let live = live.ok_or_else(|| PageError::Other {
            code: "browser-not-ready",
            message: format!("{} is {:?}", self.name, *self.state.borrow()),
        })?;
        live.open_page(spec).await
    }

    /// Keeps the session as it is now: to be called when somebody has signed in.
    ///
    /// # Errors
    /// `Other { code: "session-not-kept" }` where nobody keeps it; what went wrong otherwise.
    pub async fn keep_session(&self) -> Result<(), PageError> {
        self.order(Order::Keep).await
    }

    /// The cookies that these origins receive, and their local storage.
    ///
    /// # Errors
    /// As [`keep_session`](Self::keep_session).
    pub async fn read_session(&self, origins: Vec<Origin>) -> Result<SessionRead, PageError> {
        self.order(|reply| Order::Read { origins, reply }).await
    }

    /// Puts a session into the browser, and keeps it. Pages that are open notice it when they load the next document.
    ///
    /// # Errors
    /// As [`keep_session`](Self::keep_session).
    pub async fn import_session(&self, import: SessionImport) -> Result<SessionImported, PageError> {
        self.order(|reply| Order::Import { import, reply }).await
    }

    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, PageError>>) -> Order,
    ) -> Result<T, PageError> {
        let not_kept = || PageError::Other {
            code: "session-not-kept",
            message: format!("nobody keeps the session of {}", self.name),
        };
        let session = self.session.as_ref().ok_or_else(not_kept)?;
        let (reply, answer) = oneshot::channel();
        session.try_send(order(reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                PageError::Other { code: "busy", message: "too many orders wait".into() }
            }
            mpsc::error::TrySendError::Closed(_) => not_kept(),
        })?;
        match tokio::time::timeout(ORDER_DEADLINE, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(PageError::Closed),
            Err(_) => Err(PageError::Timeout(format!("the session of {}", self.name))),
        }
    }

    /// Closes the browser gracefully and starts a fresh one on the same profile, at once and without waiting for either: what a
    /// browser has hoarded in days is free again. Its pages close; that no request is on them is the caller's affair. Does nothing
    /// where no browser is ready.
    pub fn recycle(&self) {
        if matches!(*self.state.borrow(), InstanceState::Ready { .. }) {
            // Kept for a supervisor that is not waiting yet.
            self.recycle.notify_one();
        }
    }

    /// Closes the browser gracefully, so that cookies are flushed to disk; kills it when it does not close in time. Returns
    /// when the process is gone.
    pub async fn stop(&self) {
        self.stop.cancel();
        let mut state = self.state.clone();
        let stopped = state.wait_for(|state| *state == InstanceState::Stopped);
        if tokio::time::timeout(STOP_DEADLINE, stopped).await.is_err() {
            tracing::warn!(instance = self.name, "the browser did not stop in time");
        }
    }
}

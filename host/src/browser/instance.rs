//! One Chromium with its own profile, kept running.
//!
//! An instance is an account holder's browser: its cookies, its proxy, its process. Its supervisor starts it, starts it again
//! when it dies, and closes it in such a way that cookies reach the disk.

mod live;
mod supervisor;
mod targets;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::PageError;
use super::launch::{LaunchOptions, Profile, ProfileDir};
use super::page::{Page, PageSpec};
use live::Live;
pub(super) use targets::Opener;

/// How long [`Instance::stop`] may take: the browser closes gracefully or is killed before that.
const STOP_DEADLINE: Duration = Duration::from_secs(15);

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
    stop: CancellationToken,
    recycle: Arc<Notify>,
    _kill: DropGuard,
}

impl Instance {
    /// Starts the supervisor, which starts Chromium. Must be called within a runtime.
    pub fn spawn(options: InstanceOptions) -> Self {
        let (state_sender, state) = watch::channel(InstanceState::Starting);
        let (live_sender, live) = watch::channel(None);
        let stop = CancellationToken::new();
        let kill = CancellationToken::new();
        let recycle = Arc::new(Notify::new());
        let supervisor = supervisor::Supervisor {
            name: options.name.clone(),
            profile: ProfileDir::new(&options.profile),
            launch: options.launch,
            state: state_sender,
            live: live_sender,
            stop: stop.clone(),
            recycle: Arc::clone(&recycle),
            kill: kill.clone(),
        };
        // It ends by the tokens; the second is cancelled when this handle is dropped.
        tokio::spawn(supervisor.run());
        Self { name: options.name, state, live, stop, recycle, _kill: kill.drop_guard() }
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

//! One call of an adapter: a fresh store, the guest's future, and who watches over it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wasmtime::Store;

use super::bindings::exports::webai::adapter::provider;
use super::bindings::webai::adapter::types as wit;
use super::border;
use super::clock::{Deadlines, StageClock};
use super::guest_log::{GuestLog, Level};
use super::handles::{HostState, Job, Means, PageHandle, Progress, ReplyHandle, RequestHandle};
use super::manifest::Rung;
use super::meter::{self, Meter};
use super::{Adapter, AdapterRequest};
use crate::browser::Page;
use crate::chat::{Failure, FailureKind, JobEvent, Outcome, Stage, Transcript};
use crate::telemetry::metrics::{self, Added, Trap};

/// What a guest may move across the boundary in one host call.
const HOSTCALL_BYTES: usize = 4 << 20;

/// Everything that one answer needs.
#[derive(Debug)]
pub struct Call {
    pub page: Arc<Page>,
    pub request: Arc<AdapterRequest>,
    /// `Submitted` and the deltas go here.
    pub events: mpsc::Sender<JobEvent>,
    pub deadlines: Deadlines,
    /// The caller has gone.
    pub cancel: CancellationToken,
    pub means: Means,
}

/// How a call went.
#[derive(Debug)]
pub struct Report {
    pub result: Result<Outcome, Failure>,
    /// Whether the prompt may have reached the site.
    pub submitted: bool,
    pub timing: Timing,
    /// What was handed on of the answer.
    pub transcript: Transcript,
    /// What the guest itself tried and was not granted.
    pub denied: Option<String>,
    /// The answer was read off the page, where it usually comes from its traffic.
    pub fell_back: bool,
}

/// How a call went that was for no request.
#[derive(Debug)]
pub struct Asked<T> {
    pub result: Result<T, Failure>,
    /// What the guest itself tried and was not granted.
    pub denied: Option<String>,
}

/// Where the time of a call went, each counted from its start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timing {
    /// Store and instance were there.
    pub instantiated: Duration,
    /// The point of no return.
    pub submitted: Option<Duration>,
    /// The first piece of the answer.
    pub first_piece: Option<Duration>,
    pub total: Duration,
    /// What the guest computed.
    pub cpu: Duration,
    /// What its instance had in the end, in bytes.
    pub memory: usize,
}

/// Who is signed in, as the adapter's `probe` sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    SignedIn(Option<String>),
    SignedOut,
    Challenge,
    Unknown,
}

impl Adapter {
    /// Answers one request. Ends by itself: at a deadline, at the budget, or soon after the caller has gone. The page is left as
    /// the guest left it; to stop the site is the caller's task.
    pub async fn generate(&self, call: Call) -> Report {
        let started = Instant::now();
        let progress = Arc::new(Progress::new(StageClock::new(self.deadlines(call.deadlines)), call.cancel));
        let job = Job { request: Arc::clone(&call.request), events: call.events };
        let meter = Meter::new(self.manifest.limits.cpu);
        let log = GuestLog::new(self, &call.request.id);
        let state =
            HostState::new(call.page, Some(job), Arc::clone(&progress), call.means, log, self.manifest.limits.memory);
        let mut store = self.store(state, &meter);
        let mut instantiated = Duration::ZERO;
        let guest = async {
            let instance = self.pre.instantiate_async(&mut store).await?;
            instantiated = started.elapsed();
            let table = &mut store.data_mut().table;
            let page = table.push(PageHandle)?;
            let reply = table.push(ReplyHandle::default())?;
            let request = table.push(RequestHandle)?;
            instance.webai_adapter_provider().call_generate(&mut store, page, reply, request).await
        };
        let ended = watch_over(&progress, guest).await;
        let result = self.settled(ended, &progress, &store, &meter);
        let result = result.and_then(|outcome| self.outcome(&progress, outcome));
        let since = |at: Option<Instant>| at.map(|at| at.duration_since(started));
        let timing = Timing {
            instantiated,
            submitted: since(progress.submitted()),
            first_piece: since(progress.first_piece()),
            total: started.elapsed(),
            cpu: meter.used(),
            memory: store.data().limiter.used(),
        };
        self.measure(&progress, &timing);
        let submitted = timing.submitted.is_some();
        let result = result.map_err(|failure| Failure { adapter: Some(self.label()), submitted, ..failure });
        let transcript = std::mem::take(&mut store.data_mut().transcript);
        let fell_back = self.manifest.usual_rung == Some(Rung::Network) && progress.rung().flatten() == Some(Rung::Dom);
        Report { result, submitted, timing, transcript, denied: progress.denied(), fell_back }
    }

    fn measure(&self, progress: &Progress, timing: &Timing) {
        if !timing.instantiated.is_zero() {
            metrics::added_latency(Added::Adapter, timing.instantiated);
        }
        if let Some(rung) = progress.rung() {
            let rung = match rung {
                Some(Rung::Network) => "network",
                Some(Rung::Dom) => "dom",
                None => "none",
            };
            metrics::captured(&self.manifest.id, rung);
        }
    }

    /// Asks the adapter who is signed in. Sends nothing to the site. An error is what the adapter found instead, or how it ended.
    pub async fn probe(&self, page: Arc<Page>, deadlines: Deadlines, means: Means) -> Asked<Account> {
        let progress = Arc::new(Progress::new(StageClock::new(self.deadlines(deadlines)), CancellationToken::new()));
        let meter = Meter::new(self.manifest.limits.cpu);
        let log = GuestLog::new(self, "probe");
        let state = HostState::new(page, None, Arc::clone(&progress), means, log, self.manifest.limits.memory);
        let mut store = self.store(state, &meter);
        let guest = async {
            let instance = self.pre.instantiate_async(&mut store).await?;
            let page = store.data_mut().table.push(PageHandle)?;
            instance.webai_adapter_provider().call_probe(&mut store, page).await
        };
        let ended = watch_over(&progress, guest).await;
        let result = self.settled(ended, &progress, &store, &meter).map(border::account);
        Asked { result, denied: progress.denied() }
    }

    /// What the guest returned; or how it ended instead, in the host's words.
    pub(super) fn settled<T>(
        &self,
        ended: Ended<Result<T, wit::Failure>>,
        progress: &Progress,
        store: &Store<HostState>,
        meter: &Meter,
    ) -> Result<T, Failure> {
        match ended {
            Ended::Returned(Ok(Ok(returned))) => Ok(returned),
            Ended::Returned(Ok(Err(failure))) => Err(self.guest_failure(progress, failure)),
            Ended::Returned(Err(trap)) => Err(self.trap(store, meter, &trap)),
            Ended::Cancelled => Err(Failure::new(FailureKind::ClientGone, "")),
            Ended::Expired(stage) => Err(Failure::new(FailureKind::Timeout(stage), "")),
        }
    }

    /// The host's deadlines, and the manifest's where that one is shorter.
    pub(super) fn deadlines(&self, host: Deadlines) -> Deadlines {
        let most = self.manifest.limits.call;
        Deadlines { call: host.call.min(most), call_max: host.call_max.min(most), ..host }
    }

    pub(super) fn store(&self, state: HostState, meter: &Arc<Meter>) -> Store<HostState> {
        let mut store = Store::new(self.pre.engine(), state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(HOSTCALL_BYTES);
        meter::attach(&mut store, meter);
        store
    }

    fn outcome(&self, progress: &Progress, outcome: provider::Outcome) -> Result<Outcome, Failure> {
        if progress.client_too_slow() {
            return Err(Failure::new(FailureKind::ClientTooSlow, ""));
        }
        Ok(border::outcome(outcome))
    }

    fn guest_failure(&self, progress: &Progress, failure: wit::Failure) -> Failure {
        if progress.client_too_slow() {
            return Failure::new(FailureKind::ClientTooSlow, "");
        }
        border::failure(failure, progress.clock.late_stage())
    }

    fn trap(&self, store: &Store<HostState>, meter: &Meter, trap: &wasmtime::Error) -> Failure {
        tracing::error!(target: "adapter", adapter = self.label(), "the adapter ended: {trap:?}");
        let said = format!("the adapter ended: {}", trap.root_cause());
        self.log.push(Level::Error, &self.manifest.version.to_string(), "", &said);
        let (kind, message, cause) = if meter.exceeded() {
            (FailureKind::AdapterCpuLimit, format!("{:?}", self.manifest.limits.cpu), Trap::Cpu)
        } else if store.data().limiter.exceeded() {
            (FailureKind::AdapterMemoryLimit, format!("{} MiB", self.manifest.limits.memory >> 20), Trap::Memory)
        } else {
            (FailureKind::AdapterCrashed, String::new(), Trap::Crash)
        };
        metrics::adapter_trapped(&self.manifest.id, cause);
        Failure::new(kind, message)
    }
}

pub(super) enum Ended<T> {
    Returned(wasmtime::Result<T>),
    Cancelled,
    Expired(Stage),
}

/// Runs the guest until it returns, its caller has gone, or a deadline has passed. Dropping the guest's future unwinds it.
pub(super) async fn watch_over<T>(progress: &Progress, guest: impl Future<Output = wasmtime::Result<T>>) -> Ended<T> {
    tokio::select! {
        biased;
        result = guest => Ended::Returned(result),
        () = progress.cancel.cancelled() => Ended::Cancelled,
        stage = progress.clock.expired() => Ended::Expired(stage),
    }
}

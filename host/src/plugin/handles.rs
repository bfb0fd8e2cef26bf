//! What the guest's three resources stand for, and what one call's store holds.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::BytesMut;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wasmtime::component::ResourceTable;

use super::AdapterRequest;
use super::allowance::Allowance;
use super::clock::StageClock;
use super::guest_log::GuestLog;
use super::limiter::MemoryLimiter;
use super::manifest::Rung;
use super::recorder::Recorder;
use crate::browser::{Page, SavedFile};
use crate::chat::{JobEvent, Stage, Transcript};
use crate::store::Memory;

/// Handles that a guest may hold at once; it is given three.
const MAX_HANDLES: usize = 1000;

/// The guest's `page`.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings export it again")]
pub struct PageHandle;

/// The guest's `reply`.
#[derive(Debug, Default)]
#[expect(unreachable_pub, reason = "the generated bindings export it again")]
pub struct ReplyHandle {
    pub(super) media: Vec<OpenMedia>,
}

/// A picture that is being written.
#[derive(Debug)]
pub(super) struct OpenMedia {
    pub(super) id: u32,
    pub(super) mime_type: String,
    pub(super) bytes: BytesMut,
}

/// The guest's `request`.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings export it again")]
pub struct RequestHandle;

/// What a call is about; none of it while the guest is only asked to `probe`.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request: Arc<AdapterRequest>,
    pub(super) events: mpsc::Sender<JobEvent>,
}

/// What a call is lent beside its page.
#[derive(Debug, Clone)]
pub struct Means {
    /// The operator's settings, as JSON.
    pub config: Arc<str>,
    /// What the adapter keeps for this account.
    pub memory: Option<Memory>,
    /// The most bytes of all files of one answer.
    pub media_max: usize,
    /// Keeps what it hears, for `adapter record`.
    pub recorder: Option<Arc<Recorder>>,
}

impl Default for Means {
    fn default() -> Self {
        Self { config: Arc::from("{}"), memory: None, media_max: 64 << 20, recorder: None }
    }
}

/// Shared by the guest's host functions and by whoever watches over the call.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) clock: StageClock,
    pub(super) cancel: CancellationToken,
    submitted: OnceLock<Instant>,
    first_piece: OnceLock<Instant>,
    /// What was read last: 0 nothing, 1 the page's traffic, 2 what it shows.
    heard: AtomicU8,
    /// What was read last before the first piece.
    rung: OnceLock<Option<Rung>>,
    too_slow: AtomicBool,
    denied: OnceLock<String>,
}

impl Progress {
    pub(super) fn new(clock: StageClock, cancel: CancellationToken) -> Self {
        Self {
            clock,
            cancel,
            submitted: OnceLock::new(),
            first_piece: OnceLock::new(),
            heard: AtomicU8::new(0),
            rung: OnceLock::new(),
            too_slow: AtomicBool::new(false),
            denied: OnceLock::new(),
        }
    }

    /// When the point of no return was passed, if it was.
    pub(super) fn submitted(&self) -> Option<Instant> {
        self.submitted.get().copied()
    }

    /// When the first piece of the answer was handed on.
    pub(super) fn first_piece(&self) -> Option<Instant> {
        self.first_piece.get().copied()
    }

    /// The point of no return. True the first time.
    pub(super) fn submit(&self) -> bool {
        let first = self.submitted.set(Instant::now()).is_ok();
        if first {
            self.clock.enter(Stage::FirstByte);
        }
        first
    }

    /// A piece of the answer goes out.
    pub(super) fn piece(&self) {
        self.first_piece.get_or_init(Instant::now);
        self.rung.get_or_init(|| match self.heard.load(Ordering::Relaxed) {
            1 => Some(Rung::Network),
            2 => Some(Rung::Dom),
            _ => None,
        });
        self.clock.data();
    }

    /// The guest read something of the page's traffic, or of what the page shows.
    pub(super) fn heard(&self, rung: Rung) {
        self.heard.store(if rung == Rung::Network { 1 } else { 2 }, Ordering::Relaxed);
    }

    /// The rung of the capture ladder that the first piece came from; none: it came from neither. Outer none: there is no piece.
    pub(super) fn rung(&self) -> Option<Option<Rung>> {
        self.rung.get().copied()
    }

    /// The guest tried what it was not granted, by its own act and not by what the page did. The first time is kept.
    pub(super) fn deny(&self, what: impl Into<String>) {
        let what: String = what.into().chars().take(300).collect();
        self.denied.get_or_init(|| what);
    }

    pub(super) fn denied(&self) -> Option<String> {
        self.denied.get().cloned()
    }

    pub(super) fn client_too_slow(&self) -> bool {
        self.too_slow.load(Ordering::Acquire)
    }

    pub(super) fn set_client_too_slow(&self) {
        self.too_slow.store(true, Ordering::Release);
    }
}

/// The data of one call's store.
pub(super) struct HostState {
    pub(super) table: ResourceTable,
    pub(super) limiter: MemoryLimiter,
    pub(super) page: Arc<Page>,
    pub(super) job: Option<Job>,
    pub(super) progress: Arc<Progress>,
    pub(super) means: Means,
    /// Changes of the memory.
    pub(super) changes: u32,
    /// What `page.save` kept.
    pub(super) saved: Vec<SavedFile>,
    pub(super) log: GuestLog,
    pub(super) allowance: Allowance,
    /// The last name given to `page.step`.
    pub(super) step: String,
    /// What was handed on of the answer.
    pub(super) transcript: Transcript,
}

impl HostState {
    pub(super) fn new(
        page: Arc<Page>,
        job: Option<Job>,
        progress: Arc<Progress>,
        means: Means,
        log: GuestLog,
        memory: usize,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        let limiter = MemoryLimiter::new(memory);
        Self {
            table,
            limiter,
            page,
            job,
            progress,
            means,
            changes: 0,
            saved: Vec::new(),
            log,
            allowance: Allowance::default(),
            step: String::new(),
            transcript: Transcript::default(),
        }
    }

    /// Sets the point of no return, and tells whoever waits for the answer.
    pub(super) async fn submit(&mut self) {
        if self.progress.submit()
            && let Some(job) = &self.job
        {
            // A receiver that is gone is noticed by its cancel token.
            let _ = job.events.send(JobEvent::Submitted).await;
        }
    }
}

//! A leased page: one tab, its frames and workers, driven through one handle.
//!
//! A task, the *actor*, reads everything that the tab tells, in order, and keeps what the handle's methods look at: the
//! document that is shown, the isolated worlds in it, what arrived. It enforces the navigation fence.

mod act;
mod actor;
mod call;
mod chooser;
mod copy;
mod fence;
mod framed;
mod gate;
mod inbox;
mod input;
mod keys;
mod listen;
mod navigate;
mod newborn;
mod picture;
mod pointer;
mod query;
mod reach;
mod rewrite;
mod save;
mod setup;
mod upload;
mod watches;
mod world;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chromiumoxide::Command;
use chromiumoxide::cdp::browser_protocol::browser::BrowserContextId;
use chromiumoxide::cdp::browser_protocol::page::StopLoadingParams;
use chromiumoxide::cdp::browser_protocol::target::{CloseTargetParams, DisposeBrowserContextParams};
use chromiumoxide::cdp::js_protocol::runtime::EvaluateParams;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Span;
use url::Url;

use super::cdp::{CdpError, Session};
use super::error::PageError;
use super::event::Condition;
use super::instance::Opener;
use super::origin::Origin;
use super::traffic::UrlPattern;
use gate::Gate;
use inbox::Inbox;
use listen::Capture;
use navigate::Document;
use rewrite::Rewrites;
use save::Download;
use watches::Watches;
use world::Worlds;

pub use inbox::CLIENT_TOO_SLOW;
pub use keys::{Brought, brought_by};
pub use query::Bounds;
pub use rewrite::{RewriteGrant, Rewriting};
pub use save::{SavedFile, Source};
pub use upload::UploadFile;
pub(super) use world::Lenient;

/// For an act for which the caller named no time.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// For a command that Chromium answers by itself.
const COMMAND_DEADLINE: Duration = Duration::from_secs(10);
/// After a command was not answered in its time, the page has so long to show that it lives.
const PROOF_OF_LIFE: Duration = Duration::from_secs(10);
/// For pressing the stop button, and again for its going away.
const STOP_DEADLINE: Duration = Duration::from_secs(2);
/// What a page's queue may hold.
const QUEUE_BYTES: usize = 8 << 20;
/// Per call: far more than any answer needs, and an end for a guest that never stops.
const MAX_NAVIGATIONS: u32 = 60;
/// Clicks, keys, what is filled in and chosen, per call. Looking costs nothing.
const MAX_ACTS: u32 = 2000;

/// What a page may be used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSpec {
    /// Where it is kept warm.
    pub entry: Url,
    /// Where the holder may act and read.
    pub page: Vec<Origin>,
    /// Sign-in only: reached by a server's redirect from the entry, and neither read nor acted on.
    pub pass: Vec<Origin>,
    /// What may be listened to.
    pub listen: Vec<UrlPattern>,
    /// Which bodies may be changed.
    pub rewrite: Vec<RewriteGrant>,
    /// What may be fetched for the answer.
    pub save: Vec<UrlPattern>,
    /// A selector: clicked when the caller has gone.
    pub stop_button: Option<String>,
    /// A cookie jar of its own, which goes with the page.
    pub throwaway: bool,
}

/// Why a page is no longer there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// Its handle was dropped.
    Released,
    /// Its renderer died.
    Crashed,
    /// The tab was closed, or its browser died.
    Gone,
    /// It did not answer for as long as a command may take and once more.
    Stuck,
    /// It told more than could be read.
    Overflow,
    /// The fence can no longer be kept.
    Fence(String),
}

/// A tab that was attached to and waits for the debugger.
#[derive(Debug)]
pub(super) struct Tab {
    pub(super) root: Session,
    pub(super) target: String,
    /// The id of its session.
    pub(super) session: String,
    /// A context that goes with it.
    pub(super) context: Option<BrowserContextId>,
    /// By which more tabs are had.
    pub(super) opener: Opener,
    /// Held by the one page that lets the browser download.
    pub(super) downloads: Arc<tokio::sync::Mutex<()>>,
}

/// What the handle and the actor share.
#[derive(Debug)]
struct Shared {
    root: Session,
    session: Session,
    /// Also the id of the main frame.
    target: String,
    context: Option<BrowserContextId>,
    spec: PageSpec,
    /// What the page told and nobody has read yet.
    inbox: Arc<Inbox>,
    capture: Capture,
    worlds: Worlds,
    watches: Watches,
    rewrites: Rewrites,
    opener: Opener,
    downloads: Arc<tokio::sync::Mutex<()>>,
    /// The download that is being saved.
    download: watch::Sender<Download>,
    /// What became of the last input.
    landed: watch::Sender<Option<act::Landing>>,
    gate: Gate,
    /// The file chooser that opened last.
    chooser: watch::Sender<Option<chooser::Chooser>>,
    /// The copy that is awaited.
    copying: Mutex<Option<copy::Copying>>,
    document: watch::Sender<Document>,
    closed: watch::Sender<Option<CloseReason>>,
    /// Cancelled as soon as the page is of no more use.
    cancel: CancellationToken,
    /// Navigations of the host's own that are under way: while there is one, nothing but `spec.page` may be opened.
    driving: AtomicU32,
    /// A person acts in it.
    by_hand: AtomicBool,
    navigations: AtomicU32,
    acts: AtomicU32,
    /// Clicks and keys that were given to the page since it was opened, whatever became of them.
    strokes: AtomicU32,
    /// Of the call that has the page: what the actor logs meanwhile is about it.
    span: Mutex<Span>,
}

/// The exclusive lease of a tab. Dropping it closes the tab.
#[derive(Debug)]
pub struct Page {
    shared: Arc<Shared>,
}

impl Page {
    /// Sets a new tab up and lets it run. On an error the tab is closed.
    pub(super) async fn open(tab: Tab, spec: PageSpec) -> Result<Self, PageError> {
        let session = tab.root.child(&tab.session);
        let queue = session.adopt(QUEUE_BYTES)?;
        let inbox = Arc::<Inbox>::default();
        let shared = Arc::new(Shared {
            root: tab.root,
            session,
            target: tab.target,
            context: tab.context,
            capture: Capture::new(&spec, Arc::clone(&inbox)),
            inbox,
            worlds: Worlds::default(),
            watches: Watches::default(),
            rewrites: Rewrites::new(&spec),
            opener: tab.opener,
            downloads: tab.downloads,
            download: watch::Sender::default(),
            landed: watch::Sender::new(None),
            gate: Gate::default(),
            chooser: watch::Sender::new(None),
            copying: Mutex::new(None),
            document: watch::Sender::new(Document::default()),
            closed: watch::Sender::new(None),
            cancel: CancellationToken::new(),
            driving: AtomicU32::new(0),
            by_hand: AtomicBool::new(false),
            navigations: AtomicU32::new(0),
            acts: AtomicU32::new(0),
            strokes: AtomicU32::new(0),
            span: Mutex::new(Span::none()),
            spec,
        });
        // It ends with the queue or by the token, which the handle's drop cancels.
        tokio::spawn(actor::Actor::new(Arc::clone(&shared), queue).run());
        let page = Self { shared };
        setup::page(&page.shared.session).await?;
        page.shared.worlds.main(&page.shared, tokio::time::Instant::now() + COMMAND_DEADLINE).await?;
        Ok(page)
    }

    /// Makes the renderer crash: what a test cannot bring about from outside.
    #[doc(hidden)]
    pub fn crash_for_tests(&self) {
        let crash = chromiumoxide::cdp::browser_protocol::page::CrashParams::default();
        self.shared.session.tell(crash).ok();
    }

    /// Closes the tab as if somebody had closed its window.
    #[doc(hidden)]
    pub fn close_target_for_tests(&self) {
        self.shared.root.tell(CloseTargetParams::new(self.shared.target.clone())).ok();
    }

    pub fn spec(&self) -> &PageSpec {
        &self.shared.spec
    }

    /// Tells when and why the page is gone.
    pub fn closed(&self) -> watch::Receiver<Option<CloseReason>> {
        self.shared.closed.subscribe()
    }

    /// How many clicks and keys were given to the page so far. An act that fails may have given one.
    pub fn strokes(&self) -> u32 {
        self.shared.strokes.load(Ordering::Relaxed)
    }

    /// A call begins: caps start anew, and nothing of an earlier call is left to be read.
    pub fn begin_call(&self) {
        self.shared.set_span(Span::current());
        self.shared.navigations.store(0, Ordering::Relaxed);
        self.shared.acts.store(0, Ordering::Relaxed);
        self.shared.capture.clear();
        self.shared.stop_watches();
        self.shared.stop_rewrites();
        self.shared.inbox.begin();
    }

    /// Presses the declared stop button and waits until it is gone: the site has stopped. Without one, or if the button is not
    /// there, the page is at rest already.
    ///
    /// # Errors
    /// When the button cannot be pressed, or stays.
    pub async fn press_stop(&self) -> Result<(), PageError> {
        let Some(button) = self.shared.spec.stop_button.clone() else { return Ok(()) };
        if !self.visible(&button).await? {
            return Ok(());
        }
        self.begin_call();
        let gone = self.expect(Condition::Hidden(button.clone())).await?;
        self.click(&button, 1, Some(STOP_DEADLINE)).await?;
        while let Some(event) = self.next(STOP_DEADLINE).await? {
            if event.source == gone {
                return Ok(());
            }
        }
        Err(PageError::Timeout(format!("{button} did not go away")))
    }

    /// While a person acts in this page (`on`), links of the site may lead to its sign-in pages, too. Never while an adapter has it.
    pub fn by_hand(&self, on: bool) {
        self.shared.by_hand.store(on, Ordering::Release);
    }

    /// A call is over: what it listened to, watched and expected is removed.
    pub fn end_call(&self) {
        self.shared.capture.clear();
        self.shared.stop_watches();
        self.shared.stop_rewrites();
        self.shared.inbox.end();
        self.shared.set_span(Span::none());
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.shared.close(CloseReason::Released);
    }
}

impl Shared {
    fn span(&self) -> Span {
        self.span.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_span(&self, span: Span) {
        *self.span.lock().unwrap_or_else(PoisonError::into_inner) = span;
    }

    /// Closes the tab. The first reason stays.
    fn close(&self, reason: CloseReason) {
        let first = self.closed.send_if_modified(|closed| {
            let first = closed.is_none();
            if first {
                *closed = Some(reason.clone());
            }
            first
        });
        if !first {
            return;
        }
        if reason != CloseReason::Released {
            tracing::warn!(target = self.target, ?reason, "a page is closed");
        }
        self.cancel.cancel();
        self.inbox.close();
        // If the socket is gone, so is the tab.
        self.root.tell(CloseTargetParams::new(self.target.clone())).ok();
        if let Some(context) = &self.context {
            self.root.tell(DisposeBrowserContextParams::new(context.clone())).ok();
        }
    }

    /// Carries out a command on the page's session.
    async fn command<C: Command>(&self, command: C, deadline: Duration) -> Result<C::Response, PageError> {
        self.command_on(&self.session, command, deadline).await
    }

    /// Carries out a command on a session of this page. When it is not answered in time, the page must show that it lives,
    /// or is declared stuck.
    async fn command_on<C: Command>(
        &self,
        session: &Session,
        command: C,
        deadline: Duration,
    ) -> Result<C::Response, PageError> {
        match self.raw_command(session, command, deadline).await {
            Err(error @ CdpError::Timeout { .. }) => {
                self.prove_life().await;
                Err(error.into())
            }
            result => Ok(result?),
        }
    }

    /// As [`command_on`](Self::command_on), with Chromium's own errors, and without the proof of life.
    async fn raw_command<C: Command>(
        &self,
        session: &Session,
        command: C,
        deadline: Duration,
    ) -> Result<C::Response, CdpError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(CdpError::Closed),
            result = session.execute(command, deadline) => result,
        }
    }

    /// Closes the page as stuck unless its renderer answers. While a navigation is under way nothing is passed on to it, so
    /// that is stopped first.
    async fn prove_life(&self) {
        if self.gate.is_leaving() {
            self.session.tell(StopLoadingParams::default()).ok();
        }
        let asked = self.raw_command(&self.session, EvaluateParams::new("0"), PROOF_OF_LIFE).await;
        if matches!(asked, Err(CdpError::Timeout { .. })) {
            self.close(CloseReason::Stuck);
        }
    }

    /// Counts one navigation of the call against its cap.
    fn spend_navigation(&self) -> Result<(), PageError> {
        spend(&self.navigations, MAX_NAVIGATIONS, "navigations")
    }

    /// Counts one act of the call against its cap.
    fn spend_act(&self) -> Result<(), PageError> {
        spend(&self.acts, MAX_ACTS, "acts")
    }
}

fn spend(counter: &AtomicU32, max: u32, what: &str) -> Result<(), PageError> {
    if counter.fetch_add(1, Ordering::Relaxed) < max {
        return Ok(());
    }
    Err(PageError::Other { code: "limit", message: format!("more than {max} {what} in one call") })
}

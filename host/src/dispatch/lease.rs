//! A lease: a worker and its page, for one call. Getting the page to the site's entry, and back there afterwards.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::board::Claim;
use super::member::Member;
use crate::browser::{Instance, InstanceState, Page, PageError, PageSpec, Pointer, RewriteGrant};
use crate::net::DEMO_HOST;
use crate::plugin::{Manifest, Rewritable};

/// A page that says nothing for this long between two requests is replaced.
const HANGS: Duration = Duration::from_secs(3);
/// How often a page is opened anew whose browser died under it.
const REOPEN: u32 = 4;
const REOPEN_AFTER: Duration = Duration::from_millis(100);
/// Pages that are opened at once. Thirty renderers that start together starve each other, and the pages that are in use.
const OPENINGS: usize = 3;
/// A renderer has started by then. What still loads waits for its site, and nobody else's page is to wait for that.
pub(super) const STARTS: Duration = Duration::from_secs(3);

/// An idle worker's page, and the adapter whose site it shows.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) adapter: String,
    page: Page,
}

/// The right to use one page, and the page. Dropping it closes the page; [`Lease::give_back`] keeps it.
#[derive(Debug)]
pub(super) struct Lease {
    page: Arc<Page>,
    claim: Claim,
}

/// Why a worker has no page.
#[derive(Debug)]
pub(super) enum NoPage {
    /// No browser was there in time.
    Late,
    Failed(PageError),
}

/// Opens pages, a few at a time.
#[derive(Debug)]
pub(super) struct Opener {
    /// The right to open a page, which costs a new renderer's start.
    openings: Semaphore,
    /// How long a page may take to open its entry.
    navigate: Duration,
}

impl Lease {
    pub(super) fn page(&self) -> &Arc<Page> {
        &self.page
    }

    /// The instance's name.
    pub(super) fn instance(&self) -> &str {
        self.claim.member().map_or("", |member| member.name())
    }

    /// Whether the page has a sign-in that outlives it.
    pub(super) fn has_account(&self) -> bool {
        !self.page.spec().throwaway
    }

    /// Makes the page fit for the next request, in the background. One that cannot be brought back to its entry is closed.
    pub(super) fn give_back(self, opener: &Arc<Opener>, tasks: &TaskTracker) {
        let Self { page, claim } = self;
        // Whoever still held the page has dropped it with its call; if not, it must not be used again.
        let Ok(page) = Arc::try_unwrap(page) else { return };
        let navigate = opener.navigate;
        let going_back = async move {
            // A navigation of a page that hangs would only wait for its deadline.
            if !answers(&page).await {
                tracing::debug!("a page hangs; it is closed");
                return;
            }
            match page.back_to_entry(Some(navigate)).await {
                Ok(()) => park(claim, page),
                Err(error) => tracing::debug!(%error, "a page did not get back to its entry; it is closed"),
            }
        };
        tasks.spawn(going_back.in_current_span());
    }
}

/// Gives the worker back with its page.
fn park(mut claim: Claim, page: Page) {
    let adapter = claim.adapter().map(|adapter| adapter.manifest.id.clone());
    if let Some((worker, adapter)) = claim.worker().zip(adapter) {
        worker.parked = Some(Parked { adapter, page });
    }
}

impl Opener {
    pub(super) fn new(navigate: Duration) -> Arc<Self> {
        Arc::new(Self { openings: Semaphore::new(OPENINGS), navigate })
    }

    /// A page for the claim's worker that stands at the adapter's entry. Safe to cancel.
    ///
    /// # Errors
    /// When there is no browser at `until`, or it cannot open the page.
    pub(super) async fn lease(&self, mut claim: Claim, until: Instant) -> Result<Lease, NoPage> {
        let named = claim.post().is_some_and(|post| post.named);
        let parked = claim.worker().and_then(|worker| worker.parked.take());
        let adapter = claim.adapter().ok_or(NoPage::Failed(PageError::Closed))?;
        let page = match parked.filter(|parked| parked.is_usable(&adapter.manifest, named)) {
            Some(parked) => parked.page,
            None => {
                let member = claim.member().cloned().ok_or(NoPage::Failed(PageError::Closed))?;
                self.open_until(&member, &spec(&adapter.manifest, named), until).await?
            }
        };
        Ok(Lease { page: Arc::new(page), claim })
    }

    /// Opens a page for an idle worker, so that a request finds it loaded.
    ///
    /// # Errors
    /// When the browser cannot open it.
    pub(super) async fn warm(&self, claim: Claim) -> Result<(), PageError> {
        let named = claim.post().is_some_and(|post| post.named);
        let spec = spec(&claim.adapter().ok_or(PageError::Closed)?.manifest, named);
        let member = claim.member().cloned().ok_or(PageError::Closed)?;
        let page = self.open(&member, &spec).await?;
        park(claim, page);
        Ok(())
    }

    /// Opens a page as soon as there is a browser. One that dies meanwhile is waited for again: that it is gone is known here
    /// before its supervisor has said so.
    async fn open_until(&self, member: &Member, spec: &PageSpec, until: Instant) -> Result<Page, NoPage> {
        let mut tries = 0;
        loop {
            timeout_at(until, browser_is_up(member.instance())).await.map_err(|_| NoPage::Late)?;
            // From its turn on it is the navigation's deadline that counts.
            match self.open_in_turn(member, spec, until).await? {
                Err(PageError::Closed | PageError::Other { code: "browser-not-ready", .. }) if tries < REOPEN => {
                    tries += 1;
                    tokio::time::sleep(REOPEN_AFTER * tries).await;
                }
                opened => return opened.map_err(NoPage::Failed),
            }
        }
    }

    /// Opens a page at the entry, when its turn comes.
    async fn open_in_turn(
        &self,
        member: &Member,
        spec: &PageSpec,
        until: Instant,
    ) -> Result<Result<Page, PageError>, NoPage> {
        let turn = timeout_at(until, self.openings.acquire()).await.map_err(|_| NoPage::Late)?;
        let mut opening = std::pin::pin!(self.open(member, spec));
        if let Ok(opened) = tokio::time::timeout(STARTS, &mut opening).await {
            return Ok(opened);
        }
        drop(turn);
        Ok(opening.await)
    }

    async fn open(&self, member: &Member, spec: &PageSpec) -> Result<Page, PageError> {
        let page = member.instance().open_page(spec.clone()).await?;
        page.back_to_entry(Some(self.navigate)).await?;
        Ok(page)
    }
}

impl Parked {
    /// Whether a request for this version of the adapter could have it.
    pub(super) fn is_usable(&self, manifest: &Manifest, named: bool) -> bool {
        self.adapter == manifest.id && is_usable(&self.page, manifest, named)
    }
}

/// Whether the page's own script lets anything else run.
async fn answers(page: &Page) -> bool {
    matches!(tokio::time::timeout(HANGS, page.title()).await, Ok(Ok(_) | Err(PageError::OriginDenied(_))))
}

/// Whether the tab is there, and was opened with the rights that this version of the adapter has.
fn is_usable(page: &Page, manifest: &Manifest, named: bool) -> bool {
    page.closed().borrow().is_none() && *page.spec() == spec(manifest, named)
}

/// Whether an adapter's pages have a cookie jar each. The demo's have, but where the operator names a worker for it: there is no account
/// worth keeping, and HTTP/1.1 allows a jar six connections to one host, each of which an answer takes up.
pub(super) fn shares_no_cookies(manifest: &Manifest, named: bool) -> bool {
    !named && manifest.entry.host_str() == Some(DEMO_HOST)
}

fn spec(manifest: &Manifest, named: bool) -> PageSpec {
    PageSpec {
        entry: manifest.entry.clone(),
        page: manifest.page.clone(),
        pass: manifest.pass.clone(),
        listen: manifest.listen.clone(),
        rewrite: manifest.rewrite.iter().map(rewrite).collect(),
        save: manifest.save.clone(),
        stop_button: manifest.stop_button.clone(),
        throwaway: shares_no_cookies(manifest, named),
    }
}

/// Its pointers were read when the manifest was.
fn rewrite(declared: &Rewritable) -> RewriteGrant {
    let pointers = declared.pointers.iter().filter_map(|text| Pointer::parse(text)).collect();
    RewriteGrant { url: declared.url.clone(), pointers }
}

/// Waits while the browser is being started; one that has failed for good is not waited for.
async fn browser_is_up(instance: &Instance) {
    let mut state = instance.state();
    // An instance that is gone is noticed by the next who wants something of it.
    let _ = state.wait_for(|s| !matches!(s, InstanceState::Starting | InstanceState::Restarting { .. })).await;
}

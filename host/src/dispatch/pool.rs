//! The pages of one adapter: some idle and warm, some leased, never more than allowed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;
use tokio_util::task::TaskTracker;

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

/// The pages of one adapter.
#[derive(Debug)]
pub(super) struct Pool {
    slots: Arc<Semaphore>,
    /// The right to open a page, which costs a new renderer's start.
    openings: Semaphore,
    idle: Mutex<Vec<Page>>,
    /// Jobs that run or wait.
    present: Arc<AtomicUsize>,
    max_present: usize,
    /// How long a page may take to open its entry.
    navigate: Duration,
}

/// A job's place: among those that run, or in the queue. Dropping it leaves.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The right to use one page, and the page. Dropping it closes the page; [`Lease::give_back`] keeps it.
#[derive(Debug)]
pub(super) struct Lease {
    page: Arc<Page>,
    permit: OwnedSemaphorePermit,
}

/// Why a job gets no page.
#[derive(Debug)]
pub(super) enum NoPage {
    /// None was free in time.
    Late,
    Failed(PageError),
}

impl Lease {
    pub(super) fn page(&self) -> &Arc<Page> {
        &self.page
    }

    /// Makes the page fit for the next request, in the background. One that cannot be brought back to its entry is closed.
    pub(super) fn give_back(self, pool: &Arc<Pool>, tasks: &TaskTracker) {
        // Whoever still held the page has dropped it with its call; if not, it must not be used again.
        let Ok(page) = Arc::try_unwrap(self.page) else { return };
        let (pool, permit) = (Arc::clone(pool), self.permit);
        tasks.spawn(async move {
            // A navigation of a page that hangs would only wait for its deadline.
            if !answers(&page).await {
                tracing::debug!("a page hangs; it is closed");
                return;
            }
            match page.back_to_entry(Some(pool.navigate)).await {
                Ok(()) => pool.idle().push(page),
                Err(error) => tracing::debug!(%error, "a page did not get back to its entry; it is closed"),
            }
            drop(permit);
        });
    }
}

impl Pool {
    pub(super) fn new(pages: usize, queue: usize, navigate: Duration) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(pages)),
            openings: Semaphore::new(OPENINGS),
            idle: Mutex::default(),
            present: Arc::default(),
            max_present: pages + queue,
            navigate,
        }
    }

    /// A place for one more job; none when the queue is full.
    pub(super) fn enter(&self) -> Option<Place> {
        let enter = |n: usize| (n < self.max_present).then_some(n + 1);
        self.present.fetch_update(Ordering::AcqRel, Ordering::Acquire, enter).ok()?;
        Some(Place(Arc::clone(&self.present)))
    }

    /// Waits for a free slot and a browser, and gives a page that stands at the adapter's entry. In the order of asking. Safe
    /// to cancel.
    ///
    /// # Errors
    /// When there is none at `until`, or the browser cannot open the page.
    pub(super) async fn lease(
        &self,
        instance: &Instance,
        manifest: &Manifest,
        until: tokio::time::Instant,
    ) -> Result<Lease, NoPage> {
        let slot = timeout_at(until, Arc::clone(&self.slots).acquire_owned()).await.map_err(|_| NoPage::Late)?;
        let permit = slot.map_err(|_| NoPage::Failed(PageError::Closed))?;
        let page = match self.take_idle(manifest) {
            Some(page) => page,
            None => {
                let turn = timeout_at(until, self.openings.acquire()).await.map_err(|_| NoPage::Late)?;
                let _turn = turn.map_err(|_| NoPage::Failed(PageError::Closed))?;
                // While it waited, one may have come back.
                match self.take_idle(manifest) {
                    Some(page) => page,
                    None => self.open_until(instance, manifest, until).await?,
                }
            }
        };
        Ok(Lease { page: Arc::new(page), permit })
    }

    /// Opens a page if none is idle and a slot is free, and closes idle ones that are of no more use.
    pub(super) async fn keep_warm(&self, instance: &Instance, manifest: &Manifest) -> Result<(), PageError> {
        self.idle().retain(|page| usable(page, manifest));
        let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() else { return Ok(()) };
        if self.idle().is_empty() {
            browser_is_up(instance).await;
            let _opening = self.openings.acquire().await.map_err(|_| PageError::Closed)?;
            let page = self.open(instance, manifest).await?;
            self.idle().push(page);
        }
        drop(permit);
        Ok(())
    }

    /// Opens a page as soon as there is a browser. One that dies meanwhile is waited for again: that it is gone is known here
    /// before its supervisor has said so.
    async fn open_until(
        &self,
        instance: &Instance,
        manifest: &Manifest,
        until: tokio::time::Instant,
    ) -> Result<Page, NoPage> {
        let mut tries = 0;
        loop {
            timeout_at(until, browser_is_up(instance)).await.map_err(|_| NoPage::Late)?;
            // From here on it is the navigation's deadline that counts.
            match self.open(instance, manifest).await {
                Err(PageError::Closed | PageError::Other { code: "browser-not-ready", .. }) if tries < REOPEN => {
                    tries += 1;
                    tokio::time::sleep(REOPEN_AFTER * tries).await;
                }
                opened => return opened.map_err(NoPage::Failed),
            }
        }
    }

    /// Opens a page at the entry.
    async fn open(&self, instance: &Instance, manifest: &Manifest) -> Result<Page, PageError> {
        let page = instance.open_page(spec(manifest)).await?;
        page.back_to_entry(Some(self.navigate)).await?;
        Ok(page)
    }

    fn take_idle(&self, manifest: &Manifest) -> Option<Page> {
        let mut idle = self.idle();
        idle.retain(|page| usable(page, manifest));
        idle.pop()
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Page>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the page's own script lets anything else run.
async fn answers(page: &Page) -> bool {
    matches!(tokio::time::timeout(HANGS, page.title()).await, Ok(Ok(_) | Err(PageError::OriginDenied(_))))
}

/// Whether the tab is there, and was opened with the rights that this version of the adapter has.
fn usable(page: &Page, manifest: &Manifest) -> bool {
    page.closed().borrow().is_none() && *page.spec() == spec(manifest)
}

fn spec(manifest: &Manifest) -> PageSpec {
    PageSpec {
        entry: manifest.entry.clone(),
        page: manifest.page.clone(),
        pass: manifest.pass.clone(),
        listen: manifest.listen.clone(),
        rewrite: manifest.rewrite.iter().map(rewrite).collect(),
        save: manifest.save.clone(),
        stop_button: manifest.stop_button.clone(),
        // The demo's pages share no cookie jar: there is no account worth keeping, and HTTP/1.1 allows a jar six connections to
        // one host, each of which an answer takes up.
        throwaway: manifest.entry.host_str() == Some(DEMO_HOST),
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

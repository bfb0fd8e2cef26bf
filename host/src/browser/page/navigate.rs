//! Opening addresses, and what the page shows.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chromiumoxide::Command;
use chromiumoxide::cdp::browser_protocol::page::{NavigateParams, ReloadParams, StopLoadingParams};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::fence::{self, Place};
use super::world::Lenient;
use super::{COMMAND_DEADLINE, Page, Shared};
use crate::browser::cdp::CdpError;
use crate::browser::error::PageError;

/// For a navigation for which the caller named no time.
const NAVIGATION: Duration = Duration::from_secs(30);
/// A document whose scripts have run is waited for no longer than this when a picture does not come.
const LATE_PARTS: Duration = Duration::from_secs(2);

/// What the main frame shows.
#[derive(Debug, Clone, Default)]
pub(super) struct Document {
    /// How many documents it has shown.
    pub(super) commits: u64,
    /// How often the address changed within a document.
    pub(super) moves: u64,
    pub(super) loader: String,
    pub(super) url: String,
    pub(super) place: Place,
    /// `DOMContentLoaded`.
    pub(super) ready: bool,
    /// `load`.
    pub(super) loaded: bool,
    /// The address that could not be opened, when this is Chromium's error page.
    pub(super) unreachable: Option<String>,
    /// How many navigations the fence refused, and the origin of the last.
    pub(super) refusals: u64,
    pub(super) refused: String,
}

/// The answer to `Page.navigate`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Navigated {
    loader_id: Option<String>,
    pub(super) error_text: Option<String>,
}

/// As long as it lives, a navigation of the host's own is under way.
struct Driving<'a>(&'a AtomicU32);

impl<'a> Driving<'a> {
    fn start(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Page {
    /// Opens an address on one of `spec.page` and waits until its document has loaded.
    ///
    /// # Errors
    /// [`PageError::OriginDenied`] outside, redirects included; `Other { code: "navigation-failed" }` where the network fails.
    pub async fn goto(&self, url: &str, timeout: Option<Duration>) -> Result<(), PageError> {
        let parsed = Url::parse(url).map_err(|_| PageError::OriginDenied("not an address".into()))?;
        if !fence::matches(&self.shared.spec.page, &parsed) {
            return Err(PageError::OriginDenied(fence::origin_of(&parsed)));
        }
        self.shared.open(parsed.as_str(), timeout).await
    }

    /// Opens the entry. A server's redirect may lead to a sign-in page from there; that is no error, [`url`](Self::url) tells.
    ///
    /// # Errors
    /// As [`goto`](Self::goto).
    pub async fn back_to_entry(&self, timeout: Option<Duration>) -> Result<(), PageError> {
        self.shared.open(self.shared.spec.entry.as_str(), timeout).await
    }

    /// # Errors
    /// As [`goto`](Self::goto); denied where the page is not on one of `spec.page`.
    pub async fn reload(&self, timeout: Option<Duration>) -> Result<(), PageError> {
        let shown = self.shared.document.borrow().clone();
        let url = shown.unreachable.as_ref().unwrap_or(&shown.url);
        let granted = Url::parse(url).is_ok_and(|url| fence::matches(&self.shared.spec.page, &url));
        if !granted {
            return Err(PageError::OriginDenied(self.shared.shown_url()));
        }
        self.shared.drive(Lenient(ReloadParams::default()), timeout).await
    }

    /// The address; of a sign-in page only its origin, as the rest may be a secret.
    ///
    /// # Errors
    /// [`PageError::Closed`].
    pub async fn url(&self) -> Result<String, PageError> {
        if self.shared.cancel.is_cancelled() {
            return Err(PageError::Closed);
        }
        Ok(self.shared.shown_url())
    }

    /// # Errors
    /// [`PageError::OriginDenied`] where the page is not on one of `spec.page`.
    pub async fn title(&self) -> Result<String, PageError> {
        self.shared.call("title", json!({}), COMMAND_DEADLINE).await
    }
}

impl Shared {
    /// What may be told of where the page is.
    pub(super) fn shown_url(&self) -> String {
        let document = self.document.borrow();
        match document.place {
            Place::Pass => Url::parse(&document.url).map_or_else(|_| String::new(), |url| fence::origin_of(&url) + "/"),
            Place::Fenced | Place::Blank => "about:blank".into(),
            Place::Page | Place::Error => document.url.clone(),
        }
    }

    async fn open(&self, url: &str, timeout: Option<Duration>) -> Result<(), PageError> {
        self.drive(Lenient(NavigateParams::new(url)), timeout).await
    }

    /// Carries out a command that brings a new document, and waits for that.
    async fn drive<C: Command<Response = Value>>(
        &self,
        command: C,
        timeout: Option<Duration>,
    ) -> Result<(), PageError> {
        self.spend_navigation()?;
        let until = Instant::now() + timeout.unwrap_or(NAVIGATION);
        let _driving = Driving::start(&self.driving);
        let before = self.document.borrow().clone();
        let is_reload = command.identifier() == "Page.reload";
        let answer = self.raw_command(&self.session, command, until - Instant::now()).await;
        let navigated = match answer {
            Ok(value) => serde_json::from_value::<Navigated>(value)
                .map_err(|e| PageError::Other { code: "browser", message: e.to_string() })?,
            Err(CdpError::Timeout { .. }) => return Err(self.give_up("no answer").await),
            Err(error) => return Err(error.into()),
        };
        if let Some(error) = navigated.error_text {
            return Err(self.failed(&before, &error));
        }
        if navigated.loader_id.is_none() && !is_reload {
            // Only the fragment changed; the answer may be ahead of the event that says so.
            let mut document = self.document.subscribe();
            timeout_at(until.min(Instant::now() + LATE_PARTS), document.wait_for(|d| d.moves > before.moves))
                .await
                .ok();
            return Ok(());
        }
        self.shown(&before, until, is_reload).await
    }

    /// Waits for a document newer than `before`, and for its parts. `may_be_refused`: Chromium has not yet said that there will
    /// be one. After it has, a refusal is of something that the new document tried by itself.
    async fn shown(&self, before: &Document, until: Instant, may_be_refused: bool) -> Result<(), PageError> {
        let mut document = self.document.subscribe();
        let refused = |d: &Document| may_be_refused && d.commits == before.commits && d.refusals > before.refusals;
        let over = |d: &Document| {
            refused(d)
                || (d.commits > before.commits && (d.ready || d.unreachable.is_some() || d.place == Place::Fenced))
        };
        let shown = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Err(PageError::Closed),
            shown = timeout_at(until, document.wait_for(over)) => match shown {
                Ok(Ok(shown)) => Some(shown.clone()),
                Ok(Err(_)) => return Err(PageError::Closed),
                Err(_) => None,
            },
        };
        let Some(shown) = shown else { return Err(self.give_up("the document does not load").await) };
        if refused(&shown) || shown.place == Place::Fenced {
            return Err(PageError::OriginDenied(shown.refused));
        }
        if shown.unreachable.is_some() {
            return Err(failure("the network"));
        }
        let late = until.min(Instant::now() + LATE_PARTS);
        // Its scripts have run: a picture that hangs is no reason to wait longer.
        timeout_at(late, document.wait_for(|d| d.loaded || d.commits > shown.commits)).await.ok();
        Ok(())
    }

    fn failed(&self, before: &Document, error: &str) -> PageError {
        let now = self.document.borrow();
        if now.refusals > before.refusals {
            return PageError::OriginDenied(now.refused.clone());
        }
        failure(error)
    }

    /// Stops a navigation that takes too long, and makes sure that the page still answers.
    async fn give_up(&self, why: &str) -> PageError {
        // If the socket is gone, so is the page.
        self.session.tell(StopLoadingParams::default()).ok();
        self.prove_life().await;
        tracing::debug!(document = ?*self.document.borrow(), why, "a navigation was given up");
        PageError::Timeout(format!("navigation: {why}"))
    }
}

fn failure(why: &str) -> PageError {
    PageError::Other { code: "navigation-failed", message: why.to_owned() }
}

//! Where a page may go: the decisions, without the socket.
//!
//! Two fences. The first sees each document request of the main frame before it is sent, redirects included, and refuses what
//! leads outside. What it cannot see (a document from a cache or a service worker, `about:blank`, a blob) the second catches:
//! each document that is shown is looked at, and outside the page is led away. Frames may load what they like; they are never
//! read or touched unless their own origin is granted.

use std::collections::VecDeque;

use serde::Deserialize;
use url::Url;

use super::PageSpec;
use crate::browser::origin::Origin;

/// Loaders that are remembered. A page has one navigation under way, rarely two.
const CHAINS: usize = 32;

/// What the page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Place {
    /// The tab's first document.
    #[default]
    Blank,
    /// Where the holder may act and read.
    Page,
    /// A sign-in page.
    Pass,
    /// Chromium's own error page.
    Error,
    /// It went outside and was led away.
    Fenced,
}

/// `Fetch.requestPaused`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Paused {
    pub(super) request_id: String,
    pub(super) request: Request,
    pub(super) frame_id: String,
    /// The loader.
    pub(super) network_id: Option<String>,
    redirected_request_id: Option<String>,
    pub(super) response_status_code: Option<u16>,
    response_error_reason: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    pub(super) url: String,
    #[serde(default)]
    url_fragment: String,
    method: String,
}

impl Paused {
    pub(super) fn is_answer(&self) -> bool {
        self.response_status_code.is_some() || self.response_error_reason.is_some()
    }

    /// The loader whose document this answer becomes, if it becomes one.
    pub(super) fn commits(&self) -> Option<&str> {
        let shown = !matches!(self.response_status_code?, 204 | 205 | 300..=399);
        if shown { self.network_id.as_deref() } else { None }
    }
}

/// The `frame` of `Page.frameNavigated`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Frame {
    pub(super) id: String,
    pub(super) parent_id: Option<String>,
    pub(super) loader_id: String,
    pub(super) url: String,
    #[serde(default)]
    url_fragment: String,
    pub(super) unreachable_url: Option<String>,
}

impl Frame {
    pub(super) fn full_url(&self) -> String {
        format!("{}{}", self.url, self.url_fragment)
    }
}

/// What to do with a document request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Continue,
    /// Names the origin, and no more: the rest of the address may be a secret.
    Refuse(String),
}

/// The fence of one page.
#[derive(Debug)]
pub(super) struct Fence {
    main_frame: String,
    entry: Url,
    page: Vec<Origin>,
    pass: Vec<Origin>,
    place: Place,
    /// Loaders, and whether they may lead to a sign-in page.
    chains: VecDeque<(String, bool)>,
    /// The host itself opens `about:blank`.
    leading_away: bool,
    /// A person acts in this page: the site's own links may lead to a sign-in page.
    pub(super) by_hand: bool,
}

impl Fence {
    pub(super) fn new(main_frame: &str, spec: &PageSpec) -> Self {
        Self {
            main_frame: main_frame.to_owned(),
            entry: spec.entry.clone(),
            page: spec.page.clone(),
            pass: spec.pass.clone(),
            place: Place::Blank,
            chains: VecDeque::new(),
            leading_away: false,
            by_hand: false,
        }
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Decides about a document request that is about to be sent. `driven`: a navigation of the host's own is under way.
    pub(super) fn decide(&mut self, paused: &Paused, driven: bool) -> Verdict {
        if paused.frame_id != self.main_frame || paused.is_answer() {
            return Verdict::Continue;
        }
        let refuse = |url: Option<&Url>| Verdict::Refuse(url.map_or_else(|| "an opaque address".into(), origin_of));
        let Ok(url) = Url::parse(&paused.request.url) else { return refuse(None) };
        let pass_allowed = self.pass_allowed(paused, &url, driven);
        if matches(&self.page, &url) {
            return Verdict::Continue;
        }
        // On a sign-in page the page and the operator go on by themselves; else it takes a server's redirect.
        let by_redirect = paused.redirected_request_id.is_some();
        if pass_allowed && (by_redirect || self.is_free(driven)) && matches(&self.pass, &url) {
            return Verdict::Continue;
        }
        refuse(Some(&url))
    }

    /// Whether this request's chain may lead to a sign-in page: it began at the entry, exactly, or on a sign-in page.
    fn pass_allowed(&mut self, paused: &Paused, url: &Url, driven: bool) -> bool {
        let Some(loader) = paused.network_id.as_deref() else { return false };
        if paused.redirected_request_id.is_some() {
            return self.chain(loader);
        }
        // A fragment outlives redirects, so it could carry something to the sign-in page.
        let fragment = paused.request.url_fragment.strip_prefix('#');
        let mut bare = self.entry.clone();
        bare.set_fragment(None);
        let from_entry = paused.request.method == "GET"
            && *url == bare
            && fragment.unwrap_or_default() == self.entry.fragment().unwrap_or_default();
        let allowed = from_entry || self.is_free(driven);
        if self.chains.len() == CHAINS {
            self.chains.pop_front();
        }
        self.chains.push_back((loader.to_owned(), allowed));
        allowed
    }

    /// Whether a sign-in page may be opened without a server's redirect: by itself or a person, from one; by a person, from
    /// anywhere.
    fn is_free(&self, driven: bool) -> bool {
        !driven && (self.by_hand || self.place == Place::Pass)
    }

    fn chain(&self, loader: &str) -> bool {
        self.chains.iter().rev().find(|(known, _)| known == loader).is_some_and(|(_, allowed)| *allowed)
    }

    /// Takes note of a document that the main frame shows. False when it is outside: then it must be led away.
    pub(super) fn shown(&mut self, frame: &Frame) -> bool {
        let place = self.place_of(frame);
        self.place = place.unwrap_or(Place::Fenced);
        if place.is_none() {
            self.leading_away = true;
        }
        place.is_some()
    }

    fn place_of(&mut self, frame: &Frame) -> Option<Place> {
        if frame.unreachable_url.is_some() || frame.url.starts_with("chrome-error://") {
            return Some(Place::Error);
        }
        if frame.url == "about:blank" {
            let led = std::mem::take(&mut self.leading_away);
            return match self.place {
                Place::Blank => Some(Place::Blank),
                _ if led => Some(Place::Fenced),
                _ => None,
            };
        }
        let url = Url::parse(&frame.url).ok()?;
        if matches(&self.page, &url) {
            return Some(Place::Page);
        }
        let allowed = self.place == Place::Pass || self.chain(&frame.loader_id);
        (allowed && matches(&self.pass, &url)).then_some(Place::Pass)
    }
}

/// Whether an address is of one of these origins. A blob's or a data URL's is never.
pub(super) fn matches(origins: &[Origin], url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && origins.iter().any(|origin| origin.matches(url))
}

/// All that may be told of an address outside.
pub(super) fn origin_of(url: &Url) -> String {
    match url.origin() {
        origin @ url::Origin::Tuple(..) => origin.ascii_serialization(),
        url::Origin::Opaque(_) => format!("{}:", url.scheme()),
    }
}

#[cfg(test)]
mod tests;

//! Whose requests may be listened to: those of documents and workers on the granted origins.

use std::collections::HashMap;

use url::Url;

use super::pattern::UrlPattern;
use super::wire;

/// More frames and workers than a page has.
const MAX_KNOWN: usize = 4096;

/// What the manifest grants and the operator approved.
pub(in crate::browser) struct Grant {
    /// Whether a document on this address may be read: `origins.page`.
    pub(in crate::browser) page: Box<dyn Fn(&Url) -> bool + Send + Sync>,
    /// URL patterns: `capabilities.listen`.
    pub(in crate::browser) listen: Vec<String>,
}

impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grant").field("listen", &self.listen).finish_non_exhaustive()
    }
}

pub(super) struct Scope {
    page: Box<dyn Fn(&Url) -> bool + Send + Sync>,
    listen: Vec<UrlPattern>,
    /// Origins of frames whose scripts run: the address of a sandboxed frame says nothing about its origin, and neither does
    /// `securityOrigin` of `Page.frameNavigated`, which is made of the address.
    frames: HashMap<String, String>,
    /// By session, the addresses of the scripts of workers. None for one that serves several tabs, a service worker or a shared
    /// one: what it sends may be another tab's, and what it passes through is seen at the page that asked.
    workers: HashMap<String, Option<String>>,
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope").field("listen", &self.listen).field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl Scope {
    pub(super) fn new(grant: Grant) -> Self {
        let listen = grant.listen.iter().filter_map(|text| UrlPattern::parse(text)).collect();
        Self { page: grant.page, listen, frames: HashMap::new(), workers: HashMap::new() }
    }

    /// Whether a filter lies within the grant.
    pub(super) fn grants(&self, pattern: &UrlPattern) -> bool {
        self.listen.iter().any(|granted| granted.contains(pattern))
    }

    /// Whether an address lies within the grant.
    pub(super) fn allows(&self, url: &str) -> bool {
        self.listen.iter().any(|granted| granted.matches(url))
    }

    /// A script may run in a frame's document; before, nothing in it can ask for anything.
    pub(super) fn runs(&mut self, context: &wire::Context<'_>) {
        if !context.aux_data.is_default {
            return;
        }
        if self.frames.len() >= MAX_KNOWN {
            self.frames.clear();
        }
        self.frames.insert(context.aux_data.frame_id.to_owned(), context.origin.to_owned());
    }

    /// The frame is gone, or has a new document.
    pub(super) fn frame_gone(&mut self, frame: &str) {
        self.frames.remove(frame);
    }

    pub(super) fn attached(&mut self, event: &wire::Attached<'_>) {
        if event.target_info.kind.ends_with("worker") && self.workers.len() < MAX_KNOWN {
            let own = event.target_info.kind == "worker";
            let url = own.then(|| event.target_info.url.unwrap_or_default().to_owned());
            self.workers.insert(event.session_id.to_owned(), url);
        }
    }

    pub(super) fn detached(&mut self, session: &str) {
        self.workers.remove(session);
    }

    /// Whether what a session sends is this page's.
    pub(super) fn is_of_page(&self, session: &str) -> bool {
        !matches!(self.workers.get(session), Some(None))
    }

    /// Whether the sender of a request is granted; else its origin.
    pub(super) fn admits(&self, session: &str, request: &wire::RequestSent<'_>) -> Result<(), String> {
        let document = request.document_url.unwrap_or_default();
        let sender = if let Some(Some(worker)) = self.workers.get(session) {
            worker
        } else if request.kind == Some("Document") {
            document
        } else {
            request.frame_id.and_then(|frame| self.frames.get(frame)).map_or(document, String::as_str)
        };
        self.admits_origin(sender)
    }

    /// Whether a document or script on this address, or of this origin, is granted; else its origin.
    pub(super) fn admits_origin(&self, sender: &str) -> Result<(), String> {
        // A blob's origin is that of its maker.
        let inner = sender.strip_prefix("blob:").unwrap_or(sender);
        match Url::parse(inner) {
            Ok(url) if (self.page)(&url) => Ok(()),
            Ok(url) => Err(url.origin().ascii_serialization()),
            Err(_) => Err("null".into()),
        }
    }
}

//! Keeping files of an answer: what an element shows, what lies at an address, what a click downloads, what an answer carries.
//!
//! Their bytes go from the browser to the host and never through the guest. What came over the network is fetched only from
//! `spec.save`, each redirect included.

mod body;
mod download;
mod element;
mod fetch;

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use url::Url;

use super::{Page, Shared, fence};
use crate::browser::error::PageError;
use crate::browser::json::Pointer;
use crate::browser::media;
pub(super) use download::Download;

/// For one for which the caller named no time.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// What looks for an element tells by itself what it waited for in vain.
const GRACE: Duration = Duration::from_secs(1);

/// What to keep.
#[derive(Debug, Clone)]
pub enum Source {
    /// What the first match shows: a picture, a video, a sound, a canvas.
    Element(String),
    /// What lies at this address.
    Url(String),
    /// What a click on the first match downloads.
    Download(String),
    /// What is written out in the JSON body of a listened answer that has ended.
    Body { source: u32, stream: u32, pointer: Pointer },
}

/// A kept file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedFile {
    pub mime: String,
    pub bytes: Bytes,
}

impl SavedFile {
    fn new(declared: &str, bytes: Bytes) -> Self {
        Self { mime: media::kind(declared, &bytes), bytes }
    }
}

impl Page {
    /// Keeps a file of at most `max` bytes.
    ///
    /// # Errors
    /// [`PageError::NotGranted`] where it came from an address outside of `spec.save`; `too-large`; `nothing-to-save`,
    /// `save-failed`; as acts.
    pub async fn save(&self, source: Source, max: usize, timeout: Option<Duration>) -> Result<SavedFile, PageError> {
        let until = Instant::now() + timeout.unwrap_or(DEFAULT_TIMEOUT);
        let saving = async {
            match source {
                Source::Element(selector) => self.shared.save_element(&selector, max, until).await,
                Source::Url(url) => self.shared.fetch_file(&url, max).await,
                Source::Download(selector) => self.save_download(&selector, max, until).await,
                Source::Body { source, stream, pointer } => self.shared.save_body(source, stream, &pointer, max).await,
            }
        };
        tokio::select! {
            biased;
            () = self.shared.cancel.cancelled() => Err(PageError::Closed),
            saved = tokio::time::timeout_at(until + GRACE, saving) => match saved {
                Ok(saved) => saved,
                Err(_) => Err(PageError::Timeout("saving a file".into())),
            },
        }
    }
}

impl Shared {
    /// Whether a file may be fetched from this address.
    fn may_save(&self, url: &str) -> Result<(), PageError> {
        if self.spec.save.iter().any(|pattern| pattern.matches(url)) {
            return Ok(());
        }
        // The rest of the address may be a secret.
        let origin = Url::parse(url).map_or_else(|_| "no address".into(), |url| fence::origin_of(&url));
        Err(PageError::NotGranted(format!("saving from {origin} (capabilities.save)")))
    }
}

fn too_large(message: String) -> PageError {
    PageError::Other { code: "too-large", message }
}

impl From<media::Unreadable> for PageError {
    fn from(why: media::Unreadable) -> Self {
        match why {
            media::Unreadable::TooLarge(message) => too_large(message),
            media::Unreadable::Damaged(message) => failed(message),
        }
    }
}

fn failed(message: impl Into<String>) -> PageError {
    PageError::Other { code: "save-failed", message: message.into() }
}

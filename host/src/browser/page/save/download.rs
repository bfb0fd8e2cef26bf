//! What a click downloads. Downloads are refused by the browser but for the time of one save, and then they go into a private
//! folder that goes with it.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::time::Duration;

use chromiumoxide::cdp::browser_protocol::browser::{
    BrowserContextId, CancelDownloadParams, SetDownloadBehaviorBehavior, SetDownloadBehaviorParams,
};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::super::fence;
use super::super::{COMMAND_DEADLINE, Page, Shared};
use super::{SavedFile, failed, too_large};
use crate::browser::cdp::{Event, Session};
use crate::browser::error::PageError;
use crate::browser::media;

/// How often, and how soon again, a folder is looked for that was removed.
const SWEEPS: u32 = 20;
const SWEEP_AGAIN: Duration = Duration::from_millis(100);

/// Where the one download that was asked for stands.
#[derive(Debug, Clone, Default)]
pub(in crate::browser::page) enum Download {
    /// None was asked for.
    #[default]
    None,
    /// The click is to come. What begins before it is none of its.
    Armed {
        max: usize,
    },
    /// The click is given.
    Awaited {
        max: usize,
    },
    Running {
        guid: String,
        max: usize,
    },
    Done {
        guid: String,
    },
    /// The click opens an address of `spec.save` that is no page of the adapter's.
    At(String),
    Failed(PageError),
}

/// `Page.downloadWillBegin`.
#[derive(Debug, Deserialize)]
struct Began {
    guid: String,
    url: String,
}

/// `Page.downloadProgress`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Moved {
    guid: String,
    #[serde(default)]
    total_bytes: f64,
    #[serde(default)]
    received_bytes: f64,
    state: String,
}

/// A private folder, removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("webai2api-download-{}", uuid::Uuid::new_v4()));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
        // The browser may still be putting away what was broken off, and makes the folder again for that. The task ends by itself.
        let path = std::mem::take(&mut self.0);
        tokio::spawn(async move {
            for _ in 0..SWEEPS {
                tokio::time::sleep(SWEEP_AGAIN).await;
                drop(tokio::fs::remove_dir_all(&path).await);
            }
        });
    }
}

/// Refuses downloads again when it is dropped.
struct Allowed<'a> {
    shared: &'a Shared,
}

impl Drop for Allowed<'_> {
    fn drop(&mut self) {
        let before = self.shared.download.send_replace(Download::None);
        if let Download::Running { guid, .. } = before {
            self.shared.cancel_download(guid);
        }
        // If the socket is gone, so is the browser.
        self.shared.root.tell(behavior(SetDownloadBehaviorBehavior::Deny, &self.shared.context)).ok();
    }
}

fn behavior(behavior: SetDownloadBehaviorBehavior, context: &Option<BrowserContextId>) -> SetDownloadBehaviorParams {
    let mut params = SetDownloadBehaviorParams::new(behavior);
    params.browser_context_id = context.clone();
    params
}

impl Page {
    pub(super) async fn save_download(
        &self,
        selector: &str,
        max: usize,
        until: Instant,
    ) -> Result<SavedFile, PageError> {
        let shared = &self.shared;
        // Pages of one account share the browser's one answer to downloads.
        let _turn = shared.downloads.lock().await;
        let folder = Folder::new().map_err(|error| failed(format!("no folder for it: {error}")))?;
        let mut allow = behavior(SetDownloadBehaviorBehavior::AllowAndName, &shared.context);
        allow.download_path = Some(folder.0.to_string_lossy().into_owned());
        shared.download.send_replace(Download::Armed { max });
        let allowed = Allowed { shared };
        shared.root.execute(allow, COMMAND_DEADLINE).await?;
        let mut download = shared.download.subscribe();
        self.click(selector, 1, Some(until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))))
            .await?;
        let over = |d: &Download| matches!(d, Download::Done { .. } | Download::At(_) | Download::Failed(_));
        let over = download.wait_for(over).await.map_err(|_| PageError::Closed)?.clone();
        let saved = match over {
            Download::Done { guid } => take(folder.0.join(guid), max).await,
            Download::At(url) => {
                drop(allowed);
                return shared.fetch_file(&url, max).await;
            }
            Download::Failed(error) => Err(error),
            _ => Err(PageError::Closed),
        };
        drop(allowed);
        saved
    }
}

async fn take(path: PathBuf, max: usize) -> Result<SavedFile, PageError> {
    let read = |error: std::io::Error| failed(format!("the download cannot be read: {error}"));
    let size = tokio::fs::metadata(&path).await.map_err(read)?.len();
    if size > max as u64 {
        return Err(too_large(media::too_large(usize::try_from(size).unwrap_or(usize::MAX), max)));
    }
    Ok(SavedFile::new("", tokio::fs::read(&path).await.map_err(read)?.into()))
}

impl Shared {
    /// Takes in `Page.downloadWillBegin` and `Page.downloadProgress`.
    pub(in crate::browser::page) fn on_download(&self, event: &Event) {
        if event.method == "Page.downloadWillBegin" {
            match Began::deserialize(&event.params) {
                Ok(began) => self.download_began(began),
                Err(error) => tracing::warn!(%error, "a download cannot be read"),
            }
        } else if let Ok(moved) = Moved::deserialize(&event.params) {
            self.download_moved(&moved);
        }
    }

    /// A click is given now: what begins to be downloaded is what it causes.
    pub(in crate::browser::page) fn download_clicked(&self) {
        self.download.send_if_modified(|download| match *download {
            Download::Armed { max } => {
                *download = Download::Awaited { max };
                true
            }
            _ => false,
        });
    }

    fn download_began(&self, Began { guid, url }: Began) {
        let Download::Awaited { max } = *self.download.borrow() else {
            return self.cancel_download(guid);
        };
        match self.may_download(&url) {
            Ok(()) => drop(self.download.send_replace(Download::Running { guid, max })),
            Err(error) => {
                self.cancel_download(guid);
                self.download.send_replace(Download::Failed(error));
            }
        }
    }

    /// What a granted document made itself, and what lies within `spec.save`.
    fn may_download(&self, url: &str) -> Result<(), PageError> {
        let made_by = url.strip_prefix("blob:").map(Url::parse);
        match made_by {
            Some(Ok(maker)) if fence::matches(&self.spec.page, &maker) => Ok(()),
            None if url.starts_with("data:") => Ok(()),
            _ => self.may_save(url),
        }
    }

    fn download_moved(&self, moved: &Moved) {
        let Download::Running { guid, max } = self.download.borrow().clone() else { return };
        if guid != moved.guid {
            return;
        }
        let size = moved.total_bytes.max(moved.received_bytes);
        if size > max as f64 {
            self.cancel_download(guid);
            let error = too_large(media::too_large(size as usize, max));
            self.download.send_replace(Download::Failed(error));
            return;
        }
        match moved.state.as_str() {
            "completed" => drop(self.download.send_replace(Download::Done { guid })),
            "canceled" => drop(self.download.send_replace(Download::Failed(failed("the download was broken off")))),
            _ => {}
        }
    }

    /// The fence refused a navigation. If it is what a save's click leads to, it is fetched instead.
    pub(in crate::browser::page) fn download_refused(&self, url: &str) {
        self.download.send_if_modified(|download| {
            let wanted = matches!(download, Download::Awaited { .. });
            if wanted {
                *download = match self.may_save(url) {
                    Ok(()) => Download::At(url.to_owned()),
                    Err(error) => Download::Failed(error),
                };
            }
            wanted
        });
    }

    fn cancel_download(&self, guid: String) {
        let mut cancel = CancelDownloadParams::new(guid);
        cancel.browser_context_id = self.context.clone();
        let root: &Session = &self.root;
        root.tell(cancel).ok();
    }
}

//! What the operator does with adapters: install, approve, switch off and on, go back, remove.

use std::path::PathBuf;

use tokio::sync::oneshot;

use super::Wishes;
use super::kept::write_whole;
use super::lock::{Approval, Quarantine, Served};
use super::scan::Scanner;
use crate::plugin::manifest::Version;
use crate::plugin::package::{self, PackageError};

/// Something that changes which adapters serve.
#[derive(Debug)]
pub enum Change {
    /// Put a file into the operator's folder.
    Install {
        file: Vec<u8>,
    },
    /// Grant what the pending file asks for; `sha256`, if given, says which file was looked at.
    Approve {
        id: String,
        sha256: Option<String>,
    },
    Disable {
        id: String,
    },
    /// Also lifts a quarantine.
    Enable {
        id: String,
    },
    /// Go back to a version (by its number or the beginning of its hash), or to the one before.
    Rollback {
        id: String,
        to: Option<String>,
    },
    /// Take it out of the operator's folder, and forget what was approved.
    Remove {
        id: String,
    },
    /// Take over what the operator's configuration says now. It is of no one adapter.
    Configure(Wishes),
    /// Put a version out of use.
    Quarantine {
        id: String,
        sha256: String,
        reason: String,
    },
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("there is no adapter {0}")]
    Unknown(String),
    #[error("nothing of {0} waits for approval")]
    NothingPending(String),
    #[error("the file of {id} is not the one that was looked at: it is {version} with SHA-256 {sha256} now")]
    OtherFile { id: String, version: String, sha256: String },
    #[error("{0} comes with the program and cannot be removed: disable it")]
    Bundled(String),
    #[error("{0} is switched off by the configuration: set demo.enabled")]
    ByConfiguration(String),
    #[error("of {0} no earlier version is kept")]
    NoEarlier(String),
    #[error("of {id} no version {to} is kept")]
    NoSuchVersion { id: String, to: String },
    #[error(
        "{id} {given} is older than {serving}, which is there: raise its version, or use rollback (adapter rollback {id})"
    )]
    Older { id: String, given: Version, serving: Version },
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error("there is no folder for adapters")]
    NoFolder,
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("adapters.lock cannot be written: {0}")]
    Lock(String),
    #[error("the adapter loader has ended")]
    Ended,
}

/// A change, and who waits for it. Told after the folders were looked at anew.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) change: Change,
    pub(super) done: oneshot::Sender<Result<String, ChangeError>>,
}

impl Scanner {
    /// Makes the change in the folder and the lock, and gives the adapter's id; what serves is decided by the next scan. Blocks
    /// for a few small files.
    pub(super) fn change(&mut self, change: Change) -> Result<String, ChangeError> {
        let id = match change {
            Change::Install { file } => self.put_in(&file)?,
            Change::Approve { id, sha256 } => self.approve(id, sha256)?,
            Change::Disable { id } => self.switch(id, true)?,
            Change::Enable { id } => self.switch(id, false)?,
            Change::Rollback { id, to } => self.go_back(id, to)?,
            Change::Remove { id } => self.remove(id)?,
            Change::Configure(wishes) => {
                self.configure(wishes);
                String::new()
            }
            Change::Quarantine { id, sha256, reason } => {
                self.lock.entry(&id).quarantine = Some(Quarantine { sha256, reason });
                id
            }
        };
        self.lock.save().map_err(ChangeError::Lock)?;
        Ok(id)
    }

    fn put_in(&self, file: &[u8]) -> Result<String, ChangeError> {
        let manifest = package::read_manifest(file)?;
        let id = manifest.id;
        let own = self.files.packages(super::Source::Folder).into_iter().find(|(_, p)| p.manifest.id == id);
        let newest = own.map(|(_, package)| package.manifest.version).max(self.served_from(&self.own_files(&id), &id));
        if let Some(serving) = newest.filter(|newest| manifest.version < *newest) {
            return Err(ChangeError::Older { id, given: manifest.version, serving });
        }
        self.write(&id, file)?;
        Ok(id)
    }

    /// Into its own file if it has one in the operator's folder, else into one that has its name.
    fn write(&self, id: &str, bytes: &[u8]) -> Result<PathBuf, ChangeError> {
        let folder = self.options.dropped_in.clone().ok_or(ChangeError::NoFolder)?;
        let path = self.own_files(id).into_iter().next().unwrap_or_else(|| folder.join(format!("{id}.wasm")));
        let made = std::fs::create_dir_all(&folder).and_then(|()| write_whole(&path, bytes));
        made.map(|()| path.clone()).map_err(|source| ChangeError::File { path, source })
    }

    fn approve(&mut self, id: String, sha256: Option<String>) -> Result<String, ChangeError> {
        let waiting = self.shared_entry(&id).ok_or_else(|| ChangeError::Unknown(id.clone()))?;
        let Some(pending) = waiting.pending else { return Err(ChangeError::NothingPending(id)) };
        if sha256.is_some_and(|sha256| sha256 != pending.sha256) {
            return Err(ChangeError::OtherFile { id, version: pending.version, sha256: pending.sha256 });
        }
        tracing::info!(id, version = pending.version, sha256 = pending.sha256, "approved");
        let approval = Approval { version: pending.version, sha256: pending.sha256, grant: pending.asks };
        self.lock.entry(&id).approved = Some(approval);
        Ok(id)
    }

    fn switch(&mut self, id: String, off: bool) -> Result<String, ChangeError> {
        if self.shared_entry(&id).is_none() {
            return Err(ChangeError::Unknown(id));
        }
        if !off && self.options.disabled.contains(&id) {
            return Err(ChangeError::ByConfiguration(id));
        }
        let decided = self.lock.entry(&id);
        decided.disabled = off;
        if !off {
            decided.enabled = true;
            decided.quarantine = None;
            self.lift(&id);
        }
        tracing::info!(id, off, "switched");
        Ok(id)
    }

    /// Writes the earlier version into the operator's folder, where it stays until the next change. It was approved when it
    /// served, and the operator asks for it now.
    fn go_back(&mut self, id: String, to: Option<String>) -> Result<String, ChangeError> {
        let decided = self.lock.get(&id).ok_or_else(|| ChangeError::Unknown(id.clone()))?;
        let Some(earlier) = decided.earlier(to.as_deref()) else {
            return Err(match to {
                Some(to) => ChangeError::NoSuchVersion { id, to },
                None => ChangeError::NoEarlier(id),
            });
        };
        let Some(bytes) = self.kept.get(&earlier.sha256) else { return Err(ChangeError::NoEarlier(id)) };
        let grant = package::read_manifest(&bytes)?.asks();
        let file = self.write(&id, &bytes)?;
        tracing::info!(id, version = earlier.version, "rolled back");
        let decided = self.lock.entry(&id);
        // Else the file that was just written would be one that is older than what serves, and be refused.
        decided.serves(Served { version: earlier.version.clone(), sha256: earlier.sha256.clone(), file });
        decided.approved = Some(Approval { version: earlier.version, sha256: earlier.sha256, grant });
        Ok(id)
    }

    fn remove(&mut self, id: String) -> Result<String, ChangeError> {
        let own = self.own_files(&id);
        if own.is_empty() {
            return Err(match self.shared_entry(&id) {
                Some(_) => ChangeError::Bundled(id),
                None => ChangeError::Unknown(id),
            });
        }
        for path in own {
            std::fs::remove_file(&path).map_err(|source| ChangeError::File { path, source })?;
        }
        self.forget(&id);
        tracing::info!(id, "removed");
        Ok(id)
    }
}

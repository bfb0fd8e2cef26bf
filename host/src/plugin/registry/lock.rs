//! `adapters.lock`: what the operator decided about adapters, and which versions have served.
//!
//! It is written by the program alone; a file that cannot be read approves nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::plugin::grant::Grant;
use crate::store;

/// Versions of an adapter that are remembered for a rollback, the serving one included.
const KEPT: usize = 5;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Lock {
    #[serde(default)]
    pub(super) adapters: BTreeMap<String, Decided>,
}

/// What is known of one adapter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Decided {
    /// What the operator approved; none where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) approved: Option<Approval>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) disabled: bool,
    /// The operator switched it on: of consequence for a bundled one only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) quarantine: Option<Quarantine>,
    /// What served last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) serving: Option<Served>,
    /// Versions that have served, in the order in which they came.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) good: Vec<Good>,
}

/// An approval, and of which file it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Approval {
    pub(super) version: String,
    pub(super) sha256: String,
    pub(super) grant: Grant,
}

/// A version that is out of use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Quarantine {
    pub(super) sha256: String,
    pub(super) reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Served {
    pub(super) version: String,
    pub(super) sha256: String,
    pub(super) file: PathBuf,
}

/// A version that has served, kept by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Good {
    pub(super) version: String,
    pub(super) sha256: String,
}

impl Decided {
    /// Notes what serves now. True if that is news.
    pub(super) fn serves(&mut self, served: Served) -> bool {
        if self.serving.as_ref() == Some(&served) {
            return false;
        }
        if !self.good.iter().any(|good| good.sha256 == served.sha256) {
            self.good.push(Good { version: served.version.clone(), sha256: served.sha256.clone() });
        }
        while self.good.len() > KEPT {
            // The oldest goes, but never the one that serves.
            let oldest = self.good.iter().position(|good| good.sha256 != served.sha256).unwrap_or(0);
            self.good.remove(oldest);
        }
        if self.quarantine.as_ref().is_some_and(|q| q.sha256 != served.sha256) {
            self.quarantine = None;
        }
        self.serving = Some(served);
        true
    }

    /// The version to go back to: the one named (by version or hash), or the one that came before the one that serves.
    pub(super) fn earlier(&self, wanted: Option<&str>) -> Option<Good> {
        let serving = self.serving.as_ref().map(|s| s.sha256.as_str());
        match wanted {
            Some(wanted) => {
                let meant =
                    |good: &&Good| good.version == wanted || (wanted.len() >= 8 && good.sha256.starts_with(wanted));
                self.good.iter().rev().find(meant).cloned()
            }
            None => {
                let at = self.good.iter().position(|good| Some(good.sha256.as_str()) == serving)?;
                self.good.get(at.checked_sub(1)?).cloned()
            }
        }
    }
}

/// The lock in memory, and its file if it has one.
#[derive(Debug, Default)]
pub(super) struct LockFile {
    path: Option<PathBuf>,
    pub(super) lock: Lock,
    written: Lock,
}

impl LockFile {
    /// Reads what is there. A damaged file is set aside, so that nothing in it is lost to whoever wants to look.
    pub(super) fn open(folder: Option<&Path>) -> Self {
        let Some(path) = folder.map(|folder| folder.join("adapters.lock")) else { return Self::default() };
        let lock = match std::fs::read_to_string(&path) {
            Ok(text) => match serde_json::from_str::<Lock>(&text) {
                Ok(lock) => lock,
                Err(error) => {
                    let aside = path.with_extension("lock.damaged");
                    tracing::error!(path = %path.display(), %error, "not readable: nothing counts as approved; it is now {}", aside.display());
                    if let Err(error) = std::fs::rename(&path, &aside) {
                        tracing::error!(%error, "and it could not be set aside");
                    }
                    Lock::default()
                }
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Lock::default(),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "cannot be read: nothing counts as approved");
                Lock::default()
            }
        };
        Self { path: Some(path), written: lock.clone(), lock }
    }

    pub(super) fn get(&self, id: &str) -> Option<&Decided> {
        self.lock.adapters.get(id)
    }

    pub(super) fn entry(&mut self, id: &str) -> &mut Decided {
        self.lock.adapters.entry(id.to_owned()).or_default()
    }

    /// Writes what has changed. Blocks for one small file.
    pub(super) fn save(&mut self) -> Result<(), String> {
        if self.lock == self.written {
            return Ok(());
        }
        if let Some(path) = &self.path {
            let text = serde_json::to_string_pretty(&self.lock).map_err(|e| e.to_string())?;
            store::write_private(path, format!("{text}\n")).map_err(|e| e.to_string())?;
        }
        self.written = self.lock.clone();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn served(version: &str) -> Served {
        Served { version: version.into(), sha256: format!("{version:0>64}"), file: "x.wasm".into() }
    }

    #[test]
    fn what_was_written_is_read_again_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = LockFile::open(Some(folder.path()));
        assert_eq!(file.lock, Lock::default());
        let entry = file.entry("a");
        let grant = Grant { page: vec!["https://a.example.com".into()], ..Grant::default() };
        entry.approved = Some(Approval { version: "1.0.0".into(), sha256: "00".into(), grant });
        entry.serves(served("1.0.0"));
        file.save().unwrap();
        assert_eq!(LockFile::open(Some(folder.path())).lock, file.lock);
        let mode = std::fs::metadata(folder.path().join("adapters.lock")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_lock_approves_nothing_and_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("adapters.lock"), "{\"adapters\": {\"a\": ").unwrap();
        assert_eq!(LockFile::open(Some(folder.path())).lock, Lock::default());
        assert!(folder.path().join("adapters.lock.damaged").exists());
    }

    #[test]
    fn one_goes_back_step_by_step_or_to_a_version_by_name() {
        let mut decided = Decided::default();
        assert_eq!(decided.earlier(None), None);
        for version in ["1.0.0", "1.1.0", "2.0.0"] {
            assert!(decided.serves(served(version)));
            assert!(!decided.serves(served(version)));
        }
        assert_eq!(decided.earlier(None).unwrap().version, "1.1.0");
        decided.serves(served("1.1.0"));
        assert_eq!(decided.earlier(None).unwrap().version, "1.0.0");
        assert_eq!(decided.earlier(Some("2.0.0")).unwrap().version, "2.0.0");
        assert_eq!(decided.earlier(Some("3.0.0")), None);
        for n in 0..10 {
            decided.serves(served(&format!("3.0.{n}")));
        }
        assert_eq!(decided.good.len(), KEPT);
    }
}

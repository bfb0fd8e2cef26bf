//! Where snapshots lie: a file for each instance, sealed with a key of its own file.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::seal::{self, SealError};
use super::snapshot::Snapshot;
use crate::store::write_private;

/// Before the sealed bytes.
const MAGIC: &[u8] = b"webai2api session 1\n";
/// A snapshot is far smaller; a larger file is none.
const MAX_FILE: u64 = 256 << 20;
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// Why a snapshot was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path}: {why}")]
    Damaged { path: PathBuf, why: String },
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// All snapshots, in one folder.
#[derive(Debug)]
pub struct Vault {
    folder: PathBuf,
    key_file: PathBuf,
    /// Held while a file is read or written; who holds it does not wait for anything but the disk.
    key: Mutex<Option<[u8; 32]>>,
}

impl Vault {
    /// Snapshots in `folder`, sealed with the key in `key_file`. Both are made, readable by their owner alone, when something is
    /// first kept.
    pub fn new(folder: PathBuf, key_file: PathBuf) -> Self {
        Self { folder, key_file, key: Mutex::new(None) }
    }

    /// The snapshot of an instance, if one was kept. Blocks.
    ///
    /// # Errors
    /// When it cannot be read; one that is damaged is set aside first, as `.damaged`.
    pub fn load(&self, instance: &str) -> Result<Option<Snapshot>, VaultError> {
        let path = self.path(instance);
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let fail = |source| VaultError::File { path: path.clone(), source };
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(error)),
            Ok(meta) if meta.len() > MAX_FILE => return Err(set_aside(&path, "it is too large")),
            Ok(_) => {}
        }
        let bytes = fs::read(&path).map_err(fail)?;
        let key = self.key(&mut key)?;
        let Some(sealed) = bytes.strip_prefix(MAGIC) else { return Err(set_aside(&path, "it is no snapshot")) };
        let plain = match seal::open(&key, &bound(instance), sealed) {
            Ok(plain) => plain,
            Err(error) => return Err(set_aside(&path, &error.to_string())),
        };
        match serde_json::from_slice(&plain) {
            Ok(snapshot) => Ok(Some(snapshot)),
            // Where, and not what: the text is full of secrets.
            Err(error) => Err(set_aside(&path, &format!("it is broken at byte {}", error.column()))),
        }
    }

    /// Keeps a snapshot in place of the one before. It is on the disk when this returns. Blocks.
    ///
    /// # Errors
    /// When the disk refuses. The one before is kept then.
    pub fn save(&self, instance: &str, snapshot: &Snapshot) -> Result<(), VaultError> {
        let path = self.path(instance);
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let key = self.key(&mut key)?;
        let plain = serde_json::to_vec(snapshot)
            .map_err(|error| VaultError::Damaged { path: path.clone(), why: error.to_string() })?;
        let sealed = seal::seal(&key, &bound(instance), &plain)?;
        make_folder(&self.folder).map_err(|source| VaultError::File { path: self.folder.clone(), source })?;
        write_private(&path, [MAGIC, &sealed].concat())?;
        Ok(())
    }

    fn path(&self, instance: &str) -> PathBuf {
        self.folder.join(format!("{}.session", utf8_percent_encode(instance, PLAIN)))
    }

    /// The key, made if there is none.
    fn key(&self, known: &mut Option<[u8; 32]>) -> Result<[u8; 32], VaultError> {
        if let Some(key) = known {
            return Ok(*key);
        }
        let damaged = || VaultError::Damaged { path: self.key_file.clone(), why: "it is no key".into() };
        let key = match fs::read_to_string(&self.key_file) {
            Ok(text) => STANDARD.decode(text.trim()).ok().and_then(|key| key.try_into().ok()).ok_or_else(damaged)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = seal::random()?;
                if let Some(folder) = self.key_file.parent() {
                    make_folder(folder).map_err(|source| VaultError::File { path: folder.to_owned(), source })?;
                }
                write_private(&self.key_file, STANDARD.encode(key) + "\n")?;
                key
            }
            Err(source) => return Err(VaultError::File { path: self.key_file.clone(), source }),
        };
        *known = Some(key);
        Ok(key)
    }
}

/// A file that was put in another's place does not open.
fn bound(instance: &str) -> Vec<u8> {
    [MAGIC, instance.as_bytes()].concat()
}

fn make_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn set_aside(path: &Path, why: &str) -> VaultError {
    let aside = path.with_extension("damaged");
    let moved =
        if fs::rename(path, &aside).is_ok() { format!("; it is now {}", aside.display()) } else { String::new() };
    VaultError::Damaged { path: path.to_owned(), why: format!("{why}{moved}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Session, snapshot::tests::cookie};
    use std::os::unix::fs::PermissionsExt as _;

    fn vault(folder: &Path) -> Vault {
        Vault::new(folder.join("sessions"), folder.join("session-key"))
    }

    #[test]
    fn a_snapshot_is_private_sealed_and_bound_to_its_instance() {
        let dir = tempfile::tempdir().unwrap();
        let session = Session { cookies: vec![cookie("sid", "VERY-SECRET", None)], ..Session::default() };
        let snapshot = Snapshot::first("mark", 1000, session);
        assert!(vault(dir.path()).load("a b").unwrap().is_none());
        vault(dir.path()).save("a b", &snapshot).unwrap();
        let file = dir.path().join("sessions/a%20b.session");
        for (path, mode) in [(&file, 0o600), (&dir.path().join("session-key"), 0o600)] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
        }
        assert_eq!(fs::metadata(dir.path().join("sessions")).unwrap().permissions().mode() & 0o777, 0o700);
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(11).any(|part| part == b"VERY-SECRET") && !bytes.windows(3).any(|part| part == b"sid"));
        assert_eq!(vault(dir.path()).load("a b").unwrap(), Some(snapshot));
        fs::copy(&file, dir.path().join("sessions/other.session")).unwrap();
        assert!(matches!(vault(dir.path()).load("other"), Err(VaultError::Damaged { .. })));
    }

    #[test]
    fn what_is_damaged_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        vault(dir.path()).save("a", &Snapshot::first("mark", 1, Session::default())).unwrap();
        let file = dir.path().join("sessions/a.session");
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file, bytes).unwrap();
        assert!(matches!(vault(dir.path()).load("a"), Err(VaultError::Damaged { .. })));
        assert!(dir.path().join("sessions/a.damaged").is_file());
        assert!(vault(dir.path()).load("a").unwrap().is_none(), "it begins anew");
    }
}

//! The admin key that is made at the first start when none is configured.
//!
//! It is kept in clear, readable by its owner alone: the owner must be able to look it up, and who can read this file can
//! read the browser profiles beside it too.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;

use super::folder::{StoreError, write_private};

/// An admin key, and whether it was made just now.
#[derive(Clone)]
pub struct AdminKey {
    pub key: String,
    pub is_new: bool,
}

impl AdminKey {
    /// The key in the folder, made if there is none.
    ///
    /// # Errors
    /// When it can be neither read nor written.
    pub fn ensure(folder: &Path) -> Result<Self, StoreError> {
        match read_admin_key(folder)? {
            Some(key) => Ok(Self { key, is_new: false }),
            None => Ok(Self { key: rotate_admin_key(folder)?, is_new: true }),
        }
    }
}

/// The key in the folder, if one was made there.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn read_admin_key(folder: &Path) -> Result<Option<String>, StoreError> {
    let path = path(folder);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|key| !key.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StoreError::File { path, source }),
    }
}

/// Makes a new key in place of the old.
///
/// # Errors
/// When it cannot be written, or the system has no randomness.
pub fn rotate_admin_key(folder: &Path) -> Result<String, StoreError> {
    let path = path(folder);
    let mut random = [0; 24];
    getrandom::fill(&mut random)
        .map_err(|error| StoreError::File { path: path.clone(), source: io::Error::other(error.to_string()) })?;
    let key = format!("wa-{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random));
    write_private(&path, format!("{key}\n"))?;
    Ok(key)
}

fn path(folder: &Path) -> PathBuf {
    folder.join("admin-key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = AdminKey::ensure(dir.path()).unwrap();
        let second = AdminKey::ensure(dir.path()).unwrap();
        assert!(first.is_new && !second.is_new && first.key == second.key);
        assert!(first.key.starts_with("wa-") && first.key.len() == 35);
        let mode = fs::metadata(dir.path().join("admin-key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(rotate_admin_key(dir.path()).unwrap(), first.key);
    }
}

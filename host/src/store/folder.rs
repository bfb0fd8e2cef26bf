//! The data folder: made when missing, tried for writing, and held by one process at a time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "the data folder {folder} cannot be used: {reason}. Choose another with WEBAI_DATA_DIR, dataDir or --data-dir"
    )]
    Unusable { folder: PathBuf, reason: String },
    #[error("the data folder {0} is in use by another webai2api; give each its own with WEBAI_DATA_DIR")]
    InUse(PathBuf),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
}

/// A data folder that this process holds. It is free again when this is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// Locked; the lock goes with the file, even when the process is killed.
    _lock: File,
}

impl DataFolder {
    /// Makes the folder (mode 0700) if it is missing, and takes it.
    ///
    /// # Errors
    /// When it is not a folder, cannot be written to, or is in use.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let unusable = |error: io::Error| StoreError::Unusable { folder: path.to_owned(), reason: reason(&error) };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        let path = fs::canonicalize(path).map_err(unusable)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path.join("lock"));
        let lock = lock.map_err(unusable)?;
        match rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::InUse(path)),
            Err(errno) => Err(unusable(errno.into())),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Writes a file that only its owner may read, so that at each moment either the old one or the new one is there.
pub(crate) fn write_private(path: &Path, content: impl AsRef<[u8]>) -> Result<(), StoreError> {
    let fail = |source| StoreError::File { path: path.to_owned(), source };
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new).map_err(fail)?;
    file.write_all(content.as_ref()).and_then(|()| file.sync_all()).map_err(fail)?;
    fs::rename(&new, path).map_err(fail)
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "this user may not write there".into(),
        io::ErrorKind::ReadOnlyFilesystem => "it is on a read-only file system".into(),
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => "there is a file in its place".into(),
        io::ErrorKind::StorageFull => "the disk is full".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_folder_is_made_and_held_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let held = DataFolder::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(matches!(DataFolder::open(&path), Err(StoreError::InUse(_))));
        drop(held);
        DataFolder::open(&path).unwrap();
    }

    #[test]
    fn a_file_in_its_place_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let message = DataFolder::open(file.path()).unwrap_err().to_string();
        assert!(message.contains("there is a file in its place") && message.contains("WEBAI_DATA_DIR"), "{message}");
    }
}

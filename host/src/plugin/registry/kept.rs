//! The last good versions of adapters, each under its hash: what a rollback takes, and what serves after a restart while the
//! folder holds a version that may not.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::plugin::loader;

/// The folder, if there is a data folder at all.
#[derive(Debug, Default)]
pub(super) struct Kept(Option<PathBuf>);

impl Kept {
    pub(super) fn open(data: Option<&Path>) -> Self {
        Self(data.map(|data| data.join("adapters-kept")))
    }

    /// Keeps a file. It is there whole, or not at all.
    pub(super) fn put(&self, sha256: &str, bytes: &[u8]) -> std::io::Result<()> {
        let Some(folder) = &self.0 else { return Ok(()) };
        let path = folder.join(format!("{sha256}.wasm"));
        if path.exists() {
            return Ok(());
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        write_whole(&path, bytes)
    }

    /// A kept file, if it is still what it was.
    pub(super) fn get(&self, sha256: &str) -> Option<Vec<u8>> {
        let bytes = fs::read(self.0.as_ref()?.join(format!("{sha256}.wasm"))).ok()?;
        (loader::hash(&bytes) == sha256).then_some(bytes)
    }

    /// Removes what nobody may go back to any more.
    pub(super) fn prune(&self, needed: &BTreeSet<&str>) {
        let Some(Ok(entries)) = self.0.as_ref().map(fs::read_dir) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.strip_suffix(".wasm").is_some_and(|hash| !needed.contains(hash)) {
                // What cannot be removed only takes space.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Writes a file so that whoever looks sees the old one or the new one.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = path.with_extension("part");
    // A link or a file that lies there already is not written through.
    let _ = fs::remove_file(&part);
    let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&part)?;
    file.write_all(bytes).and_then(|()| file.sync_all())?;
    fs::rename(&part, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_as_it_was_or_not_at_all() {
        let data = tempfile::tempdir().unwrap();
        let kept = Kept::open(Some(data.path()));
        let (a, b) = (loader::hash(b"a"), loader::hash(b"b"));
        kept.put(&a, b"a").unwrap();
        kept.put(&b, b"b").unwrap();
        assert_eq!(kept.get(&a).as_deref(), Some(&b"a"[..]));
        fs::write(data.path().join("adapters-kept").join(format!("{a}.wasm")), "changed").unwrap();
        assert_eq!(kept.get(&a), None);
        kept.prune(&BTreeSet::from([a.as_str()]));
        assert_eq!(kept.get(&b), None);
    }
}

//! The adapter files in the folders: which there are, and what each is, without compiling or running anything of it.

use std::collections::HashMap;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::OFlags;

use super::{RegistryOptions, Source};
use crate::plugin::loader;
use crate::plugin::manifest::Manifest;
use crate::plugin::package::{self, MAX_SIZE};

/// What was seen of a file when it was looked at last.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

/// A file that is an adapter, as far as its manifest tells.
#[derive(Debug, Clone)]
pub(super) struct Package {
    pub(super) sha256: String,
    pub(super) manifest: Manifest,
}

#[derive(Debug)]
pub(super) struct Seen {
    stamp: Option<Stamp>,
    pub(super) source: Source,
    pub(super) content: Result<Package, String>,
}

/// All files, in the order in which they are looked at: the program's own first, then the operator's, each by name.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) order: Vec<PathBuf>,
    pub(super) seen: HashMap<PathBuf, Seen>,
}

impl Files {
    /// Reads anew what has changed. Blocks.
    pub(super) fn look(&mut self, options: &RegistryOptions) {
        let bundled = options.bundled.iter().map(|folder| (folder, Source::Bundled));
        let own = options.dropped_in.iter().map(|folder| (folder, Source::Folder));
        let found: Vec<_> = bundled
            .chain(own)
            .flat_map(|(folder, source)| wasm_files(folder).map(move |path| (path, source)))
            .collect();
        self.seen.retain(|path, _| found.iter().any(|(found, _)| found == path));
        for (path, source) in &found {
            let stamp = stamp(path);
            let same = self.seen.get(path).is_some_and(|seen| stamp.is_some() && seen.stamp == stamp);
            if !same {
                let content = read(path, *source).and_then(|bytes| parse(&bytes));
                if let Err(problem) = &content {
                    tracing::warn!(path = %path.display(), "adapter not loaded: {problem}");
                }
                self.seen.insert(path.clone(), Seen { stamp, source: *source, content });
            }
        }
        self.order = found.into_iter().map(|(path, _)| path).collect();
    }

    /// The adapters of one source, those of the same id together: the newest version first, and of the same version the later
    /// name.
    pub(super) fn packages(&self, source: Source) -> Vec<(&Path, &Package)> {
        let mut all: Vec<_> = self
            .order
            .iter()
            .filter_map(|path| {
                let seen = self.seen.get(path).filter(|seen| seen.source == source)?;
                Some((path.as_path(), seen.content.as_ref().ok()?))
            })
            .collect();
        all.sort_by(|(a_path, a), (b_path, b)| {
            let by_id = a.manifest.id.cmp(&b.manifest.id);
            by_id.then(b.manifest.version.cmp(&a.manifest.version)).then(b_path.cmp(a_path))
        });
        all
    }
}

/// What a file holds, if it still has this hash.
pub(super) fn read_again(path: &Path, source: Source, sha256: &str) -> Result<Vec<u8>, String> {
    let bytes = read(path, source)?;
    if loader::hash(&bytes) == sha256 { Ok(bytes) } else { Err("it is being written".into()) }
}

fn parse(bytes: &[u8]) -> Result<Package, String> {
    let manifest = package::read_manifest(bytes).map_err(|error| error.to_string())?;
    Ok(Package { sha256: loader::hash(bytes), manifest })
}

/// The `.wasm` files of a folder, by name. A folder that is not there has none.
fn wasm_files(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = std::fs::read_dir(folder).map(Vec::from_iter).unwrap_or_default();
    let mut files: Vec<PathBuf> = entries
        .into_iter()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "wasm"))
        .collect();
    files.sort();
    files.into_iter()
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    Some(Stamp { size: meta.len(), modified: meta.modified().ok(), inode: std::os::unix::fs::MetadataExt::ino(&meta) })
}

/// Reads a regular file that is not too large. In the operator's folder a link is refused: it could lead anywhere, and change
/// there without anyone's noticing here.
fn read(path: &Path, source: Source) -> Result<Vec<u8>, String> {
    let mut flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
    if source == Source::Folder {
        if std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink()) {
            return Err("it is a symbolic link: put the file itself here".into());
        }
        flags |= OFlags::NOFOLLOW;
    }
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let failed = |error: std::io::Error| format!("it cannot be read: {error}");
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err("it is not a regular file".into());
    }
    let too_large = |size: u64| format!("it has {size} bytes; an adapter may have at most {MAX_SIZE}");
    if meta.len() > MAX_SIZE as u64 {
        return Err(too_large(meta.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or_default());
    // It may grow while it is read.
    file.take(MAX_SIZE as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_SIZE { Err(too_large(bytes.len() as u64)) } else { Ok(bytes) }
}

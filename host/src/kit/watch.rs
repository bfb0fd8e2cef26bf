//! Builds an adapter anew at every save and puts it where a running server sees it.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use notify::{RecursiveMode, Watcher as _};

use super::build::{BuildError, build};

/// Editors write a file in several steps.
const SETTLED: Duration = Duration::from_millis(200);
/// Folders that builds write to.
const NOT_SOURCE: [&str; 4] = ["target", "dist", "node_modules", ".git"];

/// Why nothing is watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error("{path} cannot be watched: {message}")]
    Notify { path: String, message: String },
    #[error("{path}: {source}")]
    Write { path: String, source: std::io::Error },
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// Builds, puts the file into `into`, and again at every change; `tell` hears of each. Ends only on an error of its own: a build
/// that fails is told, and the version that serves stays.
///
/// # Errors
/// Where the folder cannot be watched or written to.
pub fn watch(folder: &Path, into: &Path, mut tell: impl FnMut(&str)) -> Result<(), WatchError> {
    // One place: any number of changes are one reason to build.
    let (sender, changes) = sync_channel(1);
    let handler = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(|path| is_source(path))) {
            // Full means that a build is due already.
            let _ = sender.try_send(());
        }
    };
    let failed =
        |error: notify::Error| WatchError::Notify { path: folder.display().to_string(), message: error.to_string() };
    let mut watcher = notify::recommended_watcher(handler).map_err(failed)?;
    watcher.watch(folder, RecursiveMode::Recursive).map_err(failed)?;
    once(folder, into, &mut tell)?;
    loop {
        if changes.recv().is_err() {
            return Ok(());
        }
        while !matches!(changes.recv_timeout(SETTLED), Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected))
        {
        }
        // A file that an editor is writing anew may be missing for a moment; what was no project at first is an error.
        match once(folder, into, &mut tell) {
            Err(WatchError::Build(error)) => tell(&format!("not built: {error}")),
            other => other?,
        }
    }
}

fn once(folder: &Path, into: &Path, tell: &mut impl FnMut(&str)) -> Result<(), WatchError> {
    tell("building ...");
    let started = Instant::now();
    match build(folder) {
        Ok(built) => {
            let target = into.join(format!("{}.wasm", built.id));
            put(&built.bytes, &target)
                .map_err(|source| WatchError::Write { path: target.display().to_string(), source })?;
            tell(&format!("built in {:.1} s: {}", started.elapsed().as_secs_f32(), target.display()));
            Ok(())
        }
        // The author's to mend; the server goes on with what it has.
        Err(error @ (BuildError::Failed { .. } | BuildError::Package { .. } | BuildError::NoOutput(_))) => {
            tell(&format!("not built: {error}"));
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Whoever watches the folder must never see half a file.
fn put(bytes: &[u8], target: &Path) -> std::io::Result<()> {
    let part: PathBuf = target.with_extension("part");
    std::fs::write(&part, bytes)?;
    std::fs::rename(&part, target)
}

fn is_source(path: &Path) -> bool {
    !path.components().any(|part| NOT_SOURCE.iter().any(|name| part.as_os_str() == *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_writes_is_no_reason_to_build() {
        assert!(is_source(Path::new("/a/src/lib.rs")) && is_source(Path::new("/a/adapter.toml")));
        assert!(!is_source(Path::new("/a/target/x/y")) && !is_source(Path::new("/a/dist/a.wasm")));
    }
}

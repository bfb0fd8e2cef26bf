//! `compile`: what the server starts to have an adapter compiled apart from itself. Not for people.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::plugin::{self, MAX_SIZE};

/// This very program, even when its file has been replaced meanwhile: only the same build finds its code in the cache again.
pub(super) fn program() -> PathBuf {
    let linked = PathBuf::from("/proc/self/exe");
    if linked.exists() { linked } else { std::env::current_exe().unwrap_or(linked) }
}

/// Reads a component from stdin and compiles it into the cache. Its own words, if any, are for the server to hand on.
pub(super) fn run(cache: &Path) -> ExitCode {
    plugin::confine_compiler();
    let mut component = Vec::new();
    let read = std::io::stdin().lock().take(MAX_SIZE as u64 + 1).read_to_end(&mut component);
    let result = match read {
        Ok(size) if size <= MAX_SIZE => plugin::compile_into(cache, &component).map_err(|error| error.to_string()),
        Ok(size) => Err(format!("it has {size} bytes; an adapter may have at most {MAX_SIZE}")),
        Err(error) => Err(format!("it did not arrive: {error}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = write!(std::io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}

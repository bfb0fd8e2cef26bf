//! Compiling in a process of its own. A compile cannot be called off inside a process, and a file made for it can make the
//! compiler take minutes or all memory: there it ends with the process, and nobody else notices.
//!
//! The child fills wasmtime's cache; the parent then finds the native code there. Nothing else goes from one to the other. So a child
//! that could not write there has failed: the parent would compile by itself, without any of the limits.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::engine::{Engine, EngineError};

/// A compile that takes longer is ended.
const TIME: Duration = Duration::from_secs(60);
/// Processor seconds, of all the compiler's threads together.
const CPU_SECONDS: u64 = 120;
/// Address space. Each thread reserves some; what is really used is far less.
const ADDRESS_SPACE: u64 = 6 << 30;
/// How far the compiler steps back for others, from 0 to 19.
const NICE: i32 = 10;
/// What is kept of the child's last words.
const WORDS: u64 = 4096;

/// The program that compiles, and its cache.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// A webai2api; started as `<program> compile --cache <cache>`.
    pub program: PathBuf,
    /// The cache folder of the engine that will load what was compiled.
    pub cache: PathBuf,
}

impl Compiler {
    /// Compiles a component into the cache.
    ///
    /// # Errors
    /// The compiler's own words, or how it was ended.
    pub(super) async fn run(&self, component: &[u8]) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        command
            .arg("compile")
            .arg("--cache")
            .arg(&self.cache)
            // Keys may stand in the environment; a compiler needs none of it.
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|e| format!("the compiler cannot be started: {e}"))?;
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A child that has ended reads no more; its exit says why.
                let _ = stdin.write_all(component).await;
            }
        };
        let listen = async {
            let mut words = Vec::new();
            if let Some(stderr) = stderr {
                // Words that cannot be read are missing from the message, no more.
                let _ = stderr.take(WORDS).read_to_end(&mut words).await;
            }
            String::from_utf8_lossy(&words).trim().to_owned()
        };
        let whole = async { tokio::join!(feed, listen, child.wait()) };
        let Ok(((), words, status)) = tokio::time::timeout(TIME, whole).await else {
            // Dropping the child kills it, and the runtime reaps it.
            return Err(format!("it took more than {} s to compile", TIME.as_secs()));
        };
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) if status.code().is_some() && !words.is_empty() => Err(words),
            Ok(status) => Err(format!("the compiler ended with {status}: the file asks for too much")),
            Err(error) => Err(format!("the compiler was lost: {error}")),
        }
    }
}

/// In the child: gives up what it does not need, before anything of the file is read.
pub fn confine_compiler() {
    use rustix::process::{Resource, Rlimit, Signal};
    let limit = |resource, most: u64| {
        let _ = rustix::process::setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    };
    // Where the system refuses one of these, the time limit of the parent is left.
    limit(Resource::As, ADDRESS_SPACE);
    limit(Resource::Cpu, CPU_SECONDS);
    limit(Resource::Core, 0);
    let _ = rustix::process::setpriority_process(None, NICE);
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
}

/// In the child: compiles into the cache, unless it is there already.
///
/// # Errors
/// When the cache cannot be used or written, or in the words of the compiler.
pub fn compile_into(cache: &std::path::Path, component: &[u8]) -> Result<(), CompileError> {
    let engine = Engine::new(Some(cache))?;
    engine.compile(component).map_err(|e| CompileError::Compile(format!("{e:#}")))?;
    match engine.cached() {
        0 => Err(CompileError::NotKept(cache.display().to_string())),
        _ => Ok(()),
    }
}

/// Why the child failed.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("{0}")]
    Compile(String),
    #[error("its code cannot be kept in {0}: make room there, or let it be written to")]
    NotKept(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiler(program: &str) -> Compiler {
        Compiler { program: program.into(), cache: "/".into() }
    }

    #[test]
    fn what_is_not_in_the_cache_was_not_compiled() {
        let folder = tempfile::tempdir().unwrap();
        let component = b"\0asm\x0d\0\x01\0";
        // Where the cache has its entries: no folder can be made there, as none can on a full disk.
        std::fs::write(folder.path().join("modules"), "").unwrap();
        let error = compile_into(folder.path(), component).unwrap_err().to_string();
        assert!(error.contains("cannot be kept in") && error.contains("make room"), "{error}");
        std::fs::remove_file(folder.path().join("modules")).unwrap();
        compile_into(folder.path(), component).unwrap();
        compile_into(folder.path(), component).unwrap();
        // What the server's engine then makes of it comes from there.
        let engine = Engine::new(Some(folder.path())).unwrap();
        let before = std::fs::read_dir(folder.path().join("modules")).unwrap().count();
        engine.compile(component).unwrap();
        assert_eq!((engine.cached(), std::fs::read_dir(folder.path().join("modules")).unwrap().count()), (1, before));
    }

    #[tokio::test(start_paused = true)]
    async fn a_compile_that_does_not_end_is_ended() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("endless");
        std::fs::write(&program, "#!/bin/sh\nexec sleep 1000\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let error = compiler(program.to_str().unwrap()).run(b"").await.unwrap_err();
        assert!(error.contains("more than 60 s"), "{error}");
    }

    #[tokio::test]
    async fn a_compiler_that_dies_or_is_not_there_is_told() {
        let error = compiler("false").run(b"some bytes that nobody reads").await.unwrap_err();
        assert!(error.contains("ended with exit status: 1"), "{error}");
        let error = compiler("/nowhere/webai2api").run(b"").await.unwrap_err();
        assert!(error.contains("cannot be started"), "{error}");
        compiler("true").run(b"").await.unwrap();
    }
}

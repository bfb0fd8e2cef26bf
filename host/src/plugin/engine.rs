//! The one wasmtime engine: how components are compiled and interrupted.

use std::path::Path;
use std::time::Duration;

use wasmtime::{Cache, CacheConfig, Config, WasmBacktraceDetails};

/// How often running guests are asked whether they may go on.
const TICK: Duration = Duration::from_millis(5);

/// What a guest's stack may take. The host's own frames lie on the same fiber.
const GUEST_STACK: usize = 512 << 10;

/// The engine that compiles and runs every adapter.
#[derive(Clone)]
pub struct Engine {
    engine: wasmtime::Engine,
    cache: Option<Cache>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

/// Why the engine cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("cannot use {path} for compiled adapters: {message}")]
    Cache { path: String, message: String },
    #[error("cannot set up WebAssembly: {0}")]
    Config(String),
    #[error("cannot start the clock thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl Engine {
    /// An engine whose compiled code is kept in `cache`, if given: a private folder on a local disk, since what lies there is run
    /// as native code.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn new(cache: Option<&Path>) -> Result<Self, EngineError> {
        let mut config = Config::new();
        config.wasm_component_model(true);
        // With it on, dropping a call's future would not cancel the call (wasmtime 48).
        config.concurrency_support(false);
        config.epoch_interruption(true);
        config.max_wasm_stack(GUEST_STACK);
        config.async_stack_size(GUEST_STACK + (1 << 20));
        // Else it would be as an environment variable says, which the compiler's process does not have, and find nothing in the cache.
        config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
        let cache = cache.map(open_cache).transpose()?;
        config.cache(cache.clone());
        let engine = wasmtime::Engine::new(&config).map_err(|e| EngineError::Config(e.to_string()))?;
        start_ticker(&engine)?;
        Ok(Self { engine, cache })
    }

    pub(super) fn inner(&self) -> &wasmtime::Engine {
        &self.engine
    }

    /// Compiles, or takes what the cache has.
    pub(super) fn compile(&self, component: &[u8]) -> wasmtime::Result<wasmtime::component::Component> {
        wasmtime::component::Component::new(&self.engine, component)
    }

    /// How many of the components that were compiled are in the cache. A cache that cannot be written is no error of a compile.
    pub(super) fn cached(&self) -> usize {
        self.cache.as_ref().map_or(0, |cache| cache.cache_hits() + cache.cache_misses())
    }
}

fn open_cache(path: &Path) -> Result<Cache, EngineError> {
    let failed = |message: String| EngineError::Cache { path: path.display().to_string(), message };
    std::fs::create_dir_all(path).map_err(|e| failed(e.to_string()))?;
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(path, private).map_err(|e| failed(e.to_string()))?;
    let path = path.canonicalize().map_err(|e| failed(e.to_string()))?;
    let mut config = CacheConfig::new();
    config.with_directory(path);
    Cache::new(config).map_err(|e| failed(e.to_string()))
}

/// Advances the engine's epoch. A thread and not a task: a guest that loops may hold every runtime thread for a moment. It
/// ends with the engine.
fn start_ticker(engine: &wasmtime::Engine) -> Result<(), EngineError> {
    let weak = engine.weak();
    std::thread::Builder::new().name("wasm-epoch".into()).spawn(move || {
        while let Some(engine) = weak.upgrade() {
            engine.increment_epoch();
            drop(engine);
            // Not a wait for anything: this thread is the clock.
            std::thread::sleep(TICK);
        }
    })?;
    Ok(())
}

//! How much memory a guest may have.

use wasmtime::ResourceLimiter;

/// Tables are small; this is room for every function pointer of a large script engine.
const MAX_TABLE: usize = 100_000;

/// Ends a guest that asks for more than its manifest says, and remembers that it did.
#[derive(Debug)]
pub(super) struct MemoryLimiter {
    max_memory: usize,
    exceeded: bool,
}

impl MemoryLimiter {
    pub(super) fn new(max_memory: usize) -> Self {
        Self { max_memory, exceeded: false }
    }

    pub(super) fn exceeded(&self) -> bool {
        self.exceeded
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, _current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        if desired <= self.max_memory {
            return Ok(true);
        }
        self.exceeded = true;
        // An error and not a refusal: most guests answer a refusal with a bare trap, which would hide the reason.
        Err(wasmtime::Error::msg(format!("the adapter asked for more than {} bytes of memory", self.max_memory)))
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE)
    }

    fn memories(&self) -> usize {
        8
    }
}

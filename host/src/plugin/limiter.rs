//! How much memory a guest may have.

use wasmtime::ResourceLimiter;

/// Tables are small; this is room for every function pointer of a large script engine.
const MAX_TABLE: usize = 100_000;

/// Ends a guest that asks for more than its manifest says, and remembers that it did.
#[derive(Debug)]
pub(super) struct MemoryLimiter {
    max_memory: usize,
    /// What all its memories have together. They never shrink.
    used: usize,
    exceeded: bool,
}

impl MemoryLimiter {
    pub(super) fn new(max_memory: usize) -> Self {
        Self { max_memory, used: 0, exceeded: false }
    }

    pub(super) fn exceeded(&self) -> bool {
        self.exceeded
    }

    /// In bytes.
    pub(super) fn used(&self) -> usize {
        self.used
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _max: Option<usize>) -> wasmtime::Result<bool> {
        let together = self.used.saturating_sub(current).saturating_add(desired);
        if together <= self.max_memory {
            self.used = together;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_for_all_memories_together() {
        let mut limiter = MemoryLimiter::new(100);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.memory_growing(0, 30, None).unwrap());
        assert!(limiter.memory_growing(30, 40, None).unwrap());
        assert_eq!((limiter.used(), limiter.exceeded()), (100, false));
        assert!(limiter.memory_growing(60, 61, None).is_err());
        assert_eq!((limiter.used(), limiter.exceeded()), (100, true));
    }
}

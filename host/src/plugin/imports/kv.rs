//! `kv`: the adapter's own memory for the account whose page it has.

use crate::plugin::bindings::webai::adapter::kv::Host;
use crate::plugin::bindings::webai::adapter::types::Fault;
use crate::plugin::handles::HostState;
use crate::store::KvError;

/// Changes in one call. Each is written to the disk.
const MAX_CHANGES: u32 = 256;

impl HostState {
    /// Counts a change, if there is a memory and it may be changed once more.
    fn change(&mut self) -> Result<crate::store::Memory, Fault> {
        let memory = self.means.memory.clone().ok_or_else(|| unavailable("there is no memory in this call"))?;
        self.changes += 1;
        if self.changes > MAX_CHANGES {
            return Err(unavailable(format!("more than {MAX_CHANGES} changes in one call")));
        }
        Ok(memory)
    }
}

impl Host for HostState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        match &self.means.memory {
            Some(memory) => Ok(memory.get(&key).await),
            None => Ok(None),
        }
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), Fault>> {
        match self.change() {
            Ok(memory) => Ok(memory.set(&key, value).await.map_err(fault)),
            Err(fault) => Ok(Err(fault)),
        }
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), Fault>> {
        match self.change() {
            Ok(memory) => Ok(memory.delete(&key).await.map_err(fault)),
            Err(fault) => Ok(Err(fault)),
        }
    }

    async fn keys(&mut self, prefix: String) -> wasmtime::Result<Vec<String>> {
        match &self.means.memory {
            Some(memory) => Ok(memory.keys(&prefix).await),
            None => Ok(Vec::new()),
        }
    }
}

fn unavailable(message: impl Into<String>) -> Fault {
    Fault { code: "unavailable".into(), message: message.into() }
}

fn fault(error: KvError) -> Fault {
    match error {
        KvError::TooLarge(message) => Fault { code: "too-large".into(), message },
        KvError::Unavailable(message) => {
            // Why the disk refuses is the operator's affair.
            tracing::warn!(message, "an adapter's memory cannot be written");
            unavailable("the host cannot keep it now")
        }
    }
}

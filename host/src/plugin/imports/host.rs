//! `config`, `clock`, `log`, and the `types` interface, which has no functions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::plugin::bindings::webai::adapter::{clock, config, log, types};
use crate::plugin::guest_log::Level;
use crate::plugin::handles::HostState;

impl types::Host for HostState {}

impl config::Host for HostState {
    async fn get(&mut self) -> wasmtime::Result<String> {
        Ok(self.means.config.to_string())
    }
}

impl clock::Host for HostState {
    async fn now(&mut self) -> wasmtime::Result<u64> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    async fn remaining(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::try_from(self.progress.clock.remaining().as_millis()).unwrap_or(u64::MAX))
    }

    async fn sleep(&mut self, duration: u64) -> wasmtime::Result<()> {
        let duration = Duration::from_millis(duration).min(self.progress.clock.remaining());
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            () = self.progress.cancel.cancelled() => {}
        }
        Ok(())
    }
}

impl log::Host for HostState {
    async fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Error => Level::Error,
            log::Level::Warn => Level::Warn,
            log::Level::Info => Level::Info,
            log::Level::Debug => Level::Debug,
        };
        self.log.write(level, &message);
        Ok(())
    }
}

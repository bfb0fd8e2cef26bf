//! `serve`: start, say so, wait for a signal, end in order.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{banner, print};
use crate::app::{App, Surroundings};
use crate::config::Loaded;
use crate::store::{AdminKey, DataFolder};
use crate::telemetry::log;
use crate::telemetry::metrics::Exposition;

/// After the drain, what still runs in the background gets this long.
const BACKGROUND: Duration = Duration::from_secs(1);

pub(super) fn run(loaded: &Loaded) -> anyhow::Result<()> {
    log::start(&loaded.config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(serve(loaded));
    runtime.shutdown_timeout(BACKGROUND);
    result
}

async fn serve(loaded: &Loaded) -> anyhow::Result<()> {
    let config = &loaded.config;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    // Before anything that takes time: a signal during the start must not be lost.
    let mut signals = Signals::new()?;
    let folder = DataFolder::open(&config.log.data_dir)?;
    let key = match &config.server.auth {
        Some(_) => None,
        None => Some(AdminKey::ensure(folder.path())?),
    };
    let in_force = config.server.auth.as_deref().or(key.as_ref().map(|key| key.key.as_str())).unwrap_or_default();
    let place = folder.path().to_owned();
    let surroundings = Surroundings {
        folder,
        admin_key: in_force.to_owned(),
        bundled_adapters: super::adapter::bundled_folders(),
        program: Some(super::compile::program()),
        metrics: Exposition::install(),
    };
    let app = App::start(config, surroundings).await?;
    print(&banner::text(app.address(), key.as_ref(), &place));
    let name = signals.next().await;
    tracing::info!(signal = name, "stopping: running requests may finish");
    tokio::select! {
        finished = app.stop() => {
            if finished {
                tracing::info!("stopped");
            } else {
                tracing::warn!("stopped; some requests were cut off");
            }
        }
        name = signals.next() => tracing::warn!(signal = name, "stopped at once"),
    }
    Ok(())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

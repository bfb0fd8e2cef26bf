//! `serve`: start, say so, wait for a signal, end in order.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::{banner, print};
use crate::app::{App, Surroundings};
use crate::config::Loaded;
use crate::http::Reloaded;
use crate::store::{AdminKey, DataFolder};
use crate::telemetry::log;
use crate::telemetry::metrics::Exposition;

/// By this signal the configuration is read again.
const RELOAD: &str = "SIGHUP";

/// After the drain, what still runs in the background gets this long.
const BACKGROUND: Duration = Duration::from_secs(1);

/// `load` reads the configuration again.
pub(super) fn run(loaded: &Loaded, load: impl Fn() -> anyhow::Result<Loaded>) -> anyhow::Result<()> {
    log::start(&loaded.config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(serve(loaded, load));
    runtime.shutdown_timeout(BACKGROUND);
    result
}

async fn serve(loaded: &Loaded, load: impl Fn() -> anyhow::Result<Loaded>) -> anyhow::Result<()> {
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
    let (reloads, mut asked) = mpsc::channel(1);
    let surroundings = Surroundings {
        folder,
        admin_key: in_force.to_owned(),
        bundled_adapters: super::adapter::bundled_folders(),
        program: Some(super::compile::program()),
        metrics: Exposition::install(),
        reloads: Some(reloads),
    };
    let mut app = App::start(config, surroundings).await?;
    print(&banner::text(app.address(), key.as_ref(), &place));
    let name = loop {
        let answer = tokio::select! {
            name = signals.next() => match name {
                RELOAD => None,
                name => break name,
            },
            Some(answer) = asked.recv() => Some(answer),
        };
        // It may have to compile adapters: an end does not wait for that.
        tokio::select! {
            done = reload(&mut app, &load, key.as_ref()) => {
                // Whoever asked may have gone.
                drop(answer.map(|answer| answer.send(done)));
            }
            name = signals.end() => break name,
        }
    };
    tracing::info!(signal = name, "stopping: running requests may finish");
    tokio::select! {
        finished = app.stop() => {
            if finished {
                tracing::info!("stopped");
            } else {
                tracing::warn!("stopped; some requests were cut off");
            }
        }
        name = signals.end() => tracing::warn!(signal = name, "stopped at once"),
    }
    Ok(())
}

/// A configuration that does not load leaves the old one in force.
async fn reload(app: &mut App, load: impl Fn() -> anyhow::Result<Loaded>, made: Option<&AdminKey>) -> Reloaded {
    let done = take_over(app, load, made).await;
    match &done {
        Ok(done) => {
            for sentence in done {
                tracing::info!("{sentence}");
            }
            tracing::info!("the new configuration is in force");
        }
        Err(why) => tracing::error!("the new configuration was not taken over, the old one stays in force: {why}"),
    }
    done
}

async fn take_over(app: &mut App, load: impl Fn() -> anyhow::Result<Loaded>, made: Option<&AdminKey>) -> Reloaded {
    let loaded = load().map_err(|error| format!("{error:#}"))?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let key = loaded.config.server.auth.clone().or_else(|| made.map(|made| made.key.clone()));
    let key = key.ok_or("it has no server.auth, and no admin key was made at the start")?;
    Ok(app.reload(loaded.config, &key).await)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.reload.recv() => RELOAD,
        }
    }

    /// The next that means the end.
    async fn end(&mut self) -> &'static str {
        loop {
            match self.next().await {
                RELOAD => {}
                name => return name,
            }
        }
    }
}

//! `login`: a window on this desktop, with the profile of an instance, until somebody is signed in.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{account, adapter, compile, kit, passphrase, print};
use crate::app::{self, Parts};
use crate::config::Config;
use crate::login::{Login, SignedIn};
use crate::plugin::{Adapter, Means, Registry};
use crate::store::{DataFolder, Kv, StoreError};
use crate::telemetry::log;

/// For the adapters to be loaded: a script engine takes a while to compile.
const LOADED: Duration = Duration::from_secs(120);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The instance whose profile it is
    #[arg(default_value = "default")]
    instance: String,
    /// The adapter of the site (else the only one in use)
    #[arg(long, value_name = "ID")]
    adapter: Option<String>,
    /// Also write the account into a sealed file
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// A file with the passphrase in its first line (else WEBAI_PASSPHRASE, else you are asked)
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// How many minutes it may take
    #[arg(long, default_value_t = 15)]
    minutes: u64,
}

pub(super) fn run(options: &Options, config: &Config) -> anyhow::Result<()> {
    if !kit::has_display() {
        bail!(
            "there is no desktop here (neither DISPLAY nor WAYLAND_DISPLAY is set). Sign in at the screen in the server's \
             console, or sign in on a computer with a desktop and bring the account here: webai2api account import"
        );
    }
    log::start(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(login(options, config))
}

async fn login(options: &Options, config: &Config) -> anyhow::Result<()> {
    let folder = DataFolder::open(&config.log.data_dir).map_err(|error| match error {
        StoreError::InUse(path) => anyhow::anyhow!(
            "a server runs on the data folder {} and holds its profiles. Stop it, sign in, and start it again; or sign in \
             at the screen in its console",
            path.display()
        ),
        other => other.into(),
    })?;
    let export = match &options.export {
        Some(path) if path.exists() => bail!("{} is there already: name another", path.display()),
        Some(_) => Some(passphrase::get(options.passphrase_file.as_deref(), config, true)?),
        None => None,
    };
    let parts = Parts::start(config, &folder, adapter::bundled_folders(), Some(compile::program())).await?;
    let adapter = choose(&parts.registry, options.adapter.as_deref()).await?;
    let member = parts.instance_with_a_window(config, &folder, &options.instance).await?;
    let member = member.with_context(|| format!("there is no instance {:?}", options.instance))?;
    let instance = Arc::clone(member.instance());
    let kv = Kv::new(folder.path().join("kv"));
    let means = Means {
        config: Arc::clone(&adapter.settings),
        memory: Some(kv.memory(&adapter.manifest.id, instance.name())),
        ..Means::default()
    };
    let cancel = CancellationToken::new();
    let patience = Duration::from_secs(options.minutes.clamp(1, 24 * 60) * 60);
    let login = Login { instance: Arc::clone(&instance), adapter, means, patience, cancel: cancel.clone(), export };
    let result = tokio::select! {
        result = login.run(print) => result,
        _ = tokio::signal::ctrl_c() => Err(crate::login::LoginError::Stopped),
    };
    // In either case what was done in the window reaches the disk.
    instance.stop().await;
    let SignedIn { who, exported } = result?;
    print(&match who {
        Some(who) => format!("Signed in as {who}."),
        None => "Signed in.".to_owned(),
    });
    if let (Some(path), Some(exported)) = (&options.export, exported) {
        account::write_new(path, &exported.archive)?;
        print(&account::exported(path, exported.cookies as u64, exported.entries as u64, &exported.left_out));
    }
    Ok(())
}

/// The adapter that was named, or the only one that is in use.
async fn choose(registry: &Registry, named: Option<&str>) -> anyhow::Result<Arc<Adapter>> {
    let mut changes = registry.changes();
    timeout(LOADED, changes.wait_for(|n| *n > 0)).await.context("the adapters were not loaded in time")??;
    if let Some(id) = named {
        return registry.get(id).with_context(|| {
            let why = registry.entry(id).and_then(|entry| entry.problem).map(|why| format!(": {why}"));
            format!("the adapter {id} is not in use{}", why.unwrap_or_default())
        });
    }
    let all = registry.all();
    let others: Vec<_> = all.iter().filter(|adapter| adapter.manifest.id != app::DEMO_ADAPTER).collect();
    match *others {
        [only] => Ok(Arc::clone(only)),
        [] => bail!("no adapter is in use: name one by --adapter, or switch one on (adapters.enabled)"),
        _ => {
            let ids: Vec<&str> = others.iter().map(|adapter| adapter.manifest.id.as_str()).collect();
            bail!("several adapters are in use; name one by --adapter: {}", ids.join(", "))
        }
    }
}

//! The program as a whole: built from a configuration, and ended in order.

pub(crate) mod keep;
mod parts;
mod reload;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::accounts::{Accounts, Holder};
use crate::config::Config;
use crate::dispatch::{Dispatcher, InstancePlan, Member};
use crate::http::{Edge, Kept, Reloads, Server, Watched};
use crate::instances;
use crate::lab::demo::{DemoOptions, DemoSite};
use crate::plugin::{Change, Compiler, Engine, EngineError, Registry, RegistryOptions, Wishes};
use crate::store::{DataFolder, Database, Kv, Media};
use crate::telemetry::memory::{MemoryGuard, Reader};
use crate::telemetry::metrics::Exposition;
use keep::keeping;
pub(crate) use parts::Parts;

/// The adapter of the demo site.
pub(crate) const DEMO_ADAPTER: &str = "demo";

/// For the history to reach the disk at the end.
const CLOSE: Duration = Duration::from_secs(2);

/// Why the program could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("port {0} is in use by another program; choose another with PORT, server.port or --port")]
    PortInUse(u16),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: String, source: io::Error },
    #[error("the demo site cannot listen on {address} (demo.listen): {source}")]
    DemoListen { address: String, source: io::Error },
    #[error("the client for linked pictures cannot be built: {0}")]
    Client(String),
    #[error("cannot start the {what}: {source}")]
    Internal { what: &'static str, source: io::Error },
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What the program is given beside its configuration.
#[derive(Debug)]
pub struct Surroundings {
    /// Locked for as long as the program runs.
    pub folder: DataFolder,
    pub admin_key: String,
    /// Folders with the adapters that are part of the program.
    pub bundled_adapters: Vec<PathBuf>,
    /// This program itself, which compiles adapters in a process of its own; none: they are compiled in this one.
    pub program: Option<PathBuf>,
    /// Of this process, if it records any.
    pub metrics: Option<Exposition>,
    /// Who reads the configuration again when the operator asks for it over the API.
    pub reloads: Option<Reloads>,
}

/// A running webai2api.
#[derive(Debug)]
pub struct App {
    server: Server,
    edge: Arc<Edge>,
    registry: Arc<Registry>,
    kv: Arc<Kv>,
    /// As it is in force.
    config: Config,
    dispatcher: Dispatcher,
    database: Database,
    _memory: MemoryGuard,
    demo: Option<DemoSite>,
    /// Held until all else has ended.
    folder: DataFolder,
}

impl App {
    /// Listens at once; browser and adapters come up behind it.
    ///
    /// # Errors
    /// When the address cannot be had, or the state folder not be written.
    pub async fn start(config: &Config, surroundings: Surroundings) -> Result<Self, StartError> {
        let Surroundings { folder, admin_key, bundled_adapters, program, metrics, reloads } = surroundings;
        let demo = match config.adapters.demo {
            true => Some(start_demo(config.adapters.demo_listen).await?),
            false => None,
        };
        let cache = folder.path().join("cache");
        let engine = Engine::new(Some(&cache))?;
        let compiler = program.map(|program| Compiler { program, cache });
        let registry = Arc::new(Registry::start(engine, adapters(config, &folder, bundled_adapters, compiler)));
        let plans = instances::plans(config, &folder, demo.as_ref());
        let start = |plan: InstancePlan| {
            let keeping = keeping(config, &folder, &plan.name, &registry);
            Member::start(plan, Some(keeping))
        };
        let members = futures::future::try_join_all(plans.into_iter().map(start));
        let members = members.await.map_err(internal("egress guard"))?;
        let kv = Arc::new(Kv::new(folder.path().join("kv")));
        let database = Database::open(folder.path(), &config.history);
        let media = Media::new(folder.path(), database.clone());
        let options = instances::options(config, &kv, &database);
        let dispatcher = Dispatcher::start(Arc::clone(&registry), members, options);
        let accounts = accounts(&registry, &dispatcher);
        let memory = MemoryGuard::start(config.limits.memory, Reader::default(), Arc::new(dispatcher.clone()));
        let watched = Watched { metrics, memory: memory.state(), reloads };
        let kept = Kept { accounts, database: database.clone(), media };
        let edge = Edge::new(config, &admin_key, dispatcher.clone(), kept, watched)
            .map_err(|error| StartError::Client(error.to_string()))?;
        let (host, port) = (config.server.host.as_str(), config.server.port);
        let server = Server::start(host, port, Arc::clone(&edge)).await.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => StartError::PortInUse(port),
            _ => StartError::Listen { address: format!("{host}:{port}"), source },
        })?;
        let config = config.clone();
        Ok(Self { server, edge, registry, kv, config, dispatcher, database, _memory: memory, demo, folder })
    }

    /// Takes over a new configuration while it runs. What was done, and what counts from the next start only, a sentence each.
    pub async fn reload(&mut self, config: Config, admin_key: &str) -> Vec<String> {
        let plans = instances::plans(&config, &self.folder, self.demo.as_ref()).into_iter().map(|plan| {
            let keeping = keeping(&config, &self.folder, &plan.name, &self.registry);
            (plan, keeping)
        });
        let options = instances::options(&config, &self.kv, &self.database);
        // Before the workers that are to work for them.
        if let Err(error) = self.registry.change(Change::Configure(wishes(&config))).await {
            tracing::error!(%error, "the adapters' settings were not taken over");
        }
        let mut done = self.dispatcher.apply(plans.collect(), options).await;
        self.database.configure(&config.history);
        self.edge.set_keys(admin_key, &config);
        let later = reload::later(&self.config, &config);
        if !later.is_empty() {
            done.push(format!("these count from the next start: {}", later.join(", ")));
        }
        self.config = config;
        done
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where it keeps its data.
    pub fn folder(&self) -> &DataFolder {
        &self.folder
    }

    /// Takes no new requests, lets running ones finish within the deadline, then closes the browser so that its cookies reach
    /// the disk. True if no request was cut off.
    pub async fn stop(self) -> bool {
        let drain = self.config.deadlines.drain;
        let (finished, ()) = tokio::join!(self.server.drain(drain), self.dispatcher.drain(drain));
        tokio::join!(self.dispatcher.stop_browsers(), self.database.close(CLOSE));
        finished
    }
}

fn internal(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::Internal { what, source }
}

async fn start_demo(listen: SocketAddr) -> Result<DemoSite, StartError> {
    let options = DemoOptions { listen, ..DemoOptions::default() };
    let failed = |source| StartError::DemoListen { address: listen.to_string(), source };
    let demo = DemoSite::start(options).await.map_err(failed)?;
    tracing::info!(address = %demo.addr(), "the demo site listens");
    Ok(demo)
}

fn adapters(
    config: &Config,
    folder: &DataFolder,
    bundled: Vec<PathBuf>,
    compiler: Option<Compiler>,
) -> RegistryOptions {
    let own = config.adapters.folder(folder.path());
    if let Err(error) = std::fs::create_dir_all(&own) {
        tracing::warn!(folder = %own.display(), %error, "the folder for adapters cannot be made");
    }
    RegistryOptions {
        bundled,
        dropped_in: Some(own),
        disabled: if config.adapters.demo { Vec::new() } else { vec![DEMO_ADAPTER.to_owned()] },
        state: Some(folder.path().to_owned()),
        wishes: wishes(config),
        compiler,
        crashes_max: config.adapters.crashes,
    }
}

fn wishes(config: &Config) -> Wishes {
    Wishes {
        allow_unapproved: config.adapters.allow_unapproved,
        bundled_on: Some(used(config)),
        settings: config.backend.adapter.clone(),
    }
}

/// The adapters that the configuration names, and the demo's.
fn used(config: &Config) -> BTreeSet<String> {
    let workers = config.backend.instances.iter().flat_map(|instance| &instance.workers);
    let named = workers.flat_map(|worker| &worker.adapters).chain(&config.adapters.enabled).cloned();
    named.chain([DEMO_ADAPTER.to_owned()]).collect()
}

/// All instances, with the adapters that work there.
fn accounts(registry: &Arc<Registry>, dispatcher: &Dispatcher) -> Accounts {
    let (registry, dispatcher) = (Arc::clone(registry), dispatcher.clone());
    Accounts::new(Box::new(move || {
        let workers = dispatcher.workers();
        let holder = |member: &Arc<Member>| {
            let here = workers.iter().filter(|worker| worker.instance == member.name());
            let adapters: BTreeSet<String> = here.flat_map(|worker| worker.adapters.iter().cloned()).collect();
            let origins = keep::origins_of(&registry, |id| adapters.contains(id));
            Holder { instance: Arc::clone(member.instance()), adapters: adapters.into_iter().collect(), origins }
        };
        dispatcher.members().iter().map(holder).collect()
    }))
}

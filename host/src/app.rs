//! The program as a whole: built from a configuration, and ended in order.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::browser::guard::{Guard, GuardOptions, Mapping, Upstream, UpstreamError, UpstreamKind};
use crate::browser::{Instance, InstanceOptions, InstanceState, LaunchOptions, Profile};
use crate::config::{Browser, Config, Proxy, ProxyKind, Sandbox};
use crate::dispatch::{DispatchOptions, Dispatcher};
use crate::http::{Edge, Server, Watched};
use crate::lab::demo::{DemoOptions, DemoSite};
use crate::net::DEMO_HOST;
use crate::plugin::{Compiler, Deadlines, Engine, EngineError, Registry, RegistryOptions};
use crate::store::{DataFolder, Kv};
use crate::telemetry::memory::{Household, MemoryGuard, Reader};
use crate::telemetry::metrics::Exposition;

/// The adapter of the demo site.
const DEMO_ADAPTER: &str = "demo";

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
    #[error("browser.proxy: {0}")]
    Proxy(UpstreamError),
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
}

/// A running webai2api.
#[derive(Debug)]
pub struct App {
    server: Server,
    dispatcher: Dispatcher,
    instance: Arc<Instance>,
    drain: Duration,
    _guard: Guard,
    _memory: MemoryGuard,
    _demo: Option<DemoSite>,
    /// Held until all else has ended.
    folder: DataFolder,
}

impl App {
    /// Listens at once; browser and adapters come up behind it.
    ///
    /// # Errors
    /// When the address cannot be had, or the state folder not be written.
    pub async fn start(config: &Config, surroundings: Surroundings) -> Result<Self, StartError> {
        let Surroundings { folder, admin_key, bundled_adapters, program, metrics } = surroundings;
        let demo = match config.adapters.demo {
            true => Some(start_demo(config.adapters.demo_listen).await?),
            false => None,
        };
        let guard = start_guard(demo.as_ref(), &config.browser).await?;
        let cache = folder.path().join("cache");
        let engine = Engine::new(Some(&cache))?;
        let compiler = program.map(|program| Compiler { program, cache });
        let registry = Arc::new(Registry::start(engine, adapters(config, &folder, bundled_adapters, compiler)));
        let instance = Arc::new(Instance::spawn(instance(config, &folder, guard.addr())));
        let dispatcher = Dispatcher::start(registry, Arc::clone(&instance), dispatch(config, &folder));
        let house = Arc::new(House { instance: Arc::clone(&instance) });
        let memory = MemoryGuard::start(config.limits.memory, Reader::default(), house);
        let watched = Watched { metrics, memory: memory.state() };
        let edge = Edge::new(config, &admin_key, dispatcher.clone(), watched)
            .map_err(|error| StartError::Client(error.to_string()))?;
        let (host, port) = (config.server.host.as_str(), config.server.port);
        let server = Server::start(host, port, edge).await.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => StartError::PortInUse(port),
            _ => StartError::Listen { address: format!("{host}:{port}"), source },
        })?;
        Ok(Self {
            server,
            dispatcher,
            instance,
            drain: config.deadlines.drain,
            _guard: guard,
            _memory: memory,
            _demo: demo,
            folder,
        })
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
        let (finished, ()) = tokio::join!(self.server.drain(self.drain), self.dispatcher.drain(self.drain));
        self.instance.stop().await;
        finished
    }
}

/// The browsers, for the guard of the memory. What only the dispatcher can do, since it alone knows which pages are in use, is
/// answered with "not done", and the guard goes on to the next step.
struct House {
    instance: Arc<Instance>,
}

impl Household for House {
    fn browsers(&self) -> Vec<(String, u32)> {
        match *self.instance.state().borrow() {
            InstanceState::Ready { pid: Some(pid), .. } => vec![(self.instance.name().to_owned(), pid)],
            _ => Vec::new(),
        }
    }

    fn close_idle_pages(&self) -> usize {
        0
    }

    fn recycle(&self, _: &str) -> bool {
        false
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

async fn start_guard(demo: Option<&DemoSite>, config: &Browser) -> Result<Guard, StartError> {
    Guard::start(guard_options(demo, config)?).await.map_err(internal("egress guard"))
}

/// Where the configuration lets pages go.
///
/// # Errors
/// When its proxy cannot be used.
pub fn guard_options(demo: Option<&DemoSite>, config: &Browser) -> Result<GuardOptions, StartError> {
    let map = |host: &str, to| Mapping { host: host.to_owned(), port: 80, to };
    let demo = demo.map(|demo| map(DEMO_HOST, demo.addr()));
    let mappings = config.hosts.iter().map(|(host, to)| map(host, *to)).chain(demo).collect();
    Ok(GuardOptions { mappings, upstream: config.proxy.as_ref().map(upstream).transpose()?, ..GuardOptions::default() })
}

fn upstream(proxy: &Proxy) -> Result<Upstream, StartError> {
    let kind = match proxy.kind {
        ProxyKind::Http => UpstreamKind::Http,
        ProxyKind::Socks5 => UpstreamKind::Socks5,
        ProxyKind::Https => return Err(StartError::Proxy(UpstreamError::Https)),
    };
    let credentials = proxy.user.clone().map(|user| (user, proxy.password.clone().unwrap_or_default()));
    Ok(Upstream::new(kind, proxy.host.clone(), proxy.port, credentials))
}

fn adapters(
    config: &Config,
    folder: &DataFolder,
    bundled: Vec<PathBuf>,
    compiler: Option<Compiler>,
) -> RegistryOptions {
    let own = config.adapters.dir.clone().unwrap_or_else(|| folder.path().join("adapters"));
    if let Err(error) = std::fs::create_dir_all(&own) {
        tracing::warn!(folder = %own.display(), %error, "the folder for adapters cannot be made");
    }
    RegistryOptions {
        bundled,
        dropped_in: Some(own),
        allow_unapproved: config.adapters.allow_unapproved,
        bundled_on: Some(used(config)),
        disabled: if config.adapters.demo { Vec::new() } else { vec![DEMO_ADAPTER.to_owned()] },
        state: Some(folder.path().to_owned()),
        settings: config.backend.adapter.clone(),
        compiler,
        crashes_max: config.adapters.crashes,
    }
}

/// The adapters that the configuration names, and the demo's.
fn used(config: &Config) -> BTreeSet<String> {
    let workers = config.backend.instances.iter().flat_map(|instance| &instance.workers);
    let named = workers.flat_map(|worker| &worker.adapters).chain(&config.adapters.enabled).cloned();
    named.chain([DEMO_ADAPTER.to_owned()]).collect()
}

fn instance(config: &Config, folder: &DataFolder, guard: SocketAddr) -> InstanceOptions {
    let launch = LaunchOptions {
        executable: config.browser.path.clone(),
        headless: config.browser.headless,
        fission: config.browser.fission,
        sandbox: config.browser.sandbox != Sandbox::Off,
        ..LaunchOptions::new(guard)
    };
    let profile = Profile::Dir(folder.path().join("profiles").join("default"));
    InstanceOptions { name: "default".into(), profile, launch }
}

fn dispatch(config: &Config, folder: &DataFolder) -> DispatchOptions {
    let deadlines = &config.deadlines;
    DispatchOptions {
        pages: config.adapters.pages,
        queue: config.queue.waiting_max(),
        queue_wait: deadlines.queue,
        deadlines: Deadlines {
            navigate: deadlines.navigate,
            submit: deadlines.submit,
            first_byte: deadlines.first_byte,
            idle: deadlines.idle,
            call: deadlines.call,
            call_max: deadlines.call_max,
        },
        cancel: deadlines.cancel,
        kv: Some(Arc::new(Kv::new(folder.path().join("kv")))),
        media_max: config.limits.media_bytes,
        recorder: None,
        pictures: None,
    }
}

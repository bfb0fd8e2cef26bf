//! The whole host around one adapter, with a replica for its site.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::browser::guard::{Guard, GuardOptions, Unmapped};
use crate::browser::{Instance, InstanceOptions, InstanceState, LaunchOptions, Profile};
use crate::chat::{Delta, Failure, FailureKind, JobEvent, Outcome, Request};
use crate::dispatch::{DispatchOptions, Dispatcher, Job};
use crate::lab::replica::Replica;
use crate::plugin::{Deadlines, Engine, Manifest, Registry, RegistryOptions, read_manifest};

use super::{Options, SuiteError};
use crate::kit::Journal;

/// For the browser's start, and its restart after it was killed.
const BROWSER: Duration = Duration::from_secs(60);
/// For one answer. Longer than every deadline of a call before its first byte.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);
const DRAIN: Duration = Duration::from_secs(3);

pub(super) struct Bench {
    pub(super) replica: Replica,
    pub(super) manifest: Manifest,
    pub(super) journal: Journal,
    pub(super) pictures: PathBuf,
    registry: Arc<Registry>,
    instance: Arc<Instance>,
    label: String,
    /// Below the system's temporary folder; removed with this.
    _folder: Folder,
    _guard: Guard,
}

/// A folder that goes with its owner.
pub(in crate::kit) struct Folder(pub(in crate::kit) PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An answer as a client would see it.
#[derive(Debug)]
pub(in crate::kit) struct Answered {
    pub(in crate::kit) deltas: Vec<(Instant, Delta)>,
    pub(in crate::kit) submitted: bool,
    pub(in crate::kit) result: Result<Outcome, Failure>,
}

impl Bench {
    pub(super) async fn start(options: &Options) -> Result<Self, SuiteError> {
        let manifest = read_manifest(&options.adapter).map_err(|error| SuiteError::Adapter(error.to_string()))?;
        let mut named: Vec<String> = manifest.page.iter().chain(&manifest.pass).map(ToString::to_string).collect();
        named.extend(manifest.listen.iter().chain(&manifest.save).map(ToString::to_string));
        named.extend(manifest.rewrite.iter().map(|rule| rule.url.to_string()));
        let replica = Replica::start(&options.fixtures, &named).await?;
        let internal =
            |what: &'static str| move |error: std::io::Error| SuiteError::Internal { what, message: error.to_string() };
        let guard = GuardOptions { mappings: replica.mappings(), upstream: None, unmapped: Unmapped::Refuse };
        let guard = Guard::start(guard).await.map_err(internal("the egress guard does not start"))?;
        let folder = std::env::temp_dir().join(format!("webai2api-test-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&folder).map_err(internal("no temporary folder"))?;
        let folder = Folder(folder);
        let file = folder.0.join(format!("{}.wasm", manifest.id));
        std::fs::write(&file, &options.adapter).map_err(internal("no temporary file"))?;
        let engine = Engine::new(None).map_err(|error| SuiteError::Adapter(error.to_string()))?;
        // Where nothing is set, the schema's defaults hold.
        let config = &replica.file().config;
        let settings = (!config.is_empty()).then(|| Value::Object(config.clone().into_iter().collect()));
        let bundled = RegistryOptions {
            bundled: vec![folder.0.clone()],
            settings: settings.map(|settings| (manifest.id.clone(), settings)).into_iter().collect(),
            ..RegistryOptions::default()
        };
        let registry = Arc::new(Registry::start(engine, bundled));
        let label = loaded(&registry, &manifest.id).await?;
        let launch = LaunchOptions {
            executable: options.browser.clone(),
            extra_args: vec![replica.browser_flag()],
            ..LaunchOptions::new(guard.addr())
        };
        let instance = InstanceOptions { name: "test".into(), profile: Profile::Throwaway, launch };
        let instance = Arc::new(Instance::spawn(instance));
        let bench = Self {
            replica,
            manifest,
            journal: options.journal.clone(),
            pictures: options.pictures.clone(),
            registry,
            instance,
            label,
            _folder: folder,
            _guard: guard,
        };
        bench.browser().await?;
        Ok(bench)
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Waits for the browser; its process.
    pub(super) async fn browser(&self) -> Result<Option<u32>, SuiteError> {
        let mut state = self.instance.state();
        let settled = state.wait_for(|s| matches!(s, InstanceState::Ready { .. } | InstanceState::Failed(_)));
        match tokio::time::timeout(BROWSER, settled).await.map(|state| state.map(|state| state.clone())) {
            Ok(Ok(InstanceState::Ready { pid, .. })) => Ok(pid),
            Ok(Ok(InstanceState::Failed(why))) => Err(SuiteError::Browser(why)),
            _ => Err(SuiteError::Browser("it did not start in time".into())),
        }
    }

    /// A dispatcher with one page, which nobody has used.
    pub(super) fn dispatcher(&self) -> Dispatcher {
        let options = DispatchOptions {
            pages: 1,
            queue: 2,
            queue_wait: Duration::from_secs(60),
            deadlines: Deadlines {
                submit: Duration::from_secs(30),
                first_byte: Duration::from_secs(15),
                idle: Duration::from_secs(15),
                ..Deadlines::default()
            },
            pictures: Some(self.pictures.clone()),
            ..DispatchOptions::default()
        };
        Dispatcher::start(Arc::clone(&self.registry), Arc::clone(&self.instance), options)
    }

    pub(super) async fn end(&self, dispatcher: Dispatcher) {
        dispatcher.drain(DRAIN).await;
    }

    pub(super) async fn stop(self) {
        self.instance.stop().await;
    }
}

pub(in crate::kit) async fn loaded(registry: &Registry, id: &str) -> Result<String, SuiteError> {
    let mut changes = registry.changes();
    let first = changes.wait_for(|n| *n > 0);
    // A script engine takes seconds to compile.
    if tokio::time::timeout(Duration::from_secs(120), first).await.is_err() {
        return Err(SuiteError::Adapter("it was not compiled within two minutes".into()));
    }
    match registry.get(id) {
        Some(adapter) => Ok(adapter.label()),
        None => {
            let broken = registry.broken().into_iter().map(|file| file.problem).next();
            let problem = broken.or_else(|| registry.entry(id).and_then(|entry| entry.problem));
            Err(SuiteError::Adapter(problem.unwrap_or_else(|| "it does not serve".into())))
        }
    }
}

/// Asks, as soon as there is a browser.
pub(super) async fn ask(bench: &Bench, dispatcher: &Dispatcher, request: Request) -> Result<Job, Failure> {
    let until = Instant::now() + BROWSER;
    loop {
        match dispatcher.submit(request.clone()) {
            Err(failure) if matches!(failure.kind, FailureKind::Starting { .. }) && Instant::now() < until => {
                // Ready, or it says why not at the next try.
                let _ = bench.browser().await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            job => return job,
        }
    }
}

/// The whole answer.
pub(in crate::kit) async fn collect(mut job: Job) -> Answered {
    let (mut deltas, mut submitted) = (Vec::new(), false);
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        match tokio::time::timeout_at(until, job.next()).await {
            Ok(Some(JobEvent::Delta(delta))) => deltas.push((Instant::now(), delta)),
            Ok(Some(JobEvent::Submitted)) => submitted = true,
            Ok(Some(JobEvent::Started { .. })) => {}
            Ok(Some(JobEvent::Done(outcome))) => return Answered { deltas, submitted, result: Ok(outcome) },
            Ok(Some(JobEvent::Failed(failure))) => {
                return Answered { deltas, submitted: submitted || failure.submitted, result: Err(failure) };
            }
            Ok(None) => return Answered { deltas, submitted, result: Err(lost("the answer ended without a word")) },
            Err(_) => return Answered { deltas, submitted, result: Err(lost("no end of the answer in 90 s")) },
        }
    }
}

pub(super) fn lost(message: &str) -> Failure {
    Failure::new(FailureKind::Other("no-end".into()), message)
}

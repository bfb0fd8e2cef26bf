//! The host around one adapter: its registry, its guard and its browser, with nothing of the operator's.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::suite::SuiteError;
use crate::browser::guard::{Guard, GuardOptions};
use crate::browser::{Instance, InstanceOptions, InstanceState, LaunchOptions, Profile};
use crate::chat::{Delta, Failure, FailureKind, JobEvent, Outcome, Request, Turn};
use crate::dispatch::{DispatchOptions, Dispatcher, Job, Member, Rules};
use crate::plugin::{Engine, Manifest, Registry, RegistryOptions, Wishes};

/// For the browser's start, and its restart after it was killed.
pub(super) const BROWSER: Duration = Duration::from_secs(60);
/// For compiling: a script engine takes seconds.
const COMPILED: Duration = Duration::from_secs(120);
/// For one answer. Longer than every deadline of a call before its first byte.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);
const DRAIN: Duration = Duration::from_secs(3);

/// What a host is started with.
pub(super) struct Setup<'a> {
    /// In the log, and in the name of the temporary folder.
    pub(super) name: &'static str,
    /// The adapter's file, and what it says of itself.
    pub(super) adapter: &'a [u8],
    pub(super) manifest: Manifest,
    /// The operator's settings for the adapter. Where there are none, its schema's defaults hold.
    pub(super) settings: Option<Value>,
    pub(super) guard: GuardOptions,
    pub(super) profile: Profile,
    /// None looks in the usual places.
    pub(super) browser: Option<PathBuf>,
    pub(super) headless: bool,
    /// More flags for the browser.
    pub(super) flags: Vec<String>,
}

/// A running host.
pub(super) struct Host {
    pub(super) manifest: Manifest,
    /// The adapter's id and version.
    pub(super) label: String,
    registry: Arc<Registry>,
    instance: Arc<Instance>,
    /// Below the system's temporary folder; removed with this.
    folder: Folder,
    _guard: Guard,
}

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An answer as a client would see it.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) deltas: Vec<(Instant, Delta)>,
    pub(super) submitted: bool,
    pub(super) result: Result<Outcome, Failure>,
}

impl Answered {
    /// The request was refused before it became a job.
    pub(super) fn refused(failure: Failure) -> Self {
        Self { deltas: Vec::new(), submitted: false, result: Err(failure) }
    }
}

impl Host {
    /// Loads the adapter, starts the browser and waits for both.
    ///
    /// # Errors
    /// Where one of them does not start.
    pub(super) async fn start(setup: Setup<'_>) -> Result<Self, SuiteError> {
        let internal =
            |what: &'static str| move |error: std::io::Error| SuiteError::Internal { what, message: error.to_string() };
        let guard = Guard::start(setup.guard).await.map_err(internal("the egress guard does not start"))?;
        let manifest = setup.manifest;
        let folder = std::env::temp_dir().join(format!("webai2api-{}-{}", setup.name, uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&folder).map_err(internal("no temporary folder"))?;
        let folder = Folder(folder);
        let file = folder.0.join(format!("{}.wasm", manifest.id));
        std::fs::write(&file, setup.adapter).map_err(internal("no temporary file"))?;
        let engine = Engine::new(None).map_err(|error| SuiteError::Adapter(error.to_string()))?;
        let settings = setup.settings.map(|settings| (manifest.id.clone(), settings)).into_iter().collect();
        let bundled = RegistryOptions {
            bundled: vec![folder.0.clone()],
            wishes: Wishes { settings, ..Wishes::default() },
            ..RegistryOptions::default()
        };
        let registry = Arc::new(Registry::start(engine, bundled));
        let label = loaded(&registry, &manifest.id).await?;
        let launch = LaunchOptions {
            executable: setup.browser,
            headless: setup.headless,
            extra_args: setup.flags,
            ..LaunchOptions::new(guard.addr())
        };
        let instance = InstanceOptions { name: setup.name.into(), profile: setup.profile, launch };
        let instance = Arc::new(Instance::spawn(instance));
        let host = Self { manifest, label, registry, instance, folder, _guard: guard };
        host.browser().await?;
        Ok(host)
    }

    /// A folder that goes with this.
    pub(super) fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// Waits for the browser; its process.
    ///
    /// # Errors
    /// Where there is none in time, or never will be.
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
    pub(super) fn dispatcher(&self, options: DispatchOptions) -> Dispatcher {
        let options =
            DispatchOptions { rules: Rules { pages: 1, queue: 2, retries: None, ..Rules::default() }, ..options };
        let member = Member::of(Arc::clone(&self.instance));
        Dispatcher::start(Arc::clone(&self.registry), vec![member], options)
    }

    pub(super) async fn end(&self, dispatcher: Dispatcher) {
        dispatcher.drain(DRAIN).await;
    }

    pub(super) async fn stop(self) {
        self.instance.stop().await;
    }
}

async fn loaded(registry: &Registry, id: &str) -> Result<String, SuiteError> {
    let mut changes = registry.changes();
    let first = changes.wait_for(|n| *n > 0);
    if tokio::time::timeout(COMPILED, first).await.is_err() {
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

/// A request that asks for nothing special.
pub(super) fn request(id: String, model: String, turns: Vec<Turn>) -> Request {
    Request {
        id,
        model,
        turns,
        stop: Vec::new(),
        max_tokens: None,
        options: std::collections::BTreeMap::new(),
        temporary: Some(false),
        caller: String::new(),
        dialect: "",
        stream: false,
        fingerprint: None,
    }
}

/// The whole answer.
pub(super) async fn collect(mut job: Job) -> Answered {
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

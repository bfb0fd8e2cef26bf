//! Decides what serves: looks at the folders, settles the grant of each adapter, and loads what changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::entry::{BrokenFile, Entry, KeptVersion, Pending, Source, State};
use super::files::{Files, read_again};
use super::kept::Kept;
use super::lock::{LockFile, Served};
use super::{ChangeError, RegistryOptions, Shared, Snapshot, Wishes};
use crate::plugin::engine::Engine;
use crate::plugin::grant::MEANING;
use crate::plugin::guest_log::AdapterLog;
use crate::plugin::health::Health;
use crate::plugin::loader::{self, Adapter, Given};
use crate::plugin::manifest::{Manifest, Version};
use crate::telemetry::metrics::{self, Load};

/// What serves, or would if it were not switched off.
#[derive(Debug, Clone)]
struct Loaded {
    adapter: Arc<Adapter>,
    /// Where its file lay when it was loaded; its content may be another by now.
    path: PathBuf,
    source: Source,
}

/// What was decided of one id.
#[derive(Debug, Default)]
struct Verdict {
    loaded: Option<Loaded>,
    pending: Option<Pending>,
    problem: Option<String>,
}

/// Knows every adapter file, what is loaded, and what the operator decided.
pub(super) struct Scanner {
    engine: Engine,
    pub(super) options: RegistryOptions,
    pub(super) files: Files,
    pub(super) lock: LockFile,
    pub(super) kept: Kept,
    shared: Arc<Shared>,
    loaded: BTreeMap<String, Loaded>,
    /// Versions that were replaced: alive as long as a request holds them.
    retired: Vec<(String, Weak<Adapter>)>,
    /// Why a file of this hash cannot be loaded: it is not compiled again and again.
    failed: HashMap<String, String>,
    /// Adapters that were loaded with other settings than they have now.
    outdated: BTreeSet<String>,
    logs: BTreeMap<String, Arc<AdapterLog>>,
    generation: u64,
}

impl Scanner {
    pub(super) fn new(engine: Engine, options: RegistryOptions, shared: Arc<Shared>) -> Self {
        let lock = LockFile::open(options.state.as_deref());
        let kept = Kept::open(options.state.as_deref());
        Self {
            engine,
            options,
            files: Files::default(),
            lock,
            kept,
            shared,
            loaded: BTreeMap::new(),
            retired: Vec::new(),
            failed: HashMap::new(),
            outdated: BTreeSet::new(),
            logs: BTreeMap::new(),
            generation: 0,
        }
    }

    /// Takes over what the operator wishes now. What cannot be loaded with it goes on as it is.
    pub(super) fn configure(&mut self, wishes: Wishes) {
        let before = std::mem::replace(&mut self.options.wishes, wishes);
        let now = &self.options.wishes.settings;
        let changed = before.settings.keys().chain(now.keys()).filter(|id| before.settings.get(*id) != now.get(*id));
        self.outdated.extend(changed.filter(|id| self.loaded.contains_key(*id)).cloned());
        // What failed may have failed for its settings.
        self.failed.clear();
    }

    /// One look at all folders. Waits while something is compiled, in another process.
    pub(super) async fn scan(&mut self) -> Snapshot {
        let (mut files, options) = (std::mem::take(&mut self.files), self.options.clone());
        let looked = tokio::task::spawn_blocking(move || {
            files.look(&options);
            files
        });
        // Reading does not panic; if it did, all files would be looked at anew.
        self.files = looked.await.unwrap_or_default();
        let mut verdicts = BTreeMap::new();
        for id in self.ids() {
            let verdict = self.settle(&id).await;
            verdicts.insert(id, verdict);
        }
        for (id, verdict) in &verdicts {
            self.install(id, verdict.loaded.clone());
        }
        self.tidy();
        self.snapshot(verdicts)
    }

    fn ids(&self) -> BTreeSet<String> {
        let sources = [Source::Bundled, Source::Folder];
        let files = sources.into_iter().flat_map(|source| self.files.packages(source));
        let known = files.map(|(_, package)| package.manifest.id.clone());
        let served = self.lock.lock.adapters.iter().filter(|(_, d)| d.serving.is_some()).map(|(id, _)| id.clone());
        known.chain(served).chain(self.loaded.keys().cloned()).collect()
    }

    /// What of an id serves. The operator's folder goes before what is bundled; and what served from a folder goes on serving
    /// while the file in its place may not.
    async fn settle(&mut self, id: &str) -> Verdict {
        let mut verdict = Verdict::default();
        for source in [Source::Folder, Source::Bundled] {
            if source == Source::Bundled && !self.is_wanted(id) {
                continue;
            }
            let candidates: Vec<_> = self
                .files
                .packages(source)
                .into_iter()
                .filter(|(_, package)| package.manifest.id == id)
                .map(|(path, package)| (path.to_owned(), package.clone()))
                .collect();
            for (path, package) in &candidates {
                if verdict.loaded.is_some() {
                    let other = format!("another file of the same id serves: remove {}", path.display());
                    // A file in the folder in place of a bundled one is no mistake.
                    if source == Source::Folder {
                        verdict.problem.get_or_insert(other);
                    }
                    break;
                }
                if let Some(older) = self.older(source, path, &package.manifest) {
                    if self.shared_entry(id).and_then(|entry| entry.problem).as_ref() != Some(&older) {
                        tracing::warn!(path = %path.display(), "adapter not loaded: {older}");
                    }
                    verdict.problem.get_or_insert(older);
                    continue;
                }
                if let Some(pending) = self.pending(source, path, &package.sha256, &package.manifest) {
                    verdict.pending.get_or_insert(pending);
                    continue;
                }
                match self.load(source, path, &package.sha256, &package.manifest).await {
                    Ok(loaded) => verdict.loaded = Some(loaded),
                    Err(problem) => {
                        verdict.problem.get_or_insert(problem);
                    }
                }
            }
            if verdict.loaded.is_none() {
                verdict.loaded = self.as_before(id, source).await;
            }
        }
        verdict
    }

    /// Why a file in the operator's folder must not take the place of a newer version that served from the same one: whoever can write
    /// there would bring back what was mended. Going back is an order of the operator's; taking the file away before is one, too.
    fn older(&self, source: Source, path: &Path, manifest: &Manifest) -> Option<String> {
        let serving = self.served_from(&[path.to_owned()], &manifest.id).filter(|served| manifest.version < *served)?;
        let older = ChangeError::Older { id: manifest.id.clone(), given: manifest.version, serving };
        (source == Source::Folder).then(|| older.to_string())
    }

    /// The version of an adapter that served last, if that came from one of these files.
    pub(super) fn served_from(&self, paths: &[PathBuf], id: &str) -> Option<Version> {
        let served = self.lock.get(id)?.serving.as_ref().filter(|served| paths.contains(&served.file))?;
        Version::parse(&served.version)
    }

    /// None where the file may serve without more ado.
    fn pending(&self, source: Source, path: &Path, sha256: &str, manifest: &Manifest) -> Option<Pending> {
        if source == Source::Bundled || self.options.wishes.allow_unapproved {
            return None;
        }
        let asks = manifest.asks();
        let approved = self.lock.get(&manifest.id).and_then(|decided| decided.approved.as_ref());
        if approved.is_some_and(|approval| approval.grant.covers(&asks)) {
            return None;
        }
        let more = approved.map_or_else(|| asks.clone(), |approval| approval.grant.missing(&asks));
        Some(Pending {
            version: manifest.version.to_string(),
            sha256: sha256.to_owned(),
            file: path.display().to_string(),
            sentences: more.sentences(),
            asks,
            more,
            meaning: MEANING,
        })
    }

    async fn load(&mut self, source: Source, path: &Path, sha256: &str, manifest: &Manifest) -> Result<Loaded, String> {
        let is_it = |loaded: &&Loaded| loaded.adapter.hash == sha256 && !self.outdated.contains(&manifest.id);
        if let Some(loaded) = self.loaded.get(&manifest.id).filter(is_it) {
            return Ok(Loaded { path: path.to_owned(), source, ..loaded.clone() });
        }
        if let Some(problem) = self.failed.get(sha256) {
            return Err(problem.clone());
        }
        let bytes = read_again(path, source, sha256)?;
        match self.load_bytes(bytes, manifest).await {
            Ok(adapter) => {
                self.outdated.remove(&manifest.id);
                Ok(Loaded { adapter, path: path.to_owned(), source })
            }
            Err(problem) => {
                let serving = self.loaded.get(&manifest.id).map(|loaded| loaded.adapter.label());
                tracing::warn!(path = %path.display(), serving, "adapter not loaded: {problem}");
                metrics::adapter_loaded(&manifest.id, Load::Failed);
                self.failed.insert(sha256.to_owned(), problem.clone());
                Err(problem)
            }
        }
    }

    async fn load_bytes(&mut self, bytes: Vec<u8>, manifest: &Manifest) -> Result<Arc<Adapter>, String> {
        let started = Instant::now();
        let settings = self.options.wishes.settings.get(&manifest.id).cloned();
        loader::settings(manifest, settings.as_ref()).map_err(|error| error.to_string())?;
        if let Some(compiler) = &self.options.compiler {
            let failed = |message: String| {
                loader::compile_error(format!("{}@{}", manifest.id, manifest.version), &message).to_string()
            };
            compiler.run(&bytes).await.map_err(failed)?;
        }
        self.generation += 1;
        let (engine, generation) = (self.engine.clone(), self.generation);
        let log = Arc::clone(self.logs.entry(manifest.id.clone()).or_default());
        let task = tokio::task::spawn_blocking(move || {
            let given = Given { generation, settings: settings.as_ref(), log };
            let adapter = loader::load(&engine, &bytes, given).map_err(|error| error.to_string())?;
            Ok((adapter, bytes))
        });
        let (adapter, bytes) = task.await.map_err(|_| "the loader died over it".to_owned()).flatten()?;
        if let Err(error) = self.kept.put(&adapter.hash, &bytes) {
            tracing::warn!(%error, adapter = adapter.label(), "cannot be kept for a rollback");
        }
        tracing::info!(adapter = adapter.label(), ms = started.elapsed().as_millis(), "adapter loaded");
        Ok(Arc::new(adapter))
    }

    /// What served from a file that is still there but may not serve as it is now: out of memory, or as it was kept.
    async fn as_before(&mut self, id: &str, source: Source) -> Option<Loaded> {
        let stands = |files: &Files, path: &Path| {
            let seen = files.seen.get(path).filter(|seen| seen.source == source)?;
            // Another adapter's file in its place has replaced it.
            seen.content.as_ref().map_or(true, |package| package.manifest.id == id).then_some(())
        };
        if let Some(loaded) = self.loaded.get(id) {
            stands(&self.files, &loaded.path)?;
            return Some(loaded.clone());
        }
        let served = self.lock.get(id)?.serving.clone()?;
        stands(&self.files, &served.file)?;
        let bytes = self.kept.get(&served.sha256)?;
        let manifest = crate::plugin::package::read_manifest(&bytes).ok()?;
        if self.pending(source, &served.file, &served.sha256, &manifest).is_some()
            || self.failed.contains_key(&served.sha256)
        {
            return None;
        }
        let adapter = match self.load_bytes(bytes, &manifest).await {
            Ok(adapter) => adapter,
            Err(problem) => {
                tracing::warn!(id, "the version that served last cannot be loaded: {problem}");
                self.failed.insert(served.sha256, problem);
                return None;
            }
        };
        Some(Loaded { adapter, path: served.file, source })
    }

    /// Puts a version in the place of the one before.
    fn install(&mut self, id: &str, next: Option<Loaded>) {
        let before = match next {
            Some(next) => {
                let (adapter, path) = (Arc::clone(&next.adapter), next.path.clone());
                let before = self.loaded.insert(id.to_owned(), next);
                let served =
                    Served { version: adapter.manifest.version.to_string(), sha256: adapter.hash.clone(), file: path };
                let decided = self.lock.entry(id);
                decided.serves(served);
                // A version that went out of use while its successor was being put in says nothing of that one.
                let own = decided.quarantine.as_ref().filter(|quarantine| quarantine.sha256 == adapter.hash);
                let quarantined = own.map(|quarantine| quarantine.reason.clone());
                self.shared.health.begin(id, &adapter.hash, quarantined);
                measure_serving(&adapter, before.as_ref().map(|before| before.adapter.as_ref()));
                before.filter(|before| !Arc::ptr_eq(&before.adapter, &adapter))
            }
            None => {
                let before = self.loaded.remove(id);
                if let Some(before) = &before {
                    let label = before.adapter.label();
                    tracing::info!(
                        adapter = label,
                        "nobody wants it any more, or its file is gone: the adapter takes no more requests"
                    );
                    metrics::adapter_serves(id, &before.adapter.manifest.version.to_string(), false);
                    if let Some(decided) = self.lock.lock.adapters.get_mut(id) {
                        decided.serving = None;
                    }
                }
                before
            }
        };
        if let Some(before) = before {
            self.retired.push((id.to_owned(), Arc::downgrade(&before.adapter)));
        }
    }

    /// Writes down what changed, and forgets what nobody needs.
    fn tidy(&mut self) {
        self.retired.retain(|(_, adapter)| adapter.strong_count() > 0);
        let seen: BTreeSet<&str> =
            self.files.seen.values().filter_map(|seen| Some(seen.content.as_ref().ok()?.sha256.as_str())).collect();
        let needed: BTreeSet<&str> =
            self.lock.lock.adapters.values().flat_map(|d| &d.good).map(|good| good.sha256.as_str()).collect();
        self.failed.retain(|hash, _| seen.contains(hash.as_str()) || needed.contains(hash.as_str()));
        self.kept.prune(&needed);
        if let Err(error) = self.lock.save() {
            tracing::error!(error, "adapters.lock cannot be written: what was decided is lost at the next start");
        }
    }

    /// What was told of an adapter last.
    pub(super) fn shared_entry(&self, id: &str) -> Option<Entry> {
        self.shared.snapshot.load().entries.iter().find(|entry| entry.id == id).cloned()
    }

    pub(super) fn lift(&self, id: &str) {
        self.shared.health.lift(id);
    }

    /// Forgets all of an adapter but its log.
    pub(super) fn forget(&mut self, id: &str) {
        self.lock.lock.adapters.remove(id);
        self.shared.health.forget(id);
    }

    /// The file in the operator's folder that holds this adapter.
    pub(super) fn own_files(&self, id: &str) -> Vec<PathBuf> {
        let own = self.files.packages(Source::Folder).into_iter();
        let mut paths: Vec<_> = own.filter(|(_, p)| p.manifest.id == id).map(|(path, _)| path.to_owned()).collect();
        // A broken file in the place of one that serves is this adapter's, too.
        if let Some(loaded) = self.loaded.get(id).filter(|l| l.source == Source::Folder && !paths.contains(&l.path)) {
            paths.push(loaded.path.clone());
        }
        paths
    }

    /// Whether a bundled adapter is to be loaded: a site costs a page and a visit, so nobody gets one unasked.
    fn is_wanted(&self, id: &str) -> bool {
        let on = self.options.wishes.bundled_on.as_ref().is_none_or(|on| on.contains(id));
        on || self.lock.get(id).is_some_and(|decided| decided.enabled)
    }

    fn is_disabled(&self, id: &str) -> bool {
        self.options.disabled.iter().any(|other| other == id) || self.lock.get(id).is_some_and(|d| d.disabled)
    }

    fn snapshot(&self, verdicts: BTreeMap<String, Verdict>) -> Snapshot {
        let on = |id: &&String| !self.is_disabled(id);
        let adapters = self.loaded.iter().filter(|(id, _)| on(id)).map(|(id, l)| (id.clone(), Arc::clone(&l.adapter)));
        let broken = self.files.order.iter().filter_map(|path| {
            let problem = self.files.seen.get(path)?.content.as_ref().err()?.clone();
            Some(BrokenFile { file: path.display().to_string(), problem })
        });
        let broken: Vec<_> = broken.collect();
        let entries = verdicts.iter().filter_map(|(id, verdict)| self.entry(id, verdict, &broken)).collect();
        Snapshot {
            adapters: adapters.collect(),
            entries,
            broken,
            retired: self.retired.clone(),
            logs: self.logs.clone(),
        }
    }

    fn entry(&self, id: &str, verdict: &Verdict, broken: &[BrokenFile]) -> Option<Entry> {
        let loaded = verdict.loaded.as_ref();
        let manifest = loaded.map(|loaded| &loaded.adapter.manifest).or_else(|| self.any_manifest(id))?;
        let file = match (loaded, &verdict.pending) {
            (Some(loaded), _) => loaded.path.display().to_string(),
            (None, Some(pending)) => pending.file.clone(),
            (None, None) => self.own_files(id).first().map(|p| p.display().to_string()).unwrap_or_default(),
        };
        let state = match (loaded, &verdict.pending) {
            _ if self.is_disabled(id) => State::Disabled,
            (Some(_), _) => State::Serving,
            (None, Some(_)) => State::Pending,
            (None, None) if verdict.problem.is_none() && !self.is_wanted(id) => State::Disabled,
            (None, None) => State::Failed,
        };
        let here = broken.iter().find(|other| other.file == file).map(|other| other.problem.clone());
        let kept = self.lock.get(id).map(|decided| decided.good.as_slice()).unwrap_or_default();
        Some(Entry {
            id: id.to_owned(),
            name: manifest.name.clone(),
            state,
            version: loaded.map(|l| l.adapter.manifest.version.to_string()),
            sha256: loaded.map(|l| l.adapter.hash.clone()),
            verified: loaded.map(|l| l.adapter.manifest.verified.clone()),
            source: match loaded {
                Some(loaded) => loaded.source,
                None if self.own_files(id).is_empty() => Source::Bundled,
                None => Source::Folder,
            },
            models: manifest.models.iter().map(|model| format!("{id}/{}", model.id)).collect(),
            grant: loaded.map(|l| l.adapter.manifest.asks()).unwrap_or_default(),
            quarantine: None,
            problem: verdict.problem.clone().or(here),
            pending: verdict.pending.clone(),
            draining: 0,
            kept: kept
                .iter()
                .map(|good| KeptVersion {
                    version: good.version.clone(),
                    sha256: good.sha256.clone(),
                    serving: loaded.is_some_and(|l| l.adapter.hash == good.sha256),
                })
                .collect(),
            health: Health::default(),
            file,
        })
    }

    fn any_manifest(&self, id: &str) -> Option<&Manifest> {
        let all = [Source::Folder, Source::Bundled].into_iter().flat_map(|source| self.files.packages(source));
        all.map(|(_, package)| &package.manifest).find(|manifest| manifest.id == id)
    }
}

/// Counts a version that was put in, unless it has been serving already.
fn measure_serving(adapter: &Adapter, before: Option<&Adapter>) {
    let id = &adapter.manifest.id;
    match before {
        Some(before) if before.hash == adapter.hash => return,
        Some(before) => {
            metrics::adapter_serves(id, &before.manifest.version.to_string(), false);
            metrics::adapter_loaded(id, Load::Swapped);
        }
        None => metrics::adapter_loaded(id, Load::Loaded),
    }
    metrics::adapter_serves(id, &adapter.manifest.version.to_string(), true);
}

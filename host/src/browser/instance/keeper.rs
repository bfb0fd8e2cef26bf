//! Keeps an instance's session, so that neither a restart nor a crash loses it.
//!
//! It looks at the browser's cookies every few seconds, which costs next to nothing, at local storage every few minutes and when
//! cookies come or go, and writes a snapshot when something changed. Before anybody gets a page of a new browser, what the last
//! snapshot has and the profile lost is brought back; [`crate::session::Snapshot`] decides what that is. All that touches the session goes through
//! this one task, one after the other.

mod order;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::task::AbortOnDropHandle;

use super::live::Live;
use super::storage::Change;
use crate::browser::error::PageError;
use crate::browser::origin::Origin;
use crate::session::{Cookie, How, Plan, Secret, Session, Snapshot, Storage, Vault, now};
pub(super) use order::Order;
pub use order::{SessionImport, SessionImported, SessionRead};

/// How often it looks.
const LOOK: Duration = Duration::from_secs(3);
const LOOK_AT_STORAGE: Duration = Duration::from_secs(300);
/// Cookies that come and go all the time do not make it look at storage more often than this.
const STORAGE_PAUSE: Duration = Duration::from_secs(10);
/// For one look at all storage, when nobody waits for it.
const STORAGE: Duration = Duration::from_secs(20);
/// The same when the browser is about to be closed: its profile has the storage then, in any case.
const LAST_STORAGE: Duration = Duration::from_millis(1500);
/// For all that is under way when the browser is to be closed.
const LAST_LOOK: Duration = Duration::from_secs(3);
/// For what is under way when the browser died: it fails at once, but for the disk.
const AFTERMATH: Duration = Duration::from_secs(30);
/// In the profile folder: which profile this is.
const MARK: &str = "webai2api.profile";

/// How an instance's session is kept.
#[derive(Clone)]
pub struct Keeping {
    pub vault: Arc<Vault>,
    /// The origins whose local storage is kept, asked whenever it is looked at.
    pub origins: Arc<dyn Fn() -> Vec<Origin> + Send + Sync>,
    /// Archives to import when the browser is there, each once.
    pub imports: Vec<StartImport>,
}

impl fmt::Debug for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeping").field("vault", &self.vault).field("imports", &self.imports).finish_non_exhaustive()
    }
}

/// An archive that the configuration names.
#[derive(Debug, Clone)]
pub struct StartImport {
    /// Where it was named, for the log.
    pub label: String,
    pub archive: ArchiveSource,
    pub passphrase: Secret,
}

#[derive(Clone)]
pub enum ArchiveSource {
    File(PathBuf),
    Bytes(Vec<u8>),
}

impl fmt::Debug for ArchiveSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

#[derive(Debug)]
pub(super) struct Keeper {
    instance: String,
    profile: PathBuf,
    keeping: Keeping,
    orders: mpsc::Receiver<Order>,
    /// The last that was written, or read at the start.
    last: Option<Snapshot>,
    loaded: bool,
    /// The disk refused the last one: it is written again at the next look, changed or not.
    unwritten: bool,
    /// Storage that could not be brought back yet: what is there must not be taken for what there was.
    owed: BTreeMap<String, Change>,
    /// When it looked at storage last; None: not yet.
    storage_seen: Option<Instant>,
    /// Cookies came or went since.
    storage_due: bool,
    started: Instant,
}

/// A keeper at work on one browser.
pub(super) struct Running {
    task: AbortOnDropHandle<Keeper>,
    end: oneshot::Sender<bool>,
}

impl Keeper {
    pub(super) fn new(instance: &str, profile: &Path, keeping: Keeping, orders: mpsc::Receiver<Order>) -> Self {
        Self {
            instance: instance.to_owned(),
            profile: profile.to_owned(),
            keeping,
            orders,
            last: None,
            loaded: false,
            unwritten: false,
            owed: BTreeMap::new(),
            storage_seen: None,
            storage_due: false,
            started: Instant::now(),
        }
    }

    /// Brings back what was lost, before anybody has a page.
    ///
    /// # Errors
    /// When the browser does not do its part. What the disk refuses is logged.
    pub(super) async fn resume(&mut self, live: &Live) -> Result<(), PageError> {
        self.load().await;
        let mark = std::fs::read_to_string(self.profile.join(MARK)).ok().map(|mark| mark.trim().to_owned());
        live.hold().await?;
        let cookies = live.cookies().await?;
        let (next, new_mark, owed) = match &self.last {
            None => {
                let mark = uuid::Uuid::new_v4().to_string();
                let first = Snapshot::first(&mark, now(), Session { cookies, storage: Storage::new() });
                (first, Some(mark), BTreeMap::new())
            }
            Some(last) => {
                let how = last.how(mark.as_deref());
                let new_mark = (how == How::OtherProfile).then(|| uuid::Uuid::new_v4().to_string());
                let mark = new_mark.clone().unwrap_or_else(|| last.profile.clone());
                let (session, plan, owed) = bring_back(live, last, how, cookies).await?;
                self.tell(how, &plan);
                (last.resumed(how, &mark, now(), session, &plan), new_mark, owed)
            }
        };
        self.owed = owed;
        // In this order: a profile with the new mark has a snapshot that knows it.
        self.write(next.opened()).await;
        if let Some(mark) = new_mark
            && let Err(error) = std::fs::write(self.profile.join(MARK), mark)
        {
            tracing::warn!(instance = self.instance, %error, "the browser profile cannot be marked");
        }
        for import in self.keeping.imports.clone() {
            self.import_at_start(live, import).await?;
        }
        self.keeping.imports.clear();
        Ok(())
    }

    async fn load(&mut self) {
        if std::mem::replace(&mut self.loaded, true) {
            return;
        }
        let (vault, instance) = (Arc::clone(&self.keeping.vault), self.instance.clone());
        match tokio::task::spawn_blocking(move || vault.load(&instance)).await {
            Ok(Ok(last)) => self.last = last,
            Ok(Err(error)) => tracing::error!(instance = self.instance, "the kept session cannot be read: {error}"),
            Err(error) => tracing::error!(instance = self.instance, %error, "the kept session cannot be read"),
        }
    }

    fn tell(&self, how: How, plan: &Plan) {
        let entries: usize = plan.write.values().map(BTreeMap::len).sum();
        if plan.set.is_empty() && plan.delete.is_empty() && entries == 0 && plan.remove.is_empty() {
            return;
        }
        let (cookies, deleted) = (plan.set.len(), plan.delete.len());
        tracing::info!(instance = self.instance, after = ?how, cookies, deleted, entries, "the session was brought back");
    }

    /// Begins to look.
    pub(super) fn start(self, live: Arc<Live>) -> Running {
        let (end, ended) = oneshot::channel();
        Running { task: AbortOnDropHandle::new(tokio::spawn(self.run(live, ended))), end }
    }

    /// Until it is told to end; true asks for a last look.
    async fn run(mut self, live: Arc<Live>, mut ended: oneshot::Receiver<bool>) -> Self {
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                last = &mut ended => {
                    if last == Ok(true) && let Err(error) = self.look(&live, Some(LAST_STORAGE)).await {
                        tracing::warn!(instance = self.instance, %error, "the session could not be looked at a last time");
                    }
                    return self;
                }
                Some(order) = self.orders.recv() => self.obey(&live, order).await,
                _ = tick.tick() => {
                    let storage = (self.storage_seen.unwrap_or(self.started).elapsed() > LOOK_AT_STORAGE).then_some(STORAGE);
                    if let Err(error) = self.look(&live, storage).await {
                        tracing::debug!(instance = self.instance, %error, "the session could not be looked at");
                    }
                }
            }
        }
    }

    /// Looks at the cookies, and at storage within this time, if there is one. Writes what changed.
    async fn look(&mut self, live: &Live, storage: Option<Duration>) -> Result<(), PageError> {
        let cookies = live.cookies().await?;
        let Some(last) = &self.last else { return Ok(()) };
        self.storage_due |= !same_ids(&cookies, &last.session().cookies);
        let rested = self.storage_seen.is_none_or(|seen| seen.elapsed() > STORAGE_PAUSE);
        let storage = storage.or((self.storage_due && rested).then_some(STORAGE));
        let mut kept = last.session().storage.clone();
        if let Some(within) = storage {
            self.pay(live, Instant::now() + within).await;
            let origins = self.origins().into_iter().filter(|origin| !self.owed.contains_key(origin)).collect();
            match read_storage(live, origins, Instant::now() + within).await {
                Ok((read, _)) => kept.extend(read),
                Err(error) => tracing::debug!(instance = self.instance, %error, "storage could not be looked at"),
            }
            (self.storage_seen, self.storage_due) = (Some(Instant::now()), false);
        }
        self.update(Session { cookies, storage: kept }).await;
        Ok(())
    }

    /// Writes a snapshot if it is worth it.
    async fn update(&mut self, session: Session) {
        let Some(last) = &self.last else { return };
        let next = last.next(now(), session);
        if self.unwritten || next.is_worth_writing(last) {
            self.write(next).await;
        }
    }

    async fn write(&mut self, snapshot: Snapshot) {
        let (vault, instance) = (Arc::clone(&self.keeping.vault), self.instance.clone());
        let written = tokio::task::spawn_blocking(move || (vault.save(&instance, &snapshot), snapshot)).await;
        match written {
            Ok((result, snapshot)) => {
                let before = std::mem::replace(&mut self.unwritten, result.is_err());
                match result {
                    Err(error) if !before => {
                        tracing::error!(instance = self.instance, "the session cannot be kept: {error}");
                    }
                    Ok(()) if before => tracing::info!(instance = self.instance, "the session is kept again"),
                    _ => {}
                }
                self.last = Some(snapshot);
            }
            Err(error) => tracing::error!(instance = self.instance, %error, "the session cannot be kept"),
        }
    }

    /// Tries again to bring back storage that could not be.
    async fn pay(&mut self, live: &Live, until: Instant) {
        if self.owed.is_empty() {
            return;
        }
        match write_storage(live, std::mem::take(&mut self.owed), until).await {
            Ok(left) => self.owed = left,
            Err(error) => tracing::debug!(instance = self.instance, %error, "storage could not be brought back"),
        }
    }

    /// The origins whose storage can be looked at: those that are one origin.
    fn origins(&self) -> Vec<String> {
        single(&(self.keeping.origins)())
    }

    /// After the browser has closed in order: its profile has all but what never lasts.
    pub(super) async fn closed(&mut self) {
        if let Some(last) = self.last.clone() {
            self.write(last.closed()).await;
        }
    }
}

impl Running {
    /// Looks a last time, before the browser is closed. None when that takes too long.
    pub(super) async fn finish(self) -> Option<Keeper> {
        // If it has ended, so has its task.
        let _ = self.end.send(true);
        tokio::time::timeout(LAST_LOOK, self.task).await.ok()?.ok()
    }

    /// After the browser died.
    pub(super) async fn give_up(self) -> Option<Keeper> {
        let _ = self.end.send(false);
        tokio::time::timeout(AFTERMATH, self.task).await.ok()?.ok()
    }
}

/// Carries a snapshot's plan out. The session that is there then, what was done, and the storage that could not be.
async fn bring_back(
    live: &Live,
    last: &Snapshot,
    how: How,
    cookies: Vec<Cookie>,
) -> Result<(Session, Plan, BTreeMap<String, Change>), PageError> {
    let until = Instant::now() + STORAGE;
    let wanted: Vec<String> = last.origins_to_compare(how).into_iter().collect();
    let mut found = Session { cookies, storage: Storage::new() };
    if !wanted.is_empty() {
        match read_storage(live, wanted.clone(), until).await {
            Ok((read, _)) => found.storage = read,
            Err(error) => tracing::warn!(%error, "the browser's storage cannot be read"),
        }
    }
    // What cannot be read is taken for lost.
    for origin in wanted {
        found.storage.entry(origin).or_default();
    }
    let plan = last.plan(how, now(), &found);
    let refused = live.set_cookies(&plan.set).await?;
    live.delete_cookies(&plan.delete).await?;
    if refused > 0 {
        tracing::warn!(refused, "the browser refused cookies that it had before");
    }
    let mut changes: BTreeMap<String, Change> = BTreeMap::new();
    for (origin, entries) in &plan.write {
        changes.entry(origin.clone()).or_default().write.extend(entries.clone());
    }
    for (origin, keys) in &plan.remove {
        changes.entry(origin.clone()).or_default().remove.extend(keys.clone());
    }
    let owed = match changes.is_empty() {
        true => changes,
        false => write_storage(live, changes, until).await?,
    };
    let mut storage = last.session().storage.clone();
    for (origin, mut entries) in found.storage.into_iter().filter(|(origin, _)| !owed.contains_key(origin)) {
        entries.extend(plan.write.get(&origin).cloned().unwrap_or_default());
        for key in plan.remove.get(&origin).into_iter().flatten() {
            entries.remove(key);
        }
        storage.insert(origin, entries);
    }
    Ok((Session { cookies: live.cookies().await?, storage }, plan, owed))
}

/// The storage of these origins, and what they keep in other places, in words. An origin that cannot be read is not in it.
async fn read_storage(live: &Live, origins: Vec<String>, until: Instant) -> Result<(Storage, Vec<String>), PageError> {
    let (mut storage, mut left_out) = (Storage::new(), Vec::new());
    if origins.is_empty() {
        return Ok((storage, left_out));
    }
    let mut shelf = live.shelf().await?;
    for origin in origins {
        match shelf.read(&origin, until).await {
            Ok(kept) => {
                storage.insert(origin, kept.entries);
                left_out.extend(kept.left_out);
            }
            Err(PageError::Closed) => return Err(PageError::Closed),
            Err(error) => {
                tracing::debug!(origin, %error, "an origin's storage cannot be read");
                left_out.push(format!("{origin}: its local storage, which could not be read"));
            }
        }
    }
    Ok((storage, left_out))
}

/// Changes storage. What could not be changed.
async fn write_storage(
    live: &Live,
    changes: BTreeMap<String, Change>,
    until: Instant,
) -> Result<BTreeMap<String, Change>, PageError> {
    let mut left = BTreeMap::new();
    let mut shelf = live.shelf().await?;
    for (origin, change) in changes {
        match shelf.change(&origin, &change, until).await {
            Ok(()) => {}
            Err(PageError::Closed) => return Err(PageError::Closed),
            Err(error) => {
                tracing::warn!(origin, %error, "an origin's storage cannot be written");
                left.insert(origin, change);
            }
        }
    }
    Ok(left)
}

/// The origins among these that are one origin each, as a document tells its own.
fn single(origins: &[Origin]) -> Vec<String> {
    let all = origins.iter().filter(|origin| !origin.is_wildcard()).map(Origin::to_string);
    all.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

fn same_ids(left: &[Cookie], right: &[Cookie]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.id() == right.id())
}

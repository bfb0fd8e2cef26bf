//! What others want of a session: that it is kept now, read, or replaced.

use std::collections::BTreeMap;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{ArchiveSource, Keeper, STORAGE, StartImport, read_storage, single, write_storage};
use crate::browser::error::PageError;
use crate::browser::instance::live::Live;
use crate::browser::instance::storage::Change;
use crate::browser::origin::Origin;
use crate::session::archive::{self, Account};
use crate::session::{Cookie, Session};

/// A session to put into a browser.
#[derive(Debug)]
pub struct SessionImport {
    pub session: Session,
    /// What belongs to these origins is removed first: an account that was signed in there is replaced and not mixed.
    pub replace: Vec<Origin>,
    /// Of the archive that it came from, so that it is known later.
    pub hash: Option<String>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionImported {
    pub cookies: usize,
    pub entries: usize,
    /// Cookies that the browser does not have now: refused, or over.
    pub refused: usize,
    /// Origins whose local storage could not be written.
    pub unwritten: Vec<String>,
}

/// A session that was read.
#[derive(Debug)]
pub struct SessionRead {
    pub session: Session,
    /// What the origins keep that is not in it, in words.
    pub left_out: Vec<String>,
}

pub(in crate::browser::instance) type Reply<T> = oneshot::Sender<Result<T, PageError>>;

#[derive(Debug)]
pub(in crate::browser::instance) enum Order {
    Keep(Reply<()>),
    Read { origins: Vec<Origin>, reply: Reply<SessionRead> },
    Import { import: SessionImport, reply: Reply<SessionImported> },
}

impl Keeper {
    /// Whoever asked may have gone; then nobody hears of it.
    pub(super) async fn obey(&mut self, live: &Live, order: Order) {
        match order {
            Order::Keep(reply) => drop(reply.send(self.look(live, Some(STORAGE)).await)),
            Order::Read { origins, reply } => drop(reply.send(read(live, &origins).await)),
            Order::Import { import, reply } => drop(reply.send(self.import(live, import).await)),
        }
    }

    async fn import(&mut self, live: &Live, import: SessionImport) -> Result<SessionImported, PageError> {
        let SessionImport { session, replace, hash } = import;
        let there = live.cookies().await?;
        let belongs = |cookie: &Cookie| replace.iter().any(|origin| origin.receives(&cookie.domain));
        let old: Vec<Cookie> = there.into_iter().filter(belongs).collect();
        live.delete_cookies(&old).await?;
        live.set_cookies(&session.cookies).await?;
        let changes = changes(&session, &replace);
        let unwritten = match changes.is_empty() {
            true => BTreeMap::new(),
            false => write_storage(live, changes, Instant::now() + STORAGE).await?,
        };
        let now_there: std::collections::BTreeSet<_> = live.cookies().await?.iter().map(Cookie::id).collect();
        let refused = session.cookies.iter().filter(|cookie| !now_there.contains(&cookie.id())).count();
        for origin in session.storage.keys() {
            self.owed.remove(origin);
        }
        self.note(live, &session, hash).await?;
        Ok(SessionImported {
            cookies: session.cookies.len() - refused,
            entries: session.entries(),
            refused,
            unwritten: unwritten.into_keys().collect(),
        })
    }

    /// Writes a snapshot of what is there after an import.
    async fn note(&mut self, live: &Live, imported: &Session, hash: Option<String>) -> Result<(), PageError> {
        let cookies = live.cookies().await?;
        let Some(last) = &self.last else { return Ok(()) };
        let mut storage = last.session().storage.clone();
        let origins = self.origins().into_iter().chain(imported.storage.keys().cloned());
        let origins = origins.filter(|origin| !self.owed.contains_key(origin)).collect();
        storage.extend(read_storage(live, origins, Instant::now() + STORAGE).await?.0);
        let mut next = last.next(crate::session::now(), Session { cookies, storage });
        if let Some(hash) = hash {
            next.note_import(&hash);
        }
        self.write(next).await;
        Ok(())
    }

    /// Imports an archive that the configuration names, unless it was imported before. What is wrong with it is logged.
    ///
    /// # Errors
    /// When the browser does not do its part.
    pub(super) async fn import_at_start(&mut self, live: &Live, import: StartImport) -> Result<(), PageError> {
        let label = import.label.clone();
        let (account, hash) = match self.open_at_start(import).await {
            Ok(Some(opened)) => opened,
            Ok(None) => {
                tracing::debug!(instance = self.instance, from = label, "this archive was imported before");
                return Ok(());
            }
            Err(error) => {
                tracing::error!(instance = self.instance, from = label, "an account was not imported: {error}");
                return Ok(());
            }
        };
        let replace = account.origins.iter().filter_map(|origin| Origin::parse_granted(origin).ok()).collect();
        let import = SessionImport { session: account.session(), replace, hash: Some(hash) };
        let SessionImported { cookies, entries, refused, .. } = self.import(live, import).await?;
        tracing::info!(instance = self.instance, from = label, cookies, entries, refused, "an account was imported");
        Ok(())
    }

    /// The account, and the archive's hash. None if it was imported before.
    async fn open_at_start(&self, import: StartImport) -> Result<Option<(Account, String)>, String> {
        let StartImport { archive: source, passphrase, .. } = import;
        let known = self.last.clone();
        let open = move || {
            let bytes = match source {
                ArchiveSource::File(path) => std::fs::read(&path).map_err(|error| error.to_string())?,
                ArchiveSource::Bytes(bytes) => bytes,
            };
            let hash = archive::hash(&bytes);
            if known.is_some_and(|last| last.has_imported(&hash)) {
                return Ok(None);
            }
            let account = archive::open(&bytes, &passphrase).map_err(|error| error.to_string())?;
            Ok(Some((account, hash)))
        };
        tokio::task::spawn_blocking(open).await.map_err(|error| error.to_string())?
    }
}

/// What an import does to storage: the entries that come, and the end of those that are replaced.
fn changes(session: &Session, replace: &[Origin]) -> BTreeMap<String, Change> {
    let replaced = single(replace);
    let mut changes: BTreeMap<String, Change> =
        replaced.into_iter().map(|origin| (origin, Change { clear: true, ..Change::default() })).collect();
    for (origin, entries) in &session.storage {
        let write = entries.iter().map(|(key, value)| (key.clone(), value.clone()));
        changes.entry(origin.clone()).or_default().write.extend(write);
    }
    changes
}

async fn read(live: &Live, origins: &[Origin]) -> Result<SessionRead, PageError> {
    let mut cookies = live.cookies().await?;
    let all = cookies.len();
    cookies.retain(|cookie| origins.iter().any(|origin| origin.receives(&cookie.domain)));
    let (storage, mut left_out) = read_storage(live, single(origins), Instant::now() + STORAGE).await?;
    if all > cookies.len() {
        left_out.push(format!("{} cookies of other sites", all - cookies.len()));
    }
    for origin in origins.iter().filter(|origin| origin.is_wildcard()) {
        left_out.push(format!("{origin}: local storage, since the hosts below it are not known"));
    }
    Ok(SessionRead { session: Session { cookies, storage }, left_out })
}

//! What the operator does with accounts: list them, carry one away as an archive, and bring one in.
//!
//! **Invariant:** nothing here knows HTTP, and no passphrase or cookie's value gets into an error or the log.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};
use url::Url;

use crate::browser::{Instance, InstanceState, Origin, PageError, SessionImport, SessionImported};
use crate::session::archive::{self, Account, ArchiveError};
use crate::session::import::{self, Format, ImportError};
use crate::session::{Secret, Session, now};

/// What no export holds, whatever the site: what is bound to this device or to this browser's disk.
const NEVER: [&str; 3] = [
    "IndexedDB, cache storage and service workers: a site that keeps its session there wants a new sign-in",
    "session storage, which belongs to an open page",
    "what is bound to this device: passkeys and device-bound session credentials",
];

/// An instance, and what its adapters are for.
#[derive(Debug, Clone)]
pub struct Holder {
    pub instance: Arc<Instance>,
    /// The ids of the adapters that use it.
    pub adapters: Vec<String>,
    /// `origins.page` and `origins.pass` of their manifests.
    pub origins: Vec<Origin>,
}

/// All instances as they are now: it is asked at each order.
pub type Holders = Box<dyn Fn() -> Vec<Holder> + Send + Sync>;

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("there is no instance {0:?}")]
    Unknown(String),
    #[error("no adapter uses the instance {0:?}, so that it is not known which sites are meant")]
    NoAdapters(String),
    #[error("another archive is being made or opened: try again in a moment")]
    Busy,
    #[error("this archive is sealed: give its passphrase")]
    NoPassphrase,
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    File(#[from] ImportError),
    #[error("nothing in it is for the sites of this instance's adapters ({0}): export while you are signed in there")]
    NothingForThese(String),
    #[error("the account is signed in nowhere: there is neither a cookie nor an entry of local storage")]
    Empty,
    #[error("the browser: {0}")]
    Browser(#[from] PageError),
    #[error("it ended early")]
    Ended,
}

/// An instance, as the operator sees it.
#[derive(Debug, Clone)]
pub struct Listed {
    pub instance: String,
    pub state: InstanceState,
    pub adapters: Vec<String>,
    pub origins: Vec<String>,
}

/// An archive that was made.
#[derive(Debug)]
pub struct Exported {
    pub archive: Vec<u8>,
    pub cookies: usize,
    pub entries: usize,
    pub origins: Vec<String>,
    pub left_out: Vec<String>,
}

/// What was brought in.
#[derive(Debug, Clone)]
pub struct Imported {
    /// `archive`, `cookies.txt`, `extension` or `storage-state`.
    pub format: &'static str,
    pub cookies: usize,
    /// Of local storage.
    pub entries: usize,
    /// Cookies and entries of other sites, which were not taken.
    pub foreign: usize,
    /// Cookies whose time is over.
    pub expired: usize,
    /// Cookies that the browser did not take.
    pub refused: usize,
    /// Origins whose local storage could not be written.
    pub unwritten: Vec<String>,
    /// When the archive was made, in seconds since 1970.
    pub made: Option<u64>,
}

/// The operator's desk.
pub struct Accounts {
    holders: Holders,
    /// To make or open an archive takes memory and a processor: one at a time.
    turn: Semaphore,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}

impl Accounts {
    pub fn new(holders: Holders) -> Self {
        Self { holders, turn: Semaphore::new(1) }
    }

    pub fn list(&self) -> Vec<Listed> {
        let listed = |holder: Holder| Listed {
            instance: holder.instance.name().to_owned(),
            state: holder.instance.state().borrow().clone(),
            adapters: holder.adapters,
            origins: names(&holder.origins),
        };
        (self.holders)().into_iter().map(listed).collect()
    }

    /// Makes an archive of what the sites of an instance's adapters have in it.
    ///
    /// # Errors
    /// See [`AccountError`].
    pub async fn export(&self, instance: &str, passphrase: Secret) -> Result<Exported, AccountError> {
        let _turn = self.turn()?;
        let holder = self.holder(instance)?;
        let read = holder.instance.read_session(holder.origins.clone()).await?;
        if read.session.is_empty() {
            return Err(AccountError::Empty);
        }
        let (cookies, entries) = (read.session.cookies.len(), read.session.entries());
        let left_out: Vec<String> = read.left_out.into_iter().chain(NEVER.map(str::to_owned)).collect();
        let origins = names(&holder.origins);
        let account = Account {
            name: instance.to_owned(),
            made: now(),
            origins: origins.clone(),
            cookies: read.session.cookies,
            storage: read.session.storage,
            left_out: left_out.clone(),
        };
        let sealed = tokio::task::spawn_blocking(move || archive::seal(&account, &passphrase)).await;
        let archive = sealed.map_err(|_| AccountError::Ended)??;
        tracing::info!(instance, cookies, entries, "an account was exported");
        Ok(Exported { archive, cookies, entries, origins, left_out })
    }

    /// Brings an archive, or what another tool exported, into an instance. Only what its adapters' sites get is taken. An archive
    /// replaces the account that is there; anything else is added to it.
    ///
    /// # Errors
    /// See [`AccountError`].
    pub async fn import(
        &self,
        instance: &str,
        file: Vec<u8>,
        passphrase: Option<Secret>,
    ) -> Result<Imported, AccountError> {
        let _turn = self.turn()?;
        let holder = self.holder(instance)?;
        let opened = tokio::task::spawn_blocking(move || open(&file, passphrase)).await;
        let Opened { format, mut session, origins, made } = opened.map_err(|_| AccountError::Ended)??;
        let now = now();
        let before = session.cookies.len();
        session.cookies.retain(|cookie| !cookie.is_expired(now));
        let expired = before - session.cookies.len();
        let foreign = session.retain(
            |cookie| holder.origins.iter().any(|origin| origin.receives(&cookie.domain)),
            |name| Url::parse(name).is_ok_and(|url| holder.origins.iter().any(|origin| origin.matches(&url))),
        );
        if session.is_empty() {
            return Err(AccountError::NothingForThese(names(&holder.origins).join(", ")));
        }
        let replace = holder.origins.iter().filter(|origin| origins.contains(&origin.to_string())).cloned().collect();
        let done = holder.instance.import_session(SessionImport { session, replace, hash: None }).await?;
        let SessionImported { cookies, entries, refused, unwritten } = done;
        tracing::info!(instance, format, cookies, entries, foreign, expired, refused, "an account was imported");
        Ok(Imported { format, cookies, entries, foreign, expired, refused, unwritten, made })
    }

    fn holder(&self, name: &str) -> Result<Holder, AccountError> {
        let short = || name.chars().take(100).collect();
        let found = (self.holders)().into_iter().find(|holder| holder.instance.name() == name);
        let holder = found.ok_or_else(|| AccountError::Unknown(short()))?;
        if holder.origins.is_empty() {
            return Err(AccountError::NoAdapters(short()));
        }
        Ok(holder)
    }

    fn turn(&self) -> Result<SemaphorePermit<'_>, AccountError> {
        self.turn.try_acquire().map_err(|_| AccountError::Busy)
    }
}

struct Opened {
    format: &'static str,
    session: Session,
    /// Those that an archive was made for.
    origins: Vec<String>,
    made: Option<u64>,
}

fn open(file: &[u8], passphrase: Option<Secret>) -> Result<Opened, AccountError> {
    if archive::is_archive(file) {
        let account = archive::open(file, &passphrase.ok_or(AccountError::NoPassphrase)?)?;
        let session = account.session();
        return Ok(Opened { format: "archive", session, origins: account.origins, made: Some(account.made) });
    }
    let found = import::parse(file)?;
    let format = match found.format {
        Format::Netscape => "cookies.txt",
        Format::Extension => "extension",
        Format::StorageState => "storage-state",
    };
    Ok(Opened { format, session: found.session, origins: Vec::new(), made: None })
}

fn names(origins: &[Origin]) -> Vec<String> {
    origins.iter().map(Origin::to_string).collect()
}

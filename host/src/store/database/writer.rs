//! The thread that writes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};

use super::clock::{Clock, Now};
use super::open::{self, OpenError, is_damage};
use super::{Counters, DatabaseError, DatabaseState, Load, media, retention, schema};
use crate::config::History;

/// Pieces of work in one transaction.
const BATCH: usize = 256;

/// What one piece of work has before it.
pub(super) struct Pass<'a> {
    pub(super) connection: &'a Connection,
    pub(super) now: Now,
    pub(super) history: &'a History,
    /// Files to be removed once this is committed.
    pub(super) garbage: &'a mut Vec<PathBuf>,
}

pub(super) type Work = Box<dyn FnOnce(&mut Pass<'_>) -> rusqlite::Result<()> + Send>;

pub(super) struct Write {
    pub(super) work: Work,
    /// Told when it is committed, or why it is not.
    pub(super) done: Option<oneshot::Sender<Result<(), DatabaseError>>>,
    pub(super) _load: Option<Load>,
}

pub(super) enum Command {
    Write(Write),
    /// Look for what is old.
    Tick,
    Close(oneshot::Sender<()>),
}

pub(super) struct Writer {
    pub(super) folder: PathBuf,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) state: watch::Sender<DatabaseState>,
    pub(super) history: Arc<ArcSwap<History>>,
    pub(super) counters: Arc<Counters>,
    pub(super) clock: Arc<Clock>,
    pub(super) generation: Arc<AtomicU64>,
    /// The same trouble is told once in this time, and a file that could not be opened is tried again as often.
    pub(super) pause: Duration,
    pub(super) connection: Option<Connection>,
    /// When the file was last tried, while there is no connection.
    pub(super) tried: Option<Instant>,
    pub(super) trouble: Trouble,
}

/// What has not been told yet.
#[derive(Default)]
pub(super) struct Trouble {
    failed: u64,
    reason: String,
    dropped: u64,
    told: Option<Instant>,
}

impl Writer {
    /// Until the last handle is gone or it is told to close.
    pub(super) fn run(mut self) {
        self.open();
        let mut closed = None;
        while let Some(first) = self.commands.blocking_recv() {
            let mut writes = Vec::new();
            let mut due = false;
            let mut next = Some(first);
            while let Some(command) = next {
                match command {
                    Command::Write(write) => writes.push(write),
                    Command::Tick => due = true,
                    Command::Close(done) => closed = Some(done),
                }
                let more = closed.is_none() && writes.len() < BATCH;
                next = if more { self.commands.try_recv().ok() } else { None };
            }
            self.write(writes);
            if due {
                self.tend();
            }
            self.tell();
            if closed.is_some() {
                break;
            }
        }
        self.close();
        if let Some(closed) = closed {
            // Its receiver may have stopped waiting.
            let _ = closed.send(());
        }
    }

    fn open(&mut self) {
        self.tried = Some(Instant::now());
        let state = match open::open(&open::path(&self.folder)) {
            Ok(connection) => {
                self.generation.fetch_add(1, Ordering::AcqRel);
                if let Some(last) = retention::last_seen(&connection) {
                    self.clock.resume(last);
                }
                if let Err(error) = media::sweep(&connection, &self.folder) {
                    tracing::debug!(%error, "the folder for media was not swept");
                }
                self.connection = Some(connection);
                DatabaseState::Open
            }
            Err(OpenError::Newer(version)) => {
                let known = schema::version();
                tracing::warn!(
                    "the database is of version {version} and this program knows {known}: it is left as it is, and nothing is kept of requests"
                );
                DatabaseState::Refused(format!("the database is of version {version}, and this program knows {known}"))
            }
            Err(OpenError::Now(why)) => {
                tracing::warn!("the database cannot be used, and is tried again every minute: {why}");
                DatabaseState::Closed(why)
            }
        };
        self.state.send_replace(state);
    }

    /// Opens it again if it is time to.
    fn reopen(&mut self) {
        let refused = matches!(*self.state.borrow(), DatabaseState::Refused(_));
        let early = self.tried.is_some_and(|tried| tried.elapsed() < self.pause);
        if self.connection.is_none() && !refused && !early {
            self.open();
        }
    }

    fn write(&mut self, writes: Vec<Write>) {
        if writes.is_empty() {
            return;
        }
        self.reopen();
        let mut works = Vec::with_capacity(writes.len());
        let mut waiting = Vec::with_capacity(writes.len());
        for Write { work, done, _load: load } in writes {
            works.push(work);
            waiting.push((done, load));
        }
        let results = self.carry_out(works);
        for result in &results {
            let counter = if result.is_ok() { &self.counters.written } else { &self.counters.failed };
            counter.fetch_add(1, Ordering::Relaxed);
            // That there is no database was told when it was opened.
            if let Err(DatabaseError::Failed(reason)) = result {
                self.trouble.failed += 1;
                self.trouble.reason.clone_from(reason);
            }
        }
        for ((done, _), result) in waiting.into_iter().zip(results) {
            answer(done, result);
        }
    }

    /// A result for each piece of work.
    fn carry_out(&mut self, works: Vec<Work>) -> Vec<Result<(), DatabaseError>> {
        let count = works.len();
        let Some(connection) = &mut self.connection else {
            let why = match &*self.state.borrow() {
                DatabaseState::Closed(why) | DatabaseState::Refused(why) => why.clone(),
                DatabaseState::Opening | DatabaseState::Open => String::new(),
            };
            return vec![Err(DatabaseError::Unavailable(why)); count];
        };
        let history = self.history.load_full();
        match transact(connection, works, self.clock.now(), &history) {
            Ok(results) => results,
            Err(error) => {
                self.relieve(&error);
                vec![Err(error.into()); count]
            }
        }
    }

    /// After a transaction that failed as a whole.
    fn relieve(&mut self, error: &rusqlite::Error) {
        if is_damage(error) {
            // Looked over, and set aside if need be, before the next write.
            self.connection = None;
            self.tried = None;
            self.state.send_replace(DatabaseState::Closed(error.to_string()));
        } else if error.sqlite_error_code() == Some(ErrorCode::DiskFull)
            && let Some(connection) = &self.connection
        {
            // What is in the log already may take up room twice.
            let _ = checkpoint(connection);
        }
    }

    /// What has to be done now and then.
    fn tend(&mut self) {
        self.reopen();
        let (now, history) = (self.clock.now(), self.history.load_full());
        let Some(connection) = &mut self.connection else { return };
        if let Err(error) = retention::tend(connection, now, &history, &self.folder) {
            self.trouble.failed += 1;
            self.trouble.reason = error.to_string();
            self.relieve(&error);
        }
    }

    /// Tells in the log what went wrong, once in a while.
    fn tell(&mut self) {
        let dropped = self.counters.dropped.load(Ordering::Relaxed);
        let new = dropped - self.trouble.dropped;
        let early = self.trouble.told.is_some_and(|told| told.elapsed() < self.pause);
        if early || (new == 0 && self.trouble.failed == 0) {
            return;
        }
        if new > 0 {
            tracing::warn!("{new} records were dropped: more came than the disk could take");
        }
        if self.trouble.failed > 0 {
            tracing::warn!("{} records could not be written: {}", self.trouble.failed, self.trouble.reason);
        }
        self.trouble = Trouble { dropped, told: Some(Instant::now()), ..Trouble::default() };
    }

    fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            if let Err(error) = retention::note_seen(&connection, self.clock.now()) {
                tracing::debug!(%error, "the time was not noted");
            }
            if let Err(error) = checkpoint(&connection) {
                tracing::debug!(%error, "the database was not checkpointed at its end");
            }
        }
        self.state.send_replace(DatabaseState::Closed("the server is being stopped".into()));
    }
}

fn answer(done: Option<oneshot::Sender<Result<(), DatabaseError>>>, result: Result<(), DatabaseError>) {
    if let Some(done) = done {
        // Who does not wait any more does not want it.
        let _ = done.send(result);
    }
}

/// All pieces of work in one transaction; one that fails does not take the others with it.
fn transact(
    connection: &mut Connection,
    works: Vec<Work>,
    now: Now,
    history: &History,
) -> rusqlite::Result<Vec<Result<(), DatabaseError>>> {
    let mut transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    let mut results = Vec::with_capacity(works.len());
    let mut garbage = Vec::new();
    for work in works {
        let savepoint = transaction.savepoint()?;
        let kept = garbage.len();
        let mut pass = Pass { connection: &savepoint, now, history, garbage: &mut garbage };
        let result = work(&mut pass);
        match result.and_then(|()| savepoint.commit()) {
            Ok(()) => results.push(Ok(())),
            Err(error) => {
                // A full disk ends the transaction as a whole.
                if transaction.is_autocommit() || is_damage(&error) {
                    return Err(error);
                }
                garbage.truncate(kept);
                results.push(Err(error.into()));
            }
        }
    }
    transaction.commit()?;
    media::remove(&garbage);
    Ok(results)
}

fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

//! The database of what was asked and answered: one SQLite file in the data folder.
//!
//! One thread owns the connection that writes, and takes its work from a bounded channel, as many pieces at once as are
//! waiting. Requests never wait for the disk: what does not fit is dropped and counted. Reads have connections of their own.
//!
//! A damaged file is set aside and a new one begun; one of a newer program is left alone, and nothing is kept. No trouble
//! here is ever a request's trouble.

mod clock;
mod conversations;
mod media;
mod open;
mod readers;
mod record;
mod requests;
mod retention;
mod schema;
mod statistics;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::config::{History, HistoryMode};
use clock::Clock;
pub use conversations::{Conversation, ConversationKey};
pub(super) use media::{NewFile, place, unfinished};
use readers::Readers;
pub use record::{RequestQuery, RequestRecord, Sizes, Stages, StoredRequest, Tokens, TryRecord};
pub use statistics::{Bucket, Latency, StatisticsRow};
use writer::{Command, Pass, Trouble, Write, Writer};

/// Pieces of work that may wait for the writer, and their bytes.
const WAITING: usize = 4096;
const WAITING_BYTES: usize = 64 << 20;
/// How long anybody waits for the database.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same trouble is told once in this time, and a file that could not be opened is tried again as often.
const PAUSE: Duration = Duration::from_secs(60);
/// How often old things are looked for.
const TICK: Duration = Duration::from_secs(60);

/// Why the database gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// There is none, for now or for this run.
    #[error("there is no history: {0}")]
    Unavailable(String),
    #[error("the database did not answer in time")]
    Timeout,
    /// It refused, as when the disk is full.
    #[error("the database reports: {0}")]
    Failed(String),
    /// More than can be kept.
    #[error("{0} bytes are more than history.mediaMaxSize")]
    TooLarge(u64),
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// How the database fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseState {
    /// It is being looked over.
    Opening,
    Open,
    /// It cannot be used for now, and why; it is tried again every minute.
    Closed(String),
    /// It is not used in this run, and why.
    Refused(String),
}

/// What has been written since the start, and what has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DatabaseCounts {
    pub written: u64,
    /// The disk or the database refused.
    pub failed: u64,
    /// Too much was waiting already.
    pub dropped: u64,
}

#[derive(Debug, Default)]
struct Counters {
    written: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    /// Bytes that wait for the writer.
    waiting: AtomicUsize,
}

/// The bytes of one piece of work that waits.
#[derive(Debug)]
struct Load {
    counters: Arc<Counters>,
    bytes: usize,
}

impl Load {
    /// None if too many wait already.
    fn new(counters: &Arc<Counters>, bytes: usize) -> Option<Self> {
        let before = counters.waiting.fetch_add(bytes, Ordering::Relaxed);
        let load = Self { counters: Arc::clone(counters), bytes };
        (before <= WAITING_BYTES).then_some(load)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.counters.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A handle; cheap to clone. The thread ends when the last one goes, after what is waiting was written.
#[derive(Debug, Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<DatabaseState>,
    history: Arc<ArcSwap<History>>,
    counters: Arc<Counters>,
    clock: Arc<Clock>,
    readers: Readers,
    _ticker: AbortOnDropHandle<()>,
}

impl Database {
    /// Begins to open `<folder>/webai2api.db`, and returns at once: what is given before it is open is written then.
    /// Must be called in a Tokio runtime.
    pub fn open(folder: &Path, history: &History) -> Self {
        Self::open_with(folder, history, PAUSE)
    }

    fn open_with(folder: &Path, history: &History, pause: Duration) -> Self {
        let (commands, receiver) = mpsc::channel(WAITING);
        let (tell, state) = watch::channel(DatabaseState::Opening);
        let history = Arc::new(ArcSwap::from_pointee(history.clone()));
        let (counters, clock) = (Arc::new(Counters::default()), Arc::new(Clock::new()));
        let readers = Readers::new(open::path(folder));
        let writer = Writer {
            folder: folder.to_owned(),
            commands: receiver,
            state: tell,
            history: Arc::clone(&history),
            counters: Arc::clone(&counters),
            clock: Arc::clone(&clock),
            generation: readers.generation(),
            pause,
            connection: None,
            tried: None,
            trouble: Trouble::default(),
        };
        let ticker = AbortOnDropHandle::new(tokio::spawn(tick(commands.downgrade())));
        // It ends when the last sender is gone.
        let spawned = std::thread::Builder::new().name("database".into()).spawn(move || writer.run());
        if let Err(error) = spawned {
            tracing::warn!(%error, "no thread for the database: nothing is kept of requests");
        }
        Self { shared: Arc::new(Shared { commands, state, history, counters, clock, readers, _ticker: ticker }) }
    }

    /// Follows a changed configuration.
    pub fn configure(&self, history: &History) {
        self.shared.history.store(Arc::new(history.clone()));
    }

    pub fn state(&self) -> DatabaseState {
        self.shared.state.borrow().clone()
    }

    pub fn counts(&self) -> DatabaseCounts {
        let counters = &self.shared.counters;
        DatabaseCounts {
            written: counters.written.load(Ordering::Relaxed),
            failed: counters.failed.load(Ordering::Relaxed),
            dropped: counters.dropped.load(Ordering::Relaxed),
        }
    }

    /// Whether a record's `prompt` and `answer` would be kept: else nobody needs to collect them.
    pub fn keeps_text(&self) -> bool {
        self.shared.history.load().mode == HistoryMode::Full
    }

    /// Waits until all that was given before is written.
    ///
    /// # Errors
    /// When that takes longer, or the disk refuses.
    pub async fn flush(&self, deadline: Duration) -> Result<(), DatabaseError> {
        self.write_within(deadline, |_| Ok(())).await
    }

    /// Writes what waits and closes the file. Nothing is kept from then on. False if that took longer.
    pub async fn close(&self, deadline: Duration) -> bool {
        let closing = async {
            let (done, closed) = oneshot::channel();
            // Without an answer the thread has ended already.
            if self.shared.commands.send(Command::Close(done)).await.is_ok() {
                let _ = closed.await;
            }
        };
        timeout(deadline, closing).await.is_ok()
    }

    /// Has old things looked for as soon as may be.
    pub(in crate::store) fn tend_soon(&self) {
        // A full channel means that it will not be long.
        let _ = self.shared.commands.try_send(Command::Tick);
    }

    /// Gives work to the writer and does not wait. What does not fit is dropped, and the log says so.
    fn write_later(&self, bytes: usize, work: impl FnOnce(&mut Pass<'_>) -> rusqlite::Result<()> + Send + 'static) {
        let counters = &self.shared.counters;
        let fits = Load::new(counters, bytes).map(|load| Write { work: Box::new(work), done: None, _load: Some(load) });
        let taken = fits.is_some_and(|write| self.shared.commands.try_send(Command::Write(write)).is_ok());
        if !taken {
            counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Gives work to the writer and waits for it to be committed.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Pass<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        self.write_within(PATIENCE, work).await
    }

    async fn write_within<T: Send + 'static>(
        &self,
        deadline: Duration,
        work: impl FnOnce(&mut Pass<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let (value, mut result) = oneshot::channel();
        let (done, committed) = oneshot::channel();
        let work = move |pass: &mut Pass<'_>| {
            // Who does not wait any more does not want it.
            let _ = value.send(work(pass)?);
            Ok(())
        };
        let write = Write { work: Box::new(work), done: Some(done), _load: None };
        let waiting = async {
            let sent = self.shared.commands.send(Command::Write(write)).await;
            sent.map_err(|_| self.gone())?;
            committed.await.map_err(|_| self.gone())?
        };
        timeout(deadline, waiting).await.map_err(|_| DatabaseError::Timeout)??;
        result.try_recv().map_err(|_| self.gone())
    }

    /// Reads on a connection of its own.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let reading = async {
            let mut state = self.shared.state.clone();
            let settled = state.wait_for(|state| *state != DatabaseState::Opening).await;
            match settled.map(|state| state.clone()) {
                Ok(DatabaseState::Closed(why) | DatabaseState::Refused(why)) => Err(DatabaseError::Unavailable(why)),
                Ok(_) => self.shared.readers.read(work).await,
                Err(_) => Err(self.gone()),
            }
        };
        timeout(PATIENCE, reading).await.unwrap_or(Err(DatabaseError::Timeout))
    }

    fn gone(&self) -> DatabaseError {
        match self.state() {
            DatabaseState::Closed(why) | DatabaseState::Refused(why) => DatabaseError::Unavailable(why),
            DatabaseState::Opening | DatabaseState::Open => DatabaseError::Unavailable("it is closed".into()),
        }
    }
}

/// Reminds the writer of the time, for as long as there is a handle.
async fn tick(commands: mpsc::WeakSender<Command>) {
    let mut interval = interval(TICK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let Some(commands) = commands.upgrade() else { return };
        // A full channel means that the writer is awake.
        let _ = commands.try_send(Command::Tick);
    }
}

#[cfg(test)]
mod tests;

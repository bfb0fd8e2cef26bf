//! A few connections for reading.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, InterruptHandle};
use tokio::sync::Semaphore;

use super::DatabaseError;
use super::open::open_reader;

/// How many may read at once.
const READERS: usize = 4;

#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    turns: Arc<Semaphore>,
    /// Each with the generation of the file that it was opened on.
    idle: Mutex<Vec<(u64, Connection)>>,
    /// Rises when another file takes the place of a damaged one.
    generation: Arc<AtomicU64>,
}

/// Ends a read that nobody waits for any more.
struct Interrupt(Option<InterruptHandle>);

impl Drop for Interrupt {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.interrupt();
        }
    }
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, turns: Arc::new(Semaphore::new(READERS)), idle: Mutex::default(), generation: Arc::default() }
    }

    pub(super) fn generation(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.generation)
    }

    /// Runs a read; dropping this ends it.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| DatabaseError::Timeout)?;
        let (connection, generation) = self.connection().await?;
        let mut interrupt = Interrupt(Some(connection.get_interrupt_handle()));
        let reading = tokio::task::spawn_blocking(move || (work(&connection), connection, turn));
        let done = reading.await.map_err(|error| DatabaseError::Failed(error.to_string()));
        // From here on the connection may be another read's.
        interrupt.0 = None;
        let (result, connection, _turn) = done?;
        if result.is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((generation, connection));
        }
        Ok(result?)
    }

    async fn connection(&self) -> Result<(Connection, u64), DatabaseError> {
        let generation = self.generation.load(Ordering::Acquire);
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|(of, _)| *of == generation);
            idle.pop()
        };
        if let Some((_, connection)) = idle {
            return Ok((connection, generation));
        }
        let path = self.path.clone();
        let opening = tokio::task::spawn_blocking(move || open_reader(&path));
        let connection = opening.await.map_err(|error| DatabaseError::Failed(error.to_string()))??;
        Ok((connection, generation))
    }
}

//! Jobs: which request gets which page, when, and for how long.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::chat::{Delta, Failure, FailureKind, Kind, Outcome, Request};

/// A model that some loaded adapter offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// `<adapter>/<id in the manifest>`.
    pub id: String,
    pub adapter: String,
    pub adapter_version: String,
    pub kind: Kind,
    pub label: String,
    /// What the manifest says of it, such as `reasoning` or `vision`.
    pub features: BTreeMap<String, String>,
    /// `replica`, or when and against what it was last tried.
    pub verified: String,
}

/// Whether requests can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// The browser is being started.
    Starting,
    Ready,
    /// Requests are answered, but something is out of order.
    Degraded(String),
    /// Nothing can be answered until this is mended.
    Failed(String),
    Draining,
}

/// What happens to a job, in order: `Started`, `Submitted`, deltas, then `Done` or `Failed`, which is the last.
#[derive(Debug)]
pub enum JobEvent {
    /// It has a page. May come again when the job is dispatched anew before it was submitted.
    Started {
        adapter: String,
        instance: String,
        queued: Duration,
    },
    /// From here on nothing may invite the client to retry.
    Submitted,
    Delta(Delta),
    Done(Outcome),
    Failed(Failure),
}

/// A request under way. Dropping it cancels it.
#[derive(Debug)]
pub struct Job {
    events: mpsc::Receiver<JobEvent>,
}

impl Job {
    /// The next event; none after `Done` or `Failed`.
    pub async fn next(&mut self) -> Option<JobEvent> {
        self.events.recv().await
    }
}

/// The way in for every dialect.
#[derive(Debug, Clone)]
pub struct Dispatcher {}

impl Dispatcher {
    /// The models that can be asked for, by id.
    pub fn models(&self) -> Vec<ModelInfo> {
        Vec::new()
    }

    pub fn health(&self) -> Health {
        Health::Starting
    }

    /// Takes a request into the queue.
    ///
    /// # Errors
    /// At once where the model is unknown, the queue is full, or nothing can be answered now.
    pub fn submit(&self, request: Request) -> Result<Job, Failure> {
        let _ = request;
        Err(Failure::new(FailureKind::Starting { retry_after: Duration::from_secs(5) }, "the browser is starting"))
    }
}

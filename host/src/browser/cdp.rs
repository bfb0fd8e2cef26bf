//! The socket to one Chromium, and the sessions on it.
//!
//! The crate's `Connection` does the wire format; its `Handler` is not used, because it resumes workers by itself, drops
//! service workers, and delivers replies and events by separate ways. Here one task owns the socket. A session's events and
//! the replies that were asked for with [`Session::send`] arrive in one queue, in the order in which Chromium wrote them.
//!
//! **Invariant:** the task that reads the socket never waits for a session. Each queue is bounded in bytes; a queue that
//! overflows ends what listens to it and nothing else.

mod queue;
mod session;
mod socket;

use std::time::Duration;

pub use queue::{Event, EventQueue, Incoming, Ticket};
pub use session::Session;

use chromiumoxide::Connection;
use tokio::task::JoinHandle;

/// Why a command was not carried out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CdpError {
    /// Chromium's own answer.
    #[error("{method}: {message} ({code})")]
    Refused { method: String, code: i64, message: String },
    /// The session or the socket is gone.
    #[error("the browser connection is closed")]
    Closed,
    #[error("{method} was not answered within {after:?}")]
    Timeout { method: String, after: Duration },
    /// Too many commands are waiting to be written.
    #[error("the browser connection is overloaded")]
    Overloaded,
    #[error("{method}: unexpected answer: {message}")]
    Decode { method: String, message: String },
    #[error("cannot connect to the browser: {0}")]
    Connect(String),
}

/// An open socket: its root session, the root's events, and the task that owns the socket and ends when it closes.
#[derive(Debug)]
pub struct Socket {
    pub root: Session,
    pub events: EventQueue,
    pub task: JoinHandle<()>,
}

/// Connects to a Chromium's `webSocketDebuggerUrl`.
///
/// # Errors
/// [`CdpError::Connect`] when nothing answers there within `deadline`.
pub async fn connect(ws_url: &str, deadline: Duration) -> Result<Socket, CdpError> {
    let connection = tokio::time::timeout(deadline, Connection::<Event>::connect(ws_url))
        .await
        .map_err(|_| CdpError::Connect(format!("no answer within {deadline:?}")))?
        .map_err(|e| CdpError::Connect(e.to_string()))?;
    Ok(socket::spawn(connection))
}

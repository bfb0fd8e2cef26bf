//! A handle to one CDP session: the browser itself, a page, a frame of another process, or a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chromiumoxide::Command;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::CdpError;
use super::queue::{EventQueue, QueueWriter, Ticket, queue};

/// Where the reply to a command goes.
#[derive(Debug)]
pub(super) enum ReplyTo {
    Caller(oneshot::Sender<Result<Value, CdpError>>),
    Queue(Ticket),
    Nobody,
}

/// What a session asks of the socket's task.
#[derive(Debug)]
pub(super) enum Op {
    Send { session: Arc<str>, method: String, params: Value, reply: ReplyTo },
    Adopt { session: Arc<str>, queue: QueueWriter },
}

/// One CDP session. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Session {
    id: Arc<str>,
    ops: mpsc::Sender<Op>,
    tickets: Arc<AtomicU64>,
}

impl Session {
    pub(super) fn root(ops: mpsc::Sender<Op>) -> Self {
        Self { id: Arc::from(""), ops, tickets: Arc::default() }
    }

    /// Empty for the root session.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A handle to another session on the same socket.
    pub fn child(&self, id: &str) -> Self {
        Self { id: Arc::from(id), ops: self.ops.clone(), tickets: Arc::clone(&self.tickets) }
    }

    /// Carries out a command and waits for its answer, for at most `deadline`.
    ///
    /// # Errors
    /// What Chromium answered, or that no answer came. A late answer is dropped.
    pub async fn execute<C: Command>(&self, command: C, deadline: Duration) -> Result<C::Response, CdpError> {
        let method = command.identifier().into_owned();
        let value = self.execute_value(command, deadline).await?;
        C::response_from_value(value).map_err(|e| CdpError::Decode { method, message: e.to_string() })
    }

    /// Like [`execute`](Self::execute), with the answer as it came, for commands whose typed answer is too strict.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn execute_value<C: Command>(&self, command: C, deadline: Duration) -> Result<Value, CdpError> {
        self.start(command, deadline)?.await
    }

    /// Writes a command now; the future that is returned waits for the answer. So several commands go out together.
    ///
    /// # Errors
    /// When the socket is gone or too many commands wait; the future's are those of [`execute`](Self::execute).
    pub fn start<C: Command>(
        &self,
        command: C,
        deadline: Duration,
    ) -> Result<impl Future<Output = Result<Value, CdpError>> + Send + 'static, CdpError> {
        let method = command.identifier().into_owned();
        let (sender, receiver) = oneshot::channel();
        self.submit(command, ReplyTo::Caller(sender))?;
        Ok(async move {
            match tokio::time::timeout(deadline, receiver).await {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err(CdpError::Closed),
                Err(_) => Err(CdpError::Timeout { method, after: deadline }),
            }
        })
    }

    /// Writes a command without waiting; its reply arrives in the session's queue, in its place among the events.
    ///
    /// # Errors
    /// When the socket is gone or too many commands wait.
    pub fn send<C: Command>(&self, command: C) -> Result<Ticket, CdpError> {
        let ticket = Ticket(self.tickets.fetch_add(1, Ordering::Relaxed));
        self.submit(command, ReplyTo::Queue(ticket))?;
        Ok(ticket)
    }

    /// Writes a command whose reply nobody needs.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn tell<C: Command>(&self, command: C) -> Result<(), CdpError> {
        self.submit(command, ReplyTo::Nobody)
    }

    /// From here on this session, and every session that attaches below it, reports to the queue that is returned. Commands
    /// that are submitted later are answered after the change.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn adopt(&self, max_bytes: usize) -> Result<EventQueue, CdpError> {
        let (writer, reader) = queue(max_bytes);
        self.push(Op::Adopt { session: Arc::clone(&self.id), queue: writer })?;
        Ok(reader)
    }

    fn submit<C: Command>(&self, command: C, reply: ReplyTo) -> Result<(), CdpError> {
        let method = command.identifier().into_owned();
        let params = serde_json::to_value(command)
            .map_err(|e| CdpError::Decode { method: method.clone(), message: e.to_string() })?;
        self.push(Op::Send { session: Arc::clone(&self.id), method, params, reply })
    }

    fn push(&self, op: Op) -> Result<(), CdpError> {
        self.ops.try_send(op).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => CdpError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => CdpError::Closed,
        })
    }
}

//! The task that owns the socket: writes commands, gives replies to who asked, and events to the queue of their session.

use std::collections::HashMap;
use std::sync::Arc;

use chromiumoxide::Connection;
use chromiumoxide::cdp::browser_protocol::target::SessionId;
use chromiumoxide::error::CdpError as WireError;
use chromiumoxide::types::{CallId, Message, Response};
use futures::StreamExt;
use tokio::sync::mpsc;

use super::queue::{Event, Incoming, QueueWriter, queue};
use super::session::{Op, ReplyTo, Session};
use super::{CdpError, Socket};

/// Commands that may wait to be written.
const MAX_OPS: usize = 8192;
/// What the root session's queue may hold.
const ROOT_QUEUE_BYTES: usize = 8 << 20;

pub(super) fn spawn(connection: Connection<Event>) -> Socket {
    let (ops, receiver) = mpsc::channel(MAX_OPS);
    let (writer, events) = queue(ROOT_QUEUE_BYTES);
    let mut router = Router::default();
    router.routes.insert(String::new(), writer);
    // The task ends when the socket closes or when every session handle is gone.
    let task = tokio::spawn(run(connection, receiver, router));
    Socket { root: Session::root(ops), events, task }
}

async fn run(mut connection: Connection<Event>, mut ops: mpsc::Receiver<Op>, mut router: Router) {
    loop {
        tokio::select! {
            op = ops.recv() => match op {
                Some(op) => router.op(&mut connection, op),
                None => break,
            },
            message = connection.next() => match message {
                Some(Ok(Message::Response(response))) => router.response(response),
                Some(Ok(Message::Event(event))) => router.event(event),
                // A message that cannot be read concerns nobody here: every reader takes events leniently.
                Some(Err(WireError::InvalidMessage(_, error))) => tracing::debug!(%error, "unreadable CDP message"),
                Some(Err(error)) => {
                    tracing::debug!(%error, "the CDP socket failed");
                    break;
                }
                None => break,
            },
        }
    }
    router.close();
}

#[derive(Debug)]
struct Pending {
    session: Arc<str>,
    method: String,
    reply: ReplyTo,
}

#[derive(Debug, Default)]
struct Router {
    routes: HashMap<String, QueueWriter>,
    pending: HashMap<CallId, Pending>,
}

impl Router {
    fn op(&mut self, connection: &mut Connection<Event>, op: Op) {
        match op {
            Op::Adopt { session, queue } => {
                self.routes.insert(session.to_string(), queue);
            }
            Op::Send { session, method, params, reply } => {
                let id = (!session.is_empty()).then(|| SessionId::new(session.to_string()));
                match connection.submit_command(method.clone().into(), id, params) {
                    Ok(call) => {
                        self.pending.insert(call, Pending { session, method, reply });
                    }
                    Err(error) => {
                        let result = Err(CdpError::Decode { method: method.clone(), message: error.to_string() });
                        self.answer(Pending { session, method, reply }, result);
                    }
                }
            }
        }
    }

    fn response(&mut self, response: Response) {
        let Some(pending) = self.pending.remove(&response.id) else { return };
        let result = match response.error {
            Some(error) => {
                Err(CdpError::Refused { method: pending.method.clone(), code: error.code, message: error.message })
            }
            None => Ok(response.result.unwrap_or_default()),
        };
        self.answer(pending, result);
    }

    fn answer(&self, pending: Pending, result: Result<serde_json::Value, CdpError>) {
        match pending.reply {
            // A caller that no longer waits has given up by its deadline.
            ReplyTo::Caller(sender) => drop(sender.send(result)),
            ReplyTo::Queue(ticket) => {
                if let Some(queue) = self.routes.get(&*pending.session) {
                    queue.push(Incoming::Reply { ticket, session: pending.session.to_string(), result });
                }
            }
            ReplyTo::Nobody => {
                if let Err(error) = result {
                    tracing::trace!(%error, "a command that nobody waited for");
                }
            }
        }
    }

    fn event(&mut self, mut event: Event) {
        let Some(queue) = self.routes.get(&event.session).cloned() else {
            tracing::trace!(method = event.method, "an event of an unknown session");
            return;
        };
        let child = event.params.get("sessionId").and_then(|id| id.as_str()).map(str::to_owned);
        match (event.method.as_str(), child) {
            ("Target.attachedToTarget", Some(child)) => {
                self.routes.entry(child).or_insert_with(|| queue.clone());
            }
            ("Target.detachedFromTarget", Some(child)) => self.detach(&child, &queue),
            _ => {}
        }
        event.lighten();
        queue.push(Incoming::Event(event));
    }

    /// Fails what waits for a session that is gone, and ends its queue if it had one of its own.
    fn detach(&mut self, session: &str, parent: &QueueWriter) {
        if let Some(queue) = self.routes.remove(session)
            && !queue.same_as(parent)
        {
            queue.close();
        }
        let gone: Vec<CallId> =
            self.pending.iter().filter(|(_, p)| &*p.session == session).map(|(id, _)| *id).collect();
        for id in gone {
            if let Some(pending) = self.pending.remove(&id) {
                self.answer(pending, Err(CdpError::Closed));
            }
        }
    }

    fn close(self) {
        for queue in self.routes.into_values() {
            queue.close();
        }
        // Callers learn of the end by their dropped sender.
    }
}

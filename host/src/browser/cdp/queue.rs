//! A session's ordered inbox, bounded in bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chromiumoxide::Method;
use chromiumoxide::types::{EventMessage, MethodId};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Notify;

use super::CdpError;

/// The largest body of a paused request that is passed on, in bytes as Chromium writes them (base64): enough for the 2 MiB that
/// can be changed.
const MAX_PAUSED_BODY: usize = 3 << 20;
/// In the request of `Fetch.requestPaused`, in the place of a body that is larger.
const BODY_LEFT_OUT: &str = "bodyLeftOut";

/// Marks a command whose reply is to arrive in the session's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(pub(super) u64);

/// A CDP event, undecoded: Chromium adds enum values and drops fields from one release to the next, so that every reader takes
/// only what it needs.
#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    pub method: String,
    /// Empty for the root session.
    #[serde(rename = "sessionId", default)]
    pub session: String,
    #[serde(default)]
    pub params: Value,
}

impl Event {
    /// Takes out of a paused request what nobody reads: the second copy of its body, and a body that is too large to be changed.
    /// Chromium sends bodies whole and knows no bound for that, and an upload must not fill its page's queue.
    pub(super) fn lighten(&mut self) {
        if self.method != "Fetch.requestPaused" {
            return;
        }
        let Some(Value::Object(request)) = self.params.get_mut("request") else { return };
        request.remove("postData");
        if request.get("postDataEntries").is_some_and(|parts| weight(parts) > MAX_PAUSED_BODY) {
            request.remove("postDataEntries");
            request.insert(BODY_LEFT_OUT.to_owned(), Value::Bool(true));
        }
    }
}

impl Method for Event {
    fn identifier(&self) -> MethodId {
        self.method.clone().into()
    }
}

impl EventMessage for Event {
    fn session_id(&self) -> Option<&str> {
        (!self.session.is_empty()).then_some(self.session.as_str())
    }
}

/// What a queue delivers.
#[derive(Debug)]
pub enum Incoming {
    Event(Event),
    /// The reply to [`Session::send`](super::Session::send), in its place among the events.
    Reply {
        ticket: Ticket,
        session: String,
        result: Result<Value, CdpError>,
    },
    /// More came than the queue may hold. Everything since is lost: whoever reads this queue must give up its page.
    Overflow,
}

impl Incoming {
    fn size(&self) -> usize {
        match self {
            Self::Event(event) => event.method.len() + weight(&event.params),
            Self::Reply { result: Ok(value), .. } => weight(value),
            Self::Reply { .. } | Self::Overflow => 0,
        }
    }
}

/// About how many bytes a value holds: exact would cost a second serialization of every event.
fn weight(value: &Value) -> usize {
    16 + match value {
        Value::String(s) => s.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(fields) => fields.iter().map(|(k, v)| k.len() + weight(v)).sum(),
        _ => 0,
    }
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<(Incoming, usize)>,
    bytes: usize,
    overflowed: bool,
    closed: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    arrived: Notify,
    max_bytes: usize,
}

/// The socket task's end of a queue. When the last of its clones goes, the queue ends: the task may be aborted at any point, and
/// whoever reads must never wait for what nobody can write any more.
#[derive(Debug, Clone)]
pub(super) struct QueueWriter(Arc<Writing>);

#[derive(Debug)]
struct Writing(Arc<Shared>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The reading end of a queue.
#[derive(Debug)]
pub struct EventQueue(Arc<Shared>);

pub(super) fn queue(max_bytes: usize) -> (QueueWriter, EventQueue) {
    let shared = Arc::new(Shared { state: Mutex::default(), arrived: Notify::new(), max_bytes });
    (QueueWriter(Arc::new(Writing(Arc::clone(&shared)))), EventQueue(shared))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }
}

impl QueueWriter {
    /// Adds an item. Never waits.
    pub(super) fn push(&self, item: Incoming) {
        let size = item.size();
        let shared = &self.0.0;
        {
            let mut state = shared.lock();
            if state.overflowed {
                return;
            }
            if state.bytes + size > shared.max_bytes {
                state.overflowed = true;
                state.items.push_back((Incoming::Overflow, 0));
            } else {
                state.bytes += size;
                state.items.push_back((item, size));
            }
        }
        shared.arrived.notify_one();
    }

    pub(super) fn close(&self) {
        self.0.0.close();
    }

    pub(super) fn same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl EventQueue {
    /// The next item; none when the socket or its task is gone and everything before that was read. Safe to cancel.
    pub async fn recv(&mut self) -> Option<Incoming> {
        loop {
            {
                let mut state = self.0.lock();
                if let Some((item, size)) = state.items.pop_front() {
                    state.bytes -= size;
                    return Some(item);
                }
                if state.closed {
                    return None;
                }
            }
            self.0.arrived.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(n: usize) -> Incoming {
        Incoming::Event(Event { method: "M".into(), session: String::new(), params: Value::String("x".repeat(n)) })
    }

    #[test]
    fn a_paused_request_carries_its_body_once_and_a_large_one_not_at_all() {
        let paused = |body: usize| {
            let parts = json!([{ "bytes": "x".repeat(body / 2) }, { "bytes": "x".repeat(body / 2) }]);
            let request = json!({ "url": "u", "postData": "x".repeat(body), "postDataEntries": parts });
            let params = json!({ "requestId": "1", "request": request });
            let mut event = Event { method: "Fetch.requestPaused".into(), session: String::new(), params };
            event.lighten();
            event.params["request"].clone()
        };
        // 2 MiB, as base64.
        let kept = paused((2 << 20) * 4 / 3);
        assert!(kept.get("postData").is_none() && kept["postDataEntries"][1]["bytes"].is_string());
        assert!(kept.get(BODY_LEFT_OUT).is_none());
        let large = paused(MAX_PAUSED_BODY + 2);
        assert_eq!(large, json!({ "url": "u", BODY_LEFT_OUT: true }));
        let mut other =
            Event { method: "M".into(), session: String::new(), params: json!({"request": {"postData": "x"}}) };
        other.lighten();
        assert_eq!(other.params["request"]["postData"], "x");
    }

    #[tokio::test]
    async fn keeps_order_and_tells_the_end() {
        let (writer, mut reader) = queue(1000);
        writer.push(event(1));
        writer.push(event(2));
        writer.close();
        for n in 1..=2 {
            let Some(Incoming::Event(e)) = reader.recv().await else { panic!("an event") };
            assert_eq!(e.params.as_str().map(str::len), Some(n));
        }
        assert!(reader.recv().await.is_none());
    }

    /// As when the browser's end is seen before the socket's: its task is aborted, and closes nothing.
    #[tokio::test]
    async fn ends_when_nobody_can_write_any_more() {
        let (writer, mut reader) = queue(1000);
        let other = writer.clone();
        writer.push(event(1));
        drop(writer);
        assert!(matches!(reader.recv().await, Some(Incoming::Event(_))));
        let task = tokio::spawn(async move {
            let _held = other;
            std::future::pending::<()>().await;
        });
        task.abort();
        let end = tokio::time::timeout(std::time::Duration::from_secs(5), reader.recv()).await;
        assert!(end.expect("the end is told").is_none());
    }

    #[tokio::test]
    async fn overflow_is_told_once_in_its_place() {
        let (writer, mut reader) = queue(100);
        writer.push(event(50));
        writer.push(event(50));
        writer.push(event(1));
        writer.close();
        assert!(matches!(reader.recv().await, Some(Incoming::Event(_))));
        assert!(matches!(reader.recv().await, Some(Incoming::Overflow)));
        assert!(reader.recv().await.is_none());
    }
}

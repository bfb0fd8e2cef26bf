//! Reads the root session: which targets attach, and whether anybody asked for them.
//!
//! Every target that attaches waits for the debugger. A page that was asked for is handed to who asked; a service or shared
//! worker is let run; anything else (a pop-up, a window that the browser opened) is closed before a line of it runs.

use std::collections::HashMap;
use std::time::Duration;

use chromiumoxide::cdp::browser_protocol::target::{CloseTargetParams, CreateTargetParams};
use chromiumoxide::cdp::js_protocol::runtime::RunIfWaitingForDebuggerParams;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use crate::browser::cdp::{CdpError, Event, EventQueue, Incoming, Session, Ticket};
use crate::browser::error::PageError;

/// For a tab to be there.
const DEADLINE: Duration = Duration::from_secs(15);
/// Tabs that may be in the making at once.
const OPENING: usize = 32;

/// What a page is known by: its target and its session.
type Opened = Result<(String, String), CdpError>;

/// A page that somebody asks for.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) target: CreateTargetParams,
    pub(super) reply: oneshot::Sender<Opened>,
}

/// By which tabs are asked for. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::browser) struct Opener(mpsc::Sender<Opening>);

impl Opener {
    pub(super) fn new() -> (Self, mpsc::Receiver<Opening>) {
        let (sender, requests) = mpsc::channel(OPENING);
        (Self(sender), requests)
    }

    /// Opens a tab that waits for the debugger. Its target and its session.
    pub(in crate::browser) async fn open(&self, target: CreateTargetParams) -> Result<(String, String), PageError> {
        let (reply, opened) = oneshot::channel();
        self.0.try_send(Opening { target, reply }).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => CdpError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => CdpError::Closed,
        })?;
        match tokio::time::timeout(DEADLINE, opened).await {
            Ok(Ok(result)) => Ok(result?),
            Ok(Err(_)) => Err(PageError::Closed),
            Err(_) => Err(PageError::Timeout("opening a tab".into())),
        }
    }
}

/// The root session's reader.
#[derive(Debug)]
pub(super) struct Targets {
    root: Session,
    events: EventQueue,
    requests: mpsc::Receiver<Opening>,
    /// Asked for; Chromium has not answered yet.
    asked: HashMap<Ticket, oneshot::Sender<Opened>>,
    /// Created; not attached yet. By target.
    created: HashMap<String, oneshot::Sender<Opened>>,
    /// Attached before the answer that tells whose they are. Target to session.
    unclaimed: HashMap<String, String>,
    _socket: AbortOnDropHandle<()>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attached {
    session_id: String,
    target_info: TargetInfo,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TargetInfo {
    target_id: String,
    #[serde(rename = "type")]
    kind: String,
    opener_id: Option<String>,
}

impl Targets {
    pub(super) fn new(
        root: Session,
        events: EventQueue,
        requests: mpsc::Receiver<Opening>,
        socket: JoinHandle<()>,
    ) -> Self {
        Self {
            root,
            events,
            requests,
            asked: HashMap::new(),
            created: HashMap::new(),
            unclaimed: HashMap::new(),
            _socket: AbortOnDropHandle::new(socket),
        }
    }

    /// Until the socket closes.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                incoming = self.events.recv() => match incoming {
                    Some(Incoming::Event(event)) => self.event(&event),
                    Some(Incoming::Reply { ticket, result, .. }) => self.reply(ticket, result),
                    // The root hears little; if even that is lost, no page can be trusted to be fenced.
                    Some(Incoming::Overflow) | None => return,
                },
                Some(opening) = self.requests.recv() => match self.root.send(opening.target) {
                    Ok(ticket) => drop(self.asked.insert(ticket, opening.reply)),
                    Err(error) => drop(opening.reply.send(Err(error))),
                },
            }
        }
    }

    fn event(&mut self, event: &Event) {
        match event.method.as_str() {
            "Target.attachedToTarget" => match Attached::deserialize(&event.params) {
                Ok(attached) => self.attached(attached),
                Err(error) => tracing::warn!(%error, "an attached target cannot be read"),
            },
            "Target.detachedFromTarget" => {
                let session = event.params.get("sessionId").and_then(Value::as_str);
                self.unclaimed.retain(|_, unclaimed| Some(unclaimed.as_str()) != session);
            }
            _ => {}
        }
    }

    fn attached(&mut self, Attached { session_id, target_info }: Attached) {
        let TargetInfo { target_id, kind, opener_id } = target_info;
        match kind.as_str() {
            "page" if opener_id.is_none() => {
                if let Some(reply) = self.created.remove(&target_id) {
                    self.hand_over(reply, target_id, session_id);
                } else if self.asked.is_empty() {
                    self.close(&target_id, "nobody asked for it");
                } else {
                    self.unclaimed.insert(target_id, session_id);
                }
            }
            "service_worker" | "shared_worker" | "worker" | "browser" => {
                // Its pages hear of it too, in their own sessions; this one must only not hold it up.
                self.root.child(&session_id).tell(RunIfWaitingForDebuggerParams::default()).ok();
            }
            _ => self.close(&target_id, &kind),
        }
    }

    fn reply(&mut self, ticket: Ticket, result: Result<Value, CdpError>) {
        let Some(reply) = self.asked.remove(&ticket) else { return };
        let target = result.and_then(|value| {
            let target = value.get("targetId").and_then(Value::as_str).map(str::to_owned);
            target.ok_or_else(|| CdpError::Decode { method: "Target.createTarget".into(), message: value.to_string() })
        });
        match target {
            Ok(target) => match self.unclaimed.remove(&target) {
                Some(session) => self.hand_over(reply, target, session),
                None => drop(self.created.insert(target, reply)),
            },
            Err(error) => drop(reply.send(Err(error))),
        }
        if self.asked.is_empty() {
            for (target, _) in std::mem::take(&mut self.unclaimed) {
                self.close(&target, "nobody asked for it");
            }
        }
    }

    fn hand_over(&self, reply: oneshot::Sender<Opened>, target: String, session: String) {
        if let Err(Ok((target, _))) = reply.send(Ok((target, session))) {
            self.close(&target, "whoever asked for it has gone");
        }
    }

    fn close(&self, target: &str, why: &str) {
        tracing::debug!(target, why, "a target is closed before it runs");
        // If the socket is gone, so is the target.
        self.root.tell(CloseTargetParams::new(target.to_owned())).ok();
    }
}

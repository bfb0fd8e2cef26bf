//! The task that reads everything a page tells, in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use chromiumoxide::cdp::browser_protocol::fetch::{ContinueRequestParams, FailRequestParams};
use chromiumoxide::cdp::browser_protocol::network::ErrorReason;
use chromiumoxide::cdp::browser_protocol::page::{HandleJavaScriptDialogParams, NavigateParams};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::fence::{Fence, Frame, Paused, Place, Verdict, origin_of};
use super::world::BINDING;
use super::{CloseReason, Shared, setup};
use crate::browser::cdp::{CdpError, Event, EventQueue, Incoming, Session};
use crate::browser::event::{DialogInfo, EventBody, PageEvent};

pub(super) struct Actor {
    shared: Arc<Shared>,
    queue: EventQueue,
    fence: Fence,
    /// Paused document requests that wait until no input is in flight, with their session.
    held: VecDeque<(Session, Paused)>,
}

/// An event of the fence that could not be read.
struct Unreadable(String);

impl Actor {
    pub(super) fn new(shared: Arc<Shared>, queue: EventQueue) -> Self {
        let fence = Fence::new(&shared.target, &shared.spec);
        Self { shared, queue, fence, held: VecDeque::new() }
    }

    /// Until the tab is gone or closed.
    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            tokio::select! {
                biased;
                () = shared.cancel.cancelled() => return,
                () = shared.gate.free.notified() => self.release(),
                () = until(shared.rewrite_due()) => self.send(shared.rewrite_overdue()),
                incoming = self.queue.recv() => shared.span().in_scope(|| self.incoming(incoming)),
            }
        }
    }

    fn incoming(&mut self, incoming: Option<Incoming>) {
        match incoming {
            Some(Incoming::Event(event)) => {
                if let Err(Unreadable(why)) = self.event(&event) {
                    self.shared.close(CloseReason::Fence(why));
                }
            }
            Some(Incoming::Reply { ticket, result, .. }) => {
                self.shared.capture.on_reply(&self.shared.session, ticket, &result);
            }
            Some(Incoming::Overflow) => self.shared.close(CloseReason::Overflow),
            None => self.shared.close(CloseReason::Gone),
        }
    }

    fn event(&mut self, event: &Event) -> Result<(), Unreadable> {
        let own = event.session == self.shared.session.id();
        self.shared.capture.on_event(&self.shared.session, event);
        match event.method.as_str() {
            // Only documents are the fence's.
            "Fetch.requestPaused" if text(&event.params, "resourceType") != Some("Document") => {
                self.send(self.shared.request_paused(self.shared.session.child(&event.session), event));
            }
            "Fetch.requestPaused" => self.paused(event)?,
            "Network.requestWillBeSent" => self.send(self.shared.request_told(event)),
            "Page.frameNavigated" => self.frame_navigated(event, own)?,
            "Page.frameDetached" => {
                if let Some(frame) = text(&event.params, "frameId") {
                    self.shared.gate.frame_gone(frame);
                }
            }
            "Page.navigatedWithinDocument" if own => self.moved_within(event),
            "Page.lifecycleEvent" if own => self.lifecycle(event),
            "Page.frameStoppedLoading" if own => self.stopped_loading(event),
            "Page.javascriptDialogOpening" => self.dialog(event),
            "Inspector.targetCrashed" if own => self.shared.close(CloseReason::Crashed),
            "Target.attachedToTarget" => self.attached(event),
            "Target.detachedFromTarget" => {
                if let Some(child) = text(&event.params, "sessionId") {
                    self.shared.worlds.gone(child);
                    self.shared.rewrites.detached(child);
                }
            }
            "Network.loadingFailed" => {
                if let Some(loader) = text(&event.params, "requestId") {
                    self.shared.gate.settle(loader);
                }
            }
            method if method.starts_with("Runtime.executionContext") => {
                self.shared.worlds.on_event(event, &self.shared.target);
                self.shared.rearm_watches();
            }
            "Page.downloadWillBegin" | "Page.downloadProgress" => self.shared.on_download(event),
            "Runtime.bindingCalled" if text(&event.params, "name") == Some(BINDING) => self.shared.on_binding(event),
            "Runtime.bindingCalled" => self.shared.on_foreign_binding(event),
            "Page.fileChooserOpened" => self.shared.chooser_opened(event),
            "Debugger.paused" => self.shared.resume(&event.session),
            _ => {}
        }
        Ok(())
    }

    /// Sets up a frame or a worker that attached, and lets it run.
    fn attached(&mut self, event: &Event) {
        let kind = event.params.get("targetInfo").and_then(|info| text(info, "type")).unwrap_or_default();
        let Some(id) = text(&event.params, "sessionId") else { return };
        if kind == "iframe" {
            self.shared.rewrites.frame_attached(id);
        }
        if let Err(error) = setup::child(&self.shared.session.child(id), kind, self.shared.rewrites.patterns()) {
            self.lost(&error);
        }
    }

    fn paused(&mut self, event: &Event) -> Result<(), Unreadable> {
        let paused = Paused::deserialize(&event.params).map_err(|e| Unreadable(e.to_string()))?;
        let session = self.shared.session.child(&event.session);
        let driven = self.shared.driving.load(Ordering::Acquire) > 0;
        self.fence.by_hand = self.shared.by_hand.load(Ordering::Acquire);
        match self.fence.decide(&paused, driven) {
            Verdict::Continue => {
                if paused.frame_id == self.shared.target
                    && !paused.is_answer()
                    && let Some(loader) = &paused.network_id
                {
                    self.shared.gate.leave(loader);
                }
                self.admit(session, paused);
            }
            Verdict::Refuse(origin) => {
                if let Some(loader) = &paused.network_id {
                    self.shared.gate.settle(loader);
                }
                self.refuse(&session, &paused, origin);
            }
        }
        Ok(())
    }

    fn refuse(&mut self, session: &Session, paused: &Paused, origin: String) {
        tracing::info!(target: "fence", origin, "a navigation outside was stopped");
        // "Aborted" leaves the document that is shown in its place; other reasons would show an error page.
        let fail = FailRequestParams::new(paused.request_id.clone(), ErrorReason::Aborted);
        self.send(session.tell(fail));
        self.shared.download_refused(&paused.request.url);
        self.shared.document.send_modify(|document| {
            document.refusals += 1;
            document.refused = origin;
        });
    }

    /// Lets a document request or its answer go on, unless an input is in flight.
    fn admit(&mut self, session: Session, paused: Paused) {
        let open = match paused.commits() {
            Some(loader) => self.shared.gate.let_through(&paused.frame_id, loader),
            None => !self.shared.gate.is_shut(),
        };
        if open {
            self.send(session.tell(ContinueRequestParams::new(paused.request_id)));
        } else {
            self.held.push_back((session, paused));
        }
    }

    /// No input is in flight any more.
    fn release(&mut self) {
        for (session, paused) in std::mem::take(&mut self.held) {
            self.admit(session, paused);
        }
    }

    fn frame_navigated(&mut self, event: &Event, own: bool) -> Result<(), Unreadable> {
        let frame = event.params.get("frame").ok_or_else(|| Unreadable("no frame".into()))?;
        let frame = Frame::deserialize(frame).map_err(|e| Unreadable(e.to_string()))?;
        self.shared.gate.settle(&frame.loader_id);
        if !own || frame.parent_id.is_some() || frame.id != self.shared.target {
            return Ok(());
        }
        let inside = self.fence.shown(&frame);
        let place = self.fence.place();
        self.shared.document.send_modify(|document| {
            document.commits += 1;
            document.place = place;
            document.ready = false;
            document.loaded = false;
            document.url = frame.full_url();
            document.unreachable.clone_from(&frame.unreachable_url);
            if !inside {
                document.refusals += 1;
                document.refused = Url::parse(&frame.url).map_or_else(|_| String::new(), |url| origin_of(&url));
            }
            document.loader = frame.loader_id;
        });
        if !inside {
            tracing::warn!(target: "fence", "a page went outside and is led away");
            self.send(self.shared.session.tell(NavigateParams::new("about:blank")));
        }
        self.tell_navigated();
        Ok(())
    }

    fn moved_within(&mut self, event: &Event) {
        let main = text(&event.params, "frameId") == Some(self.shared.target.as_str());
        if let (true, Some(url)) = (main, text(&event.params, "url")) {
            self.shared.document.send_modify(|document| {
                document.moves += 1;
                url.clone_into(&mut document.url);
            });
            self.tell_navigated();
        }
    }

    fn tell_navigated(&self) {
        if self.fence.place() != Place::Blank {
            let url = self.shared.shown_url();
            self.shared.inbox.push(PageEvent { source: 0, stream: 0, body: EventBody::Navigated(url.clone()) });
            self.shared.watch_url(&url);
        }
    }

    fn lifecycle(&mut self, event: &Event) {
        let (loader, name) = (text(&event.params, "loaderId"), text(&event.params, "name"));
        self.shared.document.send_if_modified(|document| {
            if loader != Some(document.loader.as_str()) {
                return false;
            }
            match name {
                Some("DOMContentLoaded") => document.ready = true,
                Some("load") => document.loaded = true,
                _ => return false,
            }
            true
        });
    }

    /// Nothing more will come: a document that tried to leave while it loaded is never told to be ready.
    fn stopped_loading(&mut self, event: &Event) {
        if text(&event.params, "frameId") == Some(self.shared.target.as_str()) {
            self.shared.gate.stay();
            self.shared.document.send_modify(|document| {
                document.ready = true;
                document.loaded = true;
            });
        }
    }

    /// Answers a dialog at once: a page that waits for one answers nothing else.
    fn dialog(&mut self, event: &Event) {
        let kind = text(&event.params, "type").unwrap_or("alert");
        let answer = HandleJavaScriptDialogParams::new(kind == "beforeunload");
        self.send(self.shared.session.child(&event.session).tell(answer));
        let message = text(&event.params, "message").unwrap_or_default().to_owned();
        let body = EventBody::Dialog(DialogInfo { kind: kind.to_owned(), message });
        self.shared.inbox.push(PageEvent { source: 0, stream: 0, body });
    }

    fn send(&self, sent: Result<(), CdpError>) {
        if let Err(error) = sent {
            self.lost(&error);
        }
    }

    /// A command of the fence could not be written: the page cannot be kept in.
    fn lost(&self, error: &CdpError) {
        self.shared.close(match error {
            CdpError::Closed => CloseReason::Gone,
            other => CloseReason::Fence(other.to_string()),
        });
    }
}

/// Never, without a time.
async fn until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn text<'a>(params: &'a Value, field: &str) -> Option<&'a str> {
    params.get(field).and_then(Value::as_str)
}

//! The local storage of origins, read and written without their sites.
//!
//! Storage belongs to a document of its origin. So a tab of its own opens the origin's address, and this program answers in the
//! site's place: an empty document that may run and load nothing. No request leaves the browser; the entries are read and
//! written in an isolated world of that document.

use std::collections::BTreeMap;

use chromiumoxide::cdp::browser_protocol::fetch::{
    EnableParams as FetchEnable, FailRequestParams, FulfillRequestParams, HeaderEntry, RequestPattern, RequestStage,
};
use chromiumoxide::cdp::browser_protocol::network::{ErrorReason, SetBypassServiceWorkerParams};
use chromiumoxide::cdp::browser_protocol::page::{
    CreateIsolatedWorldParams, EnableParams as PageEnable, NavigateParams,
};
use chromiumoxide::cdp::browser_protocol::storage::GetUsageAndQuotaParams;
use chromiumoxide::cdp::browser_protocol::target::CloseTargetParams;
use chromiumoxide::cdp::js_protocol::runtime::{EvaluateParams, ExecutionContextId, RunIfWaitingForDebuggerParams};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::live::{DEADLINE, Live, aside};
use crate::browser::cdp::{CdpError, EventQueue, Incoming, Session};
use crate::browser::error::PageError;
use crate::browser::page::Lenient;

/// What the tab's queue may hold: it hears of one document.
const QUEUE_BYTES: usize = 1 << 20;
/// Nothing of a site's runs, nothing is loaded, nobody frames it.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Lone halves of surrogate pairs cannot be told in JSON as everybody reads it.
const READ: &str = "(() => { const entries = {}; let odd = 0;
  for (let i = 0; i < localStorage.length; i++) {
    const key = localStorage.key(i), value = localStorage.getItem(key);
    if (key.isWellFormed() && value.isWellFormed()) Object.defineProperty(entries, key, { value, enumerable: true });
    else odd++;
  }
  return JSON.stringify({ origin: self.origin, entries, odd }); })()";
const WRITE: &str = "(change => {
  if (change.clear) localStorage.clear();
  for (const key of change.remove) localStorage.removeItem(key);
  for (const [key, value] of change.write) localStorage.setItem(key, value);
  return JSON.stringify({ origin: self.origin }); })";

/// What an origin keeps.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) entries: BTreeMap<String, String>,
    /// What it keeps beside them and cannot be carried elsewhere, in words.
    pub(super) left_out: Vec<String>,
}

/// What to do with an origin's entries, in this order.
#[derive(Debug, Default, Serialize)]
pub(super) struct Change {
    pub(super) clear: bool,
    pub(super) remove: Vec<String>,
    /// Pairs: an object would take `__proto__` for something else.
    pub(super) write: Vec<(String, String)>,
}

/// A tab that shows nothing but empty documents.
pub(super) struct Shelf<'a> {
    live: &'a Live,
    target: String,
    session: Session,
    queue: EventQueue,
}

impl Drop for Shelf<'_> {
    fn drop(&mut self) {
        // If the socket is gone, so is the tab.
        self.live.root.tell(CloseTargetParams::new(self.target.clone())).ok();
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Paused {
    request_id: String,
    request: Request,
    frame_id: Option<String>,
    resource_type: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Request {
    url: String,
}

#[derive(Debug, Deserialize)]
struct Said {
    origin: String,
    #[serde(default)]
    entries: BTreeMap<String, String>,
    #[serde(default)]
    odd: usize,
}

impl Live {
    /// Opens a tab of the default context for this.
    pub(super) async fn shelf(&self) -> Result<Shelf<'_>, PageError> {
        let (target, session) = self.opener.open(aside()).await?;
        let session = self.root.child(&session);
        let queue = session.adopt(QUEUE_BYTES)?;
        let shelf = Shelf { live: self, target, session, queue };
        let every = RequestPattern {
            url_pattern: Some("*".into()),
            resource_type: None,
            request_stage: Some(RequestStage::Request),
        };
        let fence = FetchEnable { patterns: Some(vec![every]), handle_auth_requests: None };
        let fence = shelf.session.start(fence, DEADLINE)?;
        let bypass = shelf.session.start(SetBypassServiceWorkerParams::new(true), DEADLINE)?;
        let page = shelf.session.start(PageEnable::default(), DEADLINE)?;
        shelf.session.tell(RunIfWaitingForDebuggerParams::default())?;
        // Without one of these a request could leave.
        fence.await?;
        bypass.await?;
        page.await?;
        Ok(shelf)
    }
}

impl Shelf<'_> {
    /// What an origin (`https://a.example`) keeps.
    ///
    /// # Errors
    /// When its document cannot be had by `until`.
    pub(super) async fn read(&mut self, origin: &str, until: Instant) -> Result<Kept, PageError> {
        let said = self.ask(origin, READ, until).await?;
        let mut left_out = Vec::new();
        if said.odd > 0 {
            left_out.push(format!("{origin}: {} entries of local storage that are no text", said.odd));
        }
        left_out.extend(self.elsewhere(origin).await.map(|kinds| format!("{origin}: {kinds}")));
        Ok(Kept { entries: said.entries, left_out })
    }

    /// Changes what an origin keeps.
    ///
    /// # Errors
    /// As [`read`](Self::read); and where the browser refuses, as when the entries are larger than it takes.
    pub(super) async fn change(&mut self, origin: &str, change: &Change, until: Instant) -> Result<(), PageError> {
        let change = serde_json::to_string(change).map_err(|error| failed(error.to_string()))?;
        self.ask(origin, &format!("{WRITE}({change})"), until).await.map(drop)
    }

    async fn ask(&mut self, origin: &str, script: &str, until: Instant) -> Result<Said, PageError> {
        let late = || PageError::Timeout(format!("the storage of {origin}"));
        timeout_at(until, self.open(origin)).await.map_err(|_| late())??;
        let said = timeout_at(until, self.evaluate(script)).await.map_err(|_| late())??;
        if said.origin != origin {
            return Err(failed(format!("{origin} is shown as {}", said.origin)));
        }
        Ok(said)
    }

    /// Shows an empty document of the origin.
    async fn open(&mut self, origin: &str) -> Result<(), PageError> {
        let url = format!("{origin}/");
        self.session.send(Lenient(NavigateParams::new(url.clone())))?;
        let (mut wanted, mut shown) = (None, None);
        while wanted.is_none() || wanted != shown {
            match self.queue.recv().await {
                Some(Incoming::Event(event)) if event.method == "Fetch.requestPaused" => {
                    let paused = Paused::deserialize(&event.params).map_err(|error| failed(error.to_string()))?;
                    self.answer(paused, &url)?;
                }
                Some(Incoming::Event(event)) if event.method == "Page.frameNavigated" => {
                    let loader = event.params.pointer("/frame/loaderId").and_then(Value::as_str);
                    shown = loader.map(str::to_owned);
                }
                Some(Incoming::Event(_)) => {}
                Some(Incoming::Reply { result, .. }) => {
                    let answer = result?;
                    if let Some(error) = answer.get("errorText").and_then(Value::as_str) {
                        return Err(failed(error.to_owned()));
                    }
                    let loader = answer.get("loaderId").and_then(Value::as_str);
                    wanted = Some(loader.ok_or_else(|| failed("no document".into()))?.to_owned());
                }
                Some(Incoming::Overflow) | None => return Err(PageError::Closed),
            }
        }
        Ok(())
    }

    /// Answers the document's request, and no other.
    fn answer(&self, paused: Paused, url: &str) -> Result<(), CdpError> {
        let is_document = paused.resource_type.as_deref() == Some("Document")
            && paused.frame_id.as_deref() == Some(&self.target)
            && paused.request.url == url;
        if !is_document {
            return self.session.tell(FailRequestParams::new(paused.request_id, ErrorReason::BlockedByClient));
        }
        let header = |name: &str, value: &str| HeaderEntry::new(name, value);
        let mut fulfill = FulfillRequestParams::new(paused.request_id, 200);
        fulfill.response_headers = Some(vec![
            header("content-type", "text/html; charset=utf-8"),
            header("content-security-policy", POLICY),
            header("cache-control", "no-store"),
            header("referrer-policy", "no-referrer"),
        ]);
        self.session.tell(fulfill)
    }

    async fn evaluate(&self, script: &str) -> Result<Said, PageError> {
        let world = CreateIsolatedWorldParams::new(self.target.clone());
        let world = self.session.execute_value(world, DEADLINE).await?;
        let context = world.get("executionContextId").and_then(Value::as_i64);
        let mut evaluate = EvaluateParams::new(script);
        evaluate.context_id = Some(ExecutionContextId::new(context.ok_or_else(|| failed("no world".into()))?));
        evaluate.return_by_value = Some(true);
        let answer = self.session.execute_value(evaluate, DEADLINE).await?;
        // Only the kind of an exception is told: its words may quote an entry.
        if let Some(kind) = answer.pointer("/exceptionDetails/exception/className") {
            return Err(failed(format!("the browser refused: {}", kind.as_str().unwrap_or("an exception"))));
        }
        let text = answer.pointer("/result/value").and_then(Value::as_str);
        serde_json::from_str(text.unwrap_or_default()).map_err(|error| failed(format!("{:?}", error.classify())))
    }

    /// What an origin keeps in other places, with sizes. Not knowing it is no failure.
    async fn elsewhere(&self, origin: &str) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Usage {
            storage_type: String,
            usage: f64,
        }
        let asked = self.session.execute_value(GetUsageAndQuotaParams::new(origin), DEADLINE).await.ok()?;
        let used = Vec::<Usage>::deserialize(asked.get("usageBreakdown")?).ok()?;
        let used = used.iter().filter(|part| part.usage > 0.0 && part.storage_type != "local_storage");
        let used: Vec<String> = used.map(|part| format!("{} ({} bytes)", part.storage_type, part.usage)).collect();
        (!used.is_empty()).then(|| used.join(", "))
    }
}

fn failed(message: String) -> PageError {
    PageError::Other { code: "storage", message }
}

//! Fetching what lies at an address, as the browser would if a person opened it in a new tab of the same account.
//!
//! A tab of its own navigates there, and its document is never shown: each request and each redirect is paused and held against
//! `spec.save` before it is sent, and the answer is read while it is paused and then dropped. So it has the account's cookies and
//! way out, no script runs, and no rule for pages (cross-origin reads, content policies, opaque answers) stands between; a
//! `fetch` in the page meets all of these. `Network.loadNetworkResource` would be simpler: but `Fetch` does not see it, so that
//! nobody could look at its redirects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chromiumoxide::cdp::browser_protocol::fetch::{ContinueRequestParams, TakeResponseBodyAsStreamParams};
use chromiumoxide::cdp::browser_protocol::io::ReadParams;
use chromiumoxide::cdp::browser_protocol::network::SetBypassServiceWorkerParams;
use chromiumoxide::cdp::browser_protocol::page::NavigateParams;
use chromiumoxide::cdp::browser_protocol::target::{CloseTargetParams, CreateTargetParams, WindowState};
use chromiumoxide::cdp::js_protocol::runtime::RunIfWaitingForDebuggerParams;
use serde::Deserialize;

use super::super::navigate::Navigated;
use super::super::world::Lenient;
use super::super::{COMMAND_DEADLINE, Shared, setup};
use super::{SavedFile, failed, too_large};
use crate::browser::cdp::{EventQueue, Incoming, Session};
use crate::browser::error::PageError;
use crate::browser::media;

/// What the tab's queue may hold: it hears of nothing but pauses.
const QUEUE_BYTES: usize = 1 << 20;
/// What is read at once.
const CHUNK: i64 = 1 << 20;

/// `Fetch.requestPaused`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Paused {
    request_id: String,
    request: Request,
    response_status_code: Option<u16>,
    response_error_reason: Option<String>,
    #[serde(default)]
    response_headers: Vec<Header>,
}

#[derive(Debug, Deserialize)]
struct Request {
    url: String,
}

#[derive(Debug, Deserialize)]
struct Header {
    name: String,
    value: String,
}

impl Paused {
    fn header(&self, name: &str) -> Option<&str> {
        self.response_headers.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value.as_str())
    }
}

/// Closes the tab when it is dropped.
struct Tab<'a> {
    root: &'a Session,
    target: String,
}

impl Drop for Tab<'_> {
    fn drop(&mut self) {
        // If the socket is gone, so is the tab.
        self.root.tell(CloseTargetParams::new(self.target.clone())).ok();
    }
}

impl Shared {
    pub(super) async fn fetch_file(&self, url: &str, max: usize) -> Result<SavedFile, PageError> {
        self.may_save(url)?;
        let mut target = CreateTargetParams::new("about:blank");
        // A tab of the page's own window would hide the page.
        target.new_window = Some(true);
        target.background = Some(true);
        target.window_state = Some(WindowState::Minimized);
        target.browser_context_id = self.context.clone();
        let (target, session) = self.opener.open(target).await?;
        let _tab = Tab { root: &self.root, target };
        let session = self.root.child(&session);
        let mut queue = session.adopt(QUEUE_BYTES)?;
        // What Chromium refuses of these shows in the answer's not coming; the fence must stand before it runs.
        let fence = session.start(setup::pausing(Vec::new()), COMMAND_DEADLINE)?;
        session.tell(SetBypassServiceWorkerParams::new(true))?;
        session.tell(RunIfWaitingForDebuggerParams::default())?;
        fence.await?;
        let mut navigate = NavigateParams::new(url);
        navigate.referrer = Some(self.shown_url());
        session.send(Lenient(navigate))?;
        let answer = self.follow(&session, &mut queue).await?;
        let size = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        if size > max {
            return Err(too_large(media::too_large(size, max)));
        }
        let bytes = read(&session, &answer, max).await?;
        Ok(SavedFile::new(answer.header("content-type").unwrap_or_default(), bytes.into()))
    }

    /// Lets requests go on that may, until there is an answer.
    async fn follow(&self, session: &Session, queue: &mut EventQueue) -> Result<Paused, PageError> {
        loop {
            let paused = match queue.recv().await {
                Some(Incoming::Event(event)) if event.method == "Fetch.requestPaused" => {
                    Paused::deserialize(&event.params).map_err(|error| failed(error.to_string()))?
                }
                Some(Incoming::Event(_)) => continue,
                Some(Incoming::Reply { result, .. }) => {
                    let navigated: Navigated =
                        serde_json::from_value(result?).map_err(|error| failed(error.to_string()))?;
                    match navigated.error_text {
                        Some(error) => return Err(failed(error)),
                        None => continue,
                    }
                }
                Some(Incoming::Overflow) => return Err(failed("it told too much")),
                None => return Err(PageError::Closed),
            };
            match (paused.response_status_code, &paused.response_error_reason) {
                (None, None) => self.may_save(&paused.request.url)?,
                (_, Some(reason)) => return Err(failed(format!("the network failed: {reason}"))),
                (Some(301 | 302 | 303 | 307 | 308), None) => {}
                (Some(200), None) => return Ok(paused),
                (Some(status), None) => return Err(failed(format!("the site answered with status {status}"))),
            }
            session.tell(ContinueRequestParams::new(paused.request_id))?;
        }
    }
}

async fn read(session: &Session, answer: &Paused, max: usize) -> Result<Vec<u8>, PageError> {
    let take = TakeResponseBodyAsStreamParams::new(answer.request_id.clone());
    let stream = session.execute(take, COMMAND_DEADLINE).await?.stream;
    let mut bytes = Vec::new();
    loop {
        let mut next = ReadParams::new(stream.clone());
        next.size = Some(CHUNK);
        let read = session.execute(next, COMMAND_DEADLINE).await?;
        if read.base64_encoded == Some(true) {
            bytes.extend(STANDARD.decode(&read.data).map_err(|error| failed(error.to_string()))?);
        } else {
            bytes.extend(read.data.as_bytes());
        }
        if bytes.len() > max {
            return Err(too_large(media::too_large(bytes.len(), max)));
        }
        if read.eof {
            return Ok(bytes);
        }
    }
}

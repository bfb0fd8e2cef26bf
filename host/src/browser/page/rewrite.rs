//! Changing the JSON bodies that the page sends, by the one mechanism that also keeps the page in: `Fetch`.
//!
//! As long as a call rewrites, requests to the addresses that it named are paused too. Each waits until the renderer has told
//! whose it is (`Network.requestWillBeSent`, which knows the sender's document, while the pause only knows a frame), is changed
//! in its body and in nothing else, and goes on under its own number, so that whoever listens hears the answer as ever. What
//! cannot be changed as asked is not sent: better no message than one to another model than the one that was asked for.
//!
//! What counts is the address to which the page sent it: Chromium pauses no redirect of a request that it did not pause. A
//! worker's requests are paused at its page. A service worker's are not, so it is passed by meanwhile.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chromiumoxide::cdp::browser_protocol::fetch::{
    ContinueRequestParams, FailRequestParams, RequestPattern, RequestStage,
};
use chromiumoxide::cdp::browser_protocol::network::{ErrorReason, SetBypassServiceWorkerParams};
use serde::Deserialize;
use tokio::time::Instant;

use super::{COMMAND_DEADLINE, Page, PageSpec, Shared, setup};
use crate::browser::cdp::{CdpError, Event, Session};
use crate::browser::error::PageError;
use crate::browser::event::{EventBody, PageEvent};
use crate::browser::json::{Edit, Pointer};
use crate::browser::traffic::UrlPattern;

/// Per call.
const MAX_REWRITES: usize = 8;
const MAX_EDITS: usize = 32;
/// The largest body that is changed, in bytes. What it comes in must fit into the page's queue.
const MAX_BODY: usize = 2 << 20;
/// How long a paused request may wait for the news of who sent it.
const NEWS_OF_SENDER: Duration = Duration::from_secs(5);
/// Requests that are remembered while a rewrite is active.
const REMEMBERED: usize = 512;

/// Which bodies may be changed, and where in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewriteGrant {
    pub url: UrlPattern,
    /// These places and what lies below.
    pub pointers: Vec<Pointer>,
}

/// How to change matching bodies.
#[derive(Debug, Clone)]
pub struct Rewriting {
    /// URL pattern, see `wit/page.wit`.
    pub url: String,
    pub method: Option<String>,
    /// Made in this order.
    pub edits: Vec<Edit>,
}

#[derive(Debug)]
struct Rule {
    id: u32,
    url: UrlPattern,
    method: Option<String>,
    edits: Vec<Edit>,
}

impl Rule {
    fn wants(&self, request: &Request) -> bool {
        self.method.as_deref().is_none_or(|method| method.eq_ignore_ascii_case(&request.method))
            && self.url.matches(&request.url)
    }
}

/// A paused request that is no document's.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Paused {
    request_id: String,
    network_id: Option<String>,
    request: Request,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    url: String,
    method: String,
    #[serde(default)]
    has_post_data: bool,
    /// The body, in the parts that the page made it of; one that lies in no memory has no bytes here.
    #[serde(default)]
    post_data_entries: Vec<Part>,
    /// It is there, but so large that it was not passed on.
    #[serde(default, rename = "bodyLeftOut")]
    body_left_out: bool,
}

#[derive(Debug, Deserialize)]
struct Part {
    bytes: Option<String>,
}

impl Request {
    fn body(&self) -> Result<String, String> {
        let too_large = || format!("its body has more than {} MiB", MAX_BODY >> 20);
        if self.body_left_out {
            return Err(too_large());
        }
        if self.post_data_entries.is_empty() {
            return Err("its body cannot be read".into());
        }
        let mut body = Vec::new();
        for part in &self.post_data_entries {
            let part = part.bytes.as_deref().ok_or("its body cannot be read")?;
            body.extend(STANDARD.decode(part).map_err(|error| format!("its body cannot be read: {error}"))?);
            if body.len() > MAX_BODY {
                return Err(too_large());
            }
        }
        String::from_utf8(body).map_err(|_| "its body is not UTF-8".into())
    }
}

#[derive(Debug)]
struct Waiting {
    session: Session,
    paused: Paused,
    until: Instant,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Arc<Rule>>,
    /// Sessions of frames in other processes: requests are paused there, too.
    frames: HashSet<String>,
    /// By their number, requests that the renderer has told of, and whether their sender is granted.
    told: VecDeque<(String, bool)>,
    /// Paused before the renderer told.
    waiting: HashMap<String, Waiting>,
    /// Changed already: what a redirect sends again has the changed body.
    changed: VecDeque<String>,
}

/// What a call changes, and may change.
#[derive(Debug)]
pub(super) struct Rewrites {
    grants: Vec<RewriteGrant>,
    state: Mutex<State>,
}

/// What becomes of a paused request.
#[derive(Debug)]
enum Verdict {
    Pass,
    Change { body: String, ids: Vec<u32> },
    Refuse { why: String, ids: Vec<u32> },
}

impl Rewrites {
    pub(super) fn new(spec: &PageSpec) -> Self {
        Self { grants: spec.rewrite.clone(), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The requests that are to be paused, beside documents.
    pub(super) fn patterns(&self) -> Vec<RequestPattern> {
        let pattern = |rule: &Arc<Rule>| RequestPattern {
            url_pattern: Some(rule.url.for_fetch()),
            resource_type: None,
            request_stage: Some(RequestStage::Request),
        };
        self.lock().rules.iter().map(pattern).collect()
    }

    /// A frame of another process is there.
    pub(super) fn frame_attached(&self, session: &str) {
        self.lock().frames.insert(session.to_owned());
    }

    pub(super) fn detached(&self, session: &str) {
        let mut state = self.lock();
        state.frames.remove(session);
        state.waiting.retain(|_, waiting| waiting.session.id() != session);
    }

    fn rule(&self, id: u32, rewriting: Rewriting) -> Result<Rule, PageError> {
        let other = |code, message: String| PageError::Other { code, message };
        let url = UrlPattern::parse(&rewriting.url)
            .ok_or_else(|| other("bad-pattern", format!("{} is not a URL pattern", rewriting.url)))?;
        if rewriting.edits.is_empty() || rewriting.edits.len() > MAX_EDITS {
            return Err(other("bad-rewrite", format!("1 to {MAX_EDITS} edits make a rewrite")));
        }
        for edit in &rewriting.edits {
            let place = edit.pointer();
            let granted = |grant: &RewriteGrant| {
                grant.url.contains(&url) && grant.pointers.iter().any(|pointer| pointer.covers(place))
            };
            if !self.grants.iter().any(granted) {
                return Err(PageError::NotGranted(format!(
                    "changing {place} in bodies to {url} (capabilities.rewrite)"
                )));
            }
        }
        Ok(Rule { id, url, method: rewriting.method, edits: rewriting.edits })
    }

    fn add(&self, rule: Rule) -> Result<(), PageError> {
        let mut state = self.lock();
        if state.rules.len() >= MAX_REWRITES {
            return Err(PageError::Other { code: "too-many-rewrites", message: format!("at most {MAX_REWRITES}") });
        }
        state.rules.push(Arc::new(rule));
        Ok(())
    }

    /// Whether it was one of these.
    fn remove(&self, id: u32) -> bool {
        let mut state = self.lock();
        let before = state.rules.len();
        state.rules.retain(|rule| rule.id != id);
        state.rules.len() < before
    }

    fn verdict(&self, paused: &Paused) -> Verdict {
        let rules: Vec<_> = self.lock().rules.iter().filter(|rule| rule.wants(&paused.request)).cloned().collect();
        let ids: Vec<u32> = rules.iter().map(|rule| rule.id).collect();
        let edited = paused
            .request
            .body()
            .and_then(|body| rules.iter().flat_map(|rule| &rule.edits).try_fold(body, |body, edit| edit.apply(&body)));
        match edited {
            _ if rules.is_empty() || !paused.request.has_post_data => Verdict::Pass,
            Ok(body) => Verdict::Change { body, ids },
            Err(why) => Verdict::Refuse { why, ids },
        }
    }
}

impl State {
    fn admitted(&self, network: &str) -> Option<bool> {
        self.told.iter().rev().find(|(known, _)| known == network).map(|(_, admitted)| *admitted)
    }
}

fn remember<T>(memory: &mut VecDeque<T>, item: T) {
    if memory.len() >= REMEMBERED {
        memory.pop_front();
    }
    memory.push_back(item);
}

impl Page {
    /// Changes matching JSON bodies of requests that are sent after this returns. `Reached` under the number that is returned
    /// tells of each that was changed, `Failed` of each that could not be and was not sent.
    ///
    /// # Errors
    /// [`PageError::NotGranted`] outside of `spec.rewrite`; `bad_pattern`, `bad_rewrite`, `too_many_rewrites`.
    pub async fn rewrite(&self, rewriting: Rewriting) -> Result<u32, PageError> {
        let rewrites = &self.shared.rewrites;
        let id = self.shared.inbox.new_source();
        rewrites.add(rewrites.rule(id, rewriting)?)?;
        if let Err(error) = self.shared.pause_more().await {
            self.shared.stop_rewrite(id);
            return Err(error);
        }
        Ok(id)
    }
}

impl Shared {
    /// Has Chromium pause what the rules name, in every process of the page, and waits until it does.
    async fn pause_more(&self) -> Result<(), PageError> {
        let frames: Vec<String> = self.rewrites.lock().frames.iter().cloned().collect();
        self.command(SetBypassServiceWorkerParams::new(true), COMMAND_DEADLINE).await?;
        for frame in frames {
            let session = self.session.child(&frame);
            // One that is gone by now sends nothing.
            match self.raw_command(&session, setup::pausing(self.rewrites.patterns()), COMMAND_DEADLINE).await {
                Ok(_) | Err(CdpError::Refused { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.command(setup::pausing(self.rewrites.patterns()), COMMAND_DEADLINE).await?;
        Ok(())
    }

    /// Ends a rewrite. Says whether it was one.
    pub(super) fn stop_rewrite(&self, id: u32) -> bool {
        let found = self.rewrites.remove(id);
        if found {
            self.inbox.forget(id);
            self.pause_less();
        }
        found
    }

    /// Ends all of a call.
    pub(super) fn stop_rewrites(&self) {
        let had_some = !std::mem::take(&mut self.rewrites.lock().rules).is_empty();
        if had_some {
            self.pause_less();
        }
    }

    /// Nothing of this is waited for: what is paused once too often is let pass.
    fn pause_less(&self) {
        let (frames, unwanted) = {
            let mut state = self.rewrites.lock();
            if state.rules.is_empty() {
                state.told.clear();
                state.changed.clear();
                self.session.tell(SetBypassServiceWorkerParams::new(false)).ok();
            }
            let State { rules, frames, waiting, .. } = &mut *state;
            let unwanted =
                waiting.extract_if(|_, waiting| !rules.iter().any(|rule| rule.wants(&waiting.paused.request)));
            let unwanted: Vec<Waiting> = unwanted.map(|(_, waiting)| waiting).collect();
            (frames.iter().cloned().collect::<Vec<_>>(), unwanted)
        };
        let patterns = self.rewrites.patterns();
        for session in frames.iter().map(|frame| self.session.child(frame)).chain([self.session.clone()]) {
            session.tell(setup::pausing(patterns.clone())).ok();
        }
        for Waiting { session, paused, .. } in unwanted {
            session.tell(ContinueRequestParams::new(paused.request_id)).ok();
        }
    }

    /// The renderer tells of a request. `admitted`: its sender is granted.
    pub(super) fn request_told(&self, event: &Event) -> Result<(), CdpError> {
        if self.rewrites.lock().rules.is_empty() {
            return Ok(());
        }
        let Some(network) = event.params.get("requestId").and_then(serde_json::Value::as_str) else { return Ok(()) };
        let admitted = self.capture.admits(event);
        let waiting = {
            let mut state = self.rewrites.lock();
            remember(&mut state.told, (network.to_owned(), admitted));
            state.waiting.remove(network)
        };
        match waiting {
            Some(Waiting { session, paused, .. }) => self.settle(&session, paused, admitted),
            None => Ok(()),
        }
    }

    /// Takes a paused request that is no document's.
    pub(super) fn request_paused(&self, session: Session, event: &Event) -> Result<(), CdpError> {
        let paused = match Paused::deserialize(&event.params) {
            Ok(paused) => paused,
            Err(error) => {
                // It would hang for ever. What cannot be read cannot be changed, so it is not sent.
                tracing::warn!(%error, "a paused request cannot be read");
                let id = event.params.get("requestId").and_then(serde_json::Value::as_str).unwrap_or_default();
                return session.tell(FailRequestParams::new(id.to_owned(), ErrorReason::BlockedByClient));
            }
        };
        let admitted = {
            let mut state = self.rewrites.lock();
            let wanted = state.rules.iter().any(|rule| rule.wants(&paused.request));
            match &paused.network_id {
                _ if !wanted => Some(false),
                Some(network) if state.changed.contains(network) => Some(false),
                None => Some(false),
                Some(network) => match state.admitted(network) {
                    Some(admitted) => Some(admitted),
                    None if state.waiting.len() < REMEMBERED => {
                        let until = Instant::now() + NEWS_OF_SENDER;
                        let (session, network) = (session.clone(), network.clone());
                        state.waiting.insert(network, Waiting { session, paused, until });
                        return Ok(());
                    }
                    None => None,
                },
            }
        };
        match admitted {
            Some(admitted) => self.settle(&session, paused, admitted),
            None => self.refuse_unknown(&session, paused),
        }
    }

    /// Lets a paused request go, changed if its sender is granted, or fails it.
    fn settle(&self, session: &Session, paused: Paused, admitted: bool) -> Result<(), CdpError> {
        let verdict = if admitted { self.rewrites.verdict(&paused) } else { Verdict::Pass };
        let (ids, body) = match verdict {
            Verdict::Pass => return session.tell(ContinueRequestParams::new(paused.request_id)),
            Verdict::Change { body, ids } => {
                if let Some(network) = paused.network_id {
                    remember(&mut self.rewrites.lock().changed, network);
                }
                let mut go_on = ContinueRequestParams::new(paused.request_id);
                go_on.post_data = Some(STANDARD.encode(body).into());
                session.tell(go_on)?;
                (ids, EventBody::Reached)
            }
            Verdict::Refuse { why, ids } => {
                session.tell(FailRequestParams::new(paused.request_id, ErrorReason::BlockedByClient))?;
                (ids, EventBody::Failed(why))
            }
        };
        self.tell_rewrites(ids, &body);
        Ok(())
    }

    /// When the first of the requests that wait for the news of their sender has waited long enough.
    pub(super) fn rewrite_due(&self) -> Option<Instant> {
        self.rewrites.lock().waiting.values().map(|waiting| waiting.until).min()
    }

    /// Fails requests whose sender nobody told of.
    pub(super) fn rewrite_overdue(&self) -> Result<(), CdpError> {
        let now = Instant::now();
        let overdue: Vec<Waiting> =
            self.rewrites.lock().waiting.extract_if(|_, w| w.until <= now).map(|(_, w)| w).collect();
        overdue.into_iter().try_for_each(|waiting| self.refuse_unknown(&waiting.session, waiting.paused))
    }

    /// Fails a request whose sender nobody told of, unless it has no body that would be changed.
    fn refuse_unknown(&self, session: &Session, paused: Paused) -> Result<(), CdpError> {
        let ids = match self.rewrites.verdict(&paused) {
            Verdict::Pass => return session.tell(ContinueRequestParams::new(paused.request_id)),
            Verdict::Change { ids, .. } | Verdict::Refuse { ids, .. } => ids,
        };
        session.tell(FailRequestParams::new(paused.request_id, ErrorReason::BlockedByClient))?;
        let body = EventBody::Failed("nobody can say which document sent it".into());
        self.tell_rewrites(ids, &body);
        Ok(())
    }

    fn tell_rewrites(&self, ids: Vec<u32>, body: &EventBody) {
        for source in ids {
            self.inbox.push(PageEvent { source, stream: 0, body: body.clone() });
        }
    }
}

#[cfg(test)]
mod tests;

//! What a page sends and receives: Chromium's network events turned into those that an adapter listens for.
//!
//! A pure state machine over the events of one page, its frames and its workers: no task, no waiting, no socket. What has to
//! be asked of Chromium comes back as an [`Effect`], and the answer is put in by [`Traffic::on_reply`].
//!
//! **Invariant:** nothing that a page or Chromium says can make this panic; what cannot be read ends the stream that it
//! belongs to.

mod body;
mod exchange;
mod headers;
mod pattern;

pub use pattern::UrlPattern;
mod rule;
mod scope;
mod websocket;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::PageError;
use super::cdp::{CdpError, Event};
use super::event::{Filter, PageEvent};
use exchange::{Exchange, Next};
use rule::{Match, Rule};
pub(super) use scope::Grant;
use scope::Scope;
use websocket::WebSocket;

/// How many listens a call may have at once.
pub(super) const MAX_LISTENS: usize = 8;
/// How many requests are followed at once: more than a page has open.
const MAX_OPEN: usize = 1024;
/// Answers whose bodies can be asked for afterwards.
const MAX_HEARD: usize = 64;

/// Names a question to Chromium, for its answer.
pub(super) type Token = u64;

/// A question to Chromium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// `Network.streamResourceContent`
    Stream,
    /// `Network.getResponseBody`
    Body,
}

/// What is to be done after an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Ask { token: Token, session: String, request: String, question: Question },
    Deliver(PageEvent),
}

/// A request's number is unique within its session only.
type Key = (String, String);

/// The traffic of one page.
#[derive(Debug)]
pub(super) struct Traffic {
    scope: Scope,
    listens: Vec<(u32, Arc<Rule>)>,
    exchanges: HashMap<Key, Exchange>,
    sockets: HashMap<Key, WebSocket>,
    asked: HashMap<Token, (Key, Question)>,
    /// Whose heads were told, by listen and stream.
    heard: VecDeque<(u32, u32, Key)>,
    next_token: Token,
    next_stream: u32,
}

impl Traffic {
    pub(super) fn new(grant: Grant) -> Self {
        Self {
            scope: Scope::new(grant),
            listens: Vec::new(),
            exchanges: HashMap::new(),
            sockets: HashMap::new(),
            asked: HashMap::new(),
            heard: VecDeque::new(),
            next_token: 0,
            next_stream: 0,
        }
    }

    /// From here on, requests that match are followed, and told under the number `id`.
    ///
    /// # Errors
    /// Where the filter is no URL pattern, is not within the grant, or there are too many already.
    pub(super) fn listen(&mut self, id: u32, filter: Filter) -> Result<(), PageError> {
        let url = filter.url.clone();
        let Some(rule) = Rule::new(filter) else {
            return Err(PageError::Other { code: "bad-pattern", message: format!("{url} is not a URL pattern") });
        };
        if !self.scope.grants(&rule.url) {
            return Err(PageError::NotGranted(format!("listening to {url} (capabilities.listen)")));
        }
        if self.listens.len() >= MAX_LISTENS {
            return Err(PageError::Other { code: "too-many-listens", message: format!("at most {MAX_LISTENS}") });
        }
        self.listens.push((id, Arc::new(rule)));
        Ok(())
    }

    /// Forgets a listen and all that it caught.
    pub(super) fn stop_listening(&mut self, id: u32) {
        self.listens.retain(|(listen, _)| *listen != id);
        self.exchanges.retain(|_, exchange| {
            let had = exchange.matches.len();
            exchange.matches.retain(|m| m.listen != id);
            had == 0 || !exchange.matches.is_empty()
        });
        self.sockets.retain(|_, socket| {
            socket.matches.retain(|m| m.listen != id);
            !socket.matches.is_empty()
        });
    }

    /// Forgets all listens, as at a call's end.
    pub(super) fn clear(&mut self) {
        self.listens.clear();
        self.exchanges.clear();
        self.sockets.clear();
        self.asked.clear();
        self.heard.clear();
        self.next_stream = 0;
    }

    /// Takes an event of the page or of what hangs on it. What does not concern traffic is ignored.
    pub(super) fn on_event(&mut self, event: &Event) -> Vec<Effect> {
        let mut out = Vec::new();
        match event.method.as_str() {
            "Network.requestWillBeSent" => self.request_sent(event, &mut out),
            "Network.responseReceivedExtraInfo" => self.extra_info(event),
            "Network.responseReceived" => self.response_received(event, &mut out),
            "Network.dataReceived" => {
                self.with_exchange(event, &mut out, |exchange, event, out| Ok(exchange.data(&wire::read(event)?, out)))
            }
            "Network.loadingFinished" => {
                self.with_exchange(event, &mut out, |exchange, _, out| Ok(exchange.finished(out)));
            }
            "Network.loadingFailed" => self
                .with_exchange(event, &mut out, |exchange, event, out| Ok(exchange.broken(&wire::read(event)?, out))),
            "Network.webSocketCreated" => self.socket_created(event, &mut out),
            method if method.starts_with("Network.webSocket") => self.socket_event(event, &mut out),
            "Page.frameNavigated" => self.frame_navigated(event, &mut out),
            "Page.frameDetached" => self.frame_detached(event, &mut out),
            "Runtime.executionContextCreated" => {
                if let Ok(created) = wire::read::<wire::ContextCreated<'_>>(event) {
                    self.scope.runs(&created.context);
                }
            }
            "Target.attachedToTarget" => {
                if let Ok(attached) = wire::read(event) {
                    self.scope.attached(&attached);
                }
            }
            "Target.detachedFromTarget" => self.session_gone(event, &mut out),
            _ => {}
        }
        out
    }

    /// Takes the answer to a question that an [`Effect::Ask`] posed.
    pub(super) fn on_reply(&mut self, token: Token, result: Result<&Value, &CdpError>) -> Vec<Effect> {
        use serde::Deserialize as _;
        let mut out = Vec::new();
        let Some((key, question)) = self.asked.remove(&token) else { return out };
        let Some(exchange) = self.exchanges.get_mut(&key) else { return out };
        let result = result.map_err(ToString::to_string);
        let next = match question {
            Question::Stream => {
                let buffered = result
                    .and_then(|value| wire::Streaming::deserialize(value).map_err(|e| e.to_string()))
                    .and_then(|reply| body::from_base64(reply.buffered_data.unwrap_or_default()));
                exchange.armed(buffered, &mut out)
            }
            Question::Body => {
                let reply = result.and_then(|value| wire::Body::deserialize(value).map_err(|e| e.to_string()));
                exchange.fetched(reply, &mut out)
            }
        };
        self.follow(key, next, &mut out);
        out
    }

    /// Whether a request, of which `Network.requestWillBeSent` tells, was sent by a document or worker that is granted.
    pub(super) fn admits(&self, event: &Event) -> bool {
        let sent = wire::read::<wire::RequestSent<'_>>(event);
        sent.is_ok_and(|sent| self.scope.is_of_page(&event.session) && self.scope.admits(&event.session, &sent).is_ok())
    }

    fn request_sent(&mut self, event: &Event, out: &mut Vec<Effect>) {
        let Some(key) = key(event) else { return };
        if self.exchanges.contains_key(&key) && wire::is_redirect(event) {
            return self.redirected(&key, event, out);
        }
        // A redirect of a request that began before anyone listened stays unheard.
        if self.listens.is_empty() || wire::is_redirect(event) {
            return;
        }
        let Ok(sent) = wire::read::<wire::RequestSent<'_>>(event) else { return };
        if sent.kind == Some("Preflight") || !self.scope.is_of_page(&key.0) {
            return;
        }
        if self.exchanges.len() >= MAX_OPEN {
            tracing::debug!("more requests are open than are followed; those that nobody asked for are forgotten");
            self.exchanges.retain(|_, exchange| !exchange.matches.is_empty());
        }
        if self.exchanges.len() >= MAX_OPEN {
            return;
        }
        // A number that is used again, which Chromium does not do, must not get the replies meant for its predecessor.
        self.asked.retain(|_, (asked, _)| *asked != key);
        let mut exchange = Exchange::new(sent.request.url, sent.request.method);
        exchange.frame = sent.frame_id.map(str::to_owned);
        exchange.loader = sent.loader_id.map(str::to_owned);
        self.exchanges.insert(key.clone(), exchange);
        self.match_request(&key, &sent, out);
    }

    /// Finds who listens to a request, and asks for its bytes at once: after its answer it is often too late.
    fn match_request(&mut self, key: &Key, sent: &wire::RequestSent<'_>, out: &mut Vec<Effect>) {
        let Some(exchange) = self.exchanges.get_mut(key) else { return };
        let (url, method) = (sent.request.url, sent.request.method);
        exchange.matches = matches(&self.listens, &mut self.next_stream, |rule| rule.wants_request(method, url));
        if exchange.matches.is_empty() {
            return;
        }
        let next = if !self.scope.allows(url) {
            exchange.fail(format!("{} is not granted", bare(url)), out)
        } else if let Err(origin) = self.scope.admits(&key.0, sent) {
            exchange.fail(format!("it was sent by {origin}, which is not an origin of this adapter"), out)
        } else {
            Next::Arm
        };
        self.follow(key.clone(), next, out);
    }

    fn redirected(&mut self, key: &Key, event: &Event, out: &mut Vec<Effect>) {
        let sent = wire::read::<wire::RequestSent<'_>>(event);
        let Some(exchange) = self.exchanges.get_mut(key) else { return };
        let sent = match sent {
            Ok(sent) => sent,
            Err(why) => {
                exchange.fail(why, out);
                self.exchanges.remove(key);
                return;
            }
        };
        exchange.raw = None;
        exchange.url = sent.request.url.to_owned();
        exchange.method = sent.request.method.to_owned();
        if exchange.matches.is_empty() {
            self.match_request(key, &sent, out);
        } else if !self.scope.allows(sent.request.url) {
            exchange.fail(format!("it was redirected to {}, which is not granted", bare(sent.request.url)), out);
            self.exchanges.remove(key);
        }
    }

    fn extra_info(&mut self, event: &Event) {
        let Some(exchange) = key(event).and_then(|key| self.exchanges.get_mut(&key)) else { return };
        if let (Ok(extra), Some(fields)) = (wire::read::<wire::ExtraInfo>(event), event.params.get("headers"))
            && !exchange.matches.is_empty()
        {
            exchange.raw = Some((extra.status_code, headers::clean(fields)));
        }
    }

    fn response_received(&mut self, event: &Event, out: &mut Vec<Effect>) {
        let scope = &self.scope;
        let step = |exchange: &mut Exchange, event: &Event, out: &mut Vec<Effect>| {
            let response = wire::response(event)?;
            match response.url {
                Some(url) if !url.is_empty() && !scope.allows(url) => {
                    Err(format!("it was answered by {}, which is not granted", bare(url)))
                }
                _ => Ok(exchange.answered(&response, out)),
            }
        };
        let Some(key) = key(event) else { return };
        let Some(exchange) = self.exchanges.get_mut(&key) else { return };
        if exchange.matches.is_empty() {
            self.exchanges.remove(&key);
            return;
        }
        let next = step(exchange, event, out).unwrap_or_else(|why| exchange.fail(why, out));
        for heard in &exchange.matches {
            if self.heard.len() >= MAX_HEARD {
                self.heard.pop_front();
            }
            self.heard.push_back((heard.listen, heard.stream, key.clone()));
        }
        self.follow(key, next, out);
    }

    /// The session and number of an answer that was heard and has ended; none where nothing was heard under these.
    pub(super) fn body_of(&self, listen: u32, stream: u32) -> Result<Option<Key>, PageError> {
        let heard = self.heard.iter().find(|(l, s, _)| (*l, *s) == (listen, stream));
        match heard {
            Some((_, _, key)) if self.exchanges.contains_key(key) => {
                Err(PageError::Other { code: "not-ended", message: "this answer has not ended".into() })
            }
            heard => Ok(heard.map(|(_, _, key)| key.clone())),
        }
    }

    /// Lets the exchange that an event belongs to take it; one that cannot be read ends it.
    fn with_exchange(
        &mut self,
        event: &Event,
        out: &mut Vec<Effect>,
        step: impl FnOnce(&mut Exchange, &Event, &mut Vec<Effect>) -> Result<Next, String>,
    ) {
        let Some(key) = key(event) else { return };
        let Some(exchange) = self.exchanges.get_mut(&key) else { return };
        if exchange.matches.is_empty() {
            self.exchanges.remove(&key);
            return;
        }
        let next = step(exchange, event, out).unwrap_or_else(|why| exchange.fail(why, out));
        self.follow(key, next, out);
    }

    fn follow(&mut self, key: Key, next: Next, out: &mut Vec<Effect>) {
        let question = match next {
            Next::Wait => return,
            Next::Over => {
                self.exchanges.remove(&key);
                return;
            }
            Next::Arm => Question::Stream,
            Next::Fetch => Question::Body,
        };
        let token = self.next_token;
        self.next_token = self.next_token.wrapping_add(1);
        out.push(Effect::Ask { token, session: key.0.clone(), request: key.1.clone(), question });
        self.asked.insert(token, (key, question));
    }

    fn socket_created(&mut self, event: &Event, out: &mut Vec<Effect>) {
        let Some(key) = key(event) else { return };
        let Ok(created) = wire::read::<wire::SocketCreated<'_>>(event) else { return };
        if !self.scope.is_of_page(&key.0) {
            return;
        }
        let matches = matches(&self.listens, &mut self.next_stream, |rule| rule.wants_request("GET", created.url));
        if matches.is_empty() || self.sockets.len() >= MAX_OPEN {
            return;
        }
        let socket = WebSocket::new(created.url, matches);
        if self.scope.allows(created.url) {
            self.sockets.insert(key, socket);
        } else {
            socket.fail("it is not granted", out);
        }
    }

    fn socket_event(&mut self, event: &Event, out: &mut Vec<Effect>) {
        let Some(key) = key(event) else { return };
        let Some(socket) = self.sockets.get_mut(&key) else { return };
        let goes_on = match event.method.as_str() {
            // These events name no frame; the handshake tells the origin of the sender.
            "Network.webSocketWillSendHandshakeRequest" => match origin_header(event) {
                Some(origin) => self
                    .scope
                    .admits_origin(origin)
                    .map(|()| true)
                    .map_err(|origin| format!("it was opened by {origin}, which is not an origin of this adapter")),
                None => Err("it was opened by an unknown origin".into()),
            },
            "Network.webSocketHandshakeResponseReceived" => {
                wire::response(event).map(|response| socket.answered(&response, out))
            }
            "Network.webSocketFrameReceived" => wire::read::<wire::FrameReceived<'_>>(event)
                .and_then(|f| socket.received(&f.response, out))
                .map(|()| true),
            "Network.webSocketFrameError" => Err(wire::read::<wire::FrameError<'_>>(event)
                .ok()
                .and_then(|error| error.error_message.map(str::to_owned))
                .unwrap_or_else(|| "the WebSocket failed".into())),
            "Network.webSocketClosed" => {
                socket.closed(out);
                Ok(false)
            }
            _ => Ok(true),
        };
        match goes_on {
            Ok(true) => {}
            Ok(false) => drop(self.sockets.remove(&key)),
            Err(why) => {
                socket.fail(&why, out);
                self.sockets.remove(&key);
            }
        }
    }

    /// A frame has a new document: Chromium tells no end of what the old one had open.
    fn frame_navigated(&mut self, event: &Event, out: &mut Vec<Effect>) {
        let Ok(navigated) = wire::read::<wire::FrameNavigated<'_>>(event) else { return };
        let frame = navigated.frame;
        self.scope.frame_gone(frame.id);
        self.orphan(out, |_, exchange| {
            exchange.frame.as_deref() == Some(frame.id)
                && exchange
                    .loader
                    .as_deref()
                    .is_some_and(|loader| !loader.is_empty() && Some(loader) != frame.loader_id)
        });
        // No event says which frame a WebSocket is of; with the main frame's document all are gone.
        if frame.parent_id.is_none() {
            self.orphan_sockets(&event.session, out);
        }
    }

    fn frame_detached(&mut self, event: &Event, out: &mut Vec<Effect>) {
        let Ok(detached) = wire::read::<wire::FrameDetached<'_>>(event) else { return };
        // A frame that moves to another process goes on there.
        if detached.reason != Some("swap") {
            self.scope.frame_gone(detached.frame_id);
            self.orphan(out, |_, exchange| exchange.frame.as_deref() == Some(detached.frame_id));
        }
    }

    fn session_gone(&mut self, event: &Event, out: &mut Vec<Effect>) {
        let Ok(detached) = wire::read::<wire::Detached<'_>>(event) else { return };
        self.scope.detached(detached.session_id);
        self.orphan(out, |(session, _), _| session == detached.session_id);
        self.orphan_sockets(detached.session_id, out);
    }

    fn orphan_sockets(&mut self, session: &str, out: &mut Vec<Effect>) {
        self.sockets.retain(|(owner, _), socket| {
            let gone = owner == session;
            if gone {
                socket.orphaned(out);
            }
            !gone
        });
    }

    fn orphan(&mut self, out: &mut Vec<Effect>, gone: impl Fn(&Key, &Exchange) -> bool) {
        self.exchanges.retain(|key, exchange| {
            let gone = gone(key, exchange);
            if gone {
                exchange.orphaned(out);
            }
            !gone
        });
    }
}

/// Whose request it is: none where the event names none.
fn key(event: &Event) -> Option<Key> {
    let request = event.params.get("requestId")?.as_str()?;
    Some((event.session.clone(), request.to_owned()))
}

/// Gives each listen that wants it a stream of its own.
fn matches(listens: &[(u32, Arc<Rule>)], next_stream: &mut u32, wants: impl Fn(&Rule) -> bool) -> Vec<Match> {
    let wanted = listens.iter().filter(|(_, rule)| wants(rule));
    wanted
        .map(|(listen, rule)| {
            *next_stream = next_stream.wrapping_add(1);
            Match { listen: *listen, stream: *next_stream, rule: Arc::clone(rule) }
        })
        .collect()
}

/// An address without its query, which may hold secrets.
fn bare(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

fn origin_header(event: &Event) -> Option<&str> {
    let headers = event.params.get("request")?.get("headers")?.as_object()?;
    headers.iter().find_map(|(name, value)| name.eq_ignore_ascii_case("origin").then(|| value.as_str()).flatten())
}

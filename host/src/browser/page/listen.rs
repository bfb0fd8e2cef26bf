//! Listening to the page's traffic: the state machine of [`traffic`](super::super::traffic) joined to the socket on one side
//! and to the inbox on the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chromiumoxide::cdp::browser_protocol::network;
use serde_json::Value;

use super::super::PageError;
use super::super::cdp::{CdpError, Event, Session, Ticket};
use super::super::event::{Filter, PageEvent};
use super::super::traffic::{Effect, Grant, Question, Token, Traffic};
use super::inbox::Inbox;
use super::{Page, PageSpec};

#[derive(Debug)]
struct State {
    traffic: Traffic,
    tickets: HashMap<Ticket, Token>,
}

impl Page {
    /// Delivers the traffic that matches, from requests that are sent after this returns, under the number that is returned.
    ///
    /// # Errors
    /// [`PageError::NotGranted`] outside of `spec.listen`; `bad_pattern`; `too_many_listens`, eight being the most.
    pub fn listen(&self, filter: Filter) -> Result<u32, PageError> {
        self.shared.capture.listen(filter)
    }

    /// Ends a listen, a watch or an expectation. What waits of it is dropped; a number that is not known is nothing.
    pub fn stop_listening(&self, id: u32) {
        self.shared.stop_watch(id);
        self.shared.stop_rewrite(id);
        self.shared.capture.stop(id);
    }

    /// The next event, in the order in which the browser told them; none when the time is over. Safe to cancel: an event that
    /// was not returned stays.
    ///
    /// # Errors
    /// `client_too_slow` when more than 8 MiB waited to be read, [`PageError::Closed`] when the page is gone and all it told
    /// was read.
    pub async fn next(&self, timeout: Duration) -> Result<Option<PageEvent>, PageError> {
        self.shared.inbox.next(timeout).await
    }
}

/// A page's capture. The lock is held for one event at a time and never across a wait.
#[derive(Debug)]
pub(super) struct Capture {
    state: Mutex<State>,
    inbox: Arc<Inbox>,
}

impl Capture {
    pub(super) fn new(spec: &PageSpec, inbox: Arc<Inbox>) -> Self {
        let origins = spec.page.clone();
        let grant = Grant {
            page: Box::new(move |url| origins.iter().any(|origin| origin.matches(url))),
            listen: spec.listen.iter().map(ToString::to_string).collect(),
        };
        let state = State { traffic: Traffic::new(grant), tickets: HashMap::new() };
        Self { state: Mutex::new(state), inbox }
    }

    /// Delivers what matches from now on, under the number that is returned.
    ///
    /// # Errors
    /// Where the filter is not granted, is no URL pattern, or there are eight already.
    pub(super) fn listen(&self, filter: Filter) -> Result<u32, PageError> {
        let id = self.inbox.new_source();
        self.lock().traffic.listen(id, filter)?;
        Ok(id)
    }

    /// Ends a listen; what waits of it is dropped.
    pub(super) fn stop(&self, id: u32) {
        let mut state = self.lock();
        state.traffic.stop_listening(id);
        self.inbox.forget(id);
    }

    /// Ends all listens, as at a call's beginning and end.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.traffic.clear();
        state.tickets.clear();
    }

    /// Whether a request, of which `Network.requestWillBeSent` tells, was sent by a document or worker that is granted.
    pub(super) fn admits(&self, event: &Event) -> bool {
        self.lock().traffic.admits(event)
    }

    /// The session and number of an answer that was heard and has ended; none where nothing was heard under these.
    ///
    /// # Errors
    /// Where it has not ended.
    pub(super) fn body_of(&self, listen: u32, stream: u32) -> Result<Option<(String, String)>, PageError> {
        self.lock().traffic.body_of(listen, stream)
    }

    /// Takes any event of the page's queue; those that do not concern traffic are ignored. `session` is any session on the
    /// same socket.
    pub(super) fn on_event(&self, session: &Session, event: &Event) {
        let mut state = self.lock();
        let effects = state.traffic.on_event(event);
        self.carry_out(&mut state, session, effects);
    }

    /// Takes a reply of the page's queue. Says whether it was one to a question of this capture.
    pub(super) fn on_reply(&self, session: &Session, ticket: Ticket, result: &Result<Value, CdpError>) -> bool {
        let mut state = self.lock();
        let Some(token) = state.tickets.remove(&ticket) else { return false };
        let effects = state.traffic.on_reply(token, result.as_ref());
        self.carry_out(&mut state, session, effects);
        true
    }

    fn carry_out(&self, state: &mut State, session: &Session, effects: Vec<Effect>) {
        let mut effects: std::collections::VecDeque<_> = effects.into();
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Deliver(event) => self.inbox.push(event),
                Effect::Ask { token, session: id, request, question } => {
                    let target = session.child(&id);
                    let sent = match question {
                        Question::Stream => target.send(network::StreamResourceContentParams::new(request)),
                        Question::Body => target.send(network::GetResponseBodyParams::new(request)),
                    };
                    match sent {
                        Ok(ticket) => drop(state.tickets.insert(ticket, token)),
                        Err(error) => effects.extend(state.traffic.on_reply(token, Err(&error))),
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

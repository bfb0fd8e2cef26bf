//! Listening to the page's traffic: the state machine of [`traffic`](super::super::traffic) joined to the socket on one side
//! and to the inbox on the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chromiumoxide::cdp::browser_protocol::network;
use serde_json::Value;

use super::super::PageError;
use super::super::cdp::{CdpError, Event, Session, Ticket};
use super::super::event::Filter;
use super::super::traffic::{Effect, Grant, Question, Token, Traffic};
use super::inbox::Inbox;

/// What a renderer may keep of bodies, in bytes. Without any the head of a stream that is armed late is lost; the default
/// is 100 MB for a page.
const BUFFER_TOTAL: i64 = 4 << 20;
/// The same for one body.
const BUFFER_ONE: i64 = 4 << 20;

/// The command that every session of a page is sent before its script runs.
pub(in crate::browser) fn enable() -> network::EnableParams {
    network::EnableParams {
        max_total_buffer_size: Some(BUFFER_TOTAL),
        max_resource_buffer_size: Some(BUFFER_ONE),
        // Prompts are the operator's own words; nobody here needs them a second time.
        max_post_data_size: Some(0),
        report_direct_socket_traffic: None,
        enable_durable_messages: None,
    }
}

#[derive(Debug)]
struct State {
    traffic: Traffic,
    tickets: HashMap<Ticket, Token>,
}

/// A page's capture. The lock is held for one event at a time and never across a wait.
#[derive(Debug)]
pub(in crate::browser) struct Capture {
    state: Mutex<State>,
    inbox: Arc<Inbox>,
}

impl Capture {
    pub(in crate::browser) fn new(grant: Grant, inbox: Arc<Inbox>) -> Self {
        let state = State { traffic: Traffic::new(grant), tickets: HashMap::new() };
        Self { state: Mutex::new(state), inbox }
    }

    /// Delivers what matches from now on, under the number that is returned.
    ///
    /// # Errors
    /// Where the filter is not granted, is no URL pattern, or there are eight already.
    pub(in crate::browser) fn listen(&self, filter: Filter) -> Result<u32, PageError> {
        let id = self.inbox.new_source();
        self.lock().traffic.listen(id, filter)?;
        Ok(id)
    }

    /// Ends a listen; what waits of it is dropped.
    pub(in crate::browser) fn stop(&self, id: u32) {
        let mut state = self.lock();
        state.traffic.stop_listening(id);
        self.inbox.forget(id);
    }

    /// Ends all listens, as at a call's beginning and end.
    pub(in crate::browser) fn clear(&self) {
        let mut state = self.lock();
        state.traffic.clear();
        state.tickets.clear();
    }

    /// Takes any event of the page's queue; those that do not concern traffic are ignored. `session` is any session on the
    /// same socket.
    pub(in crate::browser) fn on_event(&self, session: &Session, event: &Event) {
        let mut state = self.lock();
        let effects = state.traffic.on_event(event);
        self.carry_out(&mut state, session, effects);
    }

    /// Takes a reply of the page's queue. Says whether it was one to a question of this capture.
    pub(in crate::browser) fn on_reply(
        &self,
        session: &Session,
        ticket: Ticket,
        result: &Result<Value, CdpError>,
    ) -> bool {
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

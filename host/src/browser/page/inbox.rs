//! What a page has told and the adapter has not read yet.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant as Moment};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::super::PageError;
use super::super::event::{EventBody, PageEvent};
use crate::telemetry::metrics::{self, Added};

/// What may wait for a slow adapter, in bytes. A site cannot be slowed, so that beyond it the call ends.
pub(super) const MAX_BYTES: usize = 8 << 20;
/// The code of the error by which a call learns that it read too slowly.
pub const CLIENT_TOO_SLOW: &str = "client_too_slow";
/// What an event costs beside what it carries, in bytes: a flood of small ones is bounded too.
const OVERHEAD: usize = 128;

#[derive(Debug, Default)]
struct State {
    /// Each with the time at which it came.
    events: VecDeque<(Moment, PageEvent)>,
    size: usize,
    /// Whether a call has the page. What comes outside of a call is nobody's.
    in_call: bool,
    overflowed: bool,
    closed: bool,
    last_source: u32,
}

/// A page's events for the call that has it, in order. Bounded; adding never waits.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    arrived: Notify,
}

impl Inbox {
    /// A call begins: nothing of the one before is left.
    pub(super) fn begin(&self) {
        self.reset(true);
    }

    /// The call is over: what waits is dropped, and so is what comes.
    pub(super) fn end(&self) {
        self.reset(false);
    }

    fn reset(&self, in_call: bool) {
        let mut state = self.lock();
        // Numbers go on, so that a late event of an old watch cannot be taken for one of a new watch.
        *state = State { in_call, closed: state.closed, last_source: state.last_source, ..State::default() };
    }

    /// The page is gone. What it told before can still be read.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_waiters();
        self.arrived.notify_one();
    }

    /// A number for a new listen, watch or expect; never 0, which is the page itself.
    pub(super) fn new_source(&self) -> u32 {
        let mut state = self.lock();
        state.last_source = state.last_source.wrapping_add(1).max(1);
        state.last_source
    }

    /// Drops what waits of a listen, watch or expect that was stopped.
    pub(super) fn forget(&self, source: u32) {
        let mut state = self.lock();
        state.events.retain(|(_, event)| event.source != source);
        state.size = state.events.iter().map(|(_, event)| size(event)).sum();
    }

    /// Adds an event. Never waits.
    pub(super) fn push(&self, event: PageEvent) {
        {
            let mut state = self.lock();
            if !state.in_call || state.overflowed || state.closed {
                return;
            }
            // A watch tells the whole text each time: of two that nobody has read, the first is worth nothing.
            if let (EventBody::Watched(_), Some((_, last))) = (&event.body, state.events.back())
                && matches!(last.body, EventBody::Watched(_))
                && last.source == event.source
                && let Some((_, last)) = state.events.pop_back()
            {
                state.size -= size(&last);
            }
            state.size += size(&event);
            if state.size > MAX_BYTES {
                state.overflowed = true;
                state.size = 0;
                state.events = VecDeque::new();
            } else {
                state.events.push_back((Moment::now(), event));
            }
        }
        self.arrived.notify_one();
    }

    /// The next event; none when `timeout` is over. Safe to cancel: an event that was not returned stays.
    ///
    /// # Errors
    /// `client_too_slow` when more came than may wait, [`PageError::Closed`] when the page is gone and all was read.
    pub(super) async fn next(&self, timeout: Duration) -> Result<Option<PageEvent>, PageError> {
        let deadline = Instant::now() + timeout;
        loop {
            let arrived = self.arrived.notified();
            if let Some(event) = self.pop()? {
                return Ok(Some(event));
            }
            if tokio::time::timeout_at(deadline, arrived).await.is_err() {
                return self.pop();
            }
        }
    }

    fn pop(&self) -> Result<Option<PageEvent>, PageError> {
        let mut state = self.lock();
        if state.overflowed {
            let message = format!("more than {} MiB of the page's events waited to be read", MAX_BYTES >> 20);
            return Err(PageError::Other { code: CLIENT_TOO_SLOW, message });
        }
        match state.events.pop_front() {
            Some((came, event)) => {
                state.size -= size(&event);
                metrics::added_latency(Added::Page, came.elapsed());
                Ok(Some(event))
            }
            None if state.closed => Err(PageError::Closed),
            None => Ok(None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(event: &PageEvent) -> usize {
    let carried = match &event.body {
        EventBody::Response(head) => {
            head.url.len() + head.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
        }
        EventBody::Bytes(bytes) | EventBody::Binary(bytes) => bytes.len(),
        EventBody::Text(text) | EventBody::Failed(text) | EventBody::Watched(text) | EventBody::Navigated(text) => {
            text.len()
        }
        EventBody::Dialog(dialog) => dialog.message.len(),
        EventBody::End(_) | EventBody::Reached => 0,
    };
    OVERHEAD + carried
}

#[cfg(test)]
mod tests;

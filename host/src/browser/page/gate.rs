//! Keeps input and documents apart: while an input command is in flight no document is replaced.
//!
//! A click that was computed on one document has been seen to land on the next one. So an act takes an [`InputGuard`], which
//! waits until no document is about to be shown; as long as it lives, paused document requests and answers are held.
//!
//! From the moment in which a main frame's navigation begins until it is over, Chromium passes nothing on to the renderer:
//! scripts are not run, whatever the old document does. So a question that is asked under the guard while a navigation is held
//! would wait for the guard, and the guard for the question; it fails at once instead.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::reach::Reach;
use super::{DEFAULT_TIMEOUT, Shared};
use crate::browser::error::PageError;

/// An answer that was let through becomes the document within milliseconds, or never (a download, say).
const COMMIT_WITHIN: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
struct State {
    /// Input commands in flight.
    inputs: usize,
    /// By frame, the loader whose answer was let through and that is not yet shown.
    committing: HashMap<String, String>,
}

#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    /// The last input command is over.
    pub(super) free: Notify,
    settled: Notify,
    /// The loader of the main frame's navigation that is under way.
    leaving: watch::Sender<Option<String>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { state: Mutex::default(), free: Notify::new(), settled: Notify::new(), leaving: watch::Sender::new(None) }
    }
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether paused documents must be held.
    pub(super) fn is_shut(&self) -> bool {
        self.state().inputs > 0
    }

    /// Notes that an answer becomes a frame's document. False while the gate is shut: then it must be held.
    pub(super) fn let_through(&self, frame: &str, loader: &str) -> bool {
        let mut state = self.state();
        if state.inputs > 0 {
            return false;
        }
        state.committing.insert(frame.to_owned(), loader.to_owned());
        true
    }

    /// A navigation of the main frame begins.
    pub(super) fn leave(&self, loader: &str) {
        self.leaving.send_replace(Some(loader.to_owned()));
    }

    /// No navigation of the main frame is under way.
    pub(super) fn stay(&self) {
        self.leaving.send_replace(None);
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.borrow().is_some()
    }

    /// Returns when a navigation waits for an input to be over, and so no script runs until then.
    pub(super) async fn deadlock(&self) {
        let mut leaving = self.leaving.subscribe();
        loop {
            if leaving.wait_for(Option::is_some).await.is_err() || self.is_shut() {
                return;
            }
            // It was shut for no input; who asks under the guard asks after it was shut.
            if leaving.changed().await.is_err() {
                return;
            }
        }
    }

    /// That loader's document is shown, or will never be.
    pub(super) fn settle(&self, loader: &str) {
        self.leaving.send_if_modified(|leaving| {
            let over = leaving.as_deref() == Some(loader);
            if over {
                *leaving = None;
            }
            over
        });
        self.forget(|_, known| known == loader);
    }

    /// That frame is gone, or went to another process.
    pub(super) fn frame_gone(&self, frame: &str) {
        self.forget(|known, _| known == frame);
    }

    fn forget(&self, which: impl Fn(&str, &str) -> bool) {
        self.state().committing.retain(|frame, loader| !which(frame, loader));
        self.settled.notify_waiters();
    }

    fn release(&self) {
        let mut state = self.state();
        state.inputs = state.inputs.saturating_sub(1);
        if state.inputs == 0 {
            self.free.notify_one();
        }
    }
}

/// While this lives, every document stays the one that it is, as far as the network has a say.
#[derive(Debug)]
pub(super) struct InputGuard<'a>(&'a Gate);

impl Drop for InputGuard<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Shared {
    /// Shuts the gate for an input command. What is paused is held until the guard is dropped, so keep it for milliseconds.
    /// The documents on the way to the input's target are waited for, if one of them is about to be replaced.
    pub(super) async fn hold_documents(&self, reach: &Reach) -> Result<InputGuard<'_>, PageError> {
        if self.cancel.is_cancelled() {
            return Err(PageError::Closed);
        }
        let until = tokio::time::Instant::now() + DEFAULT_TIMEOUT;
        loop {
            let frames: Vec<&str> = reach.worlds().map(|world| world.frame.as_str()).collect();
            let guard = self.gate.hold(&frames).await;
            if !self.gate.is_leaving() {
                return Ok(guard);
            }
            drop(guard);
            let mut leaving = self.gate.leaving.subscribe();
            let over = tokio::time::timeout_at(until, leaving.wait_for(Option::is_none)).await;
            if over.is_err() {
                return Err(PageError::Timeout("a navigation is under way".into()));
            }
            if self.cancel.is_cancelled() {
                return Err(PageError::Closed);
            }
        }
    }
}

impl Gate {
    async fn hold(&self, frames: &[&str]) -> InputGuard<'_> {
        self.state().inputs += 1;
        // From here on it is given back, whatever happens.
        let guard = InputGuard(self);
        let quiet = async {
            loop {
                let settled = self.settled.notified();
                if !frames.iter().any(|frame| self.state().committing.contains_key(*frame)) {
                    return;
                }
                settled.await;
            }
        };
        if tokio::time::timeout(COMMIT_WITHIN, quiet).await.is_err() {
            self.forget(|frame, _| frames.contains(&frame));
        }
        guard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn holds_documents_while_an_input_is_in_flight() {
        let gate = Gate::default();
        let guard = gate.hold(&["F"]).await;
        assert!(gate.is_shut() && !gate.let_through("F", "L"));
        drop(guard);
        assert!(!gate.is_shut() && gate.let_through("F", "L"));
        drop(gate.hold(&["G"]).await);
    }

    #[tokio::test]
    async fn an_input_waits_for_a_document_that_is_about_to_be_shown() {
        let gate = std::sync::Arc::new(Gate::default());
        assert!(gate.let_through("F", "L"));
        let waiting = tokio::spawn({
            let gate = std::sync::Arc::clone(&gate);
            async move {
                let _guard = gate.hold(&["F"]).await;
            }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        // Another frame's document is nobody's concern.
        assert!(!gate.let_through("G", "M"));
        gate.settle("L");
        waiting.await.unwrap();
        assert!(!gate.is_shut());
    }
}

//! Keeps input and documents apart: while an input command is in flight no document is replaced.
//!
//! A click that was computed on one document has been seen to land on the next one. So an act takes an [`InputGuard`], which
//! waits until no document is about to be shown; as long as it lives, paused document requests and answers are held.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::Shared;
use crate::browser::error::PageError;

/// An answer that was let through becomes the document within milliseconds, or never (a download, say).
const COMMIT_WITHIN: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
struct State {
    /// Input commands in flight.
    inputs: usize,
    /// Loaders whose answer was let through and that are not yet shown.
    committing: HashSet<String>,
}

#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    /// The last input command is over.
    pub(super) free: Notify,
    settled: Notify,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether paused documents must be held.
    pub(super) fn is_shut(&self) -> bool {
        self.state().inputs > 0
    }

    /// Notes that an answer becomes the document. False while the gate is shut: then it must be held.
    pub(super) fn let_through(&self, loader: &str) -> bool {
        let mut state = self.state();
        if state.inputs > 0 {
            return false;
        }
        state.committing.insert(loader.to_owned());
        true
    }

    /// That loader's document is shown, or will never be.
    pub(super) fn settle(&self, loader: &str) {
        let mut state = self.state();
        if state.committing.remove(loader) && state.committing.is_empty() {
            self.settled.notify_waiters();
        }
    }

    fn release(&self) {
        let mut state = self.state();
        state.inputs = state.inputs.saturating_sub(1);
        if state.inputs == 0 {
            self.free.notify_one();
        }
    }
}

/// While this lives, the main frame's document stays the one that it is, as far as the network has a say.
#[derive(Debug)]
pub(super) struct InputGuard<'a>(&'a Gate);

impl Drop for InputGuard<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Shared {
    /// Shuts the gate for an input command. What is paused is held until the guard is dropped, so keep it for milliseconds.
    pub(super) async fn hold_documents(&self) -> Result<InputGuard<'_>, PageError> {
        if self.cancel.is_cancelled() {
            return Err(PageError::Closed);
        }
        Ok(self.gate.hold().await)
    }
}

impl Gate {
    async fn hold(&self) -> InputGuard<'_> {
        self.state().inputs += 1;
        // From here on it is given back, whatever happens.
        let guard = InputGuard(self);
        let quiet = async {
            loop {
                let settled = self.settled.notified();
                if self.state().committing.is_empty() {
                    return;
                }
                settled.await;
            }
        };
        if tokio::time::timeout(COMMIT_WITHIN, quiet).await.is_err() {
            self.state().committing.clear();
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
        let guard = gate.hold().await;
        assert!(gate.is_shut() && !gate.let_through("L"));
        drop(guard);
        assert!(!gate.is_shut() && gate.let_through("L"));
    }

    #[tokio::test]
    async fn an_input_waits_for_a_document_that_is_about_to_be_shown() {
        let gate = std::sync::Arc::new(Gate::default());
        assert!(gate.let_through("L"));
        let waiting = tokio::spawn({
            let gate = std::sync::Arc::clone(&gate);
            async move {
                let _guard = gate.hold().await;
            }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        gate.settle("L");
        waiting.await.unwrap();
        assert!(!gate.is_shut());
    }
}

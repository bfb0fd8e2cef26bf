//! Keeps what an adapter hears of its page, so that it can be played to it again.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::browser::PageEvent;

/// Of all that is kept: more than any answer has.
const BYTES_MAX: usize = 64 << 20;

/// One thing that was kept.
#[derive(Debug, Clone)]
pub enum Heard {
    Event(PageEvent),
    /// The adapter has begun a step; the page's document at that moment.
    Step {
        name: String,
        html: String,
    },
}

#[derive(Debug, Default)]
struct Kept {
    all: Vec<(Instant, Heard)>,
    bytes: usize,
}

/// What one call hears, in its order.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Kept>);

impl Recorder {
    /// All that was kept so far; it is kept no longer.
    pub fn take(&self) -> Vec<(Instant, Heard)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).all
    }

    /// Keeps it, unless there is too much already.
    pub(super) fn keep(&self, heard: Heard) {
        use crate::browser::EventBody;
        let size = match &heard {
            Heard::Step { html, .. } => html.len(),
            Heard::Event(event) => match &event.body {
                EventBody::Bytes(bytes) | EventBody::Binary(bytes) => bytes.len(),
                EventBody::Text(text) | EventBody::Watched(text) => text.len(),
                _ => 0,
            },
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes + size <= BYTES_MAX {
            kept.bytes += size;
            kept.all.push((Instant::now(), heard));
        }
    }
}

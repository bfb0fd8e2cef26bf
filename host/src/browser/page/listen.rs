//! What a page has to tell, until it is read.

use crate::browser::event::PageEvent;

/// Stand-in until the real one is merged.
#[derive(Debug, Default)]
pub(super) struct Inbox {}

impl Inbox {
    pub(super) fn push(&self, event: PageEvent) {
        tracing::trace!(?event, "a page event");
    }

    pub(super) fn begin(&self) {}

    pub(super) fn end(&self) {}
}

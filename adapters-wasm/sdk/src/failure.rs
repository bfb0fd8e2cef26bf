//! From what a page could not do to what the caller is told.

use std::fmt;

use crate::page::current_step;
use crate::{Failure, Fault, Limit, Missing, PageError};

impl From<PageError> for Failure {
    fn from(error: PageError) -> Self {
        match error {
            PageError::NotFound(selector) => Failure::changed(selector),
            PageError::Timeout(what) => Failure::Timeout(format!("{}: {what}", current_step())),
            PageError::Cancelled => Failure::Cancelled,
            PageError::OriginDenied(what) => other("origin-denied", &what),
            PageError::NotGranted(what) => other("not-granted", &what),
            PageError::Closed => other("page-closed", "the browser tab was closed"),
            PageError::Other(fault) => Failure::Other(fault),
        }
    }
}

impl Failure {
    /// The site is not as this adapter knows it: at the current step, this was not found.
    pub fn changed(what: impl Into<String>) -> Self {
        Failure::SiteChanged(Missing { step: current_step(), selector: what.into() })
    }

    /// Too many requests for now.
    pub fn rate_limited(message: impl Into<String>, retry_after_s: Option<u32>) -> Self {
        Failure::RateLimited(Limit { message: message.into(), retry_after_s })
    }

    /// The chat that was to go on is there no more. To be said before anything is sent: the host then begins a new chat with the whole
    /// conversation.
    pub fn conversation_gone() -> Self {
        other("conversation-gone", "the site has this chat no more")
    }

    /// The plan's allowance is used up.
    pub fn quota_exhausted(message: impl Into<String>, retry_after_s: Option<u32>) -> Self {
        Failure::QuotaExhausted(Limit { message: message.into(), retry_after_s })
    }
}

fn other(code: &str, message: &str) -> Failure {
    Failure::Other(Fault { code: code.to_owned(), message: message.to_owned() })
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at step {:?})", self.selector, self.step)
    }
}

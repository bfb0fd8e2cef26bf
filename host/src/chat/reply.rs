//! The pieces of an answer.

use std::time::Duration;

use bytes::Bytes;

use super::Failure;

/// A source that the answer names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Citation {
    pub url: String,
    pub title: String,
}

/// One piece of an answer, in the order in which the site gave them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    Text(String),
    Reasoning(String),
    Citation(Citation),
    /// What the site says it is doing: a sign of life.
    Progress(String),
    /// A whole picture or file.
    Media {
        mime_type: String,
        bytes: Bytes,
    },
    /// One that is kept by this server, and where clients get it.
    Link {
        mime_type: String,
        url: String,
    },
    /// Everything before this is taken back: the site rewrites its answer.
    Restart,
}

/// All that was said in an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transcript {
    pub text: String,
    pub reasoning: String,
    pub citations: usize,
    pub files: usize,
}

impl Transcript {
    /// Takes the next piece.
    pub fn take(&mut self, delta: &Delta) {
        match delta {
            Delta::Text(text) => self.text.push_str(text),
            Delta::Reasoning(text) => self.reasoning.push_str(text),
            Delta::Citation(_) => self.citations += 1,
            Delta::Media { .. } | Delta::Link { .. } => self.files += 1,
            Delta::Restart => *self = Self::default(),
            Delta::Progress(_) => {}
        }
    }

    /// The text as a client will send it back in its history; none where that will be in another form.
    pub fn as_history(&self) -> Option<&str> {
        (self.citations == 0 && self.files == 0 && !self.text.trim().is_empty()).then_some(&self.text)
    }
}

/// Why an answer is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    Stop,
    Length,
    ContentFilter,
    Other(String),
}

/// How an answer that was given ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub finish: Finish,
    /// The site's own id of the chat, if it can go on there.
    pub conversation: Option<String>,
    /// The model that answered, as the site names it.
    pub model: Option<String>,
}

/// Estimated token counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub reasoning_tokens: u64,
}

/// What happens to a job, in order: `Started`, `Submitted`, deltas, then `Done` or `Failed`, which is the last.
#[derive(Debug, Clone)]
pub enum JobEvent {
    /// It has a page. May come again when the job is dispatched anew before it was submitted.
    Started {
        adapter: String,
        instance: String,
        queued: Duration,
        /// How often it has been dispatched, this time included.
        attempts: u32,
    },
    /// From here on nothing may invite the client to retry.
    Submitted,
    Delta(Delta),
    Done(Outcome),
    Failed(Failure),
}

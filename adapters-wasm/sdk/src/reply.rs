//! The way back to the client.

use crate::bindings::webai::adapter::reply as wit;
use crate::{Appetite, Citation, Saved};

/// Where the answer goes, piece by piece.
#[derive(Debug)]
pub struct Reply(wit::Reply);

impl Reply {
    #[doc(hidden)]
    pub fn new(handle: wit::Reply) -> Self {
        Self(handle)
    }

    /// Call it right before the act that sends the prompt: from here on the host never sends it again.
    pub fn submitting(&self) {
        self.0.submitting();
    }

    /// The site has taken the prompt.
    pub fn accepted(&self) {
        self.0.accepted();
    }

    /// A part of the answer, in Markdown.
    pub fn text(&self, text: impl Into<String>) -> Appetite {
        self.0.push(&wit::Piece::Text(text.into()))
    }

    /// A part of the model's visible reasoning.
    pub fn reasoning(&self, text: impl Into<String>) -> Appetite {
        self.0.push(&wit::Piece::Reasoning(text.into()))
    }

    pub fn citation(&self, url: impl Into<String>, title: impl Into<String>) -> Appetite {
        self.0.push(&wit::Piece::Citation(Citation { url: url.into(), title: title.into() }))
    }

    /// What the site says it is doing.
    pub fn progress(&self, text: impl Into<String>) -> Appetite {
        self.0.push(&wit::Piece::Progress(text.into()))
    }

    /// Takes back all text and reasoning that was pushed.
    pub fn restart(&self) {
        self.0.restart();
    }

    /// Makes a file that [`Page::save`](crate::Page::save) kept part of the answer. False if the host no longer has it.
    pub fn saved(&self, saved: &Saved) -> bool {
        self.0.media(saved.id)
    }

    /// A picture or another file whose bytes this adapter holds.
    pub fn media(&self, mime_type: &str, bytes: &[u8]) -> Appetite {
        /// Small enough for what one host call may carry.
        const CHUNK: usize = 1 << 20;
        let id = self.0.media_start(mime_type);
        for chunk in bytes.chunks(CHUNK) {
            if self.0.media_write(id, chunk) == Appetite::Stop {
                return Appetite::Stop;
            }
        }
        self.0.media_end(id)
    }
}

//! What `page.save` keeps and `reply.media` hands on, and what `page.rewrite` changes: from the contract's words to the browser's.

use std::time::Duration;

use crate::browser::{Edit, PageError, Pointer, Rewriting, SavedFile, Source};
use crate::plugin::allowance::MAX_FILES;
use crate::plugin::bindings::webai::adapter::page as wit;
use crate::plugin::handles::HostState;

/// A file may take longer than an act.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn source(source: wit::Source) -> Result<Source, PageError> {
    Ok(match source {
        wit::Source::Element(selector) => Source::Element(selector),
        wit::Source::Url(url) => Source::Url(url),
        wit::Source::Download(selector) => Source::Download(selector),
        wit::Source::Body(part) => {
            Source::Body { source: part.source, stream: part.stream, pointer: pointer(&part.pointer)? }
        }
    })
}

pub(super) fn rewriting(rewriting: wit::Rewriting) -> Result<Rewriting, PageError> {
    let edit = |edit| match edit {
        wit::Edit::Set((place, value)) => Edit::set(pointer(&place)?, &value)
            .ok_or_else(|| invalid("invalid-json", format!("the value for {place} is not JSON"))),
        wit::Edit::Remove(place) => Ok(Edit::Remove(pointer(&place)?)),
    };
    let edits = rewriting.edits.into_iter().map(edit).collect::<Result<_, _>>()?;
    Ok(Rewriting { url: rewriting.url, method: rewriting.method, edits })
}

fn pointer(text: &str) -> Result<Pointer, PageError> {
    Pointer::parse(text).ok_or_else(|| invalid("invalid-pointer", format!("{text} is no JSON Pointer (RFC 6901)")))
}

fn invalid(code: &'static str, message: String) -> PageError {
    PageError::Other { code, message }
}

impl HostState {
    /// How long a save may take: never longer than the call.
    pub(super) fn wait_for_file(&self, timeout: Option<u64>) -> Option<Duration> {
        Some(timeout.map_or(DEFAULT_TIMEOUT, Duration::from_millis).min(self.progress.clock.remaining()))
    }

    /// What may still be kept in this call, in bytes.
    pub(super) fn room(&self) -> usize {
        self.means.media_max.saturating_sub(self.saved.iter().map(|file| file.bytes.len()).sum())
    }

    /// Keeps a file until the call is over.
    pub(super) fn keep(&mut self, file: SavedFile) -> Result<wit::Saved, PageError> {
        if self.saved.len() >= MAX_FILES {
            return Err(invalid("too-many-files", format!("at most {MAX_FILES} files in one call")));
        }
        // What a site takes its time to deliver is no idle time.
        self.progress.clock.data();
        let (mime_type, size) = (file.mime.clone(), file.bytes.len() as u64);
        self.saved.push(file);
        Ok(wit::Saved { id: u32::try_from(self.saved.len()).unwrap_or(u32::MAX), mime_type, size })
    }

    /// A kept file.
    pub(super) fn kept(&self, id: u32) -> Option<SavedFile> {
        self.saved.get(usize::try_from(id).ok()?.checked_sub(1)?).cloned()
    }
}

//! How much one call may say to its client, and that it sends its prompt once. What it may do to its page, the page counts.

use crate::browser::PageError;

/// Bytes of text, thoughts and sources in one answer. Files have a limit of their own.
pub(super) const MAX_REPLY: usize = 16 << 20;
/// Files of one answer, and files that `page.save` keeps in one call.
pub(super) const MAX_FILES: usize = 64;
/// A text this long that holds the prompt is the prompt, whatever was put around it.
const TELLING: usize = 32;

/// What one call has used up.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    reply: usize,
    files: usize,
    file_bytes: usize,
    prompt: Prompt,
}

/// Where the prompt is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Prompt {
    #[default]
    Here,
    /// In the site's composer: the next click or press sends it.
    Typed,
    Sent,
    /// It was sent, and is in the composer once more.
    TypedAgain,
}

impl Allowance {
    /// Counts what the client is told. False where it is too much.
    pub(super) fn reply(&mut self, bytes: usize) -> bool {
        self.reply = self.reply.saturating_add(bytes);
        self.reply <= MAX_REPLY
    }

    /// Counts a file that is to be part of the answer, of which so many bytes are there. A file that is handed on once more counts once
    /// more: the client gets it again.
    ///
    /// # Errors
    /// In words, where it is too much.
    pub(super) fn file(&mut self, bytes: usize, max: usize) -> Result<(), String> {
        self.files = self.files.saturating_add(1);
        if self.files > MAX_FILES {
            return Err(format!("more than {MAX_FILES} files in one answer"));
        }
        self.file_bytes(bytes, max)
    }

    /// Counts bytes of such a file; `max` is for all files together.
    ///
    /// # Errors
    /// In words, where it is too much.
    pub(super) fn file_bytes(&mut self, bytes: usize, max: usize) -> Result<(), String> {
        self.file_bytes = self.file_bytes.saturating_add(bytes);
        if self.file_bytes > max { Err(format!("more than {max} bytes of files in one answer")) } else { Ok(()) }
    }

    /// Something was filled in: is it the prompt?
    pub(super) fn typed(&mut self, text: &str, prompt: &str) {
        let (text, prompt) = (text.trim(), prompt.trim());
        if prompt.is_empty() || !(text == prompt || prompt.len() >= TELLING && text.contains(prompt)) {
            return;
        }
        self.prompt = match self.prompt {
            Prompt::Here | Prompt::Typed => Prompt::Typed,
            Prompt::Sent | Prompt::TypedAgain => Prompt::TypedAgain,
        };
    }

    /// Before an act that may send what was filled in.
    ///
    /// # Errors
    /// `sent-already` where that would send the prompt a second time.
    pub(super) fn may_send(&self) -> Result<(), PageError> {
        if self.prompt != Prompt::TypedAgain {
            return Ok(());
        }
        let message = "this call has sent its prompt; it is never sent twice".into();
        Err(PageError::Other { code: "sent-already", message })
    }

    /// Such an act was done.
    pub(super) fn sent(&mut self) {
        if self.prompt == Prompt::Typed {
            self.prompt = Prompt::Sent;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "what is the answer to everything, please?";

    #[test]
    fn a_prompt_is_sent_once() {
        let mut call = Allowance::default();
        call.typed("a model's name", LONG);
        assert!(call.may_send().is_ok());
        call.sent();
        call.typed(&format!("[user] {LONG}"), LONG);
        assert!(call.may_send().is_ok(), "a filter is no prompt");
        // A click that did not land is tried again, with the text filled in anew.
        call.typed(LONG, LONG);
        assert!(call.may_send().is_ok());
        call.sent();
        assert!(call.may_send().is_ok(), "pressing once more sends what the site did not take");
        call.typed(LONG, LONG);
        assert!(matches!(call.may_send(), Err(PageError::Other { code: "sent-already", .. })));
    }

    #[test]
    fn a_short_prompt_within_something_else_is_not_it() {
        let mut call = Allowance::default();
        for text in ["gpt-4o", "", " 4o-mini"] {
            call.typed(text, "4o");
            call.sent();
        }
        call.typed("4o\n", "4o");
        call.sent();
        call.typed("4o", "4o");
        assert!(call.may_send().is_err());
    }

    #[test]
    fn a_file_counts_each_time_it_is_handed_on() {
        let mut call = Allowance::default();
        assert!(call.file(40, 100).is_ok() && call.file(40, 100).is_ok());
        assert_eq!(call.file(40, 100), Err("more than 100 bytes of files in one answer".into()));
        assert!(call.file_bytes(usize::MAX, 100).is_err());
    }

    #[test]
    fn empty_files_have_an_end_too() {
        let mut call = Allowance::default();
        assert!((0..MAX_FILES).all(|_| call.file(0, 100).is_ok()));
        assert_eq!(call.file(0, 100), Err("more than 64 files in one answer".into()));
    }

    #[test]
    fn there_is_an_end_to_an_answer() {
        let mut call = Allowance::default();
        assert!(call.reply(MAX_REPLY) && !call.reply(1) && !call.reply(usize::MAX));
    }
}

//! How much one call may say to its client, and that it sends its prompt once. What it may do to its page, the page counts.

use crate::browser::PageError;

/// Bytes of text, thoughts and sources in one answer. Files have a limit of their own.
pub(super) const MAX_REPLY: usize = 16 << 20;
/// Files of one answer, and files that `page.save` keeps in one call.
pub(super) const MAX_FILES: usize = 64;
/// A text this long that holds the prompt is the prompt, whatever was put around it.
const TELLING: usize = 32;
/// The longest text, in characters, that may be there to look for a model.
const FILTER: usize = 64;

/// What one call has used up.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    reply: usize,
    files: usize,
    file_bytes: usize,
    prompt: Prompt,
    /// What is filled in, as long as it may be a filter.
    filter: String,
    /// No text is a filter any more.
    filtered: bool,
    /// What was filled in may be some of the prompt, or all that is sent.
    perhaps: bool,
}

/// Where the prompt is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Prompt {
    #[default]
    Here,
    /// In the site's composer: the next click or press sends it.
    Typed,
    Sent,
    /// It was sent, and something is in the composer once more.
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

    /// A text was filled in, in one piece or as the next of several. It counts as the prompt, whatever it is, but for one that may be
    /// there to look for a model: the first before a click or a press, if it is short and no prompt.
    ///
    /// What is compared is what an adapter was given; one that changes it a little is not told apart from one that sends something
    /// else. So there is one such text and no more.
    pub(super) fn typed<'a>(&mut self, text: &str, prompts: impl IntoIterator<Item = &'a str>) {
        if text.trim().is_empty() {
            return;
        }
        match self.prompt {
            Prompt::Here => {
                self.filter.push_str(text);
                let mut is_prompt = self.filtered || self.filter.chars().count() > FILTER;
                for prompt in prompts {
                    is_prompt |= holds(&self.filter, prompt);
                    self.perhaps |= has_in_common(&self.filter, prompt);
                }
                if is_prompt {
                    self.pasted();
                }
            }
            Prompt::Typed => {}
            Prompt::Sent | Prompt::TypedAgain => self.prompt = Prompt::TypedAgain,
        }
    }

    /// Something was filled in of which nobody knows what it is.
    pub(super) fn pasted(&mut self) {
        self.filter = String::new();
        self.prompt = match self.prompt {
            Prompt::Here | Prompt::Typed => Prompt::Typed,
            Prompt::Sent | Prompt::TypedAgain => Prompt::TypedAgain,
        };
    }

    /// Files were added. They are what is sent where there is no text.
    pub(super) fn uploaded<'a>(&mut self, prompts: impl IntoIterator<Item = &'a str>) {
        self.perhaps |= prompts.into_iter().any(|prompt| prompt.trim().is_empty());
    }

    /// Whether the next click or press may send the prompt, as far as the host can tell: an adapter that forgets `submitting` must not
    /// cause a second message. One that only looks for a model, or answers what a site asks after an upload, has sent nothing.
    pub(super) fn armed(&self) -> bool {
        self.perhaps || matches!(self.prompt, Prompt::Typed | Prompt::TypedAgain)
    }

    /// What the page sends is changed on its way: what is filled in may be anything by then.
    pub(super) fn rewrites(&mut self) {
        self.filtered = true;
        if !self.filter.is_empty() {
            self.pasted();
        }
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

    /// Such an act reached the page.
    pub(super) fn sent(&mut self) {
        self.perhaps = false;
        if self.prompt == Prompt::Typed {
            self.prompt = Prompt::Sent;
        }
        if !self.filter.is_empty() {
            self.filter = String::new();
            self.filtered = true;
        }
    }
}

/// What is left of a text without signs and spaces.
fn words(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Whether a text may be a part of the prompt, or the prompt a part of it.
fn has_in_common(text: &str, prompt: &str) -> bool {
    let (text, prompt) = match (words(text), words(prompt)) {
        (some, others) if !some.is_empty() && !others.is_empty() => (some, others),
        _ => (text.trim().to_owned(), prompt.trim().to_owned()),
    };
    text.contains(&prompt) || prompt.contains(&text)
}

/// Whether a text is the prompt, or is the prompt with something around it. Signs and spaces tell no two prompts apart, unless there is
/// nothing else.
fn holds(text: &str, prompt: &str) -> bool {
    let prompt = prompt.trim();
    let same = match words(prompt) {
        none if none.is_empty() => text.trim() == prompt,
        some => words(text) == some,
    };
    !prompt.is_empty() && (same || prompt.len() >= TELLING && text.contains(prompt))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "what is the answer to everything, please? and to what is left?";

    /// A text is filled in, and a click follows. Whether that went to the page.
    fn click_after(call: &mut Allowance, text: &str, prompt: &str) -> bool {
        call.typed(text, [prompt]);
        let may = call.may_send().is_ok();
        if may {
            call.sent();
        }
        may
    }

    #[test]
    fn a_prompt_is_sent_once() {
        let mut call = Allowance::default();
        assert!(click_after(&mut call, "a model's name", LONG), "a filter is no prompt");
        call.typed(&format!("[user] {LONG}"), [LONG]);
        assert!(call.may_send().is_ok());
        // A click that did not reach the page is tried again, with the text filled in anew.
        assert!(click_after(&mut call, LONG, LONG));
        assert!(click_after(&mut call, " ", LONG), "pressing once more sends what the site did not take");
        call.typed(LONG, [LONG]);
        assert!(matches!(call.may_send(), Err(PageError::Other { code: "sent-already", .. })));
    }

    #[test]
    fn nothing_else_is_sent_after_it() {
        for again in ["x", "another model's name", &LONG[..20], &LONG.replace(' ', "\u{200b} ")] {
            let mut call = Allowance::default();
            assert!(click_after(&mut call, LONG, LONG));
            assert!(!click_after(&mut call, again, LONG), "{again}");
            assert!(call.may_send().is_err(), "and not by another click");
        }
        let mut call = Allowance::default();
        assert!(click_after(&mut call, LONG, LONG));
        call.pasted();
        assert!(call.may_send().is_err());
    }

    #[test]
    fn a_prompt_in_pieces_is_the_prompt() {
        let (mut halves, mut with_a_click) = (Allowance::default(), Allowance::default());
        halves.typed(&LONG[..30], [LONG]);
        assert!(click_after(&mut halves, &LONG[30..], LONG));
        assert!(!click_after(&mut halves, &LONG[..30], LONG));

        assert!(click_after(&mut with_a_click, &LONG[..30], LONG));
        assert!(click_after(&mut with_a_click, &LONG[30..], LONG));
        assert!(!click_after(&mut with_a_click, &LONG[..30], LONG), "one text alone may be a filter");

        let mut short = Allowance::default();
        short.typed("h", ["hi"]);
        assert!(click_after(&mut short, "i", "hi"));
        assert!(!click_after(&mut short, "hi", "hi"));
    }

    #[test]
    fn what_looks_for_a_model_sends_nothing() {
        let armed = |text: &str, prompt: &str| {
            let mut call = Allowance::default();
            call.typed(text, [prompt]);
            call.armed()
        };
        assert!(!armed("gpt-5 mini", LONG) && !armed(" ", LONG) && !armed("@", LONG));
        for (text, prompt) in [
            (LONG, LONG),
            (&LONG[..30], LONG),
            (&LONG[30..40], LONG),
            ("User: hi", "hi"),
            ("?", "?!"),
            ("a model", ""),
            (&"x".repeat(65), LONG),
        ] {
            assert!(armed(text, prompt), "{text} {prompt}");
        }

        let mut call = Allowance::default();
        call.typed("a model", [LONG]);
        call.sent();
        call.typed("x", [LONG]);
        assert!(call.armed(), "only one text is a filter");
        call.sent();
        assert!(!call.armed());
    }

    #[test]
    fn files_alone_are_what_is_sent_where_there_is_no_text() {
        for (prompts, armed) in [(&[LONG][..], false), (&[" "], true), (&[LONG, ""], true)] {
            let mut call = Allowance::default();
            call.uploaded(prompts.iter().copied());
            assert_eq!(call.armed(), armed, "{prompts:?}");
        }
    }

    #[test]
    fn what_is_new_in_a_chat_is_a_prompt() {
        let mut call = Allowance::default();
        call.typed("and now?", [LONG, "and now?"]);
        call.sent();
        call.typed("and now?", [LONG, "and now?"]);
        assert!(call.may_send().is_err());
    }

    #[test]
    fn what_is_changed_on_its_way_is_a_prompt() {
        let mut call = Allowance::default();
        call.rewrites();
        assert!(click_after(&mut call, "x", LONG));
        assert!(!click_after(&mut call, "x", LONG));

        let mut call = Allowance::default();
        call.typed("x", [LONG]);
        call.rewrites();
        call.sent();
        assert!(!click_after(&mut call, "x", LONG));
    }

    #[test]
    fn a_short_prompt_within_something_else_is_not_it() {
        let mut call = Allowance::default();
        assert!(click_after(&mut call, "gpt-4o", "4o"));
        assert!(click_after(&mut call, "4o\n", "4o"));
        assert!(!click_after(&mut call, "4o", "4o"));
        for (prompt, text, same) in [("hi", "hi!", true), ("?!", "?!", true), ("?!", "!", false), ("", "", false)] {
            assert_eq!(holds(text, prompt), same, "{prompt} {text}");
        }
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

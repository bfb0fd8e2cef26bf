//! A prompt that is longer than its site takes.
//!
//! Where the site takes text files, what was said before goes up as one, and the last user message is typed, with a sentence that says
//! where the rest is; if that message alone is too long, all of it goes into the file. Nothing is left out, and nothing is cut: what
//! cannot go up so is an error that names the limit.

use std::sync::Arc;

use bytes::Bytes;

use super::{Rendered, ending, heading, render, render_parts};
use crate::chat::{Attachment, Failure, FailureKind, Kind, Request, Role, Turn};

/// The file's name, if no other attachment has it.
const NAME: &str = "prompt.txt";
const MIME_TYPE: &str = "text/plain";

/// What a site takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptLimit {
    /// The longest prompt, in characters.
    pub chars: usize,
    /// Whether the rest of a longer one may go up as a text file.
    pub as_file: bool,
    /// How many files one message takes, and how large each may be, in bytes; none: nobody knows of a bound.
    pub file_count: Option<usize>,
    pub file_bytes: Option<usize>,
}

/// Renders a conversation within what the site takes.
///
/// # Errors
/// [`FailureKind::PromptTooLong`] where it cannot be brought there.
pub fn render_within(request: &Request, kind: Kind, limit: Option<PromptLimit>) -> Result<Rendered, Failure> {
    let rendered = render(request, kind);
    let Some(limit) = limit else { return Ok(rendered) };
    let length = rendered.text.chars().count();
    if length <= limit.chars {
        return Ok(rendered);
    }
    // A description of a picture is no conversation to be read up on.
    let shorter = if limit.as_file && kind == Kind::Text { as_file(&request.turns, rendered, limit) } else { None };
    let too_long = || Failure::new(FailureKind::PromptTooLong { length, limit: limit.chars }, "");
    shorter.ok_or_else(too_long)
}

/// None where it does not fit even so.
fn as_file(turns: &[Turn], rendered: Rendered, limit: PromptLimit) -> Option<Rendered> {
    let name = free_name(&rendered.attachments);
    let split = split(turns, &name).filter(|(typed, _)| typed.chars().count() <= limit.chars);
    let (typed, text) = split.unwrap_or_else(|| {
        (format!("The attached file {name} is my message. Read it, and answer as if it stood here."), rendered.text)
    });
    let fits = typed.chars().count() <= limit.chars
        && limit.file_count.is_none_or(|count| rendered.attachments.len() < count)
        && limit.file_bytes.is_none_or(|bytes| text.len() <= bytes);
    let file = Attachment { name, mime_type: MIME_TYPE.to_owned(), bytes: Bytes::from(text) };
    let mut attachments = rendered.attachments;
    // The last, so that the numbers of the others stay.
    attachments.push(Arc::new(file));
    fits.then_some(Rendered { text: typed, attachments, left_out: false })
}

/// The last user message with the sentence, and all the rest. None where there is no rest or no such message.
fn split(turns: &[Turn], name: &str) -> Option<(String, String)> {
    let last = turns.iter().rposition(|turn| turn.role == Role::User).filter(|_| turns.len() > 1)?;
    let (mut typed, mut file, mut attachments) = (String::new(), String::new(), Vec::new());
    for (at, turn) in turns.iter().enumerate() {
        let body = render_parts(&turn.parts, &mut attachments, true);
        let is_typed = at == last;
        if is_typed {
            typed = match &turn.name {
                Some(_) => format!("{}\n{body}", heading(turn)),
                None => body.clone(),
            };
        }
        if is_typed && at + 1 == turns.len() {
            break;
        }
        if !file.is_empty() {
            file.push_str("\n\n");
        }
        file.push_str(&heading(turn));
        file.push('\n');
        file.push_str(if is_typed { "(This message stands in the prompt.)" } else { &body });
    }
    file.push_str(ending(turns));
    let goes_on = if last + 1 < turns.len() { " and after it" } else { "" };
    typed.push_str(&format!(
        "\n\n(What was said before this message{goes_on}, with all instructions, is in the attached file {name}. Read it first.)"
    ));
    Some((typed, file))
}

fn free_name(attachments: &[Arc<Attachment>]) -> String {
    let is_free = |name: &String| attachments.iter().all(|file| file.name != *name);
    let numbered = (2..=attachments.len() + 1).map(|n| format!("prompt-{n}.txt"));
    std::iter::once(NAME.to_owned()).chain(numbered).find(is_free).unwrap_or_else(|| NAME.to_owned())
}

#[cfg(test)]
mod tests;

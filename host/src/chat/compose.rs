//! Puts an answer together from its pieces, in the client's limits.
//!
//! A site may rewrite its answer ([`Delta::Restart`]). What a client was sent cannot be taken back, so a stream goes on only
//! if the new text begins with all that was sent, and is otherwise ended with [`Rewritten`]. Who waits for the whole answer
//! gets the last version, exactly.

use std::collections::HashMap;

use base64::Engine as _;

use super::images::{Allowed, ImageFilter};
use super::limit::Limiter;
use super::{Citation, Delta, Finish, usage};

/// Different sources of one answer; no site names so many. Further ones are left out.
const MAX_CITATIONS: usize = 1000;

/// A piece to be sent on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Reasoning(String),
}

/// The site took back text that the client already has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the site rewrote its answer after a part of it had been sent")]
pub struct Rewritten;

/// All of one kind of text, and how much of it was handed out.
#[derive(Debug, Default)]
struct Track {
    text: String,
    taken: usize,
    /// What was handed out before the last restart, while the new text has not reached its end.
    before: Option<String>,
}

impl Track {
    fn restart(&mut self) {
        let mut handed_out = self.before.take().unwrap_or_default();
        if handed_out.is_empty() {
            handed_out = std::mem::take(&mut self.text);
            handed_out.truncate(self.taken);
        }
        self.text.clear();
        self.taken = 0;
        self.before = (!handed_out.is_empty()).then_some(handed_out);
    }

    fn take(&mut self) -> Result<Option<String>, Rewritten> {
        if let Some(before) = &self.before {
            if before.starts_with(&self.text) && before.len() > self.text.len() {
                return Ok(None);
            }
            if !self.text.starts_with(before.as_str()) {
                return Err(Rewritten);
            }
            self.taken = before.len();
            self.before = None;
        }
        let new = self.text.get(self.taken..).unwrap_or_default().to_owned();
        self.taken = self.text.len();
        Ok((!new.is_empty()).then_some(new))
    }
}

/// Takes deltas and gives what is to be sent.
#[derive(Debug)]
pub struct Composer {
    fresh: Limiter,
    limit: Limiter,
    text: Track,
    reasoning: Track,
    /// For the text and for the reasoning; none leaves pictures as they are.
    images: Option<(ImageFilter, ImageFilter)>,
    /// The sources, each with its place in the list.
    citations: HashMap<Citation, usize>,
    /// What pictures would count if they were text.
    media_tokens: u64,
}

impl Composer {
    /// `stop` and `max_tokens` as the client gave them; the limit counts text and reasoning.
    pub fn new(stop: &[String], max_tokens: Option<u64>) -> Self {
        let limit = Limiter::new(stop, max_tokens);
        Self {
            fresh: limit.clone(),
            limit,
            text: Track::default(),
            reasoning: Track::default(),
            images: None,
            citations: HashMap::new(),
            media_tokens: 0,
        }
    }

    /// From here on, of pictures that the text names only those that are allowed stay pictures. What the site gave as a file is
    /// shown in any case: it lies in the answer.
    pub fn show_images_of(&mut self, allowed: Allowed) {
        self.images = Some((ImageFilter::new(allowed.clone()), ImageFilter::new(allowed)));
    }

    /// Adds a piece of the answer.
    pub fn push(&mut self, delta: Delta) {
        match delta {
            Delta::Text(text) => self.add_text(&text),
            Delta::Reasoning(text) => {
                let passed = self.limit.count(&text);
                match &mut self.images {
                    Some((_, filter)) => self.reasoning.text.push_str(&filter.push(passed)),
                    None => self.reasoning.text.push_str(passed),
                }
            }
            Delta::Citation(citation) => {
                let place = self.citations.len();
                if place < MAX_CITATIONS {
                    self.citations.entry(citation).or_insert(place);
                }
            }
            Delta::Progress(_) => {}
            Delta::Media { mime_type, bytes } => {
                let data = base64::engine::general_purpose::STANDARD.encode(bytes);
                self.add_media(&mime_type, &format!("data:{mime_type};base64,{data}"));
            }
            Delta::Link { mime_type, url } => self.add_media(&mime_type, &url),
            Delta::Restart => {
                self.limit = self.fresh.clone();
                self.text.restart();
                self.reasoning.restart();
                if let Some((text, reasoning)) = &mut self.images {
                    text.restart();
                    reasoning.restart();
                }
                self.citations.clear();
                self.media_tokens = 0;
            }
        }
    }

    /// The answer is over: releases what was held back and appends the sources.
    pub fn finish(&mut self) {
        let last = self.limit.finish();
        self.write(&last.text);
        if self.limit.ended().is_none() && !self.citations.is_empty() {
            let list = sources(&self.citations);
            self.write(&list);
        }
        if let Some((text, reasoning)) = &mut self.images {
            self.text.text.push_str(&text.finish());
            self.reasoning.text.push_str(&reasoning.finish());
        }
    }

    /// What has come since the last time.
    ///
    /// # Errors
    /// When text that was handed out has been taken back.
    pub fn take(&mut self) -> Result<Vec<Piece>, Rewritten> {
        let reasoning = self.reasoning.take()?.map(Piece::Reasoning);
        let text = self.text.take()?.map(Piece::Text);
        Ok(reasoning.into_iter().chain(text).collect())
    }

    /// Whether text that was handed out is still missing from the new version: at the end of an answer it was taken back.
    pub fn is_behind(&self) -> bool {
        self.text.before.is_some() || self.reasoning.before.is_some()
    }

    /// Set once a limit ended the answer.
    pub fn ended(&self) -> Option<&Finish> {
        self.limit.ended()
    }

    pub fn text(&self) -> &str {
        &self.text.text
    }

    pub fn reasoning(&self) -> &str {
        &self.reasoning.text
    }

    /// Estimated tokens of text and of reasoning. Pictures count nothing.
    pub fn tokens(&self) -> (u64, u64) {
        let text = usage::tokens(&self.text.text).saturating_sub(self.media_tokens);
        (text, usage::tokens(&self.reasoning.text))
    }

    fn add_text(&mut self, text: &str) {
        let passed = self.limit.push(text);
        self.write(&passed.text);
    }

    /// Adds text in which somebody else may have named pictures.
    fn write(&mut self, text: &str) {
        match &mut self.images {
            Some((filter, _)) => self.text.text.push_str(&filter.push(text)),
            None => self.text.text.push_str(text),
        }
    }

    /// A picture is Markdown with its address or a data URI. It is no text: no limit cuts it, or half a picture would be sent.
    fn add_media(&mut self, mime_type: &str, url: &str) {
        if self.limit.ended().is_some() {
            return;
        }
        let held = self.limit.finish();
        self.write(&held.text);
        let text = &mut self.text.text;
        if let Some((filter, _)) = &mut self.images {
            text.push_str(&filter.finish());
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push_str("\n\n");
        }
        let (mark, name) = if mime_type.starts_with("image/") { ("!", "image") } else { ("", "file") };
        let link = format!("{mark}[{name}]({url})\n");
        self.media_tokens += usage::tokens(&link);
        text.push_str(&link);
    }
}

fn sources(citations: &HashMap<Citation, usize>) -> String {
    let mut list = String::from("\n\n");
    let mut citations: Vec<_> = citations.iter().collect();
    citations.sort_unstable_by_key(|(_, place)| **place);
    for (citation, place) in citations {
        let title = if citation.title.trim().is_empty() { &citation.url } else { &citation.title };
        let title = title.replace(['[', ']', '\n', '\r'], " ");
        let url = citation.url.replace(['(', ')', ' ', '\n', '\r', '<', '>'], "");
        list.push_str(&format!("{}. [{}]({url})\n", place + 1, title.trim()));
    }
    list
}

#[cfg(test)]
mod tests;

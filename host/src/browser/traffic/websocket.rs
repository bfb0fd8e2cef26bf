//! One WebSocket that somebody listens to.

use bytes::Bytes;

use super::super::event::{Ending, EventBody, ResponseHead};
use super::rule::{Match, tell};
use super::{Effect, body, headers, wire};

#[derive(Debug)]
pub(super) struct WebSocket {
    pub(super) url: String,
    pub(super) matches: Vec<Match>,
    open: bool,
}

impl WebSocket {
    pub(super) fn new(url: &str, matches: Vec<Match>) -> Self {
        Self { url: url.to_owned(), matches, open: false }
    }

    /// The handshake was answered. Says whether anybody still listens.
    pub(super) fn answered(&mut self, response: &wire::Response<'_>, out: &mut Vec<Effect>) -> bool {
        self.matches.retain(|m| m.rule.wants_answer(response.status, ""));
        self.open = response.status == 101;
        let head = ResponseHead {
            url: self.url.clone(),
            method: "GET".into(),
            status: response.status,
            headers: response.headers.map(headers::clean).unwrap_or_default(),
        };
        tell(&self.matches, &EventBody::Response(head), out);
        !self.matches.is_empty()
    }

    /// A message came; Chromium has put its fragments together.
    pub(super) fn received(&self, message: &wire::Message<'_>, out: &mut Vec<Effect>) -> Result<(), String> {
        let payload = message.payload_data;
        let event = match message.opcode {
            1.0 => EventBody::Text(payload.to_owned()),
            2.0 if payload.is_empty() => EventBody::Binary(Bytes::new()),
            2.0 => EventBody::Binary(body::from_base64(payload)?),
            _ => return Ok(()),
        };
        tell(&self.matches, &event, out);
        Ok(())
    }

    pub(super) fn closed(&self, out: &mut Vec<Effect>) {
        let end = if self.open {
            EventBody::End(Ending::Complete)
        } else {
            EventBody::Failed("the WebSocket was not opened".into())
        };
        tell(&self.matches, &end, out);
    }

    /// Its document or worker went away, which Chromium does not tell of a WebSocket.
    pub(super) fn orphaned(&self, out: &mut Vec<Effect>) {
        // Before its handshake nobody knows whose it was: a stream that was never shown to be the page's own has no end to tell.
        let end = if self.open {
            EventBody::End(Ending::Aborted)
        } else {
            EventBody::Failed("its document went away before the WebSocket was opened".into())
        };
        tell(&self.matches, &end, out);
    }

    pub(super) fn fail(&self, why: &str, out: &mut Vec<Effect>) {
        tell(&self.matches, &EventBody::Failed(why.to_owned()), out);
    }
}

//! A streamed answer: the status line held back for a while, one write per delta, a beat in silence.

use std::convert::Infallible;
use std::fmt::Write as _;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Answer, Events, Manner, Step, headers};
use crate::chat::compose::Piece;
use crate::config::Beat;
use crate::http::ApiError;
use crate::http::context::Streaming;
use crate::http::openai::encode::Encoder;

/// Answers with server-sent events. Until the first piece, or until `hold` has passed, nothing is sent, so that an error has
/// its own status.
pub(in crate::http::openai) async fn stream(
    mut answer: Answer,
    mut events: impl Events,
    manner: Manner,
) -> Result<Response, ApiError> {
    let until = Instant::now() + manner.hold;
    let first = match timeout_at(until, first(&mut answer, &mut events)).await {
        Ok(Step::Failed(error)) => return Err(error),
        Ok(step) => step,
        Err(_) => Step::Pieces(Vec::new()),
    };
    let mut head = headers(&answer, &manner, manner.include_usage);
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    head.insert("x-accel-buffering", HeaderValue::from_static("no"));
    let writer = Writer::new(answer, events, manner, first);
    let body = Body::from_stream(futures::stream::unfold(writer, Writer::next));
    let mut response = (StatusCode::OK, head, body).into_response();
    response.extensions_mut().insert(Streaming);
    Ok(response)
}

/// Waits for something that a client can see.
async fn first(answer: &mut Answer, events: &mut impl Events) -> Step {
    loop {
        match answer.step(events, true).await {
            Step::Pieces(pieces) if pieces.is_empty() => {}
            step => return step,
        }
    }
}

struct Writer<E> {
    answer: Answer,
    encoder: Encoder,
    manner: Manner,
    /// None once the answer is over. Dropping it ends the job.
    events: Option<E>,
    /// What was waiting when the status line went out.
    first: Option<Step>,
    last_write: Instant,
}

impl<E: Events> Writer<E> {
    fn new(answer: Answer, events: E, manner: Manner, first: Step) -> Self {
        let encoder = Encoder::new(answer.header().clone(), manner.style, manner.include_usage);
        Self { answer, encoder, manner, events: Some(events), first: Some(first), last_write: Instant::now() }
    }

    /// The next write: all that one event gave, or a beat.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if let Some(first) = self.first.take() {
            let text = self.encoder.role() + &self.encode(first);
            return Some(self.wrote(text));
        }
        loop {
            let beat_at = self.last_write + self.manner.interval;
            let step = tokio::select! {
                step = self.answer.step(self.events.as_mut()?, true) => step,
                () = sleep_until(beat_at), if self.manner.beat != Beat::Off => {
                    let beat = self.beat();
                    return Some(self.wrote(beat));
                }
            };
            let text = self.encode(step);
            if !text.is_empty() {
                return Some(self.wrote(text));
            }
        }
    }

    fn encode(&mut self, step: Step) -> String {
        match step {
            Step::Pieces(pieces) => self.pieces(pieces),
            Step::Finished(pieces, finish) => {
                self.events = None;
                let mut text = self.pieces(pieces);
                let usage = self.answer.usage(self.manner.prompt_tokens);
                text.push_str(&self.encoder.finish(&finish, usage));
                text.push_str(&self.answer.summary());
                text
            }
            Step::Failed(error) => {
                self.events = None;
                self.encoder.error(&error, self.manner.language)
            }
        }
    }

    fn pieces(&mut self, pieces: Vec<Piece>) -> String {
        let mut text = String::new();
        for piece in pieces {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}", self.encoder.piece(piece));
        }
        text
    }

    fn beat(&self) -> String {
        match self.manner.beat {
            Beat::Content => self.encoder.empty(),
            Beat::Comment | Beat::Off => ": keepalive\n\n".to_owned(),
        }
    }

    fn wrote(mut self, text: String) -> (Result<Bytes, Infallible>, Self) {
        self.last_write = Instant::now();
        (Ok(Bytes::from(text)), self)
    }
}

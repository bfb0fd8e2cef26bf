//! Follows one job: notes what becomes known of it, and puts its deltas together.

use std::time::Duration;

use axum::http::StatusCode;
use futures::StreamExt as _;

use super::Events;
use crate::chat::compose::{Composer, Piece};
use crate::chat::images::Allowed;
use crate::chat::{Failure, FailureKind, Finish, Request, Usage};
use crate::dispatch::{Dispatcher, JobEvent, QueuePlace};
use crate::http::ApiError;
use crate::http::error::words;
use crate::http::openai::encode::Header;
use crate::telemetry::RequestLog;

/// What an event came to.
#[derive(Debug)]
pub(in crate::http::openai) enum Step {
    /// New pieces; none when the event had nothing for the client.
    Pieces(Vec<Piece>),
    /// The last pieces, and why it is over.
    Finished(Vec<Piece>, Finish),
    Failed(ApiError),
}

/// An answer in the making.
#[derive(Debug)]
pub(in crate::http::openai) struct Answer {
    composer: Composer,
    header: Header,
    log: RequestLog,
    /// Knows which pictures an adapter may have shown; none leaves all as they are.
    pictures: Option<Dispatcher>,
    adapter: Option<String>,
    instance: Option<String>,
    queued: Option<Duration>,
    attempts: u32,
    place: QueuePlace,
    submitted: bool,
    has_first: bool,
}

impl Answer {
    pub(in crate::http::openai) fn new(request: &Request, header: Header, log: RequestLog) -> Self {
        Self {
            composer: Composer::new(&request.stop, request.max_tokens),
            header,
            log,
            pictures: None,
            adapter: None,
            instance: None,
            queued: None,
            attempts: 0,
            place: QueuePlace::default(),
            submitted: false,
            has_first: false,
        }
    }

    /// Where its job waits for a page.
    pub(in crate::http::openai) fn waits_at(&mut self, place: QueuePlace) {
        self.place = place;
    }

    /// Of pictures that the text names, only those stay that the adapter at work declares.
    pub(in crate::http::openai) fn with_declared_pictures(mut self, dispatcher: Dispatcher) -> Self {
        self.composer.show_images_of(Allowed::default());
        self.pictures = Some(dispatcher);
        self
    }

    /// Waits for the next event. `streaming` hands pieces out as they come, and so binds the answer to them. Nothing is lost
    /// if this is dropped while it waits.
    pub(in crate::http::openai) async fn step(&mut self, events: &mut impl Events, streaming: bool) -> Step {
        let step = match events.next().await {
            Some(JobEvent::Started { adapter, instance, queued, attempts }) => {
                self.started(adapter, instance, queued);
                self.attempts = attempts;
                Step::Pieces(Vec::new())
            }
            Some(JobEvent::Submitted) => {
                self.submitted = true;
                self.log.note(|entry| entry.submitted = Some(entry.began.elapsed()));
                Step::Pieces(Vec::new())
            }
            Some(JobEvent::Delta(delta)) => {
                if !self.has_first {
                    self.has_first = true;
                    self.log.note(|entry| entry.first = Some(entry.began.elapsed()));
                }
                self.composer.push(delta);
                match self.composer.ended().cloned() {
                    Some(finish) => self.finished(finish, streaming),
                    None if streaming => self.composer.take().map_or_else(|_| self.rewritten(), Step::Pieces),
                    None => Step::Pieces(Vec::new()),
                }
            }
            Some(JobEvent::Done(outcome)) => self.finished(outcome.finish, streaming),
            // After its first piece, a blocked answer is one that was cut off.
            Some(JobEvent::Failed(failure)) if self.has_first && failure.kind == FailureKind::ContentBlocked => {
                self.finished(Finish::ContentFilter, streaming)
            }
            Some(JobEvent::Failed(failure)) => self.failed(failure),
            None => self.lost(),
        };
        self.note(&step);
        step
    }

    fn started(&mut self, adapter: String, instance: String, queued: Duration) {
        if let Some(dispatcher) = &self.pictures {
            let id = adapter.split('@').next().unwrap_or_default();
            let hosts = dispatcher.adapters().get(id).map(|adapter| adapter.manifest.picture_hosts());
            let hosts = hosts.unwrap_or_default();
            self.composer.show_images_of(Allowed::new(hosts.iter().map(String::as_str)));
        }
        self.log.note(|entry| {
            entry.adapter = Some(adapter.clone());
            entry.instance = Some(instance.clone());
            entry.queued = Some(queued);
        });
        (self.adapter, self.instance, self.queued) = (Some(adapter), Some(instance), Some(queued));
    }

    fn finished(&mut self, finish: Finish, streaming: bool) -> Step {
        self.composer.finish();
        let finish = self.composer.ended().cloned().unwrap_or(finish);
        if !streaming {
            return Step::Finished(Vec::new(), finish);
        }
        match self.composer.take() {
            Ok(pieces) if !self.composer.is_behind() => Step::Finished(pieces, finish),
            _ => self.rewritten(),
        }
    }

    fn failed(&self, failure: Failure) -> Step {
        let submitted = failure.submitted || self.submitted;
        let error = ApiError::from(&Failure { submitted, ..failure });
        Step::Failed(ApiError { attempts: self.attempts, ..error })
    }

    /// The job ended without a last word.
    fn lost(&self) -> Step {
        let error = ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", words::lost());
        Step::Failed(error.sealed(self.submitted))
    }

    fn rewritten(&self) -> Step {
        let error = ApiError::new(StatusCode::BAD_GATEWAY, "answer_rewritten", words::rewritten());
        Step::Failed(ApiError { submitted: true, ..error })
    }

    fn note(&self, step: &Step) {
        let outcome = match step {
            Step::Pieces(_) => return,
            Step::Finished(_, Finish::Stop | Finish::Other(_)) => "ok".to_owned(),
            Step::Finished(_, Finish::Length) => "length".to_owned(),
            Step::Finished(_, Finish::ContentFilter) => "content_filter".to_owned(),
            Step::Failed(error) => error.code.clone(),
        };
        let (text, reasoning) = self.composer.tokens();
        self.log.note(|entry| {
            entry.outcome = Some(outcome);
            entry.tokens = text + reasoning;
        });
    }

    pub(in crate::http::openai) fn usage(&self, prompt_tokens: u64) -> Usage {
        let (completion_tokens, reasoning_tokens) = self.composer.tokens();
        Usage { prompt_tokens, completion_tokens, reasoning_tokens }
    }

    pub(in crate::http::openai) fn header(&self) -> &Header {
        &self.header
    }

    pub(in crate::http::openai) fn text(&self) -> &str {
        self.composer.text()
    }

    pub(in crate::http::openai) fn reasoning(&self) -> &str {
        self.composer.reasoning()
    }

    pub(super) fn adapter(&self) -> Option<&str> {
        self.adapter.as_deref()
    }

    pub(super) fn instance(&self) -> Option<&str> {
        self.instance.as_deref()
    }

    /// How often the request has been dispatched.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Its place in the queue, while it waits there.
    pub(super) fn position(&self) -> Option<usize> {
        self.place.position()
    }

    pub(super) fn queued(&self) -> Option<Duration> {
        self.queued
    }

    /// The last line of a stream: what was not known yet when the headers went out.
    pub(super) fn summary(&self) -> String {
        let mut line = String::from(": webai");
        let mut add = |name: &str, value: Option<Duration>| {
            if let Some(value) = value {
                line.push_str(&format!(" {name}={}", value.as_millis()));
            }
        };
        let (mut submitted, mut first, mut total) = (None, None, None);
        self.log.note(|entry| {
            (submitted, first, total) = (entry.submitted, entry.first, Some(entry.began.elapsed()));
        });
        add("queue_ms", self.queued);
        add("submit_ms", submitted);
        add("first_ms", first);
        add("total_ms", total);
        line.push_str("\n\n");
        line
    }
}

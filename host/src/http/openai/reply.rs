//! From a job's events to a response, streamed or whole.

mod answer;
mod stream;

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::Stream;
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

pub(super) use answer::{Answer, Step};
pub(super) use stream::stream;

use super::encode::completion;
use super::envelope;
use crate::chat::Finish;
use crate::config::{Beat, NonStreamBeat, Reasoning};
use crate::dispatch::JobEvent;
use crate::http::context::Streaming;
use crate::http::{ApiError, Language};

/// How this client wants its answer.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    pub(super) language: Language,
    pub(super) style: Reasoning,
    pub(super) include_usage: bool,
    /// For `x-webai-ignored`.
    pub(super) ignored: String,
    /// For `x-webai-warning`; a header's value is in English.
    pub(super) warning: Option<&'static str>,
    pub(super) prompt_tokens: u64,
    /// What the host spent before the job was in the queue.
    pub(super) overhead: Duration,
    pub(super) beat: Beat,
    pub(super) interval: Duration,
    pub(super) hold: Duration,
    pub(super) non_stream_beat: NonStreamBeat,
}

/// Any source of a job's events; dropping it cancels the job.
pub(super) trait Events: Stream<Item = JobEvent> + Send + Unpin + 'static {}

impl<S: Stream<Item = JobEvent> + Send + Unpin + 'static> Events for S {}

/// When a request that does not stream begins to get spaces, if they are on: gateways cut silent ones after about a minute.
const QUIET: Duration = Duration::from_secs(45);

/// Answers with one JSON object.
pub(super) async fn whole(mut answer: Answer, mut events: impl Events, manner: Manner) -> Result<Response, ApiError> {
    if manner.non_stream_beat == NonStreamBeat::Off {
        let value = collect(&mut answer, &mut events, &manner).await?;
        return Ok((headers(&answer, &manner, true), Json(value)).into_response());
    }
    if let Ok(done) = tokio::time::timeout(QUIET, collect(&mut answer, &mut events, &manner)).await {
        return Ok((headers(&answer, &manner, true), Json(done?)).into_response());
    }
    Ok(spaced(answer, events, manner))
}

/// 200 at once and a space now and then; a later error is a JSON body all the same.
fn spaced(answer: Answer, events: impl Events, manner: Manner) -> Response {
    let mut head = headers(&answer, &manner, true);
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let next_space = Instant::now();
    let state = Some((answer, events, manner, next_space));
    let body = futures::stream::unfold(state, |state| async move {
        let (mut answer, mut events, manner, next_space) = state?;
        let written = tokio::select! {
            done = collect(&mut answer, &mut events, &manner) => done.unwrap_or_else(|error| envelope(&error, manner.language)).to_string(),
            () = sleep_until(next_space) => {
                let next_space = next_space + manner.interval;
                return Some((space(), Some((answer, events, manner, next_space))));
            }
        };
        Some((Ok(Bytes::from(written)), None))
    });
    let mut response = (StatusCode::OK, head, Body::from_stream(body)).into_response();
    response.extensions_mut().insert(Streaming);
    response
}

fn space() -> Result<Bytes, Infallible> {
    Ok(Bytes::from_static(b" "))
}

/// Waits for the end of the answer.
async fn collect(answer: &mut Answer, events: &mut impl Events, manner: &Manner) -> Result<Value, ApiError> {
    loop {
        match answer.step(events, false).await {
            Step::Pieces(_) => {}
            Step::Finished(_, finish) => return Ok(encode(answer, &finish, manner)),
            Step::Failed(error) => return Err(error),
        }
    }
}

fn encode(answer: &Answer, finish: &Finish, manner: &Manner) -> Value {
    let usage = answer.usage(manner.prompt_tokens);
    completion(answer.header(), manner.style, answer.text(), answer.reasoning(), finish, usage)
}

/// What is known when the status line goes out.
fn headers(answer: &Answer, manner: &Manner, has_usage: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("x-webai-overhead-ms", &manner.overhead.as_millis().to_string());
    if let Some(adapter) = answer.adapter() {
        set("x-webai-adapter", adapter);
    }
    if let Some(instance) = answer.instance() {
        set("x-webai-instance", instance);
    }
    if let Some(queued) = answer.queued() {
        set("x-webai-queue-ms", &queued.as_millis().to_string());
    }
    match answer.position() {
        Some(position) => set("x-webai-queue-position", &position.to_string()),
        None if answer.attempts() > 0 => set("x-webai-attempts", &answer.attempts().to_string()),
        None => {}
    }
    if !manner.ignored.is_empty() {
        set("x-webai-ignored", &manner.ignored);
    }
    if let Some(warning) = manner.warning {
        set("x-webai-warning", warning);
    }
    if has_usage {
        set("x-usage-estimated", "1");
    }
    set("cache-control", "no-cache");
    headers
}

#[cfg(test)]
mod tests;

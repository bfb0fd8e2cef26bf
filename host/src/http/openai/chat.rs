//! `POST /v1/chat/completions`: from the request to a job, and from the job to a response.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use futures::StreamExt as _;
use futures::stream::unfold;
use sha2::{Digest as _, Sha256};

use super::decode::{DecodeLimits, Draft, Remote, decode};
use super::encode::Header;
use super::reply::{self, Answer, Manner};
use crate::chat::{Attachment, Failure, Fingerprint, Request, prompt, usage};
use crate::config::{Images, Reasoning};
use crate::dispatch::JobEvent;
use crate::http::body::read_json;
use crate::http::context::Context;
use crate::http::error::words;
use crate::http::links::Links;
use crate::http::media::{MediaLimits, check_picture};
use crate::http::{ApiError, Caller, Edge, Text};
use crate::telemetry::metrics::{self, Added};

/// Decoding a body of this size takes no time worth a thread of its own.
const SMALL: usize = 128 * 1024;

pub(in crate::http) async fn completions(
    State(edge): State<Arc<Edge>>,
    Extension(context): Extension<Context>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    edge.takes_work()?;
    let style = reasoning_style(&headers, edge.server.reasoning)?;
    let links = Links::wanted(&edge, &headers)?;
    let body = read_json(&headers, body, &edge.limits).await?;
    let fingerprint = fingerprint(&caller, &headers, &body);
    let origin = Origin { caller: caller.name, temporary: new_chat(&headers)?, fingerprint };
    let media = MediaLimits { bytes: edge.limits.image_bytes, pixels: edge.limits.image_pixels };
    let limits = DecodeLimits { attachments: edge.queue.image_limit, media };
    let draft = if body.len() <= SMALL {
        decode(&body, limits)?
    } else {
        tokio::task::spawn_blocking(move || decode(&body, limits)).await.map_err(|_| internal())??
    };
    context.log.note(|entry| {
        entry.model = Some(draft.model.chars().take(100).collect());
        entry.stream = draft.stream;
    });
    let fetched = fetch(&edge, draft.remotes(), media).await?;
    answer(&edge, &context, draft, fetched, (style, links), origin).await
}

/// What a request's headers say of it.
struct Origin {
    caller: String,
    temporary: Option<bool>,
    fingerprint: Fingerprint,
}

/// `x-webai-conversation: new` keeps a request out of the chats of others, and out of the account's history where the site can do that.
fn new_chat(headers: &HeaderMap) -> Result<Option<bool>, ApiError> {
    match headers.get("x-webai-conversation").map(|value| value.to_str()) {
        None | Some(Ok("auto")) => Ok(None),
        Some(Ok("new")) => Ok(Some(true)),
        Some(_) => {
            let message = words::wrong_header("x-webai-conversation", "auto, new");
            Err(ApiError::invalid("x-webai-conversation", message))
        }
    }
}

/// What makes a request the same for a retry: its caller, and its `Idempotency-Key` or else its body. The SDKs of OpenAI and
/// Anthropic count their own retries in a header.
fn fingerprint(caller: &Caller, headers: &HeaderMap, body: &[u8]) -> Fingerprint {
    let asked: [u8; 32] = Sha256::digest(body).into();
    let key = headers.get("idempotency-key");
    let (kind, what) = key.map_or((0, asked.as_slice()), |key| (1, key.as_bytes()));
    let hash = Sha256::new().chain_update(caller.name.as_bytes()).chain_update([kind]).chain_update(what);
    let retries = headers.get("x-stainless-retry-count").and_then(|count| count.to_str().ok()?.parse::<u32>().ok());
    let again = key.is_some() || retries.is_some_and(|count| count > 0);
    Fingerprint { hash: hash.finalize().into(), body: asked, again }
}

async fn answer(
    edge: &Edge,
    context: &Context,
    draft: Draft,
    fetched: Vec<Attachment>,
    (style, links): (Reasoning, Option<Links>),
    origin: Origin,
) -> Result<Response, ApiError> {
    let (stream, include_usage, ignored) = (draft.stream, draft.include_usage, draft.ignored.join(", "));
    let request = draft.into_request(context.id.clone(), fetched);
    let Origin { caller, temporary, fingerprint } = origin;
    let request = Request { caller, temporary, fingerprint: Some(fingerprint), ..request };
    let mut answer = Answer::new(&request, completion_header(&request), context.log.clone());
    if edge.server.images == Images::Declared {
        answer = answer.with_declared_pictures(edge.dispatcher.clone());
    }
    // A model that is not there is told by `submit`.
    let kind = edge.dispatcher.kind(&request.model).await;
    context.log.note(|entry| entry.model_known = kind.is_some());
    let kind = kind.unwrap_or_default();
    let rendered = prompt::render(&request, kind);
    let prompt_tokens = usage::tokens(&rendered.text);
    let warning = rendered.left_out.then_some("earlier messages were not sent to an image model");
    let job = edge.dispatcher.submit(request).await.map_err(|failure: Failure| ApiError::from(&failure))?;
    let overhead = context.log.began().elapsed();
    metrics::added_latency(Added::Accept, overhead);
    answer.waits_at(job.place());
    let events = unfold(job, |mut job| async move { job.next().await.map(|event| (event, job)) });
    let events = events.then(move |event| shelved(links.clone(), event)).boxed();
    let manner = Manner {
        language: context.language,
        style,
        include_usage,
        ignored,
        warning,
        prompt_tokens,
        overhead,
        beat: edge.server.beat,
        interval: edge.server.beat_interval,
        hold: edge.server.hold_status,
        non_stream_beat: edge.server.non_stream_beat,
    };
    if stream { reply::stream(answer, events, manner).await } else { reply::whole(answer, events, manner).await }
}

async fn shelved(links: Option<Links>, event: JobEvent) -> JobEvent {
    match links {
        Some(links) => links.shelve(event).await,
        None => event,
    }
}

fn completion_header(request: &Request) -> Header {
    Header {
        id: format!("chatcmpl-{}", request.id.trim_start_matches("req_")),
        created: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        model: request.model.clone(),
    }
}

fn reasoning_style(headers: &HeaderMap, default: Reasoning) -> Result<Reasoning, ApiError> {
    let Some(value) = headers.get("x-webai-reasoning") else { return Ok(default) };
    value.to_str().ok().and_then(Reasoning::parse).ok_or_else(|| {
        let message = words::wrong_header("x-webai-reasoning", "reasoning_content, reasoning, think, none");
        ApiError::invalid("x-webai-reasoning", message)
    })
}

async fn fetch(edge: &Edge, remotes: Vec<Remote>, media: MediaLimits) -> Result<Vec<Attachment>, ApiError> {
    let one = |(index, remote): (usize, Remote)| async move {
        let wrong = |reason: Text| ApiError::invalid(&remote.param, words::wrong(&remote.param, reason));
        let bytes = edge.fetcher.fetch(&remote.url).await.map_err(|error| wrong(error.text()))?;
        let picture = check_picture(&bytes, media).map_err(|error| wrong(error.0))?;
        let name = format!("linked-image-{}.{}", index + 1, picture.extension);
        Ok(Attachment { name, mime_type: picture.mime_type.to_owned(), bytes })
    };
    futures::future::try_join_all(remotes.into_iter().enumerate().map(one)).await
}

fn internal() -> ApiError {
    ApiError::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "internal_error", words::unreadable())
}

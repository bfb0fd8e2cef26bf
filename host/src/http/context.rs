//! What every request has: an id, an entry in the log, and the address that it came from.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{self, Poll};

use axum::Json;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use serde_json::Value;
use tracing::{Instrument as _, Span};

use super::{ApiError, Language};
use crate::telemetry::{RequestLog, log};

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The client's end of the connection. Headers that claim another address are not believed: anyone can write them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// The id of a request, the language of who sent it, and its place in the log.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) id: String,
    pub(super) language: Language,
    pub(super) log: RequestLog,
}

/// On a response: the error that it tells, and how its dialect writes one. Its body is in English until here, where the
/// client's language is known.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) error: ApiError,
    pub(super) envelope: fn(&ApiError, Language) -> Value,
}

/// On a response: its body is still being made, and notes the outcome itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streaming;

const QUIET: &[&str] = &["/", "/healthz", "/readyz", "/metrics"];

/// Outermost of all: gives the id and the span that carries it, and writes the log line when all is over.
pub(super) async fn observe(request: Request, next: Next) -> Response {
    let id = format!("req_{}", uuid::Uuid::now_v7().simple());
    let span = log::request_span(&id);
    let response = respond(request, next, id, span.clone()).instrument(span.clone()).await;
    // A body that is still being made belongs to its request, too.
    let streaming = response.extensions().get::<Streaming>().is_some();
    if streaming { response.map(|body| Body::new(Traced { body, span })) } else { response }
}

async fn respond(mut request: Request, next: Next, id: String, span: Span) -> Response {
    let path = request.uri().path().to_owned();
    let quiet = QUIET.contains(&path.as_str());
    // The path is the client's text: no longer than a log line should be.
    let path: String = path.chars().take(200).collect();
    let language = Language::of(request.headers());
    let log = RequestLog::new(request.method().to_string(), path, span);
    let route = request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned());
    log.note(|entry| (entry.quiet, entry.route) = (quiet, route));
    request.extensions_mut().insert(Context { id: id.clone(), language, log: log.clone() });
    let mut response = next.run(request).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let status = response.status();
    let streaming = response.extensions().get::<Streaming>().is_some();
    let code = response.extensions_mut().remove::<Refusal>().map(|refusal| {
        translate(&mut response, &refusal, language);
        refusal.error.code
    });
    log.note(|entry| {
        entry.status = status.as_u16();
        if !streaming {
            entry.outcome = Some(code.unwrap_or_else(|| if status.as_u16() < 400 { "ok" } else { "error" }.to_owned()));
        }
    });
    response
}

/// Says an error in the client's language.
fn translate(response: &mut Response, refusal: &Refusal, language: Language) {
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-language"));
    if language != Language::English {
        let body = Json((refusal.envelope)(&refusal.error, language)).into_response().into_body();
        *response.body_mut() = body;
        // It was the English text's.
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
}

/// A body that is polled within a request's span.
#[derive(Debug)]
struct Traced {
    body: Body,
    span: Span,
}

impl HttpBody for Traced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let _in = this.span.enter();
        Pin::new(&mut this.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

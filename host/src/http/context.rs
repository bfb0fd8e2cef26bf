//! What every request has: an id, an entry in the log, and the address that it came from.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::{ApiError, Language};
use crate::telemetry::RequestLog;

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

const QUIET: &[&str] = &["/", "/healthz", "/readyz"];

/// Outermost of all: gives the id, and writes the log line when all is over.
pub(super) async fn observe(mut request: Request, next: Next) -> Response {
    let id = format!("req_{}", uuid::Uuid::now_v7().simple());
    let path = request.uri().path().to_owned();
    let quiet = QUIET.contains(&path.as_str());
    // The path is the client's text: no longer than a log line should be.
    let path: String = path.chars().take(200).collect();
    let language = Language::of(request.headers());
    let log = RequestLog::new(id.clone(), request.method().to_string(), path);
    log.note(|entry| entry.quiet = quiet);
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

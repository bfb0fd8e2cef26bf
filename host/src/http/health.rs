//! Probes for those who run the program.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Edge;
use crate::dispatch::Health;

/// The state as one word, and its reason.
pub(super) fn describe(health: &Health) -> (&'static str, Option<&str>) {
    match health {
        Health::Starting => ("starting", None),
        Health::Ready => ("ready", None),
        Health::Degraded(reason) => ("degraded", Some(reason)),
        Health::Failed(reason) => ("failed", Some(reason)),
        Health::Draining => ("draining", None),
    }
}

/// The process is alive.
pub(super) async fn healthz(State(edge): State<Arc<Edge>>) -> Response {
    answer(StatusCode::OK, &edge.dispatcher.health())
}

/// Requests can be answered.
pub(super) async fn readyz(State(edge): State<Arc<Edge>>) -> Response {
    let health = edge.dispatcher.health();
    let ready = matches!(health, Health::Ready | Health::Degraded(_));
    answer(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &health)
}

fn answer(status: StatusCode, health: &Health) -> Response {
    let (state, reason) = describe(health);
    let mut response = (status, Json(json!({ "status": state, "reason": reason }))).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("2"));
    }
    response
}

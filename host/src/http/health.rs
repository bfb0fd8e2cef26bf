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
    answer(StatusCode::OK, &edge.health())
}

/// Requests can be answered.
pub(super) async fn readyz(State(edge): State<Arc<Edge>>) -> Response {
    let health = edge.health();
    let ready = matches!(health, Health::Ready | Health::Degraded(_));
    answer(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &health)
}

fn answer(status: StatusCode, health: &Health) -> Response {
    let (state, reason) = describe(health);
    let reason = reason.or(match health {
        Health::Starting => Some("the browser or the adapters are not up yet"),
        Health::Draining => Some("the server is being stopped"),
        Health::Ready | Health::Degraded(_) | Health::Failed(_) => None,
    });
    let mut response = (status, Json(json!({ "status": state, "reason": reason }))).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("2"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn whatever_is_not_ready_has_its_reason() {
        for (health, state, reason) in [
            (Health::Starting, "starting", true),
            (Health::Ready, "ready", false),
            (Health::Degraded("slow".into()), "degraded", true),
            (Health::Failed("no Chromium".into()), "failed", true),
            (Health::Draining, "draining", true),
        ] {
            let response = answer(StatusCode::SERVICE_UNAVAILABLE, &health);
            assert_eq!(response.headers()["retry-after"], "2");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((body["status"].as_str(), body["reason"].is_string()), (Some(state), reason), "{body}");
        }
    }
}

//! `/metrics`: for Prometheus. Models, accounts and routes are named there, so that it needs a key unless the operator opens it.

use std::sync::Arc;

use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::words;
use super::{ApiError, Caller, Edge};
use crate::telemetry::metrics::Exposition;

/// Any key opens it: a scraper is not to be given the admin's.
pub(super) async fn metrics(State(edge): State<Arc<Edge>>, request: Request) -> Result<Response, ApiError> {
    if !edge.server.open_metrics {
        let (mut parts, _) = request.into_parts();
        Caller::from_request_parts(&mut parts, &edge).await?;
    }
    let Some(exposition) = &edge.watched.metrics else {
        return Err(ApiError::new(StatusCode::NOT_FOUND, "not_found", words::no_metrics()));
    };
    let headers = [(header::CONTENT_TYPE, Exposition::CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, exposition.render()).into_response())
}

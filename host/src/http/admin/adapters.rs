//! `/admin/api/adapters`: what there is, and what the operator does with it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Admin;
use crate::http::body::{read_bytes, read_json};
use crate::http::error::words;
use crate::http::{ApiError, Edge};
use crate::plugin::{Change, ChangeError, MAX_SIZE};

/// Lines of a log that are given at once.
const LINES: usize = 1000;
/// How long a request for new lines may wait for one.
const WAIT_MAX: u64 = 30;
/// The longest body of an order.
const ORDER_MAX: usize = 4096;

pub(super) async fn list(State(edge): State<Arc<Edge>>, _: Admin) -> Json<Value> {
    let registry = edge.dispatcher.adapters();
    Json(json!({ "adapters": registry.list(), "broken": registry.broken() }))
}

pub(super) async fn one(State(edge): State<Arc<Edge>>, _: Admin, Path(id): Path<String>) -> Result<Response, ApiError> {
    entry(&edge, &id, StatusCode::OK)
}

/// Puts a file into the operator's folder. It serves only once what it asks for is approved.
pub(super) async fn install(
    State(edge): State<Arc<Edge>>,
    _: Admin,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    pace(&edge)?;
    let Some(_turn) = edge.pace.upload() else { return Err(too_many(Duration::from_secs(1))) };
    let file = read_bytes(&headers, body, MAX_SIZE, edge.limits.body_timeout).await?;
    let id = order(&edge, Change::Install { file: file.to_vec() }).await?;
    entry(&edge, &id, StatusCode::CREATED)
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Approval {
    sha256: Option<String>,
}

pub(super) async fn approve(
    State(edge): State<Arc<Edge>>,
    _: Admin,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let Approval { sha256 } = options(&edge, &headers, body).await?;
    changed(&edge, Change::Approve { id, sha256 }).await
}

pub(super) async fn disable(
    State(edge): State<Arc<Edge>>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    changed(&edge, Change::Disable { id }).await
}

pub(super) async fn enable(
    State(edge): State<Arc<Edge>>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    changed(&edge, Change::Enable { id }).await
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Rollback {
    to: Option<String>,
}

pub(super) async fn rollback(
    State(edge): State<Arc<Edge>>,
    _: Admin,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let Rollback { to } = options(&edge, &headers, body).await?;
    changed(&edge, Change::Rollback { id, to }).await
}

/// What is left of the adapter: a bundled version, if there is one.
pub(super) async fn remove(
    State(edge): State<Arc<Edge>>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    pace(&edge)?;
    let id = order(&edge, Change::Remove { id }).await?;
    let left = edge.dispatcher.adapters().entry(&id);
    Ok(Json(json!({ "removed": id, "adapter": left })).into_response())
}

#[derive(Deserialize)]
pub(super) struct LogQuery {
    /// Only lines after this number.
    #[serde(default)]
    after: u64,
    /// At most so many, the newest.
    #[serde(default = "lines")]
    lines: usize,
    /// Seconds to wait for a line if there is none.
    #[serde(default)]
    wait: u64,
}

fn lines() -> usize {
    200
}

pub(super) async fn logs(
    State(edge): State<Arc<Edge>>,
    _: Admin,
    Path(id): Path<String>,
    query: Result<Query<LogQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Ok(Query(query)) = query else { return Err(ApiError::invalid("lines", words::log_query())) };
    let registry = edge.dispatcher.adapters();
    let Some(log) = registry.log(&id) else {
        // Known and never loaded: it has said nothing.
        registry.entry(&id).ok_or_else(|| unknown(&id))?;
        return Ok(Json(json!({ "lines": [] })));
    };
    let wait = Duration::from_secs(query.wait.min(WAIT_MAX));
    // Late or not, the answer is what there is.
    let _ = tokio::time::timeout(wait, log.wait_after(query.after)).await;
    Ok(Json(json!({ "lines": log.after(query.after, query.lines.min(LINES)) })))
}

/// The options of an order: an empty body has none.
async fn options<T: DeserializeOwned + Default>(edge: &Edge, headers: &HeaderMap, body: Body) -> Result<T, ApiError> {
    let limits = crate::config::Limits { body: ORDER_MAX, ..edge.limits };
    let body = read_json(headers, body, &limits).await?;
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&body)
        .map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", words::body_not_json(error)))
}

async fn changed(edge: &Edge, change: Change) -> Result<Response, ApiError> {
    pace(edge)?;
    let id = order(edge, change).await?;
    entry(edge, &id, StatusCode::OK)
}

async fn order(edge: &Edge, change: Change) -> Result<String, ApiError> {
    edge.dispatcher.adapters().change(change).await.map_err(|error| refusal(&error))
}

fn entry(edge: &Edge, id: &str, status: StatusCode) -> Result<Response, ApiError> {
    let entry = edge.dispatcher.adapters().entry(id).ok_or_else(|| unknown(id))?;
    Ok((status, Json(entry)).into_response())
}

fn unknown(id: &str) -> ApiError {
    refusal(&ChangeError::Unknown(id.chars().take(100).collect()))
}

fn pace(edge: &Edge) -> Result<(), ApiError> {
    edge.pace.take().map_err(too_many)
}

fn too_many(after: Duration) -> ApiError {
    let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_changes", words::too_many_changes());
    ApiError { retry_after: Some(after), ..error }
}

fn refusal(error: &ChangeError) -> ApiError {
    use ChangeError as E;
    let (status, code) = match error {
        E::Unknown(_) => (StatusCode::NOT_FOUND, "adapter_not_found"),
        E::NothingPending(_) => (StatusCode::CONFLICT, "nothing_pending"),
        E::OtherFile { .. } => (StatusCode::CONFLICT, "other_file"),
        E::Bundled(_) => (StatusCode::CONFLICT, "adapter_bundled"),
        E::ByConfiguration(_) => (StatusCode::CONFLICT, "adapter_disabled"),
        E::NoEarlier(_) | E::NoSuchVersion { .. } => (StatusCode::CONFLICT, "no_such_version"),
        E::Older { .. } => (StatusCode::CONFLICT, "older_version"),
        E::Package(_) => (StatusCode::BAD_REQUEST, "invalid_adapter"),
        E::NoFolder | E::File { .. } | E::Lock(_) | E::Ended => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
    };
    ApiError::new(status, code, words::adapter_change(error))
}

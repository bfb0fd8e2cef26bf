//! `/admin/api/requests` and `/admin/api/statistics`: what was asked, and how it went.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Admin;
use crate::http::error::words;
use crate::http::{ApiError, Edge};
use crate::store::{DatabaseError, DatabaseState, RequestQuery, StoredRequest};

/// Requests that are given at once.
const LIMIT: usize = 50;
const LIMIT_MAX: usize = 500;
const DAYS: u32 = 30;
const DAYS_MAX: u32 = 400;

#[derive(Deserialize)]
pub(in crate::http) struct ListQuery {
    limit: Option<usize>,
    /// The number after which the last answer ended.
    before: Option<i64>,
    model: Option<String>,
    outcome: Option<String>,
    instance: Option<String>,
}

pub(super) async fn list(
    State(edge): State<Arc<Edge>>,
    _: Admin,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Ok(Query(query)) = query else { return Err(ApiError::invalid("limit", words::requests_query())) };
    let limit = query.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let ListQuery { before, model, outcome, instance, .. } = query;
    let requests = edge.kept.database.requests(RequestQuery { limit, before, model, outcome, instance }).await;
    let requests = requests.map_err(|error| unavailable(&error))?;
    let next = requests.last().filter(|_| requests.len() == limit).map(|last| last.number);
    Ok(Json(json!({ "requests": requests, "next": next, "history": state(&edge) })))
}

pub(super) async fn one(
    State(edge): State<Arc<Edge>>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<Json<StoredRequest>, ApiError> {
    let found = edge.kept.database.request(&id).await.map_err(|error| unavailable(&error))?;
    found.map(Json).ok_or_else(unknown)
}

pub(super) async fn delete(
    State(edge): State<Arc<Edge>>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let deleted = edge.kept.database.delete_request(&id).await.map_err(|error| unavailable(&error))?;
    if deleted { Ok(Json(json!({ "deleted": 1 }))) } else { Err(unknown()) }
}

pub(super) async fn delete_all(State(edge): State<Arc<Edge>>, _: Admin) -> Result<Json<Value>, ApiError> {
    let deleted = edge.kept.database.delete_requests().await.map_err(|error| unavailable(&error))?;
    Ok(Json(json!({ "deleted": deleted })))
}

#[derive(Deserialize)]
pub(in crate::http) struct DaysQuery {
    days: Option<u32>,
}

pub(super) async fn statistics(
    State(edge): State<Arc<Edge>>,
    _: Admin,
    query: Result<Query<DaysQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Ok(Query(query)) = query else { return Err(ApiError::invalid("days", words::statistics_query())) };
    let days = query.days.unwrap_or(DAYS).clamp(1, DAYS_MAX);
    let rows = edge.kept.database.statistics(days).await.map_err(|error| unavailable(&error))?;
    Ok(Json(json!({ "days": days, "rows": rows })))
}

/// How the history itself fares.
fn state(edge: &Edge) -> Value {
    let (state, reason) = match edge.kept.database.state() {
        DatabaseState::Opening => ("opening", None),
        DatabaseState::Open => ("open", None),
        DatabaseState::Closed(reason) => ("closed", Some(reason)),
        DatabaseState::Refused(reason) => ("refused", Some(reason)),
    };
    let counts = edge.kept.database.counts();
    json!({
        "state": state,
        "reason": reason,
        "written": counts.written,
        "failed": counts.failed,
        "dropped": counts.dropped,
    })
}

fn unknown() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "request_not_found", words::request_not_found())
}

fn unavailable(error: &DatabaseError) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "history_unavailable", words::history_unavailable(error))
}

//! `/admin/api/pool`: who waits, who works, and what is known of the accounts.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Admin;
use crate::http::error::words;
use crate::http::{ApiError, Edge};

pub(super) async fn show(State(edge): State<Arc<Edge>>, _: Admin) -> Json<Value> {
    let queue = edge.dispatcher.queue();
    let waiting = queue.waiting.iter().map(|one| {
        json!({
            "id": one.id,
            "model": one.model,
            "key": one.caller,
            "position": one.position,
            "waited_ms": one.waited.as_millis() as u64,
        })
    });
    let running = queue.running.iter().map(|one| {
        json!({
            "id": one.id,
            "instance": one.instance,
            "worker": one.worker,
            "adapter": one.adapter,
            "since_ms": one.since.as_millis() as u64,
        })
    });
    let workers = edge.dispatcher.workers();
    let workers = workers.iter().map(|one| {
        json!({
            "instance": one.instance,
            "name": one.name,
            "adapters": one.adapters,
            "leased": one.is_leased,
            "shows": one.shows,
        })
    });
    let accounts = edge.dispatcher.accounts();
    let accounts = accounts.iter().map(|one| {
        json!({
            "instance": one.instance,
            "adapter": one.adapter,
            "state": one.sign_in.name(),
            "as": one.sign_in.who(),
            "limited_for_ms": one.limited_for.map(|time| time.as_millis() as u64),
            "checked": one.checked.map(unix_ms),
        })
    });
    Json(json!({
        "waiting": waiting.collect::<Vec<_>>(),
        "running": running.collect::<Vec<_>>(),
        "workers": workers.collect::<Vec<_>>(),
        "accounts": accounts.collect::<Vec<_>>(),
    }))
}

/// Asks the site now who is signed in.
pub(super) async fn probe(
    State(edge): State<Arc<Edge>>,
    _: Admin,
    Path((instance, adapter)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let found = edge.dispatcher.probe(&instance, &adapter).await;
    let none = || ApiError::new(StatusCode::CONFLICT, "not_probed", words::not_probed());
    let found = found.ok_or_else(none)?;
    Ok(Json(json!({ "state": found.name(), "as": found.who() })))
}

fn unix_ms(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

//! `/admin/api/reload`: has the configuration read again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::Admin;
use crate::http::error::words;
use crate::http::{ApiError, Edge};

/// What was done, a sentence each; or why the old configuration stays in force.
pub type Reloaded = Result<Vec<String>, String>;

/// To whoever can read the configuration again, one at a time.
pub type Reloads = mpsc::Sender<oneshot::Sender<Reloaded>>;

pub(super) async fn reload(State(edge): State<Arc<Edge>>, _: Admin) -> Result<Json<Value>, ApiError> {
    let busy = || ApiError::new(StatusCode::CONFLICT, "reload_in_progress", words::reload_in_progress());
    let reloads = edge.watched.reloads.as_ref().ok_or_else(busy)?;
    let (answer, done) = oneshot::channel();
    reloads.try_send(answer).map_err(|_| busy())?;
    // Gone with the program.
    let done = done.await.map_err(|_| busy())?;
    let done = done.map_err(|why| {
        let what = words::with_detail(words::configuration_refused(), why);
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_configuration", what)
    })?;
    Ok(Json(json!({ "done": done })))
}

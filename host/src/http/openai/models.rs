//! `GET /v1/models` and `/v1/models/{id}`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::chat::{Failure, FailureKind, Kind};
use crate::dispatch::{Health, ModelInfo};
use crate::http::error::words;
use crate::http::{ApiError, Caller, Edge};

/// A start takes seconds.
const SOON: Duration = Duration::from_secs(2);
/// What keeps the server from working has to be mended by somebody.
const LATER: Duration = Duration::from_secs(30);

/// All models. Until they can be asked for, 503 with the state.
pub(in crate::http) async fn list(State(edge): State<Arc<Edge>>, _: Caller) -> Result<Json<Value>, ApiError> {
    let models = known(&edge)?;
    Ok(Json(json!({ "object": "list", "data": models.iter().map(object).collect::<Vec<_>>() })))
}

/// One model; ids contain slashes.
pub(in crate::http) async fn one(
    State(edge): State<Arc<Edge>>,
    _: Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, ApiError> {
    let Ok(Path(id)) = id else {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_request", words::model_id_not_utf8()));
    };
    let models = known(&edge)?;
    models
        .iter()
        .find(|model| model.id == id)
        .map(|model| Json(object(model)))
        .ok_or_else(|| ApiError::from(&Failure::new(FailureKind::ModelNotFound { model: id }, "")))
}

fn known(edge: &Edge) -> Result<Vec<ModelInfo>, ApiError> {
    match edge.dispatcher.health() {
        Health::Starting => Err(ApiError::from(&Failure::new(FailureKind::Starting { retry_after: SOON }, ""))),
        Health::Failed(reason) => Err(ApiError {
            retry_after: Some(LATER),
            ..ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", words::not_ready(reason))
        }),
        Health::Ready | Health::Degraded(_) | Health::Draining => Ok(edge.dispatcher.models()),
    }
}

fn object(model: &ModelInfo) -> Value {
    let kind = match model.kind {
        Kind::Text => "text",
        Kind::Image => "image",
        Kind::Video => "video",
        Kind::Audio => "audio",
    };
    json!({
        "id": model.id,
        "object": "model",
        // Websites do not tell when a model was made; clients want a number.
        "created": 0,
        "owned_by": model.adapter,
        "webai": {
            "label": model.label,
            "kind": kind,
            "features": model.features,
            "adapter": { "id": model.adapter, "version": model.adapter_version, "verified": model.verified, "state": model.state.name() },
        },
    })
}

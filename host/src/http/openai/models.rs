//! `GET /v1/models` and `/v1/models/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::chat::{Failure, FailureKind, Kind};
use crate::dispatch::{Health, ModelInfo};
use crate::http::{ApiError, Caller, Edge};

/// All models. While nothing is known yet, 503 with the state.
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
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_request", "The model id is not valid UTF-8."));
    };
    let models = known(&edge)?;
    models.iter().find(|model| model.id == id).map(|model| Json(object(model))).ok_or_else(|| {
        let id: String = id.chars().take(100).collect();
        ApiError::from(&Failure::new(FailureKind::ModelNotFound, format!("There is no model `{id}`.")))
    })
}

fn known(edge: &Edge) -> Result<Vec<ModelInfo>, ApiError> {
    let models = edge.dispatcher.models();
    match edge.dispatcher.health() {
        Health::Starting if models.is_empty() => {
            let kind = FailureKind::Starting { retry_after: std::time::Duration::from_secs(2) };
            Err(ApiError::from(&Failure::new(kind, "The server is starting.")))
        }
        Health::Failed(reason) if models.is_empty() => {
            let kind = FailureKind::Starting { retry_after: std::time::Duration::from_secs(30) };
            Err(ApiError { code: "failed".into(), ..ApiError::from(&Failure::new(kind, reason)) })
        }
        _ => Ok(models),
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
            "adapter": { "id": model.adapter, "version": model.adapter_version, "verified": model.verified },
        },
    })
}

//! `/admin/api/accounts`: the instances, and carrying an account away or in. Passphrases and archives travel in bodies only.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Admin;
use crate::accounts::{AccountError, Exported, Imported, Listed};
use crate::browser::{InstanceState, PageError};
use crate::config::Limits;
use crate::http::body::read_json;
use crate::http::error::words;
use crate::http::{ApiError, Edge};
use crate::session::Secret;
use crate::session::archive::{self, ArchiveError};

/// An archive in base64, with a passphrase and some JSON around it.
const IMPORT_MAX: usize = archive::MAX_SIZE / 3 * 4 + (64 << 10);
const EXPORT_MAX: usize = 16 << 10;

pub(super) async fn list(State(edge): State<Arc<Edge>>, _: Admin) -> Json<Value> {
    let shown = |listed: Listed| {
        let (state, reason) = state(&listed.state);
        json!({
            "instance": listed.instance,
            "state": state,
            "reason": reason,
            "adapters": listed.adapters,
            "origins": listed.origins,
        })
    };
    let accounts: Vec<Value> = edge.kept.accounts.list().into_iter().map(shown).collect();
    Json(json!({ "accounts": accounts }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Export {
    passphrase: String,
}

pub(super) async fn export(
    State(edge): State<Arc<Edge>>,
    _: Admin,
    Path(instance): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let Export { passphrase } = read(&edge, &headers, body, EXPORT_MAX).await?;
    let exported = edge.kept.accounts.export(&instance, Secret::new(passphrase)).await;
    let Exported { archive, cookies, entries, origins, left_out } = exported.map_err(refusal)?;
    Ok(Json(json!({
        "instance": instance,
        "archive": STANDARD.encode(archive),
        "cookies": cookies,
        "entries": entries,
        "origins": origins,
        "leftOut": left_out,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Import {
    /// In base64.
    file: String,
    /// Of an archive; nothing else has one.
    #[serde(default)]
    passphrase: Option<String>,
}

pub(super) async fn import(
    State(edge): State<Arc<Edge>>,
    _: Admin,
    Path(instance): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let Some(_turn) = edge.pace.upload() else { return Err(refusal(AccountError::Busy)) };
    let Import { file, passphrase } = read(&edge, &headers, body, IMPORT_MAX).await?;
    let file =
        STANDARD.decode(file).map_err(|_| ApiError::invalid("file", words::wrong("file", words::no_base64_mark())))?;
    let imported = edge.kept.accounts.import(&instance, file, passphrase.map(Secret::new)).await.map_err(refusal)?;
    edge.dispatcher.account_changed(&instance).await;
    let Imported { format, cookies, entries, foreign, expired, refused, unwritten, made } = imported;
    Ok(Json(json!({
        "instance": instance,
        "format": format,
        "cookies": cookies,
        "entries": entries,
        "foreign": foreign,
        "expired": expired,
        "refused": refused,
        "unwritten": unwritten,
        "made": made,
    })))
}

async fn read<T: DeserializeOwned>(edge: &Edge, headers: &HeaderMap, body: Body, max: usize) -> Result<T, ApiError> {
    let body = read_json(headers, body, &Limits { body: max, ..edge.limits }).await?;
    // Not its words: they may quote the body, which is full of secrets.
    let place = |error: serde_json::Error| {
        let what = words::body_not_json(format!("column {}", error.column()));
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", what)
    };
    serde_json::from_slice(&body).map_err(place)
}

fn state(state: &InstanceState) -> (&'static str, Option<&str>) {
    match state {
        InstanceState::Starting => ("starting", None),
        InstanceState::Ready { .. } => ("ready", None),
        InstanceState::Restarting { reason, .. } => ("restarting", Some(reason)),
        InstanceState::Failed(reason) => ("failed", Some(reason)),
        InstanceState::Stopped => ("stopped", None),
    }
}

fn refusal(error: AccountError) -> ApiError {
    use AccountError as E;
    let (status, code) = match &error {
        E::Unknown(_) => (StatusCode::NOT_FOUND, "account_not_found"),
        E::NoAdapters(_) | E::Empty => (StatusCode::CONFLICT, "account_empty"),
        E::Busy => (StatusCode::TOO_MANY_REQUESTS, "too_many_changes"),
        E::NoPassphrase | E::Archive(ArchiveError::Passphrase | ArchiveError::WeakPassphrase) => {
            (StatusCode::BAD_REQUEST, "wrong_passphrase")
        }
        E::Archive(ArchiveError::TooLarge(_)) => (StatusCode::PAYLOAD_TOO_LARGE, "request_too_large"),
        E::Archive(_) | E::File(_) => (StatusCode::BAD_REQUEST, "invalid_file"),
        E::NothingForThese(_) => (StatusCode::BAD_REQUEST, "nothing_imported"),
        E::Browser(PageError::Timeout(_) | PageError::Closed) => (StatusCode::SERVICE_UNAVAILABLE, "browser_failed"),
        E::Browser(_) | E::Ended => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
    };
    ApiError::new(status, code, words::account_order(&error))
}

//! Uploads: taken before the prompt that they belong to, as most chat sites do.

use std::io::Cursor;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::site::{File, Site};
use super::stats::hex;

const FILE_BYTES_MAX: usize = 24 << 20;

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/api/upload", post(upload).layer(DefaultBodyLimit::max(FILE_BYTES_MAX)))
        .route("/api/files/{id}", get(download))
}

/// The body is the file; its name, percent-encoded, stands in `x-file-name`.
async fn upload(State(site): State<Arc<Site>>, headers: HeaderMap, bytes: Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let name = header("x-file-name");
    let name = percent_encoding::percent_decode_str(&name).decode_utf8_lossy().into_owned();
    let mime_type = Some(header("content-type")).filter(|mime| !mime.is_empty());
    let file = describe(&name, mime_type.as_deref().unwrap_or("application/octet-stream"), bytes);
    site.stats.uploaded(&file.about);
    let about = file.about.clone();
    site.memory().store(file);
    (StatusCode::CREATED, Json(about)).into_response()
}

fn describe(name: &str, mime_type: &str, bytes: Bytes) -> File {
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    let sha256 = hex(&digest);
    let reader = image::ImageReader::new(Cursor::new(&bytes)).with_guessed_format();
    let pixels = reader.ok().and_then(|reader| reader.into_dimensions().ok());
    let id = uuid::Uuid::new_v4().to_string();
    let size = pixels.map(|(width, height)| format!(" {width}x{height} px")).unwrap_or_default();
    File {
        line: format!("{name} {mime_type} {} bytes{size} sha256={sha256}", bytes.len()),
        about: json!({
            "id": id, "name": name, "type": mime_type, "bytes": bytes.len(), "sha256": sha256,
            "width": pixels.map(|(width, _)| width), "height": pixels.map(|(_, height)| height),
        }),
        mime_type: mime_type.to_owned(),
        id,
        bytes,
    }
}

async fn download(State(site): State<Arc<Site>>, Path(id): Path<String>) -> Response {
    let Some(file) = site.memory().file(&id) else { return StatusCode::NOT_FOUND.into_response() };
    // Only pictures are shown by the page; anything else could be a document that runs in the site's origin.
    let mime_type = if file.mime_type.starts_with("image/") && file.mime_type != "image/svg+xml" {
        file.mime_type
    } else {
        "application/octet-stream".to_owned()
    };
    ([(CONTENT_TYPE, mime_type), (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned())], file.bytes).into_response()
}

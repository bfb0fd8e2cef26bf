//! `GET /media/<secret>`: pictures and files of answers. The secret in the path is all that it takes, so it is in no log and
//! goes to no other site; what is sent can run nothing in this server's origin.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::Stream;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::error::words;
use super::{ApiError, Edge};
use crate::store::MediaFile;

/// Read and sent at once, in bytes.
const PIECE: usize = 64 * 1024;
/// What browsers may show; all else is saved. (SVG is a document, which may hold scripts.)
const SHOWN: &[&str] = &["image/", "video/", "audio/"];
const NOT_SHOWN: &str = "image/svg+xml";
/// Nothing is loaded, nothing runs, and the origin is nobody's.
const POLICY: &str = "default-src 'none'; sandbox";

pub(super) async fn file(
    State(edge): State<Arc<Edge>>,
    token: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let Ok(Path(token)) = token else { return Err(unknown()) };
    let found = edge.kept.media.find(&token).await.map_err(|error| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "media_unavailable", words::media_unavailable(error))
    })?;
    let found = found.ok_or_else(unknown)?;
    // Its link may have ended just now.
    let file = File::open(&found.path).await.map_err(|_| unknown())?;
    Ok((headers(&found), Body::from_stream(pieces(file))).into_response())
}

fn unknown() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "media_not_found", words::media_not_found())
}

fn headers(file: &MediaFile) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let unknown = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(&file.mime).unwrap_or(unknown));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(file.size));
    let seconds = file.left().as_secs();
    if let Ok(value) = HeaderValue::from_str(&format!("private, max-age={seconds}, immutable")) {
        headers.insert(header::CACHE_CONTROL, value);
    }
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(disposition(&file.mime)));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Chat front ends of other origins show it.
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    headers
}

fn disposition(mime: &str) -> &'static str {
    let mime = mime.trim().to_ascii_lowercase();
    let shown = SHOWN.iter().any(|kind| mime.starts_with(kind)) && !mime.starts_with(NOT_SHOWN);
    // With a name of its own, since browsers would else take the secret for one.
    if shown { "inline; filename=\"answer\"" } else { "attachment; filename=\"answer\"" }
}

fn pieces(file: File) -> impl Stream<Item = io::Result<Bytes>> {
    futures::stream::unfold(Some(file), |file| async move {
        let mut file = file?;
        let mut piece = Vec::with_capacity(PIECE);
        match file.read_buf(&mut piece).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(Bytes::from(piece)), Some(file))),
            Err(error) => Some((Err(error), None)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_sounds_and_films_are_shown() {
        for mime in ["image/png", "IMAGE/webp", "video/mp4", "audio/mpeg"] {
            assert!(disposition(mime).starts_with("inline"), "{mime}");
        }
        for mime in ["image/svg+xml", " image/svg+xml;charset=utf-8", "text/html", "application/pdf", "", "imagex/png"]
        {
            assert!(disposition(mime).starts_with("attachment"), "{mime}");
        }
    }

    #[test]
    fn a_type_that_is_none_is_not_sent() {
        let file = MediaFile { path: "x".into(), mime: "a/b\r\nx: y".into(), size: 3, expires: 0 };
        let headers = headers(&file);
        assert_eq!(headers["content-type"], "application/octet-stream");
        assert_eq!(headers["cache-control"], "private, max-age=0, immutable");
    }
}

//! Reading a request's body: JSON only, no larger and no slower than the limits allow.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::ApiError;
use super::error::words;
use super::language::Text;
use crate::config::Limits;

/// Reads a JSON body whole.
///
/// # Errors
/// 415, 413, 408, or 400 when the client stopped in the middle.
pub(super) async fn read_json(headers: &HeaderMap, body: Body, limits: &Limits) -> Result<Bytes, ApiError> {
    check_type(headers)?;
    read_bytes(headers, body, limits.body, limits.body_timeout).await
}

/// Reads a body of any kind whole.
///
/// # Errors
/// 413, 408, or 400 when the client stopped in the middle.
pub(super) async fn read_bytes(
    headers: &HeaderMap,
    body: Body,
    max: usize,
    within: Duration,
) -> Result<Bytes, ApiError> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let too_large = || ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", words::body_too_large(max));
    if announced.is_some_and(|length| length > max as u64) {
        // Who asked first (`Expect: 100-continue`) sends nothing.
        if !headers.contains_key(header::EXPECT) {
            discard(body).await;
        }
        return Err(too_large());
    }
    match timeout(within, collect(body, max)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(Unread::TooLarge(rest))) => {
            discard(rest).await;
            Err(too_large())
        }
        Ok(Err(Unread::Broken)) => {
            Err(ApiError::new(StatusCode::BAD_REQUEST, "incomplete_body", words::body_incomplete()))
        }
        Err(_) => Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", words::body_too_slow())),
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let refuse =
        |message: Text| Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
    if headers.get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity") {
        return refuse(words::body_encoded());
    }
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        Ok(())
    } else {
        refuse(words::body_not_json_type())
    }
}

enum Unread {
    TooLarge(Body),
    Broken,
}

async fn collect(mut body: Body, max: usize) -> Result<Bytes, Unread> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(Unread::Broken) };
        if let Ok(data) = frame.into_data() {
            if bytes.len() + data.len() > max {
                return Err(Unread::TooLarge(body));
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.freeze())
}

/// Closing while a client is still sending resets its connection, and it never sees the answer: so read on for a while.
async fn discard(mut body: Body) {
    const AMOUNT: usize = 128 * 1024 * 1024;
    const TIME: Duration = Duration::from_secs(5);
    let reading = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > AMOUNT {
                break;
            }
        }
    };
    // Late or not, the answer is the same.
    let _ = timeout(TIME, reading).await;
}

//! OpenAI's dialect.

pub(super) mod chat;
mod decode;
mod encode;
pub(super) mod models;
mod reply;

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::ApiError;
use super::Language;
use super::context::Refusal;

/// OpenAI's envelope of an error.
fn envelope(error: &ApiError, language: Language) -> Value {
    let message = error.message.written_in(language);
    json!({
        "error": { "message": message, "type": error.kind(), "param": error.param, "code": error.code }
    })
}

/// Where no dialect is known, an error has OpenAI's envelope.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.headers(), Json(envelope(&self, Language::English))).into_response();
        response.extensions_mut().insert(Refusal { error: self, envelope });
        response
    }
}

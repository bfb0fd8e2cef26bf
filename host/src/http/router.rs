//! All routes in one place.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, Method, Request, StatusCode, Uri};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post};
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

use super::error::words;
use super::{ApiError, Edge, admin, context, health, media_files, metrics, openai, status};

/// The whole surface.
pub(super) fn router(edge: Arc<Edge>) -> Router {
    let api = Router::new()
        .merge(both("/chat/completions", || post(openai::chat::completions)))
        .merge(both("/models", || get(openai::models::list)))
        .merge(both("/models/{*id}", || get(openai::models::one)))
        .merge(both("/embeddings", || any(no_embeddings)))
        .route("/media/{token}", get(media_files::file))
        // Before the layer, so that it answers OPTIONS.
        .method_not_allowed_fallback(method_not_allowed)
        .layer(cors());
    Router::new()
        .merge(api)
        .merge(admin::routes())
        .route("/", get(status::page))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn(context::observe))
        .with_state(edge)
}

/// A route with and without `/v1`: clients differ in what they take for the base URL.
fn both(path: &str, method: impl Fn() -> MethodRouter<Arc<Edge>>) -> Router<Arc<Edge>> {
    Router::new().route(path, method()).route(&format!("/v1{path}"), method())
}

/// The API is open to every web page: it knows keys only, and no cookies.
fn cors() -> CorsLayer {
    let exposed = [
        "x-request-id",
        "x-webai-adapter",
        "x-webai-instance",
        "x-webai-overhead-ms",
        "x-webai-queue-ms",
        "x-webai-queue-position",
        "x-webai-attempts",
        "x-webai-ignored",
        "x-webai-warning",
        "x-usage-estimated",
        "x-should-retry",
        "retry-after",
    ];
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::DELETE, Method::OPTIONS])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(exposed.map(HeaderName::from_static))
        .max_age(Duration::from_secs(3600))
}

/// Takes slashes that are too many out of a path: a base URL with a slash at its end gives `//v1/models`.
pub(super) fn tidy<B>(request: &mut Request<B>) {
    let path = request.uri().path();
    if !path.contains("//") && (path.len() <= 1 || !path.ends_with('/')) {
        return;
    }
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let Ok(tidied) = format!("/{}{query}", names.join("/")).parse::<PathAndQuery>() else { return };
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(tidied);
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}

async fn not_found(request: Request<axum::body::Body>) -> Response {
    let path: String = request.uri().path().chars().take(100).collect();
    let message = words::nothing_here(request.method(), path);
    ApiError::new(StatusCode::NOT_FOUND, "not_found", message).into_response()
}

async fn method_not_allowed(method: Method) -> Response {
    let message = words::method_not_allowed(method);
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message).into_response()
}

async fn no_embeddings() -> Response {
    ApiError::new(StatusCode::NOT_FOUND, "not_supported", words::no_embeddings()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_are_tidied() {
        for (from, to) in [
            ("/", "/"),
            ("//", "/"),
            ("///", "/"),
            ("/v1/models/", "/v1/models"),
            ("//v1//models//?a=//", "/v1/models?a=//"),
            ("/v1/models?x=/", "/v1/models?x=/"),
            ("http://a.example//v1/", "http://a.example/v1"),
            ("/%FF/", "/%FF"),
        ] {
            let mut request = Request::builder().uri(from).body(()).unwrap();
            tidy(&mut request);
            assert_eq!(request.uri().to_string(), to, "{from}");
        }
    }
}

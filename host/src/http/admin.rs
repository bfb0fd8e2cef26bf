//! `/admin/api`: for the operator alone. By the admin key, never from another website's page, and at its own pace.

mod accounts;
mod adapters;
mod history;
mod pace;
mod pool;
mod reload;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};

use super::error::words;
use super::{ApiError, Caller, Edge};
pub(super) use pace::Pace;
pub use reload::{Reloaded, Reloads};

/// The routes below `/admin/api`.
pub(super) fn routes() -> Router<Arc<Edge>> {
    Router::new()
        .route("/admin/api/adapters", get(adapters::list).post(adapters::install))
        .route("/admin/api/adapters/{id}", get(adapters::one).delete(adapters::remove))
        .route("/admin/api/adapters/{id}/approve", post(adapters::approve))
        .route("/admin/api/adapters/{id}/disable", post(adapters::disable))
        .route("/admin/api/adapters/{id}/enable", post(adapters::enable))
        .route("/admin/api/adapters/{id}/rollback", post(adapters::rollback))
        .route("/admin/api/adapters/{id}/logs", get(adapters::logs))
        .route("/admin/api/pool", get(pool::show))
        .route("/admin/api/accounts", get(accounts::list))
        .route("/admin/api/accounts/{instance}/probe/{adapter}", post(pool::probe))
        .route("/admin/api/accounts/{instance}/export", post(accounts::export))
        .route("/admin/api/accounts/{instance}/import", post(accounts::import))
        .route("/admin/api/reload", post(reload::reload))
        .route("/admin/api/requests", get(history::list).delete(history::delete_all))
        .route("/admin/api/requests/{id}", get(history::one).delete(history::delete))
        .route("/admin/api/statistics", get(history::statistics))
        .layer(from_fn(no_store))
}

/// Whoever holds the admin key, and is not a foreign web page.
pub(super) struct Admin;

impl FromRequestParts<Arc<Edge>> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, edge: &Arc<Edge>) -> Result<Self, ApiError> {
        // Before the key is looked at: a foreign page is not to learn whether it has a right one.
        if is_foreign(&parts.headers) {
            return Err(ApiError::new(StatusCode::FORBIDDEN, "foreign_origin", words::foreign_origin()));
        }
        let caller = Caller::from_request_parts(parts, edge).await?;
        if caller.admin {
            Ok(Self)
        } else {
            Err(ApiError::new(StatusCode::FORBIDDEN, "admin_only", words::admin_only()))
        }
    }
}

/// Whether a browser says that the request comes from a page of another origin than this server's.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let Some(origin) = text(header::ORIGIN) else { return false };
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_none_or(|authority| Some(authority) != text(header::HOST))
}

async fn no_store(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_page_is_known_by_its_origin() {
        let of = |origin: Option<&str>, host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            is_foreign(&headers)
        };
        assert!(!of(None, "127.0.0.1:3000"));
        assert!(!of(Some("http://127.0.0.1:3000"), "127.0.0.1:3000"));
        assert!(of(Some("http://127.0.0.1:3001"), "127.0.0.1:3000"));
        assert!(of(Some("https://evil.example"), "127.0.0.1:3000"));
        assert!(of(Some("null"), "127.0.0.1:3000"));
    }
}

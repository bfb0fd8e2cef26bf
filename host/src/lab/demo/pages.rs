//! The documents, scripts and styles.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::get;

use super::session;
use super::site::{Mood, Site};

const CHAT: &str = include_str!("page/chat.html");
const CHALLENGE: &str = include_str!("page/challenge.html");

/// The site runs only what it brings itself: answers may hold any tag.
const POLICY: &str =
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/// How often a silent site looks whether it may speak again.
const SILENCE: Duration = Duration::from_millis(50);

pub(super) fn routes() -> Router<Arc<Site>> {
    let router = Router::new().route("/", get(document)).route("/login", get(document)).route("/c/{id}", get(document));
    [
        ("/app.js", "text/javascript", include_str!("page/app.js")),
        ("/answer.js", "text/javascript", include_str!("page/answer.js")),
        ("/rows.js", "text/javascript", include_str!("page/rows.js")),
        ("/markdown.js", "text/javascript", include_str!("page/markdown.js")),
        ("/challenge.js", "text/javascript", include_str!("page/challenge.js")),
        ("/style.css", "text/css", include_str!("page/style.css")),
        ("/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ]
    .into_iter()
    .fold(router, |router, (path, mime_type, text)| router.route(path, get(async move || asset(mime_type, text))))
}

fn asset(mime_type: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, format!("{mime_type}; charset=utf-8")), (CACHE_CONTROL, "no-cache".to_owned())], text)
        .into_response()
}

async fn document(State(site): State<Arc<Site>>, headers: HeaderMap, uri: Uri) -> Response {
    site.stats.page_loaded();
    while site.memory().mood == Mood::Silent {
        tokio::time::sleep(SILENCE).await;
    }
    let memory = site.memory();
    let person = session::person(&memory, &headers);
    let cookie: Option<(HeaderName, String)> = person.cookie.map(|cookie| (SET_COOKIE, cookie));
    let (status, html) = match memory.mood {
        Mood::Challenge => (StatusCode::FORBIDDEN, CHALLENGE.to_owned()),
        mood => {
            let view = if person.admitted && uri.path() != "/login" { "chat" } else { "sign-in" };
            let html = CHAT.replacen("data-view=\"chat\"", &format!("data-view=\"{view}\""), 1);
            (StatusCode::OK, if mood == Mood::SiteChanged { changed(&html) } else { html })
        }
    };
    let fixed =
        [(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, "no-store"), (CONTENT_SECURITY_POLICY, POLICY)];
    (status, fixed, AppendHeaders(cookie), html).into_response()
}

/// The page after a redesign: no test id, label or placeholder is what it was. `app.js` does the same to a page that
/// is open.
fn changed(html: &str) -> String {
    let mut html = html.replace("data-testid=\"", "data-qa=\"v2-").replacen("<html ", "<html data-changed ", 1);
    for attribute in ["aria-label=\"", "placeholder=\""] {
        let mut out = String::with_capacity(html.len());
        let mut parts = html.split(attribute);
        out.push_str(parts.next().unwrap_or_default());
        for (n, part) in (1..).zip(parts) {
            let after = part.split_once('"').map_or("", |(_, after)| after);
            out.push_str(&format!("{attribute}Item {n}\"{after}"));
        }
        html = out;
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_page_keeps_no_hold() {
        let html = changed(CHAT);
        assert!(!html.contains("data-testid") && !html.contains("aria-label=\"Send"));
        assert!(html.contains("data-qa=\"v2-composer\"") && html.contains("data-changed"));
    }
}

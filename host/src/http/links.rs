//! Pictures and files of an answer as links to this server, for the clients of every dialect that want links.

use std::sync::LazyLock;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use regex::Regex;
use tokio::time::timeout;

use super::error::words;
use super::{ApiError, Edge};
use crate::chat::Delta;
use crate::config::MediaForm;
use crate::dispatch::JobEvent;
use crate::store::Media;

/// A file that is not kept by then is sent as data.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the links of one answer lead.
#[derive(Debug, Clone)]
pub(super) struct Links {
    media: Media,
    /// Such as `https://ai.example.com`.
    base: String,
}

impl Links {
    /// None if the client, or the configuration, wants data, or if it is not known how clients reach this server.
    ///
    /// # Errors
    /// When the request asks for something else.
    pub(super) fn wanted(edge: &Edge, headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        let form =
            match headers.get("x-webai-media") {
                None => edge.server.media,
                Some(value) => value.to_str().ok().and_then(MediaForm::parse).ok_or_else(|| {
                    ApiError::invalid("x-webai-media", words::wrong_header("x-webai-media", "url, data"))
                })?,
            };
        let base = match form {
            MediaForm::Data => None,
            MediaForm::Url => edge.server.public_url.clone().or_else(|| base(headers)),
        };
        Ok(base.map(|base| Self { media: edge.kept.media.clone(), base }))
    }

    /// Keeps what an event brings, and puts a link in its place. Where that fails, the event is as it was: an answer is worth
    /// more than its form.
    pub(super) async fn shelve(&self, event: JobEvent) -> JobEvent {
        let JobEvent::Delta(Delta::Media { mime_type, bytes }) = event else { return event };
        let kept = timeout(PATIENCE, self.media.put(bytes.clone(), &mime_type)).await;
        let why = match kept {
            Ok(Ok(token)) => {
                let url = format!("{}/media/{token}", self.base);
                return JobEvent::Delta(Delta::Link { mime_type, url });
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it took too long".to_owned(),
        };
        tracing::warn!("a picture or file of an answer is sent as data, since it could not be kept: {why}");
        JobEvent::Delta(Delta::Media { mime_type, bytes })
    }
}

/// How the client reached this server. Both headers are the client's own word, and go into its own answer alone; but they go
/// into Markdown there, so nothing but a host may pass.
fn base(headers: &HeaderMap) -> Option<String> {
    static HOST: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\A(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?\z").ok());
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let host = headers.get(header::HOST).and_then(text)?;
    if !HOST.as_ref().is_some_and(|regex| regex.is_match(&host)) {
        return None;
    }
    let forwarded = headers.get("x-forwarded-proto").and_then(text).unwrap_or_default();
    let first = forwarded.split(',').next().unwrap_or_default().trim().to_ascii_lowercase();
    let scheme = if first == "https" { "https" } else { "http" };
    Some(format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(host: &str, proto: Option<&str>) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).ok()?);
        if let Some(proto) = proto {
            headers.insert("x-forwarded-proto", HeaderValue::from_str(proto).ok()?);
        }
        base(&headers)
    }

    #[test]
    fn the_base_is_how_the_client_came() {
        for (host, proto, expected) in [
            ("127.0.0.1:3000", None, Some("http://127.0.0.1:3000")),
            ("me-space.hf.space", Some("https"), Some("https://me-space.hf.space")),
            ("a.example", Some("HTTPS, http"), Some("https://a.example")),
            ("a.example", Some("javascript"), Some("http://a.example")),
            ("[::1]:3000", None, Some("http://[::1]:3000")),
            ("a.example/x", None, None),
            ("a)b", None, None),
            ("user@a.example", None, None),
            ("", None, None),
        ] {
            assert_eq!(of(host, proto).as_deref(), expected, "{host}");
        }
        assert_eq!(base(&HeaderMap::new()), None);
    }

    proptest! {
        #[test]
        fn no_host_ends_the_markdown(host in "[ -~]{0,30}", proto in "[ -~]{0,10}") {
            let base = of(&host, Some(&proto)).unwrap_or_default();
            prop_assert!(!base.contains([' ', '(', ')', '<', '>', '"', '\\', '/', '@']) || base.matches('/').count() == 2);
            prop_assert!(!base.contains([' ', '(', ')', '<', '>', '@']));
        }
    }
}

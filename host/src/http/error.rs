//! The one place that decides which status, code and headers a failure has.

pub(super) mod words;

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::language::Text;
use crate::chat::{Failure, FailureKind};

/// An error as a client gets it, in whatever envelope its dialect has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", message.en)]
pub struct ApiError {
    pub status: StatusCode,
    /// A stable word for programs.
    pub code: String,
    /// For people.
    pub message: Text,
    /// The field that is wrong, such as `messages[0].content`.
    pub param: Option<String>,
    pub retry_after: Option<Duration>,
    /// The prompt may have reached the site: nothing may invite a retry.
    pub submitted: bool,
    /// How often the request was given a page; 0 where it never had one.
    pub attempts: u32,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &str, message: Text) -> Self {
        Self { status, code: code.to_owned(), message, param: None, retry_after: None, submitted: false, attempts: 0 }
    }

    /// A 400 about one field.
    pub fn invalid(param: impl Into<String>, message: Text) -> Self {
        Self { param: Some(param.into()), ..Self::new(StatusCode::BAD_REQUEST, "invalid_request", message) }
    }

    /// What OpenAI calls the type of an error, by its status.
    pub fn kind(&self) -> &'static str {
        match self.status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            400..=499 if self.status != StatusCode::FAILED_DEPENDENCY => "invalid_request_error",
            _ => "server_error",
        }
    }

    /// The headers that go with it.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(after) = self.retry_after {
            // Whole seconds, and never "at once".
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if self.submitted {
            // OpenAI's and Anthropic's SDKs obey this before they look at the status.
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        if self.attempts > 0 {
            headers.insert("x-webai-attempts", HeaderValue::from(self.attempts));
        }
        headers
    }

    /// Clients retry these by themselves, and each retry would be a second message to the site.
    fn invites_retry(status: StatusCode) -> bool {
        matches!(status.as_u16(), 408 | 409 | 425 | 429 | 500..=599)
    }

    /// What may have reached the site must not be sent again.
    pub(super) fn sealed(mut self, submitted: bool) -> Self {
        self.submitted = submitted;
        if submitted {
            self.retry_after = None;
            if Self::invites_retry(self.status) {
                self.status = StatusCode::FAILED_DEPENDENCY;
            }
        }
        self
    }
}

/// Seconds after which another try makes sense when nobody said so.
const LATER: Duration = Duration::from_secs(30);

impl From<&Failure> for ApiError {
    fn from(failure: &Failure) -> Self {
        let (status, retry_after) = row(&failure.kind);
        let mut message = words::failure(&failure.kind);
        if !failure.message.is_empty() {
            message = words::with_detail(message, &failure.message);
        }
        if let Some(adapter) = &failure.adapter {
            message = words::by_adapter(adapter, message);
        }
        let error = Self { retry_after, ..Self::new(status, failure.kind.code(), message) };
        let error = match failure.kind {
            FailureKind::ModelNotFound { .. } | FailureKind::ModelUnavailable => {
                Self { param: Some("model".into()), ..error }
            }
            FailureKind::PromptTooLong { .. } => Self { param: Some("messages".into()), ..error },
            _ => error,
        };
        error.sealed(failure.submitted)
    }
}

/// The table: status, and when to try again.
fn row(kind: &FailureKind) -> (StatusCode, Option<Duration>) {
    use FailureKind as K;
    match kind {
        K::LoginRequired | K::ChallengeRequired => (StatusCode::FORBIDDEN, None),
        K::RateLimited { retry_after } | K::QuotaExhausted { retry_after } => {
            (StatusCode::TOO_MANY_REQUESTS, Some(retry_after.unwrap_or(LATER)))
        }
        K::ContentBlocked | K::InvalidRequest | K::PromptTooLong { .. } => (StatusCode::BAD_REQUEST, None),
        K::ModelNotFound { .. } | K::ModelUnavailable => (StatusCode::NOT_FOUND, None),
        K::Timeout(_) => (StatusCode::GATEWAY_TIMEOUT, None),
        K::ServerBusy { retry_after } => (StatusCode::TOO_MANY_REQUESTS, Some(*retry_after)),
        K::Starting { retry_after } => (StatusCode::SERVICE_UNAVAILABLE, Some(*retry_after)),
        K::Quarantined => (StatusCode::SERVICE_UNAVAILABLE, Some(LATER)),
        K::BrowserFailed | K::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, Some(Duration::from_secs(5))),
        K::AlreadySubmitted => (StatusCode::FAILED_DEPENDENCY, None),
        K::KeyReused => (StatusCode::BAD_REQUEST, None),
        K::ClientGone => (CLIENT_GONE, None),
        K::SiteChanged { .. }
        | K::Upstream
        | K::Other(_)
        | K::AdapterCpuLimit
        | K::AdapterMemoryLimit
        | K::AdapterCrashed
        | K::ClientTooSlow => (StatusCode::BAD_GATEWAY, None),
    }
}

/// 499 as web servers log it. It is never sent: nobody is there.
const CLIENT_GONE: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::BAD_REQUEST,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Stage;

    fn all() -> Vec<(FailureKind, u16, &'static str, Option<u64>)> {
        use FailureKind as K;
        let s = Duration::from_millis;
        vec![
            (K::LoginRequired, 403, "login_required", None),
            (K::ChallengeRequired, 403, "challenge_required", None),
            (K::RateLimited { retry_after: Some(s(1500)) }, 429, "rate_limited", Some(2)),
            (K::RateLimited { retry_after: None }, 429, "rate_limited", Some(30)),
            (K::QuotaExhausted { retry_after: Some(s(60_000)) }, 429, "insufficient_quota", Some(60)),
            (K::ContentBlocked, 400, "content_policy_violation", None),
            (K::ModelNotFound { model: "m".into() }, 404, "model_not_found", None),
            (K::ModelUnavailable, 404, "model_unavailable", None),
            (K::InvalidRequest, 400, "invalid_request", None),
            (K::PromptTooLong { length: 11, limit: 10 }, 400, "context_length_exceeded", None),
            (K::SiteChanged { step: "send".into(), selector: "#b".into() }, 502, "site_changed", None),
            (K::Timeout(Stage::FirstByte), 504, "timeout", None),
            (K::Upstream, 502, "upstream_error", None),
            (K::Other("odd".into()), 502, "odd", None),
            (K::ServerBusy { retry_after: s(0) }, 429, "server_busy", Some(1)),
            (K::Starting { retry_after: s(5000) }, 503, "starting", Some(5)),
            (K::Quarantined, 503, "adapter_quarantined", Some(30)),
            (K::BrowserFailed, 503, "browser_failed", Some(5)),
            (K::AdapterCpuLimit, 502, "adapter_cpu_limit", None),
            (K::AdapterMemoryLimit, 502, "adapter_memory_limit", None),
            (K::AdapterCrashed, 502, "adapter_crashed", None),
            (K::AlreadySubmitted, 424, "already_submitted", None),
            (K::KeyReused, 400, "idempotency_key_reused", None),
            (K::ClientTooSlow, 502, "client_too_slow", None),
            (K::ClientGone, 499, "client_gone", None),
            (K::ShuttingDown, 503, "shutting_down", Some(5)),
        ]
    }

    #[test]
    fn every_failure_has_its_row() {
        for (kind, status, code, after) in all() {
            let error = ApiError::from(&Failure::new(kind, "m"));
            assert_eq!((error.status.as_u16(), error.code.as_str()), (status, code));
            let headers = error.headers();
            assert_eq!(headers.get("retry-after").map(|v| v.to_str().unwrap().parse().unwrap()), after, "{code}");
            assert!(headers.get("x-should-retry").is_none());
        }
    }

    #[test]
    fn every_failure_is_in_the_reference() {
        for reference in [include_str!("../../../docs/api.md"), include_str!("../../../docs/api.zh-CN.md")] {
            for (kind, status, code, _) in all() {
                let named = format!("`{code}`");
                let has_row = |line: &str| line.starts_with(&format!("| {status} |")) && line.contains(&named);
                let adapters_own = matches!(kind, FailureKind::Other(_));
                let logged_only = status == 499 && reference.contains(&format!("{status} {named}"));
                assert!(adapters_own || logged_only || reference.lines().any(has_row), "{status} {code}");
            }
        }
    }

    #[test]
    fn after_submitting_nothing_invites_a_retry() {
        for (kind, status, code, _) in all() {
            let failure = Failure { submitted: true, ..Failure::new(kind, "m") };
            let error = ApiError::from(&failure);
            let expected = if status == 429 || status >= 500 { 424 } else { status };
            assert_eq!((error.status.as_u16(), error.code.as_str()), (expected, code));
            let headers = error.headers();
            assert!(headers.get("retry-after").is_none(), "{code}");
            assert_eq!(headers.get("x-should-retry").unwrap(), "false");
        }
    }

    #[test]
    fn every_failure_has_a_message_in_both_languages() {
        for (kind, ..) in all() {
            let of = |message: &str| ApiError::from(&Failure::new(kind.clone(), message)).message;
            let Text { en, zh } = of("");
            assert!(!en.is_empty() && !zh.is_empty() && en != zh, "{kind:?}");
            // What a site says is handed on as it is.
            let said = of("Besetzt, später!");
            assert_eq!((said.en, said.zh), (format!("{en}: Besetzt, später!"), format!("{zh}：Besetzt, später!")));
        }
    }

    #[test]
    fn the_message_names_adapter_step_selector_and_stage_once() {
        let kind = FailureKind::SiteChanged { step: "send".into(), selector: "css=#b".into() };
        let failure = Failure { adapter: Some("demo 0.1.0".into()), ..Failure::new(kind, "") };
        let Text { en, zh } = ApiError::from(&failure).message;
        assert_eq!(en, "demo 0.1.0: The site is not as its adapter knows it: at step `send`, css=#b was not found");
        assert_eq!(zh, "demo 0.1.0：网站与适配器所了解的不一致：在步骤 `send` 没有找到 css=#b");
        let late = ApiError::from(&Failure::new(FailureKind::Timeout(Stage::FirstByte), "")).message;
        assert_eq!(late.en, "The site did not answer in time (stage: first-byte)");
    }

    #[test]
    fn a_model_name_of_any_length_is_cut() {
        let kind = FailureKind::ModelNotFound { model: "x".repeat(100_000) };
        assert!(ApiError::from(&Failure::new(kind, "")).message.en.len() < 300);
    }
}

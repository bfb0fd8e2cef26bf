//! Failures and endings by the names that the contract and `site.toml` give them.

use crate::chat::{FailureKind, Finish};

/// A failure's name.
pub(super) fn failure(kind: &FailureKind) -> String {
    match kind {
        FailureKind::LoginRequired => "login-required",
        FailureKind::ChallengeRequired => "challenge",
        FailureKind::RateLimited { .. } => "rate-limited",
        FailureKind::QuotaExhausted { .. } => "quota-exhausted",
        FailureKind::ContentBlocked => "content-blocked",
        FailureKind::ModelNotFound { .. } => "model-not-found",
        FailureKind::ModelUnavailable => "model-unavailable",
        FailureKind::PromptTooLong { .. } => "prompt-too-long",
        FailureKind::InvalidRequest => "invalid-request",
        FailureKind::SiteChanged { .. } => "site-changed",
        FailureKind::Timeout(_) => "timeout",
        FailureKind::Upstream => "upstream",
        FailureKind::Other(code) => return code.clone(),
        FailureKind::ClientGone => "cancelled",
        FailureKind::Quarantined => "quarantined",
        FailureKind::BrowserFailed => "browser-failed",
        FailureKind::AdapterCpuLimit => "adapter-cpu-limit",
        FailureKind::AdapterMemoryLimit => "adapter-memory-limit",
        FailureKind::AdapterCrashed => "adapter-crashed",
        FailureKind::AlreadySubmitted => "already-submitted",
        FailureKind::KeyReused => "idempotency-key-reused",
        FailureKind::ClientTooSlow => "client-too-slow",
        FailureKind::ServerBusy { .. } => "server-busy",
        FailureKind::Starting { .. } => "starting",
        FailureKind::ShuttingDown => "shutting-down",
    }
    .to_owned()
}

pub(super) fn finish(finish: &Finish) -> &str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::ContentFilter => "content-filter",
        Finish::Other(other) => other,
    }
}

//! One type for everything that can keep an answer from being given; `http::ApiError` alone maps it to a status.

use std::fmt;
use std::time::Duration;

/// The part of a request's way that was under way. Each has its own deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Waiting for a free page.
    Queue,
    /// Opening or resetting the page.
    Navigate,
    /// From the page's being there to the prompt's being sent.
    Submit,
    /// From the prompt's being sent to the first piece of the answer.
    FirstByte,
    /// Between two pieces.
    Idle,
    /// The whole call.
    Call,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queue => "queue",
            Self::Navigate => "navigate",
            Self::Submit => "submit",
            Self::FirstByte => "first-byte",
            Self::Idle => "idle",
            Self::Call => "call",
        })
    }
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailureKind {
    LoginRequired,
    ChallengeRequired,
    RateLimited {
        retry_after: Option<Duration>,
    },
    QuotaExhausted {
        retry_after: Option<Duration>,
    },
    ContentBlocked,
    /// No adapter offers this model.
    ModelNotFound {
        model: String,
    },
    /// Known, but not to be had now.
    ModelUnavailable,
    InvalidRequest,
    /// The site does not take so long a prompt, as a file neither.
    PromptTooLong {
        /// Both in characters.
        length: usize,
        limit: usize,
    },
    SiteChanged {
        step: String,
        selector: String,
    },
    Timeout(Stage),
    /// The site reported an error of its own.
    Upstream,
    /// Another failure that an adapter named by a code of its own.
    Other(String),
    /// The queue is full, or no account is free.
    ServerBusy {
        retry_after: Duration,
    },
    /// The browser is not up yet, or is being restarted.
    Starting {
        retry_after: Duration,
    },
    /// The adapter is out of use until the operator or a new version lifts it.
    Quarantined,
    /// The browser or the tab died.
    BrowserFailed,
    AdapterCpuLimit,
    AdapterMemoryLimit,
    AdapterCrashed,
    /// This is a retry of a request that reached the site.
    AlreadySubmitted,
    /// An `Idempotency-Key` that another request has had.
    KeyReused,
    ClientTooSlow,
    ClientGone,
    ShuttingDown,
}

impl FailureKind {
    /// A stable word for programs.
    pub fn code(&self) -> &str {
        match self {
            Self::LoginRequired => "login_required",
            Self::ChallengeRequired => "challenge_required",
            Self::RateLimited { .. } => "rate_limited",
            Self::QuotaExhausted { .. } => "insufficient_quota",
            Self::ContentBlocked => "content_policy_violation",
            Self::ModelNotFound { .. } => "model_not_found",
            Self::ModelUnavailable => "model_unavailable",
            Self::InvalidRequest => "invalid_request",
            // OpenAI's code: agents shorten their history when they see it.
            Self::PromptTooLong { .. } => "context_length_exceeded",
            Self::SiteChanged { .. } => "site_changed",
            Self::Timeout(_) => "timeout",
            Self::Upstream => "upstream_error",
            Self::Other(code) => code,
            Self::ServerBusy { .. } => "server_busy",
            Self::Starting { .. } => "starting",
            Self::Quarantined => "adapter_quarantined",
            Self::BrowserFailed => "browser_failed",
            Self::AdapterCpuLimit => "adapter_cpu_limit",
            Self::AdapterMemoryLimit => "adapter_memory_limit",
            Self::AdapterCrashed => "adapter_crashed",
            Self::AlreadySubmitted => "already_submitted",
            Self::KeyReused => "idempotency_key_reused",
            Self::ClientTooSlow => "client_too_slow",
            Self::ClientGone => "client_gone",
            Self::ShuttingDown => "shutting_down",
        }
    }
}

/// A failure on its way to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind:?}: {message}")]
pub struct Failure {
    pub kind: FailureKind,
    /// What its kind does not say: the words of the site or the adapter, a reason of the system's. Often empty; holds no
    /// secret and no text of the prompt.
    pub message: String,
    /// The adapter and version that were at work, once one was.
    pub adapter: Option<String>,
    /// Whether the prompt may have reached the site: then nothing may invite a retry.
    pub submitted: bool,
}

impl Failure {
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), adapter: None, submitted: false }
    }
}

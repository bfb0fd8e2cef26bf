//! Why a page did not do what was asked of it.

/// Mirrors `page-error` of the contract, so that the plugin host maps it one to one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    #[error("timed out: {0}")]
    Timeout(String),
    #[error("nothing matches {0}")]
    NotFound(String),
    #[error("{0} is not an origin of this adapter")]
    OriginDenied(String),
    #[error("not granted: {0}")]
    NotGranted(String),
    #[error("cancelled")]
    Cancelled,
    /// The tab crashed, was closed, or its browser died.
    #[error("the page is closed")]
    Closed,
    #[error("{code}: {message}")]
    Other { code: &'static str, message: String },
}

impl From<super::cdp::CdpError> for PageError {
    fn from(error: super::cdp::CdpError) -> Self {
        use super::cdp::CdpError;
        match error {
            CdpError::Closed => Self::Closed,
            CdpError::Timeout { method, .. } => Self::Timeout(method),
            other => Self::Other { code: "browser", message: other.to_string() },
        }
    }
}

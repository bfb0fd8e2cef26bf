//! Finding Chromium, starting it, and making sure that it ends.

mod find;
mod flags;
mod process;
mod profile;
mod spawner;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use find::{MIN_MAJOR, find};
pub(super) use process::Process;
pub use profile::Profile;
pub(super) use profile::ProfileDir;

/// What decides how a Chromium is started.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchOptions {
    /// The program; none looks in the usual places.
    pub executable: Option<PathBuf>,
    /// No window on a screen. Without it a display is needed.
    pub headless: bool,
    /// Site isolation, one process for each site. Without it a busy Chromium takes about a third less memory, and a
    /// compromised renderer could read other sites of the same account.
    pub fission: bool,
    /// Chromium's own sandbox: tried first, and given up with a warning where the system does not allow it.
    pub sandbox: bool,
    /// The egress guard. All of Chromium's traffic goes there.
    pub guard: SocketAddr,
    /// The language that pages are told, such as `zh-CN`; none is the system's.
    pub locale: Option<String>,
    /// Such as `Asia/Shanghai`; none is the system's.
    pub timezone: Option<String>,
    /// Further flags, put last. For tests and for operators who know why.
    pub extra_args: Vec<String>,
    /// How long a start may take until Chromium says where it listens.
    pub start_timeout: Duration,
}

impl LaunchOptions {
    /// The defaults, with all traffic through `guard`.
    pub fn new(guard: SocketAddr) -> Self {
        Self {
            executable: None,
            headless: true,
            fission: true,
            sandbox: true,
            guard,
            locale: None,
            timezone: None,
            extra_args: Vec::new(),
            start_timeout: Duration::from_secs(30),
        }
    }
}

/// Why no Chromium runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    #[error("no Chromium found (looked for {looked}); install it, or set the path to it in the configuration")]
    NotFound { looked: String },
    #[error("{path} is no Chromium: {why}")]
    NotChromium { path: String, why: String },
    #[error("{path} is too old: version {found}, at least {MIN_MAJOR} is needed")]
    TooOld { path: String, found: String },
    #[error("the browser profile {profile} is in use by {by}")]
    ProfileInUse { profile: String, by: String },
    #[error("the browser profile {profile} cannot be used: {why}")]
    Profile { profile: String, why: String },
    #[error("Chromium ended at once ({status}): {stderr}")]
    Exited { status: String, stderr: String },
    #[error("Chromium did not say within {after:?} where it listens: {stderr}")]
    Timeout { after: Duration, stderr: String },
    #[error("Chromium cannot be started: {0}")]
    Spawn(String),
    #[error("Chromium started, but does not answer: {0}")]
    Connect(String),
}

impl LaunchError {
    /// Whether a person has to mend something before another try can succeed.
    pub fn needs_a_person(&self) -> bool {
        matches!(
            self,
            Self::NotFound { .. }
                | Self::NotChromium { .. }
                | Self::TooOld { .. }
                | Self::ProfileInUse { .. }
                | Self::Profile { .. }
        )
    }
}

//! One Chromium process: started, listened to, ended and reaped.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, ChildStderr};
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use super::{LaunchError, LaunchOptions, find, flags, profile, spawner};

/// Lines of stderr that are kept for errors.
const TAIL_LINES: usize = 20;
/// A longer line is cut.
const LINE_CHARS: usize = 400;
const LISTENING: &str = "DevTools listening on ";

/// A running Chromium. Dropping it kills it.
#[derive(Debug)]
pub(in crate::browser) struct Process {
    child: Child,
    profile: PathBuf,
    /// The program that runs.
    pub(in crate::browser) executable: PathBuf,
    pub(in crate::browser) ws_url: String,
    tail: Arc<Mutex<VecDeque<String>>>,
    _reader: AbortOnDropHandle<()>,
}

impl Process {
    /// Starts Chromium on a profile folder and waits until it says where it listens.
    ///
    /// # Errors
    /// See [`LaunchError`].
    pub(in crate::browser) async fn start(options: &LaunchOptions, profile: &Path) -> Result<Self, LaunchError> {
        let executable = find::find(options.executable.as_deref())?;
        profile::claim(profile).await?;
        // As root Chromium refuses its sandbox, always.
        let try_sandbox = options.sandbox && !rustix::process::geteuid().is_root();
        if try_sandbox {
            match Self::try_start(&executable, options, profile, true).await {
                Err(LaunchError::Exited { status, stderr }) => {
                    tracing::warn!(status, stderr, "Chromium ended at once; trying again without its sandbox");
                }
                result => return result,
            }
        } else if options.sandbox {
            tracing::warn!("Chromium runs without its sandbox, because this program runs as root");
        }
        match Self::try_start(&executable, options, profile, false).await {
            Err(error @ (LaunchError::Exited { .. } | LaunchError::Spawn(_) | LaunchError::Timeout { .. })) => {
                Err(find::diagnose(&executable).await.unwrap_or(error))
            }
            result => result,
        }
    }

    async fn try_start(
        executable: &Path,
        options: &LaunchOptions,
        profile: &Path,
        sandbox: bool,
    ) -> Result<Self, LaunchError> {
        let mut command = spawner::tied(executable);
        command
            .args(flags::arguments(options, profile, sandbox))
            // A browser has no use for the key of the API, nor for passphrases and sessions.
            .env_remove("AUTH_TOKEN")
            // There is mostly no bus, and looking for one fills the log.
            .env("DBUS_SESSION_BUS_ADDRESS", "disabled:")
            .envs(options.timezone.iter().map(|zone| ("TZ", zone)))
            .envs(options.locale.iter().map(|locale| ("LANGUAGE", locale)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WEBAI_")) {
            command.env_remove(name);
        }
        let mut child = spawner::spawn(command).await.map_err(|e| LaunchError::Spawn(e.to_string()))?;
        if let Some(pid) = child.id()
            && let Err(error) = profile::record(profile, pid)
        {
            tracing::warn!(%error, "the browser's process number cannot be recorded");
        }
        let stderr = child.stderr.take().ok_or_else(|| LaunchError::Spawn("no stderr".into()))?;
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let (found, address) = oneshot::channel();
        let reader = AbortOnDropHandle::new(tokio::spawn(read_stderr(stderr, Arc::clone(&tail), found)));
        let ws_url = match tokio::time::timeout(options.start_timeout, address).await {
            Ok(Ok(url)) => url,
            Ok(Err(_)) => return Err(ended(child, &tail).await),
            Err(_) => {
                // Dropping the child kills it.
                return Err(LaunchError::Timeout { after: options.start_timeout, stderr: text(&tail) });
            }
        };
        Ok(Self {
            child,
            profile: profile.to_owned(),
            executable: executable.to_owned(),
            ws_url,
            tail,
            _reader: reader,
        })
    }

    /// Refuses a Chromium that is too old, by the version that it told over CDP.
    pub(in crate::browser) fn check_version(&self, product: &str) -> Result<(), LaunchError> {
        find::check(&self.executable, product)
    }

    pub(in crate::browser) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The last lines that it wrote to stderr.
    pub(in crate::browser) fn stderr_tail(&self) -> String {
        text(&self.tail)
    }

    /// Waits for its end and reaps it. Safe to cancel.
    pub(in crate::browser) async fn exited(&mut self) -> String {
        show(self.child.wait().await.ok())
    }

    /// Waits for its end for so long, then kills it; reaped in either case. True if it ended by itself.
    pub(in crate::browser) async fn end(mut self, grace: Duration) -> bool {
        let by_itself = tokio::time::timeout(grace, self.child.wait()).await.is_ok();
        if !by_itself {
            tracing::warn!("the browser did not close in {grace:?} and is killed");
            if let Err(error) = self.child.kill().await {
                tracing::warn!(%error, "the browser cannot be killed");
            }
        }
        profile::forget(&self.profile);
        by_itself
    }
}

/// What to say of a process that closed its stderr before it listened.
async fn ended(mut child: Child, tail: &Mutex<VecDeque<String>>) -> LaunchError {
    let status = tokio::time::timeout(Duration::from_secs(5), child.wait()).await;
    LaunchError::Exited { status: show(status.ok().and_then(Result::ok)), stderr: text(tail) }
}

fn show(status: Option<ExitStatus>) -> String {
    status.map_or_else(|| "unknown status".into(), |s| s.to_string())
}

fn text(tail: &Mutex<VecDeque<String>>) -> String {
    let tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    tail.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
}

/// Reads stderr to its end: a full pipe would stop Chromium.
async fn read_stderr(stderr: ChildStderr, tail: Arc<Mutex<VecDeque<String>>>, found: oneshot::Sender<String>) {
    read_lines(stderr, &tail, Some(found)).await;
}

async fn read_lines<R: AsyncRead + Unpin>(
    input: R,
    tail: &Mutex<VecDeque<String>>,
    mut found: Option<oneshot::Sender<String>>,
) {
    let mut reader = BufReader::new(input);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line).await, Ok(n) if n > 0) {
        let shown: String = String::from_utf8_lossy(&line).trim().chars().take(LINE_CHARS).collect();
        line.clear();
        if let Some(url) = shown.strip_prefix(LISTENING) {
            if let Some(found) = found.take() {
                // Whoever started it may have given up.
                drop(found.send(url.to_owned()));
            }
            continue;
        }
        if shown.is_empty() || shown.contains("dbus/") {
            continue;
        }
        tracing::trace!(target: "chromium", "{shown}");
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn finds_the_address_among_noise_and_keeps_the_tail() {
        let mut text_in =
            String::from("x: dbus/bus.cc no bus\n\nDevTools listening on ws://127.0.0.1:1/devtools/browser/a\n");
        (0..50).for_each(|n| text_in.push_str(&format!("line {n}\n")));
        let tail = Mutex::new(VecDeque::new());
        let (sender, receiver) = oneshot::channel();
        read_lines(text_in.as_bytes(), &tail, Some(sender)).await;
        assert_eq!(receiver.await.unwrap(), "ws://127.0.0.1:1/devtools/browser/a");
        let kept = text(&tail);
        assert_eq!(kept.lines().count(), TAIL_LINES);
        assert!(kept.starts_with("line 30") && kept.ends_with("line 49"));
    }
}

//! Chromium: found, new enough, and really started; and what it runs in.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use super::server::Running;
use super::{Check, size, words};
use crate::browser::{Instance, InstanceOptions, InstanceState, LaunchOptions, MIN_MAJOR, Profile, find};
use crate::config::{Browser, Config, Sandbox};

/// For a start, which takes a second on most machines.
const START: Duration = Duration::from_secs(20);
const MIB: u64 = 1 << 20;

/// Chromium, its sandbox and its shared memory.
pub(super) async fn all(config: &Config, running: Option<&Running>, display: bool) -> Vec<Check> {
    let mut checks = match running {
        Some(running) => vec![served(running)],
        None => start(&config.browser).await,
    };
    if !config.browser.headless && !display {
        checks.push(Check::problem("display", words::chromium(), words::no_display(), words::no_display_cure()));
    }
    checks.push(shared_memory(&std::env::temp_dir()));
    checks
}

/// The server's own: one more might be too much for the machine.
fn served(running: &Running) -> Check {
    match running.state.as_str() {
        "ready" => Check::ok("chromium", words::chromium(), words::chromium_served()),
        state => {
            let seen = words::chromium_served_not(state, running.reason.as_str());
            let check = match state {
                "failed" => Check::problem,
                _ => Check::warning,
            };
            check("chromium", words::chromium(), seen, words::chromium_served_not_cure())
        }
    }
}

/// Starts one on a profile that is thrown away.
async fn start(config: &Browser) -> Vec<Check> {
    let path = match find(config.path.as_deref()) {
        Ok(path) => path,
        Err(error) => return vec![fails("", &error.to_string())],
    };
    let shown = path.display().to_string();
    // Nobody listens there: it goes nowhere.
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let launch = LaunchOptions {
        executable: Some(path),
        fission: config.fission,
        sandbox: config.sandbox != Sandbox::Off,
        start_timeout: START,
        ..LaunchOptions::new(nowhere)
    };
    let began = Instant::now();
    let instance = Instance::spawn(InstanceOptions { name: "doctor".into(), profile: Profile::Throwaway, launch });
    let mut states = instance.state();
    let settled = states.wait_for(|state| !matches!(state, InstanceState::Starting));
    let state = tokio::time::timeout(START, settled).await.ok().and_then(Result::ok).map(|state| state.clone());
    let took = began.elapsed();
    let checks = match state {
        Some(InstanceState::Ready { version, pid }) => {
            let seen = words::chromium_starts(shown, version, took.as_millis());
            vec![Check::ok("chromium", words::chromium(), seen), sandbox(config.sandbox, pid)]
        }
        Some(InstanceState::Restarting { reason, .. } | InstanceState::Failed(reason)) => vec![fails(&shown, &reason)],
        _ => {
            let seen = words::chromium_slow(shown, START.as_secs());
            vec![Check::problem("chromium", words::chromium(), seen, words::chromium_slow_cure())]
        }
    };
    instance.stop().await;
    checks
}

fn fails(path: &str, reason: &str) -> Check {
    let (seen, cure) = if reason.contains("no Chromium found") || reason.contains("is no Chromium") {
        (words::chromium_missing(reason), words::chromium_missing_cure())
    } else if reason.contains("is too old") {
        (words::chromium_old(reason, MIN_MAJOR), words::chromium_old_cure())
    } else {
        (words::chromium_fails(path, reason), words::chromium_fails_cure())
    };
    Check::problem("chromium", words::chromium(), seen, cure)
}

/// What the browser that was started says on its own command line.
fn sandbox(wanted: Sandbox, pid: Option<u32>) -> Check {
    let line = pid.and_then(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).ok()).unwrap_or_default();
    let without = String::from_utf8_lossy(&line).contains("--no-sandbox");
    let warning = |seen, cure| Check::warning("sandbox", words::sandbox(), seen, cure);
    match (without, wanted) {
        (false, _) => Check::ok("sandbox", words::sandbox(), words::sandbox_on()),
        (true, Sandbox::Off) => warning(words::sandbox_off(), words::sandbox_off_cure()),
        (true, _) if rustix::process::geteuid().is_root() => warning(words::sandbox_root(), words::sandbox_root_cure()),
        (true, _) => warning(words::sandbox_none(), words::sandbox_none_cure()),
    }
}

/// Chromium is told to keep what its processes share among the temporary files: /dev/shm is too small in most containers.
pub(super) fn shared_memory(folder: &Path) -> Check {
    let (name, title, shown) = ("shared-memory", words::shared_memory(), folder.display().to_string());
    let tried = tempfile_in(folder).and_then(|()| Ok(rustix::fs::statvfs(folder)?));
    let stat = match tried {
        Ok(stat) => stat,
        Err(error) => {
            let seen = words::shared_memory_none(shown, error);
            return Check::problem(name, title, seen, words::shared_memory_none_cure());
        }
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    match free / MIB {
        0..64 => {
            let seen = words::shared_memory_full(shown, size(free));
            Check::problem(name, title, seen, words::shared_memory_cure())
        }
        64..256 => {
            let seen = words::shared_memory_full(shown, size(free));
            Check::warning(name, title, seen, words::shared_memory_cure())
        }
        _ => Check::ok(name, title, words::shared_memory_is(shown, size(free))),
    }
}

/// Whether a file can be made there; it is removed again.
pub(super) fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".webai2api-doctor-{}", std::process::id()));
    std::fs::write(&path, b"probe")?;
    std::fs::remove_file(path)
}

//! A profile folder belongs to one Chromium at a time. Who holds it, and whether that one is still alive.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::LaunchError;

/// In the profile folder: the Chromium that was started on it, and the program that started it.
const RECORD: &str = "webai2api.pid";
/// Chromium's number for "do not predict".
const NEVER: u8 = 2;
/// Chromium's own lock: a link to `<host name>-<pid>`, with two more beside it.
const LOCKS: [&str; 3] = ["SingletonLock", "SingletonCookie", "SingletonSocket"];

/// Makes a profile folder ready for a start: ends what an earlier run left on it, and removes locks that hold nothing.
///
/// # Errors
/// When a live program uses the folder, or it cannot be written.
pub(super) async fn claim(profile: &Path) -> Result<(), LaunchError> {
    make_private(profile).map_err(|e| unusable(profile, &e))?;
    end_leftover(profile).await?;
    unlock(profile)?;
    predict_nothing(profile).map_err(|e| unusable(profile, &e))
}

/// Removes a lock that nobody holds.
fn unlock(profile: &Path) -> Result<(), LaunchError> {
    let Some(holder) = fs::read_link(profile.join("SingletonLock")).ok() else { return Ok(()) };
    let holder = holder.to_string_lossy().into_owned();
    if let Some(pid) = live_holder(&holder, profile) {
        return Err(in_use(profile, format!("process {pid}")));
    }
    tracing::info!(profile = %profile.display(), holder, "a stale lock was removed from the browser profile");
    for lock in LOCKS {
        match fs::remove_file(profile.join(lock)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(profile, &error)),
            _ => {}
        }
    }
    Ok(())
}

/// Switches off that pages have documents fetched ahead (speculation rules, `prefetch` and `prerender`): what was fetched so is shown
/// without any request that the fence could see. No flag and no command reaches all of it, only this setting of a profile, which
/// its throwaway contexts have from it. Other settings stay as they are.
fn predict_nothing(profile: &Path) -> io::Result<()> {
    let file = profile.join("Default/Preferences");
    let mut settings = match fs::read(&file) {
        // Chromium begins anew where it cannot read them.
        Ok(text) => serde_json::from_slice(&text).ok().filter(Value::is_object).unwrap_or_else(|| json!({})),
        Err(error) if error.kind() == io::ErrorKind::NotFound => json!({}),
        Err(error) => return Err(error),
    };
    if settings.pointer("/net/network_prediction_options") == Some(&json!(NEVER)) {
        return Ok(());
    }
    if let Some(settings) = settings.as_object_mut() {
        match settings.entry("net").or_insert_with(|| json!({})) {
            Value::Object(net) => drop(net.insert("network_prediction_options".into(), json!(NEVER))),
            other => *other = json!({ "network_prediction_options": NEVER }),
        }
    }
    make_private(&profile.join("Default"))?;
    // Whole or not at all: these are the operator's settings, too.
    let new = profile.join("Default/Preferences.webai2api");
    fs::write(&new, settings.to_string())?;
    fs::rename(new, file)
}

/// Records the Chromium that was started, so that a later run can end it.
pub(super) fn record(profile: &Path, pid: u32) -> io::Result<()> {
    fs::write(profile.join(RECORD), format!("{pid} {}\n", std::process::id()))
}

pub(super) fn forget(profile: &Path) {
    // It may be gone already, with its folder.
    drop(fs::remove_file(profile.join(RECORD)));
}

fn make_private(profile: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(profile)?;
    // It holds the operator's cookies.
    fs::set_permissions(profile, fs::Permissions::from_mode(0o700))?;
    let probe = profile.join(".webai2api-probe");
    fs::write(&probe, b"")?;
    fs::remove_file(probe)
}

/// Ends a Chromium that was recorded here, unless the program that started it still runs.
async fn end_leftover(profile: &Path) -> Result<(), LaunchError> {
    let Ok(recorded) = fs::read_to_string(profile.join(RECORD)) else { return Ok(()) };
    let mut numbers = recorded.split_whitespace().map(|n| n.parse::<i32>().ok());
    let (Some(Some(browser)), Some(Some(host))) = (numbers.next(), numbers.next()) else { return Ok(()) };
    if !runs_on(browser, profile) {
        return Ok(());
    }
    if parent(browser) == Some(host) {
        return Err(in_use(profile, format!("another webai2api (process {host})")));
    }
    tracing::warn!(pid = browser, "ending a browser that an earlier run left behind");
    let Some(pid) = Pid::from_raw(browser) else { return Ok(()) };
    for (signal, tries) in [(Signal::TERM, 30), (Signal::KILL, 50)] {
        // It may end by itself between the check and the signal.
        kill_process(pid, signal).ok();
        for _ in 0..tries {
            if !runs_on(browser, profile) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Err(in_use(profile, format!("process {browser}, which does not end")))
}

/// The live process that a lock names, if it is one of this machine and runs on this profile.
fn live_holder(holder: &str, profile: &Path) -> Option<i32> {
    let (host, pid) = holder.rsplit_once('-')?;
    let pid: i32 = pid.parse().ok()?;
    let here = rustix::system::uname().nodename().to_string_lossy().into_owned();
    // A container has a new name at each start, and its process numbers mean nothing here.
    (host == here && runs_on(pid, profile)).then_some(pid)
}

/// Whether this process is alive and its command line names this profile: process numbers are given out again.
fn runs_on(pid: i32, profile: &Path) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    names(&line, profile)
}

/// Chromium writes its command line anew, with spaces between the arguments.
fn names(command_line: &[u8], profile: &Path) -> bool {
    let line = String::from_utf8_lossy(command_line).replace('\0', " ");
    let wanted = format!("--user-data-dir={}", profile.display());
    line.match_indices(&wanted).any(|(at, _)| {
        let after = line.get(at + wanted.len()..).unwrap_or_default();
        after.is_empty() || after.starts_with(' ')
    })
}

fn parent(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

fn in_use(profile: &Path, by: String) -> LaunchError {
    LaunchError::ProfileInUse { profile: profile.display().to_string(), by }
}

fn unusable(profile: &Path, error: &io::Error) -> LaunchError {
    LaunchError::Profile { profile: profile.display().to_string(), why: error.to_string() }
}

/// Where a profile is: a folder that lasts, or one that goes with its instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// A new folder under the system's temporary one, removed afterwards.
    Throwaway,
    /// Cookies and storage last here.
    Dir(PathBuf),
}

/// A profile's folder while an instance has it.
#[derive(Debug)]
pub(in crate::browser) struct ProfileDir {
    path: PathBuf,
    throwaway: bool,
}

impl ProfileDir {
    pub(in crate::browser) fn new(profile: &Profile) -> Self {
        match profile {
            Profile::Dir(path) => {
                Self { path: std::path::absolute(path).unwrap_or_else(|_| path.clone()), throwaway: false }
            }
            Profile::Throwaway => {
                let name = format!("webai2api-{}", uuid::Uuid::new_v4());
                Self { path: std::env::temp_dir().join(name), throwaway: true }
            }
        }
    }

    pub(in crate::browser) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ProfileDir {
    fn drop(&mut self) {
        if self.throwaway
            && let Err(error) = fs::remove_dir_all(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(%error, path = %self.path.display(), "a throwaway profile was not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[tokio::test]
    async fn a_lock_of_another_host_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        symlink("some-other-container-17", folder.path().join("SingletonLock")).unwrap();
        symlink("/nowhere", folder.path().join("SingletonSocket")).unwrap();
        claim(folder.path()).await.unwrap();
        assert!(fs::read_link(folder.path().join("SingletonLock")).is_err());
        assert!(fs::read_link(folder.path().join("SingletonSocket")).is_err());
    }

    #[tokio::test]
    async fn a_lock_whose_number_now_belongs_to_another_program_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let here = rustix::system::uname().nodename().to_string_lossy().into_owned();
        symlink(format!("{here}-{}", std::process::id()), folder.path().join("SingletonLock")).unwrap();
        claim(folder.path()).await.unwrap();
        assert!(fs::read_link(folder.path().join("SingletonLock")).is_err());
    }

    #[tokio::test]
    async fn nothing_is_fetched_ahead_and_other_settings_stay() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("Default/Preferences");
        let read = || serde_json::from_slice::<Value>(&fs::read(&file).unwrap()).unwrap();
        claim(folder.path()).await.unwrap();
        assert_eq!(read(), json!({"net": {"network_prediction_options": 2}}));
        for (before, after) in [
            (r#"{"a":{"b":1},"net":{"x":true}}"#, json!({"a":{"b":1},"net":{"x":true,"network_prediction_options":2}})),
            (r#"{"net":{"network_prediction_options":0}}"#, json!({"net":{"network_prediction_options":2}})),
            (r#"{"net":3}"#, json!({"net":{"network_prediction_options":2}})),
            ("{ cut o", json!({"net":{"network_prediction_options":2}})),
        ] {
            fs::write(&file, before).unwrap();
            claim(folder.path()).await.unwrap();
            assert_eq!(read(), after, "{before}");
        }
    }

    #[test]
    fn reads_command_lines_however_they_are_joined() {
        let profile = Path::new("/data/profile");
        assert!(names(b"chromium\0--user-data-dir=/data/profile\0--x", profile));
        assert!(names(b"/usr/lib/chromium --user-data-dir=/data/profile --x", profile));
        assert!(names(b"chromium --user-data-dir=/data/profile", profile));
        assert!(!names(b"chromium --user-data-dir=/data/profile2 --x", profile));
        assert!(!names(b"", profile));
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = claim(&file.path().join("profile")).await.unwrap_err();
        assert!(matches!(error, LaunchError::Profile { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_recorded_number_of_another_program_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        record(folder.path(), std::process::id()).unwrap();
        claim(folder.path()).await.unwrap();
    }
}

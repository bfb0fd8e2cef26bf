//! Starting, losing, restarting and stopping a real Chromium.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;

use crate::browser_support::*;
use tokio::io::{AsyncBufReadExt, BufReader};
use webai2api::browser::{CloseReason, Instance, InstanceOptions, InstanceState, PageError, Profile, find};

#[tokio::test]
async fn starts_and_stops() {
    let instance = Instance::spawn(options("test", Profile::Throwaway, None));
    assert_eq!(*instance.state().borrow(), InstanceState::Starting);
    let early = instance.open_page(spec()).await.map(|_| ());
    assert!(is_code(&early, "browser-not-ready"), "{early:?}");
    let (version, pid) = ready(&instance).await;
    assert!(version.contains("Chrome/"), "{version}");
    instance.stop().await;
    assert_eq!(*instance.state().borrow(), InstanceState::Stopped);
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn a_killed_browser_is_started_again() {
    let site = Site::start(|_| html("hello")).await;
    let instance = instance(&site).await;
    let page = page(&instance).await;
    let mut closed = page.closed();
    let (_, pid) = ready(&instance).await;
    kill(pid);
    until(&instance, |state| matches!(state, InstanceState::Restarting { attempt: 1, .. })).await;
    let reason = tokio::time::timeout(PATIENCE, closed.wait_for(Option::is_some)).await.unwrap().unwrap().clone();
    assert_eq!(reason, Some(CloseReason::Gone));
    assert_eq!(page.url().await, Err(PageError::Closed));
    let (_, again) = ready(&instance).await;
    assert_ne!(pid, again);
    crate::browser_support::page(&instance).await;
    instance.stop().await;
    assert!(!is_alive(again));
}

#[tokio::test]
async fn a_recycled_browser_is_a_fresh_one_at_once() {
    let instance = Instance::spawn(options("test", Profile::Throwaway, None));
    // None is there yet: nothing to recycle, and nothing left over for the one that comes.
    instance.recycle();
    let (_, pid) = ready(&instance).await;
    instance.recycle();
    until(&instance, |state| matches!(state, InstanceState::Restarting { reason, .. } if reason.contains("recycled")))
        .await;
    let (_, again) = ready(&instance).await;
    assert_ne!(pid, again);
    assert!(!is_alive(pid), "it was closed, and not left behind");
    instance.stop().await;
    assert!(!is_alive(again));
}

/// A lasting profile on a folder of the test's.
fn lasting(folder: &Path, site: Option<&Site>) -> InstanceOptions {
    options("test", Profile::Dir(folder.to_owned()), site.map(Site::guard))
}

async fn failed(options: InstanceOptions) -> String {
    let instance = Instance::spawn(options);
    let state = until(&instance, |state| !matches!(state, InstanceState::Starting)).await;
    instance.stop().await;
    match state {
        InstanceState::Failed(reason) | InstanceState::Restarting { reason, .. } => reason,
        state => panic!("it should not run: {state:?}"),
    }
}

#[tokio::test]
async fn says_that_there_is_no_chromium() {
    let mut options = options("test", Profile::Throwaway, None);
    options.launch.executable = Some("/no/such/chromium".into());
    let reason = failed(options).await;
    assert!(reason.contains("no Chromium found") && reason.contains("/no/such/chromium"), "{reason}");
}

/// A program in the place of Chromium.
fn stand_in(folder: &Path, script: &str) -> std::path::PathBuf {
    let path = folder.join("chromium");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn says_that_a_chromium_is_too_old_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("echo 'Chromium 60.0.3112.113'; exit 3", "too old"),
        ("echo hello; exit 3", "is no Chromium"),
        (
            "[ \"$1\" = --version ] && echo 'Chromium 156.0.1.2' && exit 0; echo 'no display, sorry' >&2; exit 3",
            "no display, sorry",
        ),
    ];
    for (script, wanted) in cases {
        let mut options = options("test", Profile::Throwaway, None);
        options.launch.executable = Some(stand_in(folder.path(), script));
        let reason = failed(options).await;
        assert!(reason.contains(wanted), "{reason}");
    }
}

#[tokio::test]
async fn starts_without_the_sandbox_where_it_does_not_work() {
    let folder = tempfile::tempdir().unwrap();
    let chromium = find(None).unwrap();
    let chromium = chromium.display();
    let script =
        format!("case \"$*\" in *--no-sandbox*) exec {chromium} \"$@\";; esac\necho 'No usable sandbox!' >&2; exit 1");
    let mut options = options("test", Profile::Throwaway, None);
    options.launch.executable = Some(stand_in(folder.path(), &script));
    let instance = Instance::spawn(options);
    ready(&instance).await;
    instance.stop().await;
}

#[tokio::test]
async fn a_profile_in_use_is_told_and_a_stale_lock_is_not() {
    let folder = tempfile::tempdir().unwrap();
    symlink("another-container-17", folder.path().join("SingletonLock")).unwrap();
    let instance = Instance::spawn(lasting(folder.path(), None));
    let (_, pid) = ready(&instance).await;
    let reason = failed(lasting(folder.path(), None)).await;
    assert!(reason.contains("in use"), "{reason}");
    assert!(is_alive(pid), "the one that uses it is left alone");
    instance.stop().await;
    // What a crash leaves behind: Chromium's lock, of a process that is gone.
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    symlink(format!("{host}-{pid}"), folder.path().join("SingletonLock")).unwrap();
    let instance = Instance::spawn(lasting(folder.path(), None));
    ready(&instance).await;
    instance.stop().await;
}

#[tokio::test]
async fn cookies_are_on_disk_after_a_stop() {
    let site = Site::start(|asked| match asked {
        "chat.demo.localhost/" => html("<script>document.cookie = 'a=1; max-age=99999'</script>"),
        _ => html("<script>document.title = document.cookie</script>"),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let mut spec = spec();
    spec.throwaway = false;
    let instance = Instance::spawn(lasting(folder.path(), Some(&site)));
    ready(&instance).await;
    let page = instance.open_page(spec.clone()).await.unwrap();
    page.back_to_entry(Some(PATIENCE)).await.unwrap();
    instance.stop().await;
    let instance = Instance::spawn(lasting(folder.path(), Some(&site)));
    ready(&instance).await;
    let page = instance.open_page(spec).await.unwrap();
    page.goto(&format!("{CHAT}/show"), Some(PATIENCE)).await.unwrap();
    assert_eq!(page.title().await.unwrap(), "a=1");
    instance.stop().await;
}

#[tokio::test]
async fn throwaway_pages_share_no_cookies_and_windows_leave_with_their_page() {
    let site = Site::start(|asked| match asked {
        "chat.demo.localhost/" => html("<script>document.cookie = 'a=1; max-age=99999'</script>"),
        _ => html("<script>document.title = 'cookie:' + document.cookie</script>"),
    })
    .await;
    let instance = instance(&site).await;
    let first = page(&instance).await;
    let second = instance.open_page(spec()).await.unwrap();
    second.goto(&format!("{CHAT}/show"), Some(PATIENCE)).await.unwrap();
    assert_eq!(second.title().await.unwrap(), "cookie:");
    drop((first, second));
    // The browser lives on without a page.
    page(&instance).await;
    instance.stop().await;
}

#[tokio::test]
async fn a_browser_that_an_earlier_run_left_behind_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    // A shell, which ends at once, stands for the earlier run: its Chromium goes on alone.
    let folder_name = folder.path().display();
    let chromium = find(None).unwrap();
    let chromium = chromium.display();
    let command = format!(
        "{chromium} --headless=new --no-sandbox --no-startup-window --remote-debugging-port=0 \
         --user-data-dir={folder_name} >/dev/null 2>&1 & echo $! $$"
    );
    let output = tokio::process::Command::new("/bin/sh").args(["-c", &command]).output().await.unwrap();
    let record = String::from_utf8(output.stdout).unwrap();
    let left: u32 = record.split(' ').next().unwrap().parse().unwrap();
    eventually("it has its lock", async || folder.path().join("SingletonLock").is_symlink()).await;
    std::fs::write(folder.path().join("webai2api.pid"), record).unwrap();
    let instance = Instance::spawn(lasting(folder.path(), None));
    let (_, pid) = ready(&instance).await;
    assert!(pid != left && !is_alive(left));
    instance.stop().await;
}

/// Not a test: the program that the next test kills. It tells its browser's process and waits.
#[tokio::test]
#[ignore = "started by the next test"]
async fn a_host_to_be_killed() {
    let instance = Instance::spawn(options("doomed", Profile::Throwaway, None));
    let (_, pid) = ready(&instance).await;
    println!("browser {pid}");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn no_browser_outlives_a_killed_host() {
    let mut host = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "browser_instance::a_host_to_be_killed", "--nocapture"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(host.stdout.take().unwrap()).lines();
    let told = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("it tells its browser");
            if let Some((_, pid)) = line.split_once("browser ") {
                return pid.trim().parse::<u32>().unwrap();
            }
        }
    };
    let pid = tokio::time::timeout(PATIENCE, told).await.unwrap();
    let family = descendants(pid);
    assert!(is_alive(pid) && family.len() > 2, "{family:?}");
    kill(host.id().unwrap());
    host.wait().await.unwrap();
    eventually("the whole browser is gone", async || !is_alive(pid) && family.iter().all(|pid| !is_alive(*pid))).await;
}

#[tokio::test]
async fn a_page_sees_the_locale_and_the_time_zone_of_its_instance() {
    let script = "<p></p><script>\
        document.querySelector('p').textContent = [navigator.language, Intl.DateTimeFormat().resolvedOptions().timeZone]\
        .join(' ')</script>";
    let site = Site::start(move |_| html(script)).await;
    let mut options = options("test", Profile::Throwaway, Some(site.guard()));
    (options.launch.locale, options.launch.timezone) = (Some("fr-FR".into()), Some("Asia/Tokyo".into()));
    let instance = Instance::spawn(options);
    ready(&instance).await;
    let page = page(&instance).await;
    assert_eq!(page.texts("css=p").await.unwrap(), ["fr-FR Asia/Tokyo"]);
    instance.stop().await;
}

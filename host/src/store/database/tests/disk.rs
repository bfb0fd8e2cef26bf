//! A disk that fills up and is emptied again.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

const FOLDER: &str = "STORE_DISK_FOLDER";

/// Writes until it is refused, goes on all the same, and is as before when `relieve` has made room.
async fn fill_up_and_recover(folder: &Path, limit: impl FnOnce(), relieve: impl FnOnce()) {
    let database = open(folder).await;
    database.record(record(1));
    database.flush(LONG).await.unwrap();
    limit();
    let mut number = 1000;
    while database.counts().failed == 0 {
        assert!(number < 2000, "the disk was to be full");
        number += 1;
        database.record(RequestRecord { answer: Some("x".repeat(200_000)), ..record(number) });
        // What is refused is refused, and nothing else.
        let _ = database.flush(LONG).await;
    }
    database.put_conversation(&key(), "large", 1).await.err();
    found(&database, "req_1").await;
    relieve();
    database.record(record(2));
    database.flush(LONG).await.unwrap();
    database.put_conversation(&key(), "c", 1).await.unwrap();
    found(&database, "req_2").await;
    assert!(database.close(LONG).await);
    assert_whole(folder);
    let database = open(folder).await;
    found(&database, "req_1").await;
    found(&database, "req_2").await;
    assert_eq!(database.find_conversation(&key()).await.unwrap().unwrap().id, "c");
}

fn key() -> ConversationKey {
    ConversationKey { instance: "a".into(), adapter: "b".into(), model: "c".into(), prefix: [0; 32] }
}

/// Runs in a process of its own, for which the kernel lets no file grow beyond a limit.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let limit_to = |current| {
        let maximum = getrlimit(Resource::Fsize).maximum;
        setrlimit(Resource::Fsize, Rlimit { current, maximum }).unwrap();
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(fill_up_and_recover(Path::new(&folder), || limit_to(Some(1 << 20)), || limit_to(None)));
    println!("recovered");
}

#[test]
fn a_file_that_may_not_grow_hurts_nobody() {
    let folder = tempfile::tempdir().unwrap();
    // The kernel's signal would end it; the shell has it ignored.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    shell.args(["--exact", "store::database::tests::disk::child", "--nocapture", "--test-threads=1"]);
    let output = shell.env(FOLDER, folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("recovered"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

/// A small disk in memory; gone when dropped.
struct Disk(PathBuf);

impl Disk {
    /// None where this user may not mount one.
    fn mount(at: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        let done = mount.args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"]).arg(at).output().ok()?;
        done.status.success().then(|| Self(at.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).output());
    }
}

#[tokio::test]
async fn a_full_disk_hurts_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(folder.path()) else {
        println!("skipped: only root can mount a small disk; the limit of a file's size is tried in any case");
        return;
    };
    let filler = disk.0.join("filler");
    let fill = || {
        let mut size = 1 << 20;
        let mut bytes = Vec::new();
        while size > 512 {
            bytes.resize(bytes.len() + size, 0u8);
            if fs::write(&filler, &bytes).is_err() {
                bytes.truncate(bytes.len() - size);
                size /= 2;
            }
        }
        drop(fs::write(&filler, &bytes));
    };
    fill_up_and_recover(&disk.0, fill, || fs::remove_file(&filler).unwrap()).await;
}

#[tokio::test]
async fn a_disk_that_is_read_only_at_the_start_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(folder.path()) else {
        println!("skipped: only root can mount a small disk");
        return;
    };
    let remount = |how: &str| {
        let done = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&disk.0).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    remount("ro");
    let database = Database::open_with(&disk.0, &history(HistoryMode::Full), Duration::from_millis(20));
    database.record(record(1));
    assert!(matches!(database.flush(LONG).await, Err(DatabaseError::Unavailable(_))));
    remount("rw");
    let again = async {
        while database.flush(LONG).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, again).await.unwrap();
    database.record(record(2));
    database.flush(LONG).await.unwrap();
    found(&database, "req_2").await;
    assert!(database.close(LONG).await);
}

//! The data folder: writable, free, and on a disk that SQLite and browser profiles can live on.

use std::io;
use std::path::{Path, PathBuf};

use super::browser::tempfile_in;
use super::{Check, size, words};
use crate::http::Text;

const MIB: u64 = 1 << 20;

/// What lies on another machine or behind a program: no place for a database. Numbers of `statfs(2)`.
const NETWORK: [(u32, &str); 11] = [
    (0x6969, "nfs"),
    (0x517B, "smb"),
    (0xFF53_4D42, "cifs"),
    (0xFE53_4D42, "smb2"),
    (0x6573_5546, "fuse"),
    (0x0102_1997, "9p"),
    (0x00C3_6400, "ceph"),
    (0x0BD0_0BD0, "lustre"),
    (0x5346_414F, "afs"),
    (0x0116_1970, "gfs2"),
    (0x7461_636F, "ocfs2"),
];
const MEMORY: [(u32, &str); 2] = [(0x0102_1994, "tmpfs"), (0x8584_58F6, "ramfs")];
const LOCAL: [(u32, &str); 8] = [
    (0xEF53, "ext4"),
    (0x9123_683E, "btrfs"),
    (0x5846_5342, "xfs"),
    (0x794C_7630, "overlay"),
    (0x2FC1_2FC1, "zfs"),
    (0xF2F5_2010, "f2fs"),
    (0xCA45_1A4E, "bcachefs"),
    (0x4D44, "vfat"),
];

/// The folder and its disk. `running`: the server that has it is ours.
pub(super) async fn all(folder: &Path, running: bool) -> Vec<Check> {
    let folder = folder.to_owned();
    let looked = tokio::task::spawn_blocking(move || {
        let shown = std::path::absolute(&folder).unwrap_or(folder);
        vec![data_folder(&shown, running), disk(&shown)]
    });
    looked.await.unwrap_or_default()
}

fn data_folder(folder: &Path, running: bool) -> Check {
    let (name, title, shown) = ("data-folder", words::data_folder(), folder.display().to_string());
    let unusable = |reason: Text| {
        let seen = words::folder_unusable(shown.as_str(), reason);
        Check::problem(name, words::data_folder(), seen, words::folder_unusable_cure())
    };
    let there = folder.exists();
    if there && !folder.is_dir() {
        return unusable(words::file_in_its_place());
    }
    let place = nearest(folder);
    let number = match rustix::fs::statfs(&place) {
        Ok(stat) => stat.f_type as u32,
        Err(errno) => return unusable(io::Error::from(errno).into()),
    };
    let kind = kind(number);
    if NETWORK.iter().any(|(known, _)| *known == number) {
        let seen = words::folder_network(shown, kind);
        return Check::problem(name, title, seen, words::folder_network_cure());
    }
    if let Err(error) = tempfile_in(&place) {
        return unusable(match error.kind() {
            io::ErrorKind::NotADirectory => words::file_in_its_place(),
            _ => error.into(),
        });
    }
    if !running && is_held(folder) {
        return Check::problem(name, title, words::folder_held(shown), words::folder_held_cure());
    }
    if MEMORY.iter().any(|(known, _)| *known == number) {
        return Check::warning(name, title, words::folder_memory(shown, kind), words::folder_memory_cure());
    }
    let seen = match (there, running) {
        (false, _) => words::folder_new(shown, kind),
        (true, true) => words::folder_served(shown, kind),
        (true, false) => words::folder_good(shown, kind),
    };
    Check::ok(name, title, seen)
}

fn kind(number: u32) -> Text {
    let mut known = NETWORK.iter().chain(&MEMORY).chain(&LOCAL);
    match known.find(|(known, _)| *known == number) {
        Some((_, name)) => (*name).into(),
        None => words::a_file_system(format!("{number:#x}")),
    }
}

/// The folder, or the part of its path that is there already.
fn nearest(folder: &Path) -> PathBuf {
    folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned()
}

/// Whether a program holds the folder's lock. It is not taken away from anyone by this, nor made where it is not.
fn is_held(folder: &Path) -> bool {
    let Ok(lock) = std::fs::OpenOptions::new().write(true).open(folder.join("lock")) else { return false };
    let tried = rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive);
    matches!(tried, Err(rustix::io::Errno::WOULDBLOCK))
}

fn disk(folder: &Path) -> Check {
    let (name, title) = ("disk", words::disk());
    let stat = match rustix::fs::statvfs(nearest(folder)) {
        Ok(stat) => stat,
        Err(errno) => {
            let seen = words::disk_unknown(io::Error::from(errno));
            return Check::warning(name, title, seen, words::disk_unknown_cure());
        }
    };
    if stat.f_files > 0 && stat.f_favail == 0 {
        return Check::problem(name, title, words::disk_files(), words::disk_files_cure());
    }
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let seen = words::disk_free(size(free));
    match free / MIB {
        0..200 => Check::problem(name, title, seen, words::disk_cure()),
        200..1024 => Check::warning(name, title, seen, words::disk_cure()),
        _ => Check::ok(name, title, seen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn a_folder_that_is_not_there_yet_is_tried_where_it_will_be() {
        let home = tempfile::tempdir().unwrap();
        let check = data_folder(&home.path().join("a/b"), false);
        assert!(check.verdict < Verdict::Problem && check.seen.en.contains("a/b"), "{check:?}");
        assert!(!home.path().join("a").exists(), "nothing is made");
    }

    #[test]
    fn a_file_in_its_place_and_a_folder_nobody_can_write() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (path, reason) in [(file.path(), "a file in its place"), (Path::new("/proc/webai2api"), "cannot be used")] {
            let check = data_folder(path, false);
            assert!(check.verdict == Verdict::Problem && check.seen.en.contains(reason), "{check:?}");
        }
        let below = data_folder(&file.path().join("data"), false);
        assert!(below.verdict == Verdict::Problem && below.seen.en.contains("a file in its place"), "{below:?}");
    }

    #[test]
    fn a_folder_that_another_program_holds() {
        let home = tempfile::tempdir().unwrap();
        let held = crate::store::DataFolder::open(home.path()).unwrap();
        let check = data_folder(held.path(), false);
        assert!(check.verdict == Verdict::Problem && check.seen.en.contains("another webai2api"), "{check:?}");
        assert!(data_folder(held.path(), true).verdict < Verdict::Problem, "unless that is the server that runs");
        let path = held.path().to_owned();
        drop(held);
        assert!(data_folder(&path, false).verdict < Verdict::Problem);
    }

    #[test]
    fn kinds_are_named() {
        assert_eq!(kind(0x6969).en, "nfs");
        assert_eq!(kind(0x1234).en, "a file system of kind 0x1234");
    }
}

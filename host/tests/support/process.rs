//! The processes below a server: found in /proc, by the profile folder and by descent.

use std::collections::BTreeMap;

use rustix::process::{Pid, Signal, kill_process};

use super::Server;

/// Parent and command line of every process that can be seen.
fn table() -> BTreeMap<u32, (u32, String)> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        // It may end at any time between these lines.
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        let mut fields = rest.split(' ');
        // A zombie has ended; it only waits for its parent.
        if fields.next() == Some("Z") {
            continue;
        }
        let Some(parent) = fields.next().and_then(|p| p.parse().ok()) else { continue };
        all.insert(pid, (parent, String::from_utf8_lossy(&line).replace('\0', " ")));
    }
    all
}

/// All processes below a server, browsers and their helpers.
pub(crate) fn below(server: &Server) -> Vec<u32> {
    descendants(server.pid()).into_iter().map(|(pid, _)| pid).collect()
}

fn descendants(root: u32) -> Vec<(u32, String)> {
    let table = table();
    let is_below = |mut pid: u32| {
        while let Some((parent, _)) = table.get(&pid) {
            if *parent == root {
                return true;
            }
            pid = *parent;
        }
        false
    };
    table.iter().filter(|(pid, _)| is_below(**pid)).map(|(pid, (_, line))| (*pid, line.clone())).collect()
}

/// The browser's main process, if there is one.
pub(crate) fn browser(server: &Server) -> Option<u32> {
    let profile = server.home().to_string_lossy().into_owned();
    main_processes(server).find(|(_, line)| line.contains(&profile)).map(|(pid, _)| pid)
}

/// The main processes of all browsers.
pub(crate) fn browsers(server: &Server) -> Vec<u32> {
    main_processes(server).map(|(pid, _)| pid).collect()
}

fn main_processes(server: &Server) -> impl Iterator<Item = (u32, String)> {
    let is_main = |line: &str| line.contains("--user-data-dir=") && !line.contains("--type=");
    descendants(server.pid()).into_iter().filter(move |(_, line)| is_main(line))
}

/// The processes in which pages run.
pub(crate) fn renderers(server: &Server) -> Vec<u32> {
    let all = descendants(server.pid()).into_iter();
    all.filter(|(_, line)| line.contains("--type=renderer")).map(|(pid, _)| pid).collect()
}

/// Whether any process is left of those, or any that names the folder.
pub(crate) fn is_any_left(pids: &[u32], folder: &str) -> bool {
    let table = table();
    pids.iter().any(|pid| table.get(pid).is_some_and(|(_, line)| line.contains("chrom")))
        || table.values().any(|(_, line)| line.contains(folder))
}

/// What a process uses now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Uses {
    /// In MiB: resident, and not backed by a file.
    pub(crate) anonymous: f64,
    pub(crate) handles: usize,
}

pub(crate) fn uses(pid: u32) -> Uses {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    let handles = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    Uses { anonymous: kib / 1024.0, handles }
}

/// Its share of the memory that it uses, in MiB; none if it has ended.
pub(crate) fn proportional(pid: u32) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
}

/// Ends a process at once, as a crash would.
pub(crate) fn kill(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // It may have ended by itself in the meantime, as helpers do.
    let _ = kill_process(pid, Signal::KILL);
}

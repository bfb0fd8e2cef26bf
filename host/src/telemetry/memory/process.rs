//! Processes: who is below whom, and what each uses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Every process's children, as far as they can be seen.
pub(super) fn children(root: &Path) -> BTreeMap<u32, Vec<u32>> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(root.join("proc")) else { return children };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may end at any time between these lines.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some(parent) = parent(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    children
}

/// `<pid> (<name>) <state> <parent> ...`; the name may hold anything, parentheses too.
fn parent(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

/// A process and all below it.
pub(super) fn tree(pid: u32, children: &BTreeMap<u32, Vec<u32>>) -> BTreeSet<u32> {
    let mut all = BTreeSet::new();
    let mut next = vec![pid];
    while let Some(pid) = next.pop() {
        if all.insert(pid) {
            next.extend(children.get(&pid).into_iter().flatten());
        }
    }
    all
}

/// What a process uses, in bytes: its proportional set size, in which memory that several processes share counts once in all.
/// A sandboxed process does not show that to others; of it, what is its own and what it shares without a file.
pub(super) fn size(root: &Path, pid: u32) -> u64 {
    let read = |name: &str| std::fs::read_to_string(root.join(format!("proc/{pid}/{name}"))).ok();
    let proportional = read("smaps_rollup").and_then(|text| kibibytes(&text, "Pss:"));
    proportional.or_else(|| read("status").and_then(|text| own(&text))).unwrap_or(0)
}

fn own(status: &str) -> Option<u64> {
    Some(kibibytes(status, "RssAnon:")?.saturating_add(kibibytes(status, "RssShmem:").unwrap_or(0)))
}

/// The bytes of a line such as `Pss:   285 kB`.
pub(super) fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

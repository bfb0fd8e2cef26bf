//! The limit of the control group that this process is in: version 2, or the memory controller of version 1.

use std::path::{Path, PathBuf};

use super::{LimitSource, Usage};

/// Where a version keeps its figures.
struct Layout {
    mount: &'static str,
    limit: &'static str,
    usage: &'static str,
    /// Of the page cache that can be dropped at once; it counts as used, but is as good as free.
    inactive: &'static str,
}

const V2: Layout =
    Layout { mount: "sys/fs/cgroup", limit: "memory.max", usage: "memory.current", inactive: "inactive_file" };
const V1: Layout = Layout {
    mount: "sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    inactive: "total_inactive_file",
};

/// Version 1 writes a number near 2^63 where there is no limit.
const NO_LIMIT: u64 = 1 << 60;

/// The tightest limit of the groups around this process, and its use. None where none limits it.
pub(super) fn usage(root: &Path) -> Option<Usage> {
    let groups = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    // A line is `<number>:<controllers>:<path>`; version 2 is number 0 without controllers.
    let of = |wanted: fn(&str) -> bool| {
        groups.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = (fields.next()?, fields.next()?);
            wanted(controllers).then(|| path.to_owned())
        })
    };
    let v1 = of(|controllers| controllers.split(',').any(|name| name == "memory"));
    let v2 = of(str::is_empty);
    v1.and_then(|path| tightest(root, &V1, &path)).or_else(|| v2.and_then(|path| tightest(root, &V2, &path)))
}

/// Each group is limited by those around it as well. In a container the path may be the machine's own, of which nothing is to be
/// seen but the mount's root, which is the container's group.
fn tightest(root: &Path, layout: &Layout, path: &str) -> Option<Usage> {
    let mount = root.join(layout.mount);
    let mut folder: PathBuf = path.split('/').filter(|part| !part.is_empty() && *part != "..").collect();
    let mut found: Option<Usage> = None;
    loop {
        if let Some(usage) = read(&mount.join(&folder), layout)
            && found.is_none_or(|tightest| usage.limit < tightest.limit)
        {
            found = Some(usage);
        }
        if !folder.pop() {
            return found;
        }
    }
}

fn read(folder: &Path, layout: &Layout) -> Option<Usage> {
    let file = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    // `max` is no number: no limit.
    let limit: u64 = file(layout.limit)?.trim().parse().ok()?;
    if limit == 0 || limit >= NO_LIMIT {
        return None;
    }
    let usage: u64 = file(layout.usage)?.trim().parse().ok()?;
    let stat = file("memory.stat").unwrap_or_default();
    let inactive = stat.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        if name == layout.inactive { value.trim().parse::<u64>().ok() } else { None }
    });
    Some(Usage { used: usage.saturating_sub(inactive.unwrap_or(0)), limit, source: LimitSource::Cgroup })
}

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;

const MIB: u64 = 1 << 20;

/// A folder that stands for `/`, with these files.
fn root(files: &[(&str, &str)]) -> TempDir {
    let root = TempDir::new().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn system(files: &[(&str, &str)]) -> Option<(u64, u64, LimitSource)> {
    let root = root(files);
    Reader::below(root.path()).system().map(|usage| (usage.used, usage.limit, usage.source))
}

const MEMINFO: (&str, &str) =
    ("proc/meminfo", "MemTotal:       2000 kB\nMemFree:         10 kB\nMemAvailable:    500 kB\n");

#[test]
fn a_container_of_version_2() {
    let found = system(&[
        MEMINFO,
        ("proc/self/cgroup", "0::/\n"),
        ("sys/fs/cgroup/memory.max", "1000000\n"),
        ("sys/fs/cgroup/memory.current", "700000\n"),
        ("sys/fs/cgroup/memory.stat", "anon 1\ninactive_file 200000\nactive_file 5\n"),
    ]);
    assert_eq!(found, Some((500_000, 1_000_000, LimitSource::Cgroup)));
}

#[test]
fn the_tightest_of_nested_groups_counts() {
    let found = system(&[
        ("proc/self/cgroup", "0::/app.slice/webai.service\n"),
        ("sys/fs/cgroup/app.slice/webai.service/memory.max", "max\n"),
        ("sys/fs/cgroup/app.slice/webai.service/memory.current", "10\n"),
        ("sys/fs/cgroup/app.slice/memory.max", "5000\n"),
        ("sys/fs/cgroup/app.slice/memory.current", "1000\n"),
    ]);
    assert_eq!(found, Some((1000, 5000, LimitSource::Cgroup)));
}

#[test]
fn a_container_of_version_1_sees_its_group_as_the_root() {
    let found = system(&[
        ("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n"),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "3000\n"),
        ("sys/fs/cgroup/memory/memory.usage_in_bytes", "2000\n"),
        ("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 500\n"),
    ]);
    assert_eq!(found, Some((1500, 3000, LimitSource::Cgroup)));
}

#[test]
fn without_a_limit_the_machine_counts() {
    let machine = Some((1500 * 1024, 2000 * 1024, LimitSource::Machine));
    let unlimited = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_eq!(system(&[MEMINFO, ("proc/self/cgroup", "4:memory:/\n"), unlimited]), machine);
    assert_eq!(system(&[MEMINFO]), machine);
    assert_eq!(system(&[]), None);
}

#[test]
fn a_browser_is_all_its_processes() {
    let root = root(&[
        ("proc/1/stat", "1 (init) S 0 1"),
        ("proc/10/stat", "10 (webai2api) S 1 1"),
        ("proc/10/smaps_rollup", "head\nRss:  900 kB\nPss:   40 kB\nPss_Dirty: 1 kB\n"),
        ("proc/20/stat", "20 (chrom) (ium) S 10 1"),
        ("proc/20/smaps_rollup", "Pss:   100 kB\n"),
        ("proc/21/stat", "21 (zygote) S 20 1"),
        ("proc/21/smaps_rollup", "Pss:   10 kB\n"),
        // A sandboxed renderer.
        ("proc/22/stat", "22 (renderer) S 21 1"),
        ("proc/22/status", "VmRSS:  500 kB\nRssAnon:  60 kB\nRssFile: 400 kB\nRssShmem:  5 kB\n"),
        ("proc/30/stat", "30 (other) S 10 1"),
        ("proc/30/smaps_rollup", "Pss:   7000 kB\n"),
    ]);
    let browsers = [("default".to_owned(), 20), ("gone".to_owned(), 99)];
    let shares = Reader::below(root.path()).shares(10, &browsers);
    assert_eq!(shares.host, 40 * 1024);
    assert_eq!(shares.browsers, [("default".to_owned(), 175 * 1024), ("gone".to_owned(), 0)]);
    assert_eq!(shares.total(), 215 * 1024);
}

#[test]
fn this_very_machine_can_be_read() {
    let reader = Reader::default();
    let usage = reader.system().unwrap();
    assert!(usage.limit > 64 * MIB && usage.used < usage.limit, "{usage:?}");
    let shares = reader.shares(std::process::id(), &[("me".into(), std::process::id())]);
    assert!(shares.host > MIB && shares.browsers[0].1 >= shares.host / 2, "{shares:?}");
}

proptest! {
    #[test]
    fn no_text_of_the_system_panics(
        cgroup in "([0-9]{0,2}:(memory|cpu,memory|):[a-z./]{0,8}\n|.{0,20}\n){0,4}",
        limit in "[0-9]{0,22}|max|.{0,5}",
        usage in "[0-9]{0,22}|.{0,5}",
        stat in "(inactive_file [0-9]{0,22}\n|.{0,12}\n){0,3}",
        process in "[0-9]{0,12} ?\\(?.{0,8}\\)?( .{0,3}){0,4}",
        sizes in "(Pss:|RssAnon:|MemTotal:|MemAvailable:)? {0,3}[0-9]{0,22}( kB)?\n",
    ) {
        let root = root(&[
            ("proc/self/cgroup", &cgroup),
            ("sys/fs/cgroup/memory.max", &limit),
            ("sys/fs/cgroup/memory.current", &usage),
            ("sys/fs/cgroup/memory.stat", &stat),
            ("proc/meminfo", &sizes),
            ("proc/7/stat", &process),
            ("proc/7/status", &sizes),
        ]);
        let reader = Reader::below(root.path());
        let _ = reader.system();
        let _ = reader.shares(7, &[("a".into(), 7)]).total();
    }
}

fn sample(percent: u64, browsers: &[(&str, u64)]) -> Sample {
    let browsers = browsers.iter().map(|(name, mib)| ((*name).to_owned(), mib * MIB)).collect();
    Sample { used: percent * 10 * MIB, limit: 1000 * MIB, browsers }
}

/// Decides on one sample after the other, ten seconds apart.
struct Course {
    pressure: Pressure,
    now: Instant,
}

impl Course {
    fn begin() -> Self {
        let settle = Duration::from_secs(10);
        Self { pressure: Pressure::new(Thresholds { settle, ..Thresholds::default() }), now: Instant::now() }
    }

    fn then(&mut self, percent: u64) -> Step {
        self.after(10, percent)
    }

    fn after(&mut self, seconds: u64, percent: u64) -> Step {
        self.now += Duration::from_secs(seconds);
        self.pressure.decide(&sample(percent, &[("small", 100), ("large", 400)]), self.now)
    }
}

fn recycle(name: &str) -> Step {
    Step::RecycleBrowser(name.into())
}

#[test]
fn below_the_soft_limit_nothing_is_done() {
    let mut course = Course::begin();
    for percent in [0, 50, 84, 84] {
        assert_eq!(course.then(percent), Step::Nothing);
    }
}

#[test]
fn first_idle_pages_then_the_largest_browser_then_the_next() {
    let mut course = Course::begin();
    assert_eq!(course.then(86), Step::CloseIdlePages);
    assert_eq!(course.then(86), recycle("large"));
    assert_eq!(course.then(86), Step::CloseIdlePages, "those of the fresh browser");
    assert_eq!(course.then(86), recycle("small"));
    assert_eq!(course.then(86), Step::CloseIdlePages);
    assert_eq!(course.then(86), Step::Nothing, "it is not the browsers");
    course.now += Duration::from_secs(600);
    assert_eq!(course.then(86), recycle("large"));
}

#[test]
fn a_step_is_given_time_to_help() {
    let mut course = Course::begin();
    assert_eq!(course.then(90), Step::CloseIdlePages);
    assert_eq!(course.after(5, 90), Step::Nothing, "too early to tell");
    assert_eq!(course.after(5, 90), recycle("large"));
    assert_eq!(course.after(5, 90), Step::Nothing);
    assert_eq!(course.then(70), Step::Nothing);
    assert_eq!(course.then(90), Step::CloseIdlePages, "it was calm: from the beginning");
}

#[test]
fn at_the_hard_limit_work_is_refused_until_there_is_room() {
    let mut course = Course::begin();
    assert_eq!(course.then(97), Step::RefuseWork);
    assert!(course.pressure.is_refusing());
    assert_eq!(course.then(97), Step::CloseIdlePages);
    assert_eq!(course.then(94), recycle("large"), "still refusing: not enough room yet");
    assert!(course.pressure.is_refusing());
    assert_eq!(course.then(89), Step::TakeWork);
    assert!(!course.pressure.is_refusing());
    assert_eq!(course.then(94), Step::CloseIdlePages, "not refused again before the hard limit");
}

#[test]
fn what_is_not_known_does_no_harm() {
    let nothing = Sample { used: 5, limit: 0, browsers: Vec::new() };
    assert_eq!(Pressure::default().decide(&nothing, Instant::now()), Step::Nothing);
    let mut course = Course::begin();
    let alone = sample(90, &[("gone", 0)]);
    assert_eq!(course.pressure.decide(&alone, course.now), Step::CloseIdlePages);
    assert_eq!(course.pressure.decide(&alone, course.now + Duration::from_secs(20)), Step::Nothing);
}

#[derive(Default)]
struct Rooms {
    closed: AtomicUsize,
    recycled: Mutex<Vec<String>>,
}

impl Household for Rooms {
    fn browsers(&self) -> Vec<(String, u32)> {
        vec![("default".into(), std::process::id())]
    }

    fn close_idle_pages(&self) -> usize {
        self.closed.fetch_add(1, Ordering::Relaxed)
    }

    fn recycle(&self, instance: &str) -> bool {
        self.recycled.lock().unwrap().push(instance.to_owned());
        true
    }
}

#[tokio::test(start_paused = true)]
async fn the_guard_asks_for_what_was_decided() {
    let rooms = std::sync::Arc::new(Rooms::default());
    // This process alone is larger.
    let household: std::sync::Arc<dyn Household> = rooms.clone();
    let guard = MemoryGuard::start(Some(MIB), Reader::default(), household);
    let state = guard.state();
    assert_eq!(state.refusal(), None);
    let until = Instant::now() + Duration::from_secs(120);
    while rooms.recycled.lock().unwrap().is_empty() {
        assert!(Instant::now() < until, "no browser is recycled");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(*rooms.recycled.lock().unwrap(), ["default"]);
    assert_eq!(rooms.closed.load(Ordering::Relaxed), 1);
    let refusal = state.refusal().unwrap();
    assert!(refusal.used > refusal.limit && refusal.limit == MIB, "{refusal:?}");
    assert!(refusal.to_string().contains("of 1 MiB"), "{refusal}");
}

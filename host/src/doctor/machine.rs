//! Fonts, memory and clock.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Check, size, words};
use crate::config::Config;
use crate::telemetry::memory::{LimitSource, Reader, Usage};

const MIB: u64 = 1 << 20;
const FC_LIST: Duration = Duration::from_secs(10);
/// Where fonts lie when `fc-list` is not there to ask.
const FONT_FOLDERS: [&str; 2] = ["/usr/share/fonts", "/usr/local/share/fonts"];
/// Parts of the names of font files.
const CJK: [&str; 8] = ["cjk", "wqy", "droidsansfallback", "sourcehan", "uming", "ukai", "ipag", "notosanssc"];
const EMOJI: [&str; 1] = ["emoji"];

/// Whether pages show what they are written in.
pub(super) async fn fonts() -> Check {
    let files = tokio::task::spawn_blocking(font_files).await.unwrap_or_default();
    let cjk = asked(":lang=zh-cn").await.unwrap_or_else(|| any_of(&files, &CJK));
    let emoji = asked(":charset=1f600").await.unwrap_or_else(|| any_of(&files, &EMOJI));
    let which = match (cjk, emoji) {
        (true, true) => return Check::ok("fonts", words::fonts(), words::fonts_good()),
        (false, true) => words::fonts_cjk(),
        (true, false) => words::fonts_emoji(),
        (false, false) => words::fonts_both(),
    };
    Check::warning("fonts", words::fonts(), words::fonts_missing(which), words::fonts_cure())
}

/// Whether `fc-list` knows a font for this; none without it.
async fn asked(pattern: &str) -> Option<bool> {
    let mut command = tokio::process::Command::new("fc-list");
    command.args([pattern, "file"]).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(FC_LIST, command.output()).await.ok()?.ok()?;
    output.status.success().then(|| output.stdout.iter().any(|byte| !byte.is_ascii_whitespace()))
}

fn font_files() -> Vec<String> {
    let mut folders: Vec<PathBuf> = FONT_FOLDERS.iter().map(PathBuf::from).collect();
    let mut files = Vec::new();
    // Links may lead in circles: no more than any machine has.
    for _ in 0..10_000 {
        let Some(folder) = folders.pop() else { break };
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => files.push(entry.file_name().to_string_lossy().to_ascii_lowercase()),
            }
        }
    }
    files
}

fn any_of(files: &[String], names: &[&str]) -> bool {
    let plain = |file: &String| file.replace(['-', '_'], "");
    files.iter().any(|file| names.iter().any(|name| plain(file).contains(name)))
}

/// What is free, before the browser is there or with it.
pub(super) async fn memory(config: Option<&Config>, running: bool) -> Check {
    let system = tokio::task::spawn_blocking(|| Reader::default().system()).await.ok().flatten();
    let configured = config.and_then(|config| config.limits.memory);
    judge(system, configured, running)
}

fn judge(system: Option<Usage>, configured: Option<u64>, running: bool) -> Check {
    let (name, title) = ("memory", words::memory());
    let configured = configured.map(|limit| Usage { used: 0, limit, source: LimitSource::Configured });
    // The operator's limit is worth no more than what the system has.
    let tightest = [system, configured].into_iter().flatten().min_by_key(Usage::free);
    let Some(usage) = tightest else {
        return Check::warning(name, title, words::memory_unknown(), words::memory_unknown_cure());
    };
    let source = match usage.source {
        LimitSource::Configured => words::memory_configured(),
        LimitSource::Cgroup => words::memory_cgroup(),
        LimitSource::Machine => words::memory_machine(),
    };
    let seen = words::memory_is(size(usage.free()), size(usage.limit), source);
    // With the server up, its browser has what it needs already.
    let (least, enough) = if running { (50, 150) } else { (300, 600) };
    match usage.free() / MIB {
        free if free < least => Check::problem(name, title, seen, words::memory_cure()),
        free if free < enough => Check::warning(name, title, seen, words::memory_cure()),
        _ => Check::ok(name, title, seen),
    }
}

/// A year that this program could have been built in, and no later than certificates go.
const YEARS: std::ops::RangeInclusive<i32> = 2025..=2099;
/// A clock that is disciplined moves by less.
const DRIFT: Duration = Duration::from_millis(500);
/// Files of the future are the clock's fault from here on.
const AHEAD: Duration = Duration::from_secs(3600);

/// `since` is when both clocks were read first.
pub(super) fn clock(since: (Instant, SystemTime), data: Option<&Path>) -> Check {
    let now = SystemTime::now();
    let newest = data.and_then(newest_file);
    judge_clock(since.0.elapsed(), since.1, now, newest)
}

fn judge_clock(passed: Duration, then: SystemTime, now: SystemTime, newest: Option<SystemTime>) -> Check {
    let (name, title, shown) = ("clock", words::clock(), date(now));
    let year = shown.split('-').next().and_then(|year| year.parse::<i32>().ok());
    if !year.is_some_and(|year| YEARS.contains(&year)) {
        return Check::problem(name, title, words::clock_year(shown), words::clock_cure());
    }
    if let Some(newest) = newest.filter(|newest| newest.duration_since(now).is_ok_and(|ahead| ahead > AHEAD)) {
        let seen = words::clock_behind(shown, date(newest));
        return Check::warning(name, title, seen, words::clock_cure());
    }
    let expected = then + passed;
    let drift = now.duration_since(expected).unwrap_or_else(|early| early.duration());
    if drift > DRIFT {
        return Check::warning(name, title, words::clock_jumps(drift.as_millis()), words::clock_cure());
    }
    Check::ok(name, title, words::clock_good(shown))
}

/// The time of the file in a folder that was written last.
fn newest_file(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).ok()?;
    entries.flatten().filter_map(|entry| entry.metadata().ok()?.modified().ok()).max()
}

/// `2026-11-28 07:04 UTC`. Days are counted as in the proleptic Gregorian calendar (Howard Hinnant's `civil_from_days`).
pub(super) fn date(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z - era * 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3600, rest % 3600 / 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59 UTC"),
            (1_735_689_600, "2025-01-01 00:00 UTC"),
            (4_102_444_799, "2099-12-31 23:59 UTC"),
        ] {
            assert_eq!(date(at(seconds)), text);
        }
    }

    #[test]
    fn clocks() {
        let second = Duration::from_secs(1);
        let (then, now) = (at(1_800_000_000), at(1_800_000_001));
        let verdict = |passed, then, now, newest| judge_clock(passed, then, now, newest).verdict;
        assert_eq!(verdict(second, then, now, None), Verdict::Ok);
        assert_eq!(verdict(second, then, now, Some(then)), Verdict::Ok);
        assert_eq!(verdict(second, at(0), at(1), None), Verdict::Problem, "1970");
        assert_eq!(verdict(second, then, at(1_800_000_010), None), Verdict::Warning, "it was set on");
        assert_eq!(verdict(second * 60, then, now, None), Verdict::Warning, "it was set back");
        assert_eq!(verdict(second, then, now, Some(at(1_900_000_000))), Verdict::Warning, "a file of the future");
    }

    #[test]
    fn memory_by_the_tightest_limit() {
        let usage = |free, source| Usage { used: 0, limit: free * MIB, source };
        let system = |free| Some(usage(free, LimitSource::Cgroup));
        assert_eq!(judge(system(2000), None, false).verdict, Verdict::Ok);
        assert_eq!(judge(system(500), None, false).verdict, Verdict::Warning);
        assert_eq!(judge(system(200), None, false).verdict, Verdict::Problem);
        assert_eq!(judge(system(200), None, true).verdict, Verdict::Ok);
        let configured = judge(system(2000), Some(400 * MIB), false);
        assert!(configured.verdict == Verdict::Warning && configured.seen.en.contains("limits.memory"));
        assert_eq!(judge(None, None, false).verdict, Verdict::Warning);
    }

    #[test]
    fn fonts_by_their_files() {
        let files = ["NotoSansCJK-Regular.ttc", "Noto_Color-Emoji.ttf"].map(|name| name.to_ascii_lowercase());
        assert!(any_of(&files, &CJK) && any_of(&files, &EMOJI));
        assert!(!any_of(&["dejavusans.ttf".into()], &CJK));
    }
}

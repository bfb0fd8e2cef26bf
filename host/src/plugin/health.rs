//! How adapters fare, told by real requests; and which of them are out of use.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::call::{Asked, Report};
use crate::chat::{Failure, FailureKind, Stage};

/// Requests that the figure looks back on.
const RECENT: usize = 20;
/// An adapter is degraded below this share of good answers, once so many bad ones were seen.
const DEGRADED: f64 = 0.7;
const BAD_MIN: usize = 3;
/// Crashes count together that lie within this time.
const WINDOW: Duration = Duration::from_secs(600);

/// How an adapter fares.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Health {
    /// The share of its last requests (20 at most) that neither found the site changed, nor were read off the page by an adapter that
    /// usually reads its traffic, nor ran out of time, nor crashed. 1 where nothing is known yet.
    pub figure: f64,
    pub requests: usize,
    pub site_changed: usize,
    /// Answered, but not in the usual way: a sign that the site has changed.
    pub fallbacks: usize,
    pub timeouts: usize,
    pub crashes: usize,
    pub degraded: bool,
}

impl Default for Health {
    fn default() -> Self {
        Record::default().health()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    SiteChanged,
    Fallback,
    Timeout,
    Crash,
}

/// What a call says of its adapter; none where it says nothing, as when the client went away or the site wants a sign-in.
fn verdict<T>(result: &Result<T, Failure>) -> Option<Verdict> {
    let Err(failure) = result else { return Some(Verdict::Good) };
    match &failure.kind {
        FailureKind::SiteChanged { .. } => Some(Verdict::SiteChanged),
        FailureKind::Timeout(stage) if *stage != Stage::Queue => Some(Verdict::Timeout),
        FailureKind::AdapterCrashed | FailureKind::AdapterCpuLimit | FailureKind::AdapterMemoryLimit => {
            Some(Verdict::Crash)
        }
        _ => None,
    }
}

/// One version's record. A new version begins anew.
#[derive(Debug, Default)]
struct Record {
    sha256: String,
    recent: VecDeque<Verdict>,
    crashes: VecDeque<Instant>,
    quarantined: Option<String>,
}

/// The records of all adapters.
#[derive(Debug)]
pub(super) struct HealthBook {
    records: Mutex<HashMap<String, Record>>,
    /// Crashes within the window that put an adapter out of use; none: no number of them does.
    crashes_max: Option<usize>,
}

impl HealthBook {
    pub(super) fn new(crashes_max: Option<usize>) -> Self {
        Self { records: Mutex::default(), crashes_max }
    }

    /// Notes how a request went. The reason, if that puts the adapter out of use.
    pub(super) fn note(&self, id: &str, sha256: &str, report: &Report) -> Option<String> {
        let verdict = match verdict(&report.result) {
            Some(Verdict::Good) if report.fell_back => Some(Verdict::Fallback),
            verdict => verdict,
        };
        self.judge(id, sha256, verdict, report.denied.as_deref(), |record| {
            if let Some(verdict) = verdict {
                record.recent.push_back(verdict);
                while record.recent.len() > RECENT {
                    record.recent.pop_front();
                }
            }
        })
    }

    /// Notes how an adapter fared that was asked for something beside an answer. Its figure is of requests alone; crashes, and what
    /// it was not granted, count all the same. The reason, if that puts it out of use.
    pub(super) fn note_asked<T>(&self, id: &str, sha256: &str, asked: &Asked<T>) -> Option<String> {
        self.judge(id, sha256, verdict(&asked.result), asked.denied.as_deref(), |_| {})
    }

    fn judge(
        &self,
        id: &str,
        sha256: &str,
        verdict: Option<Verdict>,
        denied: Option<&str>,
        count: impl FnOnce(&mut Record),
    ) -> Option<String> {
        self.with(id, |record| {
            if record.sha256 != sha256 {
                // A call that ends late on an old version says nothing of the one that serves.
                return None;
            }
            count(record);
            let reason = match denied {
                // However many crashes are put up with: this is no accident.
                Some(what) => format!("it tried what it was not granted: {what}"),
                None => {
                    let crashes = record.crash(verdict, Instant::now());
                    if crashes < self.crashes_max? {
                        return None;
                    }
                    format!("it crashed {crashes} times within {} minutes", WINDOW.as_secs() / 60)
                }
            };
            if record.quarantined.is_some() {
                return None;
            }
            record.quarantined = Some(reason.clone());
            Some(reason)
        })
    }

    /// Why this adapter is out of use, if it is.
    pub(super) fn quarantined(&self, id: &str) -> Option<String> {
        self.with(id, |record| record.quarantined.clone())
    }

    pub(super) fn lift(&self, id: &str) {
        self.with(id, |record| (record.quarantined, record.crashes) = (None, VecDeque::new()));
    }

    /// This version serves from now on. `quarantined` is what is known of it from earlier.
    pub(super) fn begin(&self, id: &str, sha256: &str, quarantined: Option<String>) {
        self.with(id, |record| {
            if record.sha256 != sha256 {
                *record = Record { sha256: sha256.to_owned(), quarantined, ..Record::default() };
            }
        });
    }

    pub(super) fn forget(&self, id: &str) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    pub(super) fn health(&self, id: &str) -> Health {
        self.with(id, |record| record.health())
    }

    fn with<T>(&self, id: &str, work: impl FnOnce(&mut Record) -> T) -> T {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        work(records.entry(id.to_owned()).or_default())
    }
}

impl Record {
    /// Crashes within the window, this one included.
    fn crash(&mut self, verdict: Option<Verdict>, now: Instant) -> usize {
        if verdict != Some(Verdict::Crash) {
            return 0;
        }
        self.crashes.push_back(now);
        self.crashes.retain(|at| now.duration_since(*at) < WINDOW);
        self.crashes.len()
    }

    fn health(&self) -> Health {
        let count = |verdict| self.recent.iter().filter(|v| **v == verdict).count();
        let (good, requests) = (count(Verdict::Good), self.recent.len());
        let figure = if requests == 0 { 1.0 } else { good as f64 / requests as f64 };
        Health {
            figure,
            requests,
            site_changed: count(Verdict::SiteChanged),
            fallbacks: count(Verdict::Fallback),
            timeouts: count(Verdict::Timeout),
            crashes: count(Verdict::Crash),
            degraded: requests - good >= BAD_MIN && figure < DEGRADED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Finish, Outcome};

    fn report(kind: Option<FailureKind>) -> Report {
        let good = Outcome { finish: Finish::Stop, conversation: None, model: None };
        let result = kind.map_or(Ok(good), |kind| Err(Failure::new(kind, "")));
        let (timing, transcript) = Default::default();
        Report { result, submitted: false, timing, transcript, denied: None, fell_back: false }
    }

    fn book() -> HealthBook {
        let book = HealthBook::new(Some(3));
        book.begin("a", "1", None);
        book
    }

    #[test]
    fn crashes_put_an_adapter_out_of_use_until_it_is_lifted_or_replaced() {
        let book = book();
        let crash = || book.note("a", "1", &report(Some(FailureKind::AdapterCrashed)));
        assert_eq!((crash(), crash(), book.quarantined("a")), (None, None, None));
        assert_eq!(book.note("a", "0", &report(Some(FailureKind::AdapterCrashed))), None, "an old version's end");
        assert!(crash().unwrap().contains("3 times"));
        assert_eq!(crash(), None, "said once");
        assert!(book.quarantined("a").is_some());
        book.lift("a");
        assert_eq!((crash(), book.quarantined("a")), (None, None));
        book.note("a", "1", &Report { denied: Some("goto https://b.example.com".into()), ..report(None) });
        assert!(book.quarantined("a").unwrap().contains("b.example.com"));
        book.begin("a", "2", None);
        assert_eq!(book.quarantined("a"), None);
    }

    #[test]
    fn the_figure_counts_what_the_adapter_can_be_blamed_for() {
        let book = book();
        assert_eq!(book.health("a").figure, 1.0);
        for kind in [None, Some(FailureKind::LoginRequired), Some(FailureKind::ClientGone), None] {
            book.note("a", "1", &report(kind));
        }
        assert_eq!((book.health("a").requests, book.health("a").figure), (2, 1.0));
        for _ in 0..3 {
            let changed = FailureKind::SiteChanged { step: "s".into(), selector: "x".into() };
            book.note("a", "1", &report(Some(changed)));
        }
        let health = book.health("a");
        assert!(health.degraded && health.site_changed == 3 && health.figure == 0.4, "{health:?}");
        for _ in 0..RECENT {
            book.note("a", "1", &report(None));
        }
        assert!(!book.health("a").degraded);
        // It answers, and yet it has lost its usual way.
        for _ in 0..RECENT / 2 {
            book.note("a", "1", &Report { fell_back: true, ..report(None) });
        }
        let health = book.health("a");
        assert!(health.degraded && health.fallbacks == RECENT / 2, "{health:?}");
    }

    #[test]
    fn what_is_done_beside_requests_counts_too() {
        let book = book();
        let asked = |kind| Asked { result: Err::<(), _>(Failure::new(kind, "")), denied: None };
        for kind in [FailureKind::AdapterCrashed, FailureKind::LoginRequired, FailureKind::AdapterCpuLimit] {
            assert_eq!(book.note_asked("a", "1", &asked(kind)), None);
        }
        assert_eq!(book.note_asked("a", "0", &asked(FailureKind::AdapterCrashed)), None, "an old version's end");
        assert!(book.note_asked("a", "1", &asked(FailureKind::AdapterMemoryLimit)).unwrap().contains("3 times"));
        assert_eq!(book.health("a").requests, 0);
        book.lift("a");
        let denied = Asked { result: Ok(()), denied: Some("goto https://b.example.com".into()) };
        assert!(book.note_asked("a", "1", &denied).unwrap().contains("b.example.com"));
    }

    #[test]
    fn crashes_alone_are_put_up_with_where_that_is_wanted() {
        let book = HealthBook::new(None);
        book.begin("a", "1", None);
        for _ in 0..100 {
            assert_eq!(book.note("a", "1", &report(Some(FailureKind::AdapterCrashed))), None);
        }
        let denied = Report { denied: Some("x".into()), ..report(Some(FailureKind::AdapterCrashed)) };
        assert!(book.note("a", "1", &denied).unwrap().contains("not granted"));
        assert!(book.quarantined("a").is_some());
    }
}

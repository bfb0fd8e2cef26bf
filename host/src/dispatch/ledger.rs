//! What became of the requests of the last minutes, so that a client's own retry is not a second message to the site.
//!
//! SDKs ask again by themselves when a connection breaks or their patience ends (contract: nothing invites them to, but they do not
//! need an invitation). Such a retry says so, or has the same `Idempotency-Key`. It joins the request that runs, or hears what it came
//! to; it is sent only if the first try never reached the site.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::feed::{Feed, Job};
use crate::chat::{Failure, FailureKind, Fingerprint};

/// From a request's end. SDKs ask again within seconds; people who ask again do so anew.
const KEPT: Duration = Duration::from_secs(15 * 60);
const MAX_ENTRIES: usize = 4096;
/// Of all answers that are kept for whoever repeats his request.
const MAX_BYTES: usize = 16 << 20;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Running,
    /// The site never saw it.
    NotSent,
    Sent,
    /// Its client left, and it was cancelled after it was sent.
    Abandoned,
}

/// What is known of how a request ended, and since when.
type Known = Arc<Mutex<(Fate, Instant)>>;

#[derive(Debug)]
struct Entry {
    body: [u8; 32],
    feed: Arc<Feed>,
    known: Known,
}

impl Entry {
    fn fate(&self) -> (Fate, Instant) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_kept(&self, now: Instant) -> bool {
        let (fate, since) = self.fate();
        fate == Fate::Running || now.duration_since(since) < KEPT
    }
}

/// Remembers requests by their fingerprint.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<HashMap<[u8; 32], Entry>>);

/// A request that is being remembered.
#[derive(Debug)]
pub(super) struct Record(Known);

/// The requests, while nobody else looks or adds: two that repeat each other and come at once must not both find nothing.
pub(super) struct Entries<'a>(MutexGuard<'a, HashMap<[u8; 32], Entry>>);

impl Ledger {
    pub(super) fn lock(&self) -> Entries<'_> {
        Entries(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Entries<'_> {
    /// What became of the request that this one repeats, if it is one.
    ///
    /// # Errors
    /// Where it reached the site and nobody can tell any more what came of it, and where it asks for something else.
    pub(super) fn join(&self, fingerprint: Option<Fingerprint>) -> Result<Option<Job>, Failure> {
        let Some(Fingerprint { hash, body, again: true }) = fingerprint else { return Ok(None) };
        let Some(entry) = self.0.get(&hash).filter(|entry| entry.is_kept(Instant::now())) else { return Ok(None) };
        if entry.body != body {
            return Err(Failure::new(FailureKind::KeyReused, ""));
        }
        match entry.fate().0 {
            Fate::NotSent => Ok(None),
            Fate::Abandoned => Err(already_sent()),
            Fate::Running | Fate::Sent => entry.feed.join().map(Some).ok_or_else(already_sent),
        }
    }

    /// Remembers a request that begins.
    pub(super) fn open(&mut self, fingerprint: Option<Fingerprint>, feed: &Arc<Feed>) -> Record {
        let now = Instant::now();
        let known = Arc::new(Mutex::new((Fate::Running, now)));
        let Some(Fingerprint { hash, body, .. }) = fingerprint else { return Record(known) };
        let entries = &mut self.0;
        entries.retain(|_, entry| entry.is_kept(now));
        let mut bytes: usize = entries.values().map(|entry| entry.feed.size()).sum();
        while entries.len() >= MAX_ENTRIES || bytes > MAX_BYTES {
            // Those that run last: their prompts may be sent at any moment.
            let rank = |entry: &Entry| {
                let (fate, since) = entry.fate();
                (fate == Fate::Running, since)
            };
            let Some(oldest) = entries.iter().min_by_key(|(_, entry)| rank(entry)).map(|(hash, _)| *hash) else {
                break;
            };
            bytes -= entries.remove(&oldest).map_or(0, |entry| entry.feed.size()).min(bytes);
        }
        entries.insert(hash, Entry { body, feed: Arc::clone(feed), known: Arc::clone(&known) });
        Record(known)
    }
}

impl Record {
    /// Notes how the request ended.
    pub(super) fn close(&self, submitted: bool, failure: Option<&Failure>) {
        let gone = failure.is_some_and(|failure| failure.kind == FailureKind::ClientGone);
        let fate = match (submitted, gone) {
            (false, _) => Fate::NotSent,
            (true, false) => Fate::Sent,
            (true, true) => Fate::Abandoned,
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (fate, Instant::now());
    }
}

fn already_sent() -> Failure {
    Failure { submitted: true, ..Failure::new(FailureKind::AlreadySubmitted, "") }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::chat::JobEvent;
    use crate::dispatch::feed::QueuePlace;

    fn print(byte: u8, again: bool) -> Option<Fingerprint> {
        Some(Fingerprint { hash: [byte; 32], body: [0; 32], again })
    }

    fn feed() -> (mpsc::Sender<JobEvent>, Arc<Feed>, Job) {
        let (sender, receiver) = mpsc::channel(4);
        let feed = Feed::new(receiver);
        let job = feed.lead(CancellationToken::new(), QueuePlace::default());
        (sender, feed, job)
    }

    #[tokio::test]
    async fn a_retry_of_what_was_sent_is_told_how_it_ended() {
        let (ledger, (sender, feed, mut job)) = (Ledger::default(), feed());
        let record = ledger.lock().open(print(1, false), &feed);
        let failure = Failure::new(FailureKind::Upstream, "busy");
        sender.send(JobEvent::Failed(failure.clone())).await.unwrap();
        drop(sender);
        while job.next().await.is_some() {}
        record.close(true, Some(&failure));
        for _ in 0..2 {
            let mut retry = ledger.lock().join(print(1, true)).unwrap().unwrap();
            assert!(matches!(retry.next().await, Some(JobEvent::Failed(f)) if f.kind == FailureKind::Upstream));
        }
        assert!(ledger.lock().join(print(1, false)).unwrap().is_none(), "who does not say so asks anew");
    }

    #[tokio::test]
    async fn a_retry_joins_what_runs() {
        let (ledger, (sender, feed, _job)) = (Ledger::default(), feed());
        ledger.lock().open(print(1, false), &feed);
        let mut retry = ledger.lock().join(print(1, true)).unwrap().unwrap();
        sender.send(JobEvent::Submitted).await.unwrap();
        assert!(matches!(retry.next().await, Some(JobEvent::Submitted)));
    }

    #[tokio::test]
    async fn what_was_cancelled_after_it_was_sent_is_not_sent_again() {
        let (ledger, (_sender, feed, _job)) = (Ledger::default(), feed());
        ledger.lock().open(print(1, false), &feed).close(true, Some(&Failure::new(FailureKind::ClientGone, "")));
        assert_eq!(ledger.lock().join(print(1, true)).unwrap_err().kind, FailureKind::AlreadySubmitted);
    }

    #[tokio::test]
    async fn a_key_of_another_request_gets_neither_its_answer_nor_a_new_one() {
        let (ledger, (_sender, feed, _job)) = (Ledger::default(), feed());
        ledger.lock().open(print(1, true), &feed);
        let other = Fingerprint { hash: [1; 32], body: [9; 32], again: true };
        assert_eq!(ledger.lock().join(Some(other)).unwrap_err().kind, FailureKind::KeyReused);
    }

    #[tokio::test]
    async fn what_was_not_sent_and_what_is_no_retry_is_sent() {
        let (ledger, (_sender, feed, _job)) = (Ledger::default(), feed());
        ledger.lock().open(print(1, false), &feed).close(false, None);
        for other in [print(1, true), print(2, true), None] {
            assert!(ledger.lock().join(other).unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn it_is_remembered_from_its_end_on_however_long_it_ran() {
        let (ledger, (_sender, feed, _job)) = (Ledger::default(), feed());
        let record = ledger.lock().open(print(1, false), &feed);
        let Some(long_ago) = Instant::now().checked_sub(KEPT * 2) else { return };
        let since = |fate| *ledger.0.lock().unwrap()[&[1; 32]].known.lock().unwrap() = (fate, long_ago);
        since(Fate::Running);
        assert!(ledger.lock().join(print(1, true)).unwrap().is_some(), "it still runs");
        record.close(true, None);
        assert!(ledger.lock().join(print(1, true)).unwrap().is_some(), "it has just ended");
        since(Fate::Sent);
        assert!(ledger.lock().join(print(1, true)).unwrap().is_none(), "it ended long ago");
    }

    #[tokio::test]
    async fn it_is_bounded() {
        let ledger = Ledger::default();
        let (_sender, feed, _job) = feed();
        ledger.lock().open(print(0xff, false), &feed);
        for n in 0..MAX_ENTRIES + 10 {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&n.to_le_bytes());
            ledger.lock().open(Some(Fingerprint { hash, body: [0; 32], again: false }), &feed).close(true, None);
        }
        assert_eq!(ledger.0.lock().unwrap().len(), MAX_ENTRIES);
        assert!(ledger.lock().join(print(0xff, true)).unwrap().is_some(), "what still runs is kept");
    }
}

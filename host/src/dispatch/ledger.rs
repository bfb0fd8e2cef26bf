//! What became of the requests of the last minutes, so that a client's own retry is not a second message to the site.
//!
//! SDKs ask again by themselves when a connection breaks or their patience ends (contract: nothing invites them to, but they do not
//! need an invitation). Such a retry says so, and has the same content. It waits for the first try to end; if that reached the
//! site, the retry gets its failure, and is not sent.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::chat::{Failure, FailureKind, Fingerprint};

/// SDKs ask again within seconds; people who ask again do so anew.
const KEPT: Duration = Duration::from_secs(15 * 60);
const MAX_ENTRIES: usize = 4096;

/// How a request ended.
#[derive(Debug, Clone)]
enum Fate {
    /// The site never saw it.
    NotSent,
    /// What whoever asks again is told.
    Sent(Failure),
}

#[derive(Debug)]
struct Entry {
    fate: watch::Receiver<Option<Fate>>,
    since: Instant,
}

/// Remembers requests by their fingerprint.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<HashMap<[u8; 32], Entry>>);

/// A request that is being remembered, and the try before it, if it is a retry of one.
#[derive(Debug)]
pub(super) struct Record {
    fate: watch::Sender<Option<Fate>>,
    earlier: Option<watch::Receiver<Option<Fate>>>,
}

impl Ledger {
    pub(super) fn open(&self, fingerprint: Option<Fingerprint>) -> Record {
        let (fate, receiver) = watch::channel(None);
        let Some(Fingerprint { hash, again }) = fingerprint else { return Record { fate, earlier: None } };
        let now = Instant::now();
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| now.duration_since(entry.since) < KEPT);
        if entries.len() >= MAX_ENTRIES
            && let Some(oldest) = entries.iter().min_by_key(|(_, entry)| entry.since).map(|(hash, _)| *hash)
        {
            entries.remove(&oldest);
        }
        let earlier = entries.insert(hash, Entry { fate: receiver, since: now });
        Record { fate, earlier: earlier.filter(|_| again).map(|entry| entry.fate) }
    }
}

impl Record {
    /// Waits until the try before this one is over. Safe to cancel.
    ///
    /// # Errors
    /// If that one reached the site: then this one must not.
    pub(super) async fn may_be_sent(&self) -> Result<(), Failure> {
        let Some(mut earlier) = self.earlier.clone() else { return Ok(()) };
        match earlier.wait_for(Option::is_some).await.map(|fate| fate.clone()) {
            Ok(Some(Fate::NotSent)) => Ok(()),
            Ok(Some(Fate::Sent(failure))) => Err(failure),
            // It ended without a word: nobody can say how far it came.
            Ok(None) | Err(_) => Err(already_sent()),
        }
    }

    /// Notes how the request ended.
    pub(super) fn close(&self, submitted: bool, failure: Option<&Failure>) {
        let fate = match failure {
            _ if !submitted => Fate::NotSent,
            Some(failure) if failure.kind != FailureKind::ClientGone => Fate::Sent(failure.clone()),
            _ => Fate::Sent(already_sent()),
        };
        self.fate.send_replace(Some(fate));
    }
}

fn already_sent() -> Failure {
    Failure { submitted: true, ..Failure::new(FailureKind::AlreadySubmitted, "") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(byte: u8, again: bool) -> Option<Fingerprint> {
        Some(Fingerprint { hash: [byte; 32], again })
    }

    #[tokio::test]
    async fn a_retry_of_what_was_sent_is_told_how_it_ended() {
        let ledger = Ledger::default();
        let first = ledger.open(print(1, false));
        first.may_be_sent().await.unwrap();
        first.close(true, Some(&Failure::new(FailureKind::Upstream, "busy")));
        let retry = ledger.open(print(1, true));
        assert_eq!(retry.may_be_sent().await.unwrap_err().kind, FailureKind::Upstream);
        // The retry's retry as well.
        retry.close(true, Some(&Failure::new(FailureKind::Upstream, "busy")));
        assert!(ledger.open(print(1, true)).may_be_sent().await.is_err());
    }

    #[tokio::test]
    async fn a_retry_waits_for_the_first_try() {
        let ledger = Ledger::default();
        let first = ledger.open(print(1, false));
        let retry = ledger.open(print(1, true));
        let waiting = tokio::spawn(async move { retry.may_be_sent().await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        first.close(true, Some(&Failure::new(FailureKind::ClientGone, "")));
        assert_eq!(waiting.await.unwrap().unwrap_err().kind, FailureKind::AlreadySubmitted);
    }

    #[tokio::test]
    async fn what_was_not_sent_and_what_is_no_retry_is_sent() {
        let ledger = Ledger::default();
        ledger.open(print(1, false)).close(false, None);
        ledger.open(print(1, true)).may_be_sent().await.unwrap();
        ledger.open(print(2, false)).close(true, None);
        ledger.open(print(2, false)).may_be_sent().await.unwrap();
        ledger.open(print(3, true)).may_be_sent().await.unwrap();
        ledger.open(None).may_be_sent().await.unwrap();
    }

    #[tokio::test]
    async fn a_first_try_that_vanished_counts_as_sent() {
        let ledger = Ledger::default();
        drop(ledger.open(print(1, false)));
        assert!(ledger.open(print(1, true)).may_be_sent().await.is_err());
    }

    #[test]
    fn it_is_bounded() {
        let ledger = Ledger::default();
        for n in 0..MAX_ENTRIES + 10 {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&n.to_le_bytes());
            ledger.open(Some(Fingerprint { hash, again: false }));
        }
        assert_eq!(ledger.0.lock().unwrap().len(), MAX_ENTRIES);
    }
}

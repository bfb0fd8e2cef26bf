//! Which models each adapter offers: the manifest's, until the adapter itself has said what its account has.
//!
//! An adapter is asked when somebody wants the list, in the background and on a page that is leased like any other; whoever asks
//! gets what is known at once. Who names a model that is not known yet waits for the first answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::Inner;
use super::board::{Rank, Want};
use crate::plugin::{Adapter, Model};

/// Plans change rarely.
const FRESH: Duration = Duration::from_secs(30 * 60);
/// A site that did not tell may tell later.
const RETRY: Duration = Duration::from_secs(60);
/// For a page to be free. A list is not worth waiting longer: requests go first.
const PAGE: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct Entry {
    /// Of the version that said so.
    hash: String,
    models: Option<Vec<Model>>,
    /// When it is asked again. None while it is asked.
    due: Option<Instant>,
}

/// What adapters have said, by their id.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    entries: Mutex<BTreeMap<String, Entry>>,
    /// Told whenever an adapter has been asked.
    asked: Notify,
}

impl Catalog {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The models that an adapter offers, as far as is known.
    pub(super) fn models(&self, adapter: &Adapter) -> Vec<Model> {
        let known = self.lock();
        let said = known.get(&adapter.manifest.id).filter(|entry| entry.hash == adapter.hash);
        said.and_then(|entry| entry.models.clone()).unwrap_or_else(|| adapter.manifest.models.clone())
    }

    /// One model of an adapter: as it said, or as its manifest says. That a model of the manifest cannot be had now is for the
    /// adapter to say when it is asked for.
    pub(super) fn model(&self, adapter: &Adapter, id: &str) -> Option<Model> {
        let said = self.models(adapter).into_iter().find(|model| model.id == id);
        said.or_else(|| adapter.manifest.models.iter().find(|model| model.id == id).cloned())
    }

    /// Whether the adapter is to be asked now. True once, until [`learnt`](Self::learnt).
    pub(super) fn is_due(&self, adapter: &Adapter) -> bool {
        if !adapter.discovers() {
            return false;
        }
        let mut known = self.lock();
        let entry = known.entry(adapter.manifest.id.clone()).or_insert_with(|| Entry::new(&adapter.hash));
        if entry.hash != adapter.hash {
            *entry = Entry::new(&adapter.hash);
        }
        entry.due.take_if(|due| *due <= Instant::now()).is_some()
    }

    fn learnt(&self, adapter: &Adapter, models: Option<Vec<Model>>) {
        let mut known = self.lock();
        if let Some(entry) = known.get_mut(&adapter.manifest.id).filter(|entry| entry.hash == adapter.hash) {
            entry.due = Some(Instant::now() + if models.is_some() { FRESH } else { RETRY });
            // What was known stays when a later try fails.
            entry.models = models.or(entry.models.take());
        }
        drop(known);
        self.asked.notify_waiters();
    }

    /// Whether it is being asked, and has not said anything before.
    fn is_awaited(&self, adapter: &Adapter) -> bool {
        let known = self.lock();
        let entry = known.get(&adapter.manifest.id).filter(|entry| entry.hash == adapter.hash);
        entry.is_some_and(|entry| entry.models.is_none() && entry.due.is_none())
    }

    /// Waits until an adapter that is being asked for the first time has answered, or has failed to.
    pub(super) async fn first_answer(&self, adapter: &Adapter) {
        loop {
            let asked = self.asked.notified();
            if !self.is_awaited(adapter) {
                return;
            }
            asked.await;
        }
    }
}

impl Entry {
    fn new(hash: &str) -> Self {
        Self { hash: hash.to_owned(), models: None, due: Some(Instant::now()) }
    }
}

/// Asks an adapter which models its account has.
pub(super) async fn discover(inner: Arc<Inner>, adapter: Arc<Adapter>) {
    let models = tokio::select! {
        biased;
        () = inner.draining.cancelled() => None,
        models = ask(&inner, &adapter) => models,
    };
    inner.catalog.learnt(&adapter, models);
}

async fn ask(inner: &Inner, adapter: &Arc<Adapter>) -> Option<Vec<Model>> {
    let until = tokio::time::Instant::now() + PAGE;
    let want = Want {
        id: "models".into(),
        caller: String::new(),
        model: adapter.manifest.id.clone(),
        adapters: Arc::from([Arc::clone(adapter)]),
        prefer: None,
        sticky: [0; 32],
        avoid: Vec::new(),
        until,
        rank: Rank::Idle,
    };
    let claim = inner.board.queue(want).ok()?.granted(until).await;
    let lease = match claim {
        Ok(claim) => inner.opener().lease(claim, until).await.map_err(|why| format!("{why:?}")),
        Err(failure) => Err(failure.to_string()),
    };
    let lease = match lease {
        Ok(lease) => lease,
        Err(why) => {
            tracing::debug!(adapter = adapter.label(), why, "no page to ask for its models");
            return None;
        }
    };
    lease.page().begin_call();
    let means = inner.means(adapter, lease.instance());
    let answer = adapter.models(Arc::clone(lease.page()), inner.options().deadlines, means).await;
    lease.page().end_call();
    inner.registry.report_asked(adapter, &answer);
    match answer.result {
        Ok(models) => {
            lease.give_back(&inner.opener(), &inner.tasks);
            models.filter(|models| !models.is_empty())
        }
        Err(failure) => {
            // The page may be in any state: it is closed with the lease.
            tracing::info!(adapter = adapter.label(), %failure, "the adapter cannot say which models there are");
            None
        }
    }
}

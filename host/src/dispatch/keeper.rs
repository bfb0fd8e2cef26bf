//! Looks after what is idle: keeps a page of every adapter warm, so that a request finds the site loaded, and asks the sites now and then
//! who is signed in.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::account::SignIn;
use super::board::Claim;
use super::continuity::Chats;
use super::lease::{Lease, STARTS};
use super::{Dispatcher, Inner};
use crate::plugin::Adapter;

/// How often idle pages are looked after when nothing is heard of a change: a tab may die while nobody uses it.
const LOOK: Duration = Duration::from_secs(2);
/// For an idle worker's page, to be asked who is signed in.
const PAGE: Duration = Duration::from_secs(60);

/// Runs until the dispatcher drains.
pub(super) async fn run(inner: Arc<Inner>) {
    let mut adapters = inner.registry.changes();
    let mut warming: Option<JoinHandle<()>> = None;
    loop {
        inner.sync();
        if warming.as_ref().is_none_or(JoinHandle::is_finished) && !inner.is_lean() {
            warming = Some(inner.tasks.spawn(warm_up(Arc::clone(&inner))));
        }
        probe_due(&inner);
        inner.board.publish();
        tokio::select! {
            () = inner.draining.cancelled() => return,
            changed = adapters.changed() => if changed.is_err() { return },
            () = inner.look.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

impl Dispatcher {
    /// Somebody else is signed in on an instance now. Idle pages, which were loaded for whoever was there before, close, and the sites are
    /// asked anew. The chats of whoever was there before are not gone on with.
    pub async fn account_changed(&self, instance: &str) {
        let Some(member) = self.0.member(instance) else { return };
        Chats(self.0.options().history.as_ref()).forget(instance).await;
        self.0.board.close_idle_of(&member);
        self.0.board.make_due(instance);
        self.0.look.notify_one();
    }
}

/// Opens a page where an adapter has none that is idle, one after the other. A site that does not open is not waited for.
async fn warm_up(inner: Arc<Inner>) {
    for adapter in inner.registry.all() {
        for claim in inner.board.claim_cold(&adapter) {
            let (instance, label) = (claim.member().map(|member| member.name().to_owned()), adapter.label());
            let (opener, ended) = (inner.opener(), inner.draining.clone());
            let opening = inner.tasks.spawn(async move {
                if let Some(Err(error)) = ended.run_until_cancelled(opener.warm(claim)).await {
                    tracing::warn!(adapter = label, instance, %error, "no page could be opened ahead of requests");
                }
            });
            let _ = tokio::time::timeout(STARTS, opening).await;
        }
    }
}

/// Has the accounts looked at whose turn it is, each in a task of its own.
fn probe_due(inner: &Arc<Inner>) {
    for (instance, adapter) in inner.board.due(&inner.registry.all(), Instant::now()) {
        let Some(claim) = inner.board.try_claim(&instance, &adapter, "probe") else { continue };
        let id = (instance, adapter.manifest.id.clone());
        inner.board.account(&id, |account| account.look_began(Instant::now()));
        let keeper = Arc::clone(inner);
        inner.tasks.spawn(async move {
            let ended = keeper.draining.clone();
            ended.run_until_cancelled(probe(&keeper, claim)).await;
        });
    }
}

/// Asks an account's site who is signed in, and notes it.
pub(super) async fn probe(inner: &Inner, claim: Claim) -> Option<SignIn> {
    let adapter = Arc::clone(claim.adapter()?);
    let id = (claim.member()?.name().to_owned(), adapter.manifest.id.clone());
    let found = match inner.opener().lease(claim, Instant::now() + PAGE).await {
        Ok(lease) => ask(inner, lease, &adapter).await,
        Err(why) => Err(format!("no page: {why:?}")),
    };
    match found {
        Ok(found) => {
            let before = inner.board.account(&id, |account| {
                let before = account.sign_in().clone();
                account.looked(found.clone(), Instant::now());
                before
            });
            if before != found {
                keep_session(inner, &id.0, &found).await;
                tracing::info!(instance = id.0, adapter = id.1, before = before.name(), now = found.name(), "account");
            }
            Some(found)
        }
        Err(reason) => {
            tracing::debug!(instance = id.0, adapter = id.1, reason, "nobody can say who is signed in");
            inner.board.account(&id, |account| account.look_failed(Instant::now()));
            None
        }
    }
}

/// Somebody has signed in: what the browser knows of it is kept at once.
async fn keep_session(inner: &Inner, instance: &str, found: &SignIn) {
    if let (SignIn::SignedIn(_), Some(member)) = (found, inner.member(instance))
        && let Err(error) = member.instance.keep_session().await
    {
        tracing::debug!(instance, %error, "the session was not kept at once");
    }
}

async fn ask(inner: &Inner, lease: Lease, adapter: &Adapter) -> Result<SignIn, String> {
    let options = inner.options();
    // What the page shows may be long out of date: a sign-in happens elsewhere.
    if let Err(error) = lease.page().back_to_entry(Some(options.deadlines.navigate)).await {
        return Err(error.to_string());
    }
    lease.page().begin_call();
    let means = inner.means(adapter, lease.instance());
    let found = adapter.probe(Arc::clone(lease.page()), options.deadlines, means).await;
    lease.page().end_call();
    inner.registry.report_asked(adapter, &found);
    match found.result {
        Ok(account) => {
            lease.give_back(&inner.opener(), &inner.tasks);
            Ok(account.into())
        }
        // The page may be in any state: it is closed with the lease.
        Err(failure) => Err(failure.to_string()),
    }
}

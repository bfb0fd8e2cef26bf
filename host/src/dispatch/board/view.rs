//! What is on the board, to look at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{Board, Rank, State};
use crate::dispatch::account::SignIn;
use crate::telemetry::metrics;

/// Who waits and who runs.
#[derive(Debug, Clone, Default)]
pub struct QueueView {
    /// In the order of their turns.
    pub waiting: Vec<WaitingView>,
    pub running: Vec<RunningView>,
}

#[derive(Debug, Clone)]
pub struct WaitingView {
    pub id: String,
    pub model: String,
    /// The name of the key.
    pub caller: String,
    /// 1 is next, among those who wait for the same model.
    pub position: usize,
    pub waited: Duration,
}

#[derive(Debug, Clone)]
pub struct RunningView {
    pub id: String,
    pub instance: String,
    pub worker: String,
    pub adapter: String,
    pub since: Duration,
}

/// A worker, and whether it is at work.
#[derive(Debug, Clone)]
pub struct WorkerView {
    pub instance: String,
    pub name: String,
    pub adapters: Vec<String>,
    pub is_leased: bool,
    /// The site that its page shows while it is idle.
    pub shows: Option<String>,
}

/// An account, and whether it can be asked.
#[derive(Debug, Clone)]
pub struct AccountView {
    pub instance: String,
    pub adapter: String,
    pub sign_in: SignIn,
    /// How long its site still wants to be left alone.
    pub limited_for: Option<Duration>,
    /// When the site was last looked at for this.
    pub checked: Option<SystemTime>,
}

impl Board {
    /// How many wait before this ticket, itself included; none if it does not wait.
    pub(in crate::dispatch) fn position(&self, number: u64) -> Option<usize> {
        let state = self.lock();
        let index = state.waiting.iter().position(|waiting| waiting.number == number)?;
        state.position(index)
    }

    pub(in crate::dispatch) fn queue_view(&self) -> QueueView {
        let state = self.lock();
        let waiting = state.waiting.iter().enumerate().filter(|(_, waiting)| waiting.want.rank != Rank::Idle);
        let waiting = waiting.map(|(index, waiting)| WaitingView {
            id: waiting.want.id.clone(),
            model: waiting.want.model.clone(),
            caller: waiting.want.caller.clone(),
            position: state.position(index).unwrap_or_default(),
            waited: waiting.since.elapsed(),
        });
        let running = state.out.values().map(|out| RunningView {
            id: out.what.clone(),
            instance: out.post.member.name().to_owned(),
            worker: out.post.name.clone(),
            adapter: out.adapter.clone(),
            since: out.since.elapsed(),
        });
        QueueView { waiting: waiting.collect(), running: running.collect() }
    }

    pub(in crate::dispatch) fn workers(&self) -> Vec<WorkerView> {
        let state = self.lock();
        let view = |(id, post): (&u64, &Arc<super::Post>)| {
            let idle = state.idle.iter().find(|worker| worker.id == *id);
            WorkerView {
                instance: post.member.name().to_owned(),
                name: post.name.clone(),
                adapters: post.adapters.clone(),
                is_leased: idle.is_none(),
                shows: idle.and_then(|worker| worker.parked.as_ref()).map(|parked| parked.adapter.clone()),
            }
        };
        state.roster.iter().map(view).collect()
    }

    /// The accounts of all workers, asked or not.
    pub(in crate::dispatch) fn accounts(&self) -> Vec<AccountView> {
        let (state, now) = (self.lock(), Instant::now());
        let ids = state.roster.values().flat_map(|post| {
            let instance = post.member.name().to_owned();
            post.adapters.iter().map(move |adapter| (instance.clone(), adapter.clone()))
        });
        let ids: std::collections::BTreeSet<_> = ids.collect();
        let view = |id: (String, String)| {
            let account = state.accounts.get(&id);
            let limited = account.and_then(|account| account.limited_until(now));
            AccountView {
                sign_in: state.sign_in(&id),
                limited_for: limited.map(|until| until.duration_since(now)),
                checked: account.and_then(|account| account.checked()),
                instance: id.0,
                adapter: id.1,
            }
        };
        ids.into_iter().map(view).collect()
    }
}

impl State {
    fn position(&self, index: usize) -> Option<usize> {
        let own = self.waiting.get(index)?;
        let before = self.waiting.iter().take(index).filter(|other| other.want.model == own.want.model).count();
        Some(before + 1)
    }
}

impl Board {
    /// Tells the metrics what is on the board.
    pub(in crate::dispatch) fn publish(&self) {
        let (mut waiting, mut leased) = (BTreeMap::<String, usize>::new(), BTreeMap::<(String, String), usize>::new());
        let mut state = self.lock();
        for post in state.roster.values() {
            for adapter in &post.adapters {
                waiting.entry(adapter.clone()).or_default();
                leased.entry((adapter.clone(), post.member.name().to_owned())).or_default();
            }
        }
        for adapter in state.waiting.iter().filter_map(|waiting| waiting.want.adapters.first()) {
            *waiting.entry(adapter.manifest.id.clone()).or_default() += 1;
        }
        for out in state.out.values() {
            *leased.entry((out.adapter.clone(), out.post.member.name().to_owned())).or_default() += 1;
        }
        let published = std::mem::replace(&mut state.published, leased.keys().cloned().collect());
        drop(state);
        for (adapter, instance) in published.iter().filter(|place| !leased.contains_key(*place)) {
            metrics::queue_depth(adapter, waiting.get(adapter).copied().unwrap_or(0));
            metrics::leased_pages(adapter, instance, 0);
            metrics::account_gone(instance, adapter);
        }
        for (adapter, count) in &waiting {
            metrics::queue_depth(adapter, *count);
        }
        for ((adapter, instance), count) in &leased {
            metrics::leased_pages(adapter, instance, *count);
        }
        for account in self.accounts() {
            let state = match account.sign_in {
                _ if account.limited_for.is_some() => "limited",
                SignIn::SignedIn(_) => "signed_in",
                SignIn::SignedOut => "signed_out",
                SignIn::Challenge => "challenge",
                SignIn::Unknown => "unknown",
            };
            metrics::account_state(&account.instance, &account.adapter, state);
        }
    }
}

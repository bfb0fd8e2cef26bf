//! Which idle workers there is something to do for.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Board, Claim, Rank, State};
use crate::dispatch::lease::shares_no_cookies;
use crate::plugin::Adapter;

impl Board {
    /// On every instance where an idle worker is to show this adapter's site and none does, one of them. Pages that are of no use any
    /// more are closed.
    pub(in crate::dispatch) fn claim_cold(self: &Arc<Self>, adapter: &Arc<Adapter>) -> Vec<Claim> {
        let id = &adapter.manifest.id;
        let mut state = self.lock();
        let stale = state.unpark(adapter);
        let mut warm: BTreeSet<String> = BTreeSet::new();
        for worker in state.idle.iter().filter(|w| w.parked.as_ref().is_some_and(|parked| parked.adapter == *id)) {
            warm.insert(worker.post.member.name().to_owned());
        }
        // Or is about to.
        for out in state.out.values().filter(|out| out.rank == Rank::Idle && out.adapter == *id) {
            warm.insert(out.post.member.name().to_owned());
        }
        let mut claims = Vec::new();
        let mut index = 0;
        while let Some(worker) = state.idle.get(index) {
            let member = &worker.post.member;
            let is_cold =
                worker.post.monitor == *id && worker.parked.is_none() && member.is_ready() && member.held().is_none();
            if is_cold && warm.insert(member.name().to_owned()) {
                let worker = state.take(index, id, "a warm page", Rank::Idle);
                claims.push(Claim {
                    board: Arc::clone(self),
                    worker: Some(worker),
                    adapters: Arc::from([Arc::clone(adapter)]),
                    place: 0,
                });
            } else {
                index += 1;
            }
        }
        drop(state);
        drop(stale);
        claims
    }

    /// Has all accounts of this instance looked at.
    pub(in crate::dispatch) fn make_due(&self, instance: &str) {
        let mut state = self.lock();
        let here = state.accounts.iter_mut().filter(|((name, _), _)| name == instance);
        here.for_each(|(_, account)| account.make_due());
    }

    /// The accounts that are to be looked at now, of instances whose browser is up.
    pub(in crate::dispatch) fn due(&self, adapters: &[Arc<Adapter>], now: Instant) -> Vec<(String, Arc<Adapter>)> {
        let state = self.lock();
        let mut due = Vec::new();
        let mut seen = BTreeSet::new();
        for post in state.roster.values().filter(|post| post.member.is_ready() && post.member.held().is_none()) {
            for adapter in adapters.iter().filter(|adapter| post.adapters.contains(&adapter.manifest.id)) {
                let id = (post.member.name().to_owned(), adapter.manifest.id.clone());
                let is_due = state.accounts.get(&id).is_none_or(|account| account.is_due(now));
                if !shares_no_cookies(&adapter.manifest, post.named) && seen.insert(id.clone()) && is_due {
                    due.push((id.0, Arc::clone(adapter)));
                }
            }
        }
        due
    }
}

impl State {
    /// Takes away the pages of this adapter that no request could have: tabs that died, or have another version's rights.
    fn unpark(&mut self, adapter: &Adapter) -> Vec<super::Parked> {
        let of = |worker: &mut super::Worker| {
            let named = worker.post.named;
            worker
                .parked
                .take_if(|parked| parked.adapter == adapter.manifest.id && !parked.is_usable(&adapter.manifest, named))
        };
        self.idle.iter_mut().filter_map(of).collect()
    }
}

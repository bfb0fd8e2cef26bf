//! Which worker a want gets, and what it is told where there is none.

use std::hash::{BuildHasher as _, RandomState};

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{Out, Post, Rank, State, Want, Worker, earlier};
use crate::chat::{Failure, FailureKind};
use crate::dispatch::account::{self, AccountId, SignIn, Standing};
use crate::dispatch::lease::shares_no_cookies;
use crate::dispatch::plan::{Limits, Strategy};
use crate::plugin::Adapter;

/// What becomes of a want.
#[derive(Debug)]
pub(super) enum Verdict {
    Take {
        idle: usize,
        /// Among the adapters that are wanted.
        place: usize,
    },
    /// Something may come free; or at this time it may be allowed.
    Wait(Option<Instant>),
    Never(Failure),
}

/// Why nothing is to be had yet.
#[derive(Debug, Default)]
struct Reasons {
    /// A worker is at work that could be had when it is free.
    busy: bool,
    later: Option<Instant>,
    needs: Vec<(AccountId, SignIn)>,
    broken: Option<String>,
}

/// Smaller is better: not where it is wanted most, browser not up, further down the list of adapters, the strategy's word, no warm page.
type Preference = (bool, bool, usize, u64, bool);

impl State {
    pub(super) fn judge(&self, want: &Want, now: Instant) -> Verdict {
        let mut best: Option<(Preference, usize, usize)> = None;
        let mut reasons = Reasons::default();
        for (place, offer) in want.adapters.iter().enumerate() {
            let adapter = &offer.manifest.id;
            let fits = |post: &Post| {
                post.adapters.contains(adapter)
                    && !want.avoid.iter().any(|(i, a)| i == post.member.name() && a == adapter)
            };
            for (id, post) in self.roster.iter().filter(|(_, post)| fits(post)) {
                if !self.is_open(post, offer, now, &mut reasons) {
                    continue;
                }
                if want.rank == Rank::Idle && self.is_looked_after(post.member.name(), adapter) {
                    reasons.busy = true;
                    continue;
                }
                let Some(index) = self.idle.iter().position(|worker| worker.id == *id) else {
                    reasons.busy = true;
                    continue;
                };
                let preference = self.preference(want, place, post, self.idle.get(index), adapter);
                if best.as_ref().is_none_or(|(so_far, ..)| preference < *so_far) {
                    best = Some((preference, index, place));
                }
            }
        }
        match best {
            Some((_, idle, place)) => Verdict::Take { idle, place },
            None => reasons.verdict(want, now),
        }
    }

    /// Whether this worker may serve this adapter now, were it free; if not, why.
    fn is_open(&self, post: &Post, offer: &Adapter, now: Instant, reasons: &mut Reasons) -> bool {
        let (instance, adapter) = (post.member.name(), &offer.manifest.id);
        // Before all else: a browser that is being replaced has been stopped, and has not failed.
        if post.member.held().is_some() {
            reasons.busy = true;
            return false;
        }
        if let Some(reason) = post.member.failed() {
            reasons.broken = Some(format!("{instance}: {reason}"));
            return false;
        }
        let id = (instance.to_owned(), adapter.clone());
        let site = self.rules.sites.get(adapter).copied().unwrap_or_default();
        // Pages that share no cookies have no account in common.
        if !shares_no_cookies(&offer.manifest, post.named) {
            let standing = self.accounts.get(&id).map_or(Standing::Usable, |a| a.standing(now, site.per_minute));
            match standing {
                Standing::Usable => {}
                Standing::From(at) => {
                    reasons.later = earlier(reasons.later, Some(at));
                    return false;
                }
                Standing::Needs(what) => {
                    if !reasons.needs.iter().any(|(known, _)| *known == id) {
                        reasons.needs.push((id, what));
                    }
                    return false;
                }
            }
        }
        self.has_room(&id, post.member.limits(), site, now, reasons)
    }

    fn has_room(&self, id: &AccountId, limits: Limits, site: Limits, now: Instant, reasons: &mut Reasons) -> bool {
        let usage = self.usage.get(&id.0);
        if let Some(at) = usage.zip(limits.per_minute).and_then(|(u, most)| account::full_until(&u.recent, most, now)) {
            reasons.later = earlier(reasons.later, Some(at));
            return false;
        }
        let at_work = |adapter: Option<&str>| {
            let counts = |out: &&Out| out.post.member.name() == id.0 && adapter.is_none_or(|a| a == out.adapter);
            self.out.values().filter(counts).count()
        };
        let is_full = limits.pages.is_some_and(|most| at_work(None) >= most)
            || site.pages.is_some_and(|most| at_work(Some(&id.1)) >= most);
        reasons.busy |= is_full;
        !is_full
    }

    fn preference(&self, want: &Want, place: usize, post: &Post, worker: Option<&Worker>, adapter: &str) -> Preference {
        let instance = post.member.name();
        let word = match self.rules.strategy {
            Strategy::LeastBusy => self.at_work(instance),
            Strategy::RoundRobin => self.usage.get(instance).map_or(0, |usage| usage.last),
            Strategy::Random => RandomState::new().hash_one(instance),
            Strategy::Sticky => affinity(&want.sticky, instance),
        };
        let is_warm = worker.and_then(|w| w.parked.as_ref()).is_some_and(|parked| parked.adapter == adapter);
        let elsewhere = want.prefer.as_ref().is_some_and(|wanted| wanted != instance);
        (elsewhere, !post.member.is_ready(), place, word, !is_warm)
    }

    /// Workers of this instance that are leased.
    fn at_work(&self, instance: &str) -> u64 {
        self.out.values().filter(|out| out.post.member.name() == instance).count() as u64
    }
}

impl Reasons {
    fn verdict(self, want: &Want, now: Instant) -> Verdict {
        if self.busy {
            return Verdict::Wait(self.later);
        }
        if let Some(later) = self.later {
            if later <= want.until {
                return Verdict::Wait(Some(later));
            }
            let retry_after = Some(later.duration_since(now));
            return Verdict::Never(Failure::new(FailureKind::RateLimited { retry_after }, "every account is paused"));
        }
        if !self.needs.is_empty() {
            return Verdict::Never(account::nobody(&self.needs));
        }
        if let Some(reason) = self.broken {
            return Verdict::Never(Failure::new(FailureKind::BrowserFailed, reason));
        }
        Verdict::Never(Failure::new(FailureKind::ModelUnavailable, "no worker is there for it"))
    }
}

/// The same for the same pair, in every run (rendezvous hashing: when an instance goes, only its own requests move).
fn affinity(sticky: &[u8; 32], instance: &str) -> u64 {
    let hash = Sha256::new().chain_update(sticky).chain_update(instance.as_bytes()).finalize();
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

//! Whether a request that failed may go to another page, and to which.
//!
//! Only while it was not submitted: from then on nothing of it is done twice, whatever happens.

use super::account::AccountId;
use crate::chat::{FailureKind, Stage};

/// Where a request must not go again after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Avoid {
    /// Anywhere will do: the browser or the tab died.
    Nothing,
    /// This account.
    Account,
    /// This adapter, whatever the account.
    Adapter,
}

/// None: it would fail everywhere, or nobody waits for it.
pub(super) fn elsewhere(failure: &FailureKind) -> Option<Avoid> {
    use FailureKind as K;
    match failure {
        K::BrowserFailed => Some(Avoid::Nothing),
        K::LoginRequired
        | K::ChallengeRequired
        | K::RateLimited { .. }
        | K::QuotaExhausted { .. }
        | K::ModelUnavailable
        | K::Timeout(Stage::Navigate | Stage::Submit)
        | K::Upstream
        | K::Other(_) => Some(Avoid::Account),
        K::SiteChanged { .. }
        | K::AdapterCrashed
        | K::AdapterCpuLimit
        | K::AdapterMemoryLimit
        | K::PromptTooLong { .. } => Some(Avoid::Adapter),
        K::ContentBlocked
        | K::InvalidRequest
        | K::ModelNotFound { .. }
        | K::Timeout(_)
        | K::ServerBusy { .. }
        | K::Starting { .. }
        | K::Quarantined
        | K::AlreadySubmitted
        | K::KeyReused
        | K::ClientTooSlow
        | K::ClientGone
        | K::ShuttingDown => None,
    }
}

/// What has been tried, and how often it may be tried yet.
#[derive(Debug)]
pub(super) struct Tries {
    /// None: only where the browser died.
    most: Option<u32>,
    deaths: u32,
    others: u32,
    avoid: Vec<AccountId>,
}

/// How often a request is dispatched again because a browser died under it.
const DEATHS: u32 = 2;

impl Tries {
    pub(super) fn new(most: Option<u32>) -> Self {
        Self { most, deaths: 0, others: 0, avoid: Vec::new() }
    }

    pub(super) fn avoid(&self) -> &[AccountId] {
        &self.avoid
    }

    /// Whether there may be another after this failure at `account`; of the instances there are, `all` have this adapter.
    pub(super) fn again(&mut self, failure: &FailureKind, account: &AccountId, all: &[String]) -> bool {
        let Some(avoid) = elsewhere(failure) else { return false };
        if avoid == Avoid::Nothing {
            self.deaths += 1;
            return self.deaths <= DEATHS;
        }
        self.others += 1;
        if self.most.is_none_or(|most| self.others > most) {
            return false;
        }
        self.avoid.push(account.clone());
        if avoid == Avoid::Adapter {
            self.avoid.extend(all.iter().map(|instance| (instance.clone(), account.1.clone())));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> AccountId {
        ("a".into(), "demo".into())
    }

    #[test]
    fn tries_are_counted() {
        let all = ["a".to_owned(), "b".to_owned()];
        let mut tries = Tries::new(Some(2));
        assert!(tries.again(&FailureKind::LoginRequired, &account(), &all));
        assert_eq!(tries.avoid(), [account()]);
        assert!(tries.again(&FailureKind::AdapterCrashed, &account(), &all));
        assert!(tries.avoid().contains(&("b".into(), "demo".into())));
        assert!(!tries.again(&FailureKind::Upstream, &account(), &all));
    }

    #[test]
    fn without_failover_only_a_dead_browser_is_tried_again() {
        let mut tries = Tries::new(None);
        assert!(!tries.again(&FailureKind::Upstream, &account(), &[]));
        assert!(tries.again(&FailureKind::BrowserFailed, &account(), &[]));
        assert!(tries.again(&FailureKind::BrowserFailed, &account(), &[]));
        assert!(!tries.again(&FailureKind::BrowserFailed, &account(), &[]));
        assert!(tries.avoid().is_empty());
    }

    #[test]
    fn what_is_the_requests_own_fault_is_not_tried_elsewhere() {
        for kind in [FailureKind::InvalidRequest, FailureKind::ContentBlocked, FailureKind::ClientGone] {
            assert_eq!(elsewhere(&kind), None);
        }
    }
}

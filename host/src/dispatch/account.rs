//! What is known of an account: an instance's sign-in at one adapter's site, and how much may be asked of it now.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::chat::{Failure, FailureKind};
use crate::plugin;

/// After a limit whose end the site did not tell.
const LIMITED: Duration = Duration::from_secs(60);
/// No pause that a site asks for is believed to be longer.
const LIMITED_MAX: Duration = Duration::from_secs(24 * 3600);
/// An account that is signed in is looked at again after this time.
const WELL: Duration = Duration::from_secs(15 * 60);
/// One that is not, sooner at first: somebody may be signing in.
const UNWELL: Duration = Duration::from_secs(20);
const UNWELL_MAX: Duration = Duration::from_secs(10 * 60);
const MINUTE: Duration = Duration::from_secs(60);

/// Who is signed in, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SignIn {
    #[default]
    Unknown,
    /// As whom, if the site shows it.
    SignedIn(Option<String>),
    SignedOut,
    /// The site wants a person.
    Challenge,
}

impl SignIn {
    /// As whom, if the site shows it.
    pub fn who(&self) -> Option<&str> {
        if let Self::SignedIn(Some(who)) = self { Some(who) } else { None }
    }

    /// Its name in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::SignedIn(_) => "signed-in",
            Self::SignedOut => "signed-out",
            Self::Challenge => "challenge",
        }
    }
}

impl From<plugin::Account> for SignIn {
    fn from(account: plugin::Account) -> Self {
        match account {
            plugin::Account::SignedIn(name) => Self::SignedIn(name),
            plugin::Account::SignedOut => Self::SignedOut,
            plugin::Account::Challenge => Self::Challenge,
            plugin::Account::Unknown => Self::Unknown,
        }
    }
}

/// Instance and adapter.
pub(super) type AccountId = (String, String);

#[derive(Debug, Default)]
pub(super) struct Account {
    sign_in: SignIn,
    limited_until: Option<Instant>,
    /// When the site was last looked at for this.
    checked: Option<SystemTime>,
    /// When it is looked at next. None: as soon as there is a page.
    due: Option<Instant>,
    /// Looks in a row that found nobody signed in.
    unwell: u32,
    /// Requests of the last minute.
    recent: VecDeque<Instant>,
}

/// Whether an account may be asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Usable,
    /// Not before this.
    From(Instant),
    /// Not before somebody has done something.
    Needs(SignIn),
}

impl Account {
    /// `per_minute` is how many requests it may have.
    pub(super) fn standing(&self, now: Instant, per_minute: Option<usize>) -> Standing {
        if matches!(self.sign_in, SignIn::SignedOut | SignIn::Challenge) {
            return Standing::Needs(self.sign_in.clone());
        }
        let limited = self.limited_until.filter(|until| *until > now);
        let full = per_minute.and_then(|most| full_until(&self.recent, most, now));
        limited.max(full).map_or(Standing::Usable, Standing::From)
    }

    pub(super) fn limited_until(&self, now: Instant) -> Option<Instant> {
        self.limited_until.filter(|until| *until > now)
    }

    pub(super) fn sign_in(&self) -> &SignIn {
        &self.sign_in
    }

    pub(super) fn checked(&self) -> Option<SystemTime> {
        self.checked
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    /// Looks at it as soon as there is a page.
    pub(super) fn make_due(&mut self) {
        self.due = None;
        self.unwell = 0;
    }

    pub(super) fn began(&mut self, now: Instant) {
        note(&mut self.recent, now);
    }

    /// A look has begun: nobody needs another one meanwhile.
    pub(super) fn look_began(&mut self, now: Instant) {
        self.due = Some(now + UNWELL_MAX);
    }

    /// What a look has found.
    pub(super) fn looked(&mut self, found: SignIn, now: Instant) {
        self.checked = Some(SystemTime::now());
        self.unwell = if matches!(found, SignIn::SignedIn(_)) { 0 } else { self.unwell.saturating_add(1) };
        let wait = match self.unwell {
            0 => WELL,
            n => UNWELL.saturating_mul(1 << n.saturating_sub(1).min(8)).min(UNWELL_MAX),
        };
        self.due = Some(now + wait);
        self.sign_in = found;
    }

    /// A look that found out nothing: the site did not open, or the adapter failed.
    pub(super) fn look_failed(&mut self, now: Instant) {
        self.unwell = self.unwell.saturating_add(1);
        self.due = Some(now + UNWELL.saturating_mul(1 << self.unwell.min(8)).min(UNWELL_MAX));
    }

    /// What a request's end says of it. An account that is limited or signed out is not asked: an answer that ends then began before,
    /// and says nothing of now.
    pub(super) fn ended(&mut self, failure: Option<&FailureKind>, now: Instant) {
        match failure {
            None => {
                if self.sign_in == SignIn::Unknown {
                    self.sign_in = SignIn::SignedIn(None);
                }
            }
            Some(FailureKind::LoginRequired) => self.sign_in = SignIn::SignedOut,
            Some(FailureKind::ChallengeRequired) => self.sign_in = SignIn::Challenge,
            Some(FailureKind::RateLimited { retry_after } | FailureKind::QuotaExhausted { retry_after }) => {
                let until = now + retry_after.unwrap_or(LIMITED).min(LIMITED_MAX);
                self.limited_until = self.limited_until.max(Some(until));
            }
            Some(_) => {}
        }
    }
}

/// Notes one more in the last minute.
pub(super) fn note(recent: &mut VecDeque<Instant>, now: Instant) {
    while recent.front().is_some_and(|at| now.duration_since(*at) >= MINUTE) {
        recent.pop_front();
    }
    recent.push_back(now);
}

/// When one more is allowed, if not now.
pub(super) fn full_until(recent: &VecDeque<Instant>, most: usize, now: Instant) -> Option<Instant> {
    let free = recent.iter().rev().nth(most.saturating_sub(1)).map(|at| *at + MINUTE);
    free.filter(|free| *free > now)
}

/// All accounts that have been asked or looked at.
pub(super) type Accounts = BTreeMap<AccountId, Account>;

/// What a client is told when no account can answer: which one needs what.
pub(super) fn nobody(needs: &[(AccountId, SignIn)]) -> Failure {
    let challenge = needs.iter().all(|(_, what)| *what == SignIn::Challenge);
    let kind = if challenge { FailureKind::ChallengeRequired } else { FailureKind::LoginRequired };
    let each = needs.iter().map(|((instance, adapter), what)| format!("{instance}/{adapter}: {}", what.name()));
    Failure::new(kind, each.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(base: Instant, seconds: u64) -> Instant {
        base + Duration::from_secs(seconds)
    }

    #[test]
    fn a_limit_holds_until_its_time_and_no_longer() {
        let (mut account, now) = (Account::default(), Instant::now());
        let kind = FailureKind::RateLimited { retry_after: Some(Duration::from_secs(30)) };
        account.ended(Some(&kind), now);
        assert_eq!(account.standing(at(now, 1), None), Standing::From(at(now, 30)));
        assert_eq!(account.standing(at(now, 30), None), Standing::Usable);
    }

    #[test]
    fn an_answer_that_began_before_a_limit_does_not_end_it() {
        let (mut account, now) = (Account::default(), Instant::now());
        account.ended(Some(&FailureKind::RateLimited { retry_after: Some(Duration::from_secs(600)) }), now);
        account.ended(None, at(now, 1));
        account.ended(Some(&FailureKind::RateLimited { retry_after: None }), at(now, 2));
        assert_eq!(account.standing(at(now, 3), None), Standing::From(at(now, 600)));
        let mut account = Account::default();
        account.ended(Some(&FailureKind::ChallengeRequired), now);
        account.ended(None, at(now, 1));
        assert_eq!(account.standing(at(now, 2), None), Standing::Needs(SignIn::Challenge));
    }

    #[test]
    fn who_is_signed_out_is_not_asked_until_somebody_is_there() {
        let (mut account, now) = (Account::default(), Instant::now());
        account.ended(Some(&FailureKind::LoginRequired), now);
        assert_eq!(account.standing(now, None), Standing::Needs(SignIn::SignedOut));
        account.looked(SignIn::SignedIn(Some("a@b".into())), now);
        assert_eq!(account.standing(now, None), Standing::Usable);
        assert!(!account.is_due(at(now, 60)) && account.is_due(at(now, 15 * 60)));
    }

    #[test]
    fn looks_that_find_nobody_come_less_and_less_often() {
        let (mut account, now) = (Account::default(), Instant::now());
        assert!(account.is_due(now));
        account.looked(SignIn::SignedOut, now);
        assert!(!account.is_due(at(now, 19)) && account.is_due(at(now, 20)));
        for _ in 0..20 {
            account.looked(SignIn::SignedOut, now);
        }
        assert!(!account.is_due(at(now, 599)) && account.is_due(at(now, 600)));
        account.make_due();
        assert!(account.is_due(now));
    }

    #[test]
    fn requests_in_a_minute_are_counted() {
        let (mut account, now) = (Account::default(), Instant::now());
        account.began(now);
        account.began(at(now, 10));
        assert_eq!(account.standing(at(now, 20), Some(2)), Standing::From(at(now, 60)));
        assert_eq!(account.standing(at(now, 60), Some(2)), Standing::Usable);
        assert_eq!(account.standing(at(now, 20), Some(3)), Standing::Usable);
    }

    #[test]
    fn the_error_says_which_account_needs_what() {
        let id = |instance: &str| (instance.to_owned(), "chatgpt".to_owned());
        let failure = nobody(&[(id("home"), SignIn::SignedOut), (id("work"), SignIn::Challenge)]);
        assert_eq!(failure.kind, FailureKind::LoginRequired);
        assert_eq!(failure.message, "home/chatgpt: signed-out, work/chatgpt: challenge");
        assert_eq!(nobody(&[(id("work"), SignIn::Challenge)]).kind, FailureKind::ChallengeRequired);
    }
}

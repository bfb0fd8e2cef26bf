//! What a guest says, as the host's own values. A guest can hand over some megabytes at once, and these go on to logs, the database and
//! clients: here, and nowhere behind, they are held to a length.

use std::time::Duration;

use super::bindings::exports::webai::adapter::provider;
use super::bindings::webai::adapter::types as wit;
use super::call::Account;
use crate::chat::{Citation, Failure, FailureKind, Finish, Outcome, Stage};

/// Sentences, and selectors. All of these are in bytes.
const MESSAGE: usize = 2 << 10;
/// Codes, steps, models, accounts.
const NAME: usize = 256;
/// A site's own id of a chat.
const ID: usize = 512;
/// Of a source that an answer names.
const ADDRESS: usize = 4 << 10;
const TITLE: usize = 512;

/// Stands where a text was cut.
const MARK: &str = "…";

/// The text, or so much of its beginning that it has at most `max` bytes with the mark.
fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max.saturating_sub(MARK.len())));
        // What it was long for stays allocated else.
        text.shrink_to(max);
        text.push_str(MARK);
    }
    text
}

pub(super) fn message(text: String) -> String {
    cut(text, MESSAGE)
}

pub(super) fn name(text: String) -> String {
    cut(text, NAME)
}

/// What means something else once it is cut: all of it or nothing.
fn whole(text: String, max: usize) -> Option<String> {
    (text.len() <= max).then_some(text)
}

pub(super) fn account(account: provider::Account) -> Account {
    match account {
        provider::Account::SignedIn(who) => Account::SignedIn(who.map(name)),
        provider::Account::SignedOut => Account::SignedOut,
        provider::Account::Challenge => Account::Challenge,
        provider::Account::Unknown => Account::Unknown,
    }
}

/// A source that the answer names; none where its address is longer than any.
pub(super) fn citation(url: String, title: String) -> Option<Citation> {
    Some(Citation { url: whole(url, ADDRESS)?, title: cut(title, TITLE) })
}

pub(super) fn outcome(outcome: provider::Outcome) -> Outcome {
    let finish = match outcome.finish {
        provider::Finish::Stop => Finish::Stop,
        provider::Finish::Length => Finish::Length,
        provider::Finish::ContentFilter => Finish::ContentFilter,
        provider::Finish::Other(reason) => Finish::Other(name(reason)),
    };
    // Without its id a chat begins anew the next time; with a part of it, it would go on in another.
    let conversation = outcome.conversation.and_then(|id| whole(id, ID));
    Outcome { finish, conversation, model: outcome.model.map(name) }
}

/// `late` is the stage that a time-out is of.
pub(super) fn failure(failure: wit::Failure, late: Stage) -> Failure {
    let seconds = |s: Option<u32>| s.map(|s| Duration::from_secs(s.into()));
    let (kind, said) = match failure {
        wit::Failure::LoginRequired(m) => (FailureKind::LoginRequired, m),
        wit::Failure::Challenge(m) => (FailureKind::ChallengeRequired, m),
        wit::Failure::RateLimited(l) => (FailureKind::RateLimited { retry_after: seconds(l.retry_after_s) }, l.message),
        wit::Failure::QuotaExhausted(l) => {
            (FailureKind::QuotaExhausted { retry_after: seconds(l.retry_after_s) }, l.message)
        }
        wit::Failure::ContentBlocked(m) => (FailureKind::ContentBlocked, m),
        wit::Failure::ModelUnavailable(m) => (FailureKind::ModelUnavailable, m),
        wit::Failure::InvalidRequest(m) => (FailureKind::InvalidRequest, m),
        wit::Failure::SiteChanged(missing) => {
            let (step, selector) = (name(missing.step), message(missing.selector));
            (FailureKind::SiteChanged { step, selector }, String::new())
        }
        wit::Failure::Timeout(m) => (FailureKind::Timeout(late), m),
        wit::Failure::Cancelled => (FailureKind::ClientGone, String::new()),
        wit::Failure::Upstream(m) => (FailureKind::Upstream, m),
        wit::Failure::Other(fault) if fault.code == "page-closed" => {
            (FailureKind::BrowserFailed, "the browser tab died".to_owned())
        }
        wit::Failure::Other(fault) => (FailureKind::Other(name(fault.code)), fault.message),
    };
    Failure::new(kind, message(said))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long() -> String {
        "ü".repeat(1 << 20)
    }

    #[test]
    fn a_text_is_cut_between_characters_and_says_so() {
        assert_eq!(cut("as it is".into(), 8), "as it is");
        assert_eq!(cut("as it was".into(), 8), "as it…");
        // The fourth character would end one byte too late.
        assert_eq!(cut("üüüüüüü".into(), 10), "üüü…");
        let short = cut(long(), 100);
        assert!(short.len() <= 100 && short.capacity() < 1000, "{} {}", short.len(), short.capacity());
    }

    #[test]
    fn no_failure_says_more_than_is_kept() {
        let limit = || wit::Limit { message: long(), retry_after_s: None };
        for said in [
            wit::Failure::LoginRequired(long()),
            wit::Failure::Challenge(long()),
            wit::Failure::RateLimited(limit()),
            wit::Failure::QuotaExhausted(limit()),
            wit::Failure::ContentBlocked(long()),
            wit::Failure::ModelUnavailable(long()),
            wit::Failure::InvalidRequest(long()),
            wit::Failure::SiteChanged(wit::Missing { step: long(), selector: long() }),
            wit::Failure::Timeout(long()),
            wit::Failure::Upstream(long()),
            wit::Failure::Other(wit::Fault { code: long(), message: long() }),
        ] {
            let failure = failure(said, Stage::Submit);
            assert!(failure.message.len() <= MESSAGE && failure.kind.code().len() <= NAME, "{}", failure.kind.code());
            if let FailureKind::SiteChanged { step, selector } = failure.kind {
                assert!(step.len() <= NAME && selector.len() <= MESSAGE);
                assert!(step.ends_with(MARK) && selector.ends_with(MARK));
            } else {
                assert!(failure.message.ends_with(MARK));
            }
        }
    }

    #[test]
    fn an_id_that_is_too_long_is_none_and_a_name_is_cut() {
        let said = |text: String| {
            outcome(provider::Outcome {
                finish: provider::Finish::Other(text.clone()),
                conversation: Some(text.clone()),
                model: Some(text),
                facts: Vec::new(),
            })
        };
        let short = said("c-1".into());
        assert_eq!((short.conversation.as_deref(), short.model.as_deref()), (Some("c-1"), Some("c-1")));
        let long = said(long());
        assert_eq!(long.conversation, None);
        assert!(long.model.is_some_and(|model| model.len() <= NAME));
        assert!(matches!(long.finish, Finish::Other(reason) if reason.len() <= NAME));
        let who = account(provider::Account::SignedIn(Some("n".repeat(1 << 20))));
        assert!(matches!(who, Account::SignedIn(Some(who)) if who.len() <= NAME));
    }

    #[test]
    fn a_source_has_a_whole_address_or_is_none() {
        assert_eq!(citation("u".repeat(ADDRESS + 1), String::new()), None);
        let kept = citation("u".repeat(ADDRESS), long()).unwrap();
        assert!(kept.url.len() == ADDRESS && kept.title.len() <= TITLE && kept.title.ends_with(MARK));
    }
}

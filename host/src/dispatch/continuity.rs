//! Chats that go on: a request whose history is a chat that an account still has is typed there, as its new turn alone.
//!
//! The index keeps, for each account and model, the site's id of a chat by a hash of all that was said in it. Whoever goes on with one
//! takes it out, so that two clients with the same history, a regenerated answer or an edited turn never meet in one chat: the second
//! finds nothing, and begins a new one with the whole history.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::chat::{Part, Role, Turn};

/// Chats that are remembered.
const MAX_CHATS: usize = 20_000;

pub(super) type Hash = [u8; 32];

/// Where a chat is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) instance: String,
    pub(super) adapter: String,
    pub(super) model: String,
    /// Of all turns.
    pub(super) said: Hash,
}

#[derive(Debug)]
struct Chat {
    conversation: String,
    used: Instant,
}

/// The chats that can go on.
#[derive(Debug, Default)]
pub(super) struct Chats(Mutex<HashMap<Place, Chat>>);

/// A conversation, in what a chat may know already and what is new.
pub(super) fn split(turns: &[Turn]) -> Option<(&[Turn], &[Turn])> {
    let last = turns.iter().rposition(|turn| turn.role == Role::Assistant)?;
    let (known, new) = turns.split_at_checked(last + 1)?;
    // Without a new turn the assistant is to go on with its own words, which no chat site can do.
    (!new.is_empty()).then_some((known, new))
}

/// A hash of turns. White space around a text does not count: clients trim what they send back.
pub(super) fn hash(turns: &[Turn]) -> Hash {
    turns.iter().fold(Sha256::new(), |hash, turn| add(hash, turn)).finalize().into()
}

/// The hash of the same turns and the answer to them.
pub(super) fn hash_with_answer(turns: &[Turn], answer: &str) -> Hash {
    let answer = Turn { role: Role::Assistant, name: None, parts: vec![Part::Text(answer.to_owned())] };
    add(turns.iter().fold(Sha256::new(), |hash, turn| add(hash, turn)), &answer).finalize().into()
}

fn add(mut hash: Sha256, turn: &Turn) -> Sha256 {
    let mut part = |mark: u8, bytes: &[u8]| {
        hash.update([mark]);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(0, &[turn.role as u8]);
    part(1, turn.name.as_deref().unwrap_or_default().as_bytes());
    let mut text = String::new();
    for piece in &turn.parts {
        match piece {
            Part::Text(piece) => text.push_str(piece),
            Part::Attachment(file) => {
                part(2, file.mime_type.as_bytes());
                part(3, &Sha256::digest(&file.bytes));
            }
        }
    }
    part(4, text.trim().as_bytes());
    hash
}

impl Chats {
    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Chat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An instance that has such a chat.
    pub(super) fn instance_of(&self, adapter: &str, model: &str, said: &Hash, instances: &[String]) -> Option<String> {
        let chats = self.lock();
        let place = |instance: &String| Place {
            instance: instance.clone(),
            adapter: adapter.to_owned(),
            model: model.to_owned(),
            said: *said,
        };
        instances.iter().find(|instance| chats.contains_key(&place(instance))).cloned()
    }

    /// Takes a chat out: from here on it has more turns than its hash says.
    pub(super) fn take(&self, place: &Place, max_age: Duration) -> Option<String> {
        let chat = self.lock().remove(place)?;
        (chat.used.elapsed() < max_age).then_some(chat.conversation)
    }

    /// Remembers a chat.
    pub(super) fn put(&self, place: Place, conversation: String) {
        let mut chats = self.lock();
        if chats.len() >= MAX_CHATS
            && let Some(oldest) = chats.iter().min_by_key(|(_, chat)| chat.used).map(|(place, _)| place.clone())
        {
            chats.remove(&oldest);
        }
        chats.insert(place, Chat { conversation, used: Instant::now() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(role: Role, text: &str) -> Turn {
        Turn { role, name: None, parts: vec![Part::Text(text.into())] }
    }

    fn place(instance: &str, said: Hash) -> Place {
        Place { instance: instance.into(), adapter: "demo".into(), model: "echo".into(), said }
    }

    #[test]
    fn the_next_request_of_a_conversation_finds_its_chat_once() {
        let first = [turn(Role::System, "be brief"), turn(Role::User, "hi")];
        let chats = Chats::default();
        chats.put(place("a", hash_with_answer(&first, "hello\n")), "c-1".into());
        let mut next = first.to_vec();
        next.extend([turn(Role::Assistant, "hello"), turn(Role::User, "and?")]);
        let (known, new) = split(&next).unwrap();
        assert_eq!(new, [turn(Role::User, "and?")]);
        let said = hash(known);
        assert_eq!(chats.instance_of("demo", "echo", &said, &["b".into(), "a".into()]), Some("a".into()));
        assert_eq!(chats.take(&place("b", said), Duration::MAX), None);
        assert_eq!(chats.take(&place("a", said), Duration::MAX), Some("c-1".into()));
        assert_eq!(chats.take(&place("a", said), Duration::MAX), None, "somebody else goes on with it");
    }

    #[test]
    fn whatever_was_changed_is_another_conversation() {
        let known = |text: &str, answer: &str| hash_with_answer(&[turn(Role::User, text)], answer);
        let same = known("hi", "hello");
        for other in [known("hi!", "hello"), known("hi", "hello!"), known("", "hihello")] {
            assert_ne!(same, other);
        }
        let mut named = turn(Role::User, "hi");
        named.name = Some("Ann".into());
        assert_ne!(hash(&[named]), hash(&[turn(Role::User, "hi")]));
        assert_ne!(hash(&[turn(Role::System, "hi")]), hash(&[turn(Role::User, "hi")]));
        assert_ne!(hash(&[turn(Role::User, "a"), turn(Role::User, "b")]), hash(&[turn(Role::User, "ab")]));
    }

    #[test]
    fn a_first_message_and_an_unfinished_one_continue_nothing() {
        assert!(split(&[turn(Role::User, "hi")]).is_none());
        assert!(split(&[turn(Role::User, "hi"), turn(Role::Assistant, "hel")]).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_chat_is_forgotten_after_its_time() {
        let chats = Chats::default();
        chats.put(place("a", [0; 32]), "c-1".into());
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(chats.take(&place("a", [0; 32]), Duration::from_secs(60)), None);
    }
}

//! Chats that go on: a request whose history is a chat that an account still has is typed there, as its new turn alone.
//!
//! The index keeps, for each account and model, the site's id of a chat by a hash of all that was said in it. Whoever goes on with one
//! takes it out, so that two clients with the same history, a regenerated answer or an edited turn never meet in one chat: the second
//! finds nothing, and begins a new one with the whole history.

use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use crate::chat::{Part, Role, Turn};
use crate::store::{ConversationKey, Database};

/// The index is a convenience: nobody waits longer for it.
const PATIENCE: Duration = Duration::from_millis(500);

pub(super) type Hash = [u8; 32];

/// The chats that can go on, in the database.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chats<'a>(pub(super) Option<&'a Database>);

/// Where a chat stands in the index.
pub(super) fn key(instance: &str, adapter: &str, model: &str, prefix: Hash) -> ConversationKey {
    ConversationKey { instance: instance.to_owned(), adapter: adapter.to_owned(), model: model.to_owned(), prefix }
}

/// A conversation, in what a chat may know already and what is new.
pub(super) fn split(turns: &[Turn]) -> Option<(&[Turn], &[Turn])> {
    let last = turns.iter().rposition(|turn| turn.role == Role::Assistant)?;
    let (known, new) = turns.split_at_checked(last + 1)?;
    // Without a new turn the assistant is to go on with its own words, which no chat site can do.
    (!new.is_empty()).then_some((known, new))
}

/// A hash of turns. White space around a text does not count: clients trim what they send back.
pub(super) fn hash(turns: &[Turn]) -> Hash {
    turns.iter().fold(Sha256::new(), add).finalize().into()
}

/// The hash of the same turns and the answer to them.
pub(super) fn hash_with_answer(turns: &[Turn], answer: &str) -> Hash {
    let answer = Turn { role: Role::Assistant, name: None, parts: vec![Part::Text(answer.to_owned())] };
    add(turns.iter().fold(Sha256::new(), add), &answer).finalize().into()
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

impl Chats<'_> {
    /// The first place where there is such a chat, if that can be said in time.
    pub(super) async fn first<T>(&self, places: Vec<(T, ConversationKey)>) -> Option<T> {
        let database = self.0?;
        let look = async {
            for (place, key) in places {
                if matches!(database.find_conversation(&key).await, Ok(Some(_))) {
                    return Some(place);
                }
            }
            None
        };
        tokio::time::timeout(PATIENCE, look).await.ok().flatten()
    }

    /// Takes a chat out: from here on it has more turns than its hash says. The site's id of it, and how many turns it has.
    pub(super) async fn take(&self, key: &ConversationKey, max_age: Duration) -> Option<(String, u64)> {
        let taken = tokio::time::timeout(PATIENCE, self.0?.take_conversation(key)).await;
        let chat = taken.ok()?.ok()??;
        let used = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(chat.used).unwrap_or(0));
        // A clock that went back makes no chat too old.
        let age = SystemTime::now().duration_since(used).unwrap_or_default();
        (age < max_age).then_some((chat.id, chat.turns))
    }

    /// Forgets all chats of an instance.
    pub(super) async fn forget(&self, instance: &str) {
        let Some(database) = self.0 else { return };
        if !matches!(tokio::time::timeout(PATIENCE, database.forget_conversations(instance)).await, Ok(Ok(_))) {
            tracing::warn!(
                instance,
                "the chats of the account before are not forgotten; a site that has no such chat begins a new one"
            );
        }
    }

    /// Remembers a chat.
    pub(super) async fn put(&self, key: &ConversationKey, id: &str, turns: u64) {
        let Some(database) = self.0 else { return };
        match tokio::time::timeout(PATIENCE, database.put_conversation(key, id, turns)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a chat is not remembered: the next turn begins a new one"),
            Err(_) => tracing::debug!("a chat is not remembered in time: the next turn begins a new one"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(role: Role, text: &str) -> Turn {
        Turn { role, name: None, parts: vec![Part::Text(text.into())] }
    }

    fn key(instance: &str, prefix: Hash) -> ConversationKey {
        ConversationKey { instance: instance.into(), adapter: "demo".into(), model: "echo".into(), prefix }
    }

    #[tokio::test]
    async fn the_next_request_of_a_conversation_finds_its_chat_once() {
        let folder = tempfile::tempdir().unwrap();
        let loaded = crate::config::Config::load(&crate::config::Sources::default()).unwrap();
        let database = Database::open(folder.path(), &loaded.config.history);
        let chats = Chats(Some(&database));
        let first = [turn(Role::System, "be brief"), turn(Role::User, "hi")];
        chats.put(&key("a", hash_with_answer(&first, "hello\n")), "c-1", 3).await;
        let mut next = first.to_vec();
        next.extend([turn(Role::Assistant, "hello"), turn(Role::User, "and?")]);
        let (known, new) = split(&next).unwrap();
        assert_eq!(new, [turn(Role::User, "and?")]);
        let said = hash(known);
        let places = |names: &[&'static str]| names.iter().map(|name| (*name, key(name, said))).collect::<Vec<_>>();
        assert_eq!(chats.first(places(&["b", "a"])).await, Some("a"));
        assert_eq!(chats.first(places(&["b"])).await, None);
        assert_eq!(chats.take(&key("b", said), Duration::MAX).await, None);
        assert_eq!(chats.take(&key("a", said), Duration::MAX).await, Some(("c-1".into(), 3)));
        assert_eq!(chats.take(&key("a", said), Duration::MAX).await, None, "somebody else goes on with it");
        chats.put(&key("a", said), "c-2", 3).await;
        assert_eq!(chats.take(&key("a", said), Duration::ZERO).await, None, "it is too old");
        assert!(database.close(Duration::from_secs(5)).await);
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
}

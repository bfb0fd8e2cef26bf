//! Which of a site's conversations holds what a client's history says.
//!
//! The key is a hash of the messages so far. A conversation at a site has one end only, so it has one row only: whoever goes
//! on there takes the row away first, and puts the new end in its place when the site has answered. Two clients with the same
//! history can so never type into the same conversation.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::clock::{millis, written};
use super::requests::{count, int};
use super::writer::Pass;
use super::{Database, DatabaseError};

/// The least recently used go when there are more.
const CONVERSATIONS_MAX: i64 = 20_000;

/// Under what a conversation is found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConversationKey {
    /// The account.
    pub instance: String,
    pub adapter: String,
    pub model: String,
    /// SHA-256 of all messages that the conversation holds, in order.
    pub prefix: [u8; 32],
}

/// A conversation at a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// The site's own id of it.
    pub id: String,
    /// When it was first put here, in milliseconds since 1970.
    pub created: i64,
    pub used: i64,
    /// How many turns it holds.
    pub turns: u64,
}

impl Database {
    /// The conversation that ends so; it stays where it is.
    ///
    /// # Errors
    /// When the database does not answer: the conversation begins anew, then.
    pub async fn find_conversation(&self, key: &ConversationKey) -> Result<Option<Conversation>, DatabaseError> {
        let key = key.clone();
        self.read(move |connection| find(connection, &key)).await
    }

    /// The conversation that ends so, for this caller alone: it is found no more until it is put back.
    ///
    /// # Errors
    /// As [`Database::find_conversation`].
    pub async fn take_conversation(&self, key: &ConversationKey) -> Result<Option<Conversation>, DatabaseError> {
        // Most histories are new ones, and need not wait for the writer.
        if self.find_conversation(key).await?.is_none() {
            return Ok(None);
        }
        let key = key.clone();
        self.write(move |pass| {
            let found = find(pass.connection, &key)?;
            pass.connection.execute(
                "DELETE FROM conversations WHERE instance = ?1 AND adapter = ?2 AND model = ?3 AND prefix = ?4",
                params![key.instance, key.adapter, key.model, key.prefix],
            )?;
            Ok(found)
        })
        .await
    }

    /// Says what a conversation holds now. Takes the place of whatever was known of it, and of whatever had this key. It is
    /// on the disk when this returns.
    ///
    /// # Errors
    /// When the disk refuses, or the database does not answer.
    pub async fn put_conversation(&self, key: &ConversationKey, id: &str, turns: u64) -> Result<(), DatabaseError> {
        let (key, id) = (key.clone(), id.to_owned());
        self.write(move |pass| put(pass, &key, &id, turns)).await
    }

    /// Forgets a conversation, as when the site has deleted it.
    ///
    /// # Errors
    /// As [`Database::put_conversation`].
    pub async fn forget_conversation(&self, instance: &str, adapter: &str, id: &str) -> Result<(), DatabaseError> {
        let row = [instance.to_owned(), adapter.to_owned(), id.to_owned()];
        self.write(move |pass| forget(pass.connection, [&row[0], &row[1], &row[2]])).await.map(drop)
    }

    /// Forgets those that nobody has used for so long, and says how many.
    ///
    /// # Errors
    /// As [`Database::put_conversation`].
    pub async fn expire_conversations(&self, older_than: Duration) -> Result<u64, DatabaseError> {
        self.write(move |pass| {
            let before = pass.now.ms.saturating_sub(millis(older_than));
            let gone = pass.connection.execute("DELETE FROM conversations WHERE used < ?1", [before])?;
            Ok(u64::try_from(gone).unwrap_or(u64::MAX))
        })
        .await
    }

    /// Forgets all conversations of an account, as when somebody else signs in there. Says how many.
    ///
    /// # Errors
    /// As [`Database::put_conversation`].
    pub async fn forget_conversations(&self, instance: &str) -> Result<u64, DatabaseError> {
        let instance = instance.to_owned();
        self.write(move |pass| {
            let gone = pass.connection.execute("DELETE FROM conversations WHERE instance = ?1", [instance])?;
            Ok(u64::try_from(gone).unwrap_or(u64::MAX))
        })
        .await
    }
}

fn find(connection: &Connection, key: &ConversationKey) -> rusqlite::Result<Option<Conversation>> {
    let mut statement = connection.prepare(
        "SELECT conversation, created, used, turns FROM conversations \
         WHERE instance = ?1 AND adapter = ?2 AND model = ?3 AND prefix = ?4",
    )?;
    let read = |row: &Row<'_>| {
        let turns: i64 = row.get(3)?;
        Ok(Conversation { id: row.get(0)?, created: row.get(1)?, used: row.get(2)?, turns: count(turns) })
    };
    statement.query_row(params![key.instance, key.adapter, key.model, key.prefix], read).optional()
}

fn forget(connection: &Connection, site: [&str; 3]) -> rusqlite::Result<usize> {
    connection
        .prepare("DELETE FROM conversations WHERE instance = ?1 AND adapter = ?2 AND conversation = ?3")?
        .execute(site)
}

fn put(pass: &mut Pass<'_>, key: &ConversationKey, id: &str, turns: u64) -> rusqlite::Result<()> {
    let (connection, now) = (pass.connection, written(pass.now));
    let mut statement = connection
        .prepare("SELECT min(created) FROM conversations WHERE instance = ?1 AND adapter = ?2 AND conversation = ?3")?;
    let site = [key.instance.as_str(), key.adapter.as_str(), id];
    let created: Option<i64> = statement.query_row(site, |row| row.get(0))?;
    forget(connection, site)?;
    connection
        .prepare(
            "INSERT OR REPLACE INTO conversations (instance, adapter, model, prefix, conversation, created, used, turn, turns) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, (SELECT ifnull(max(turn), 0) + 1 FROM conversations), ?8)",
        )?
        .execute(params![
            key.instance,
            key.adapter,
            key.model,
            key.prefix,
            id,
            created.unwrap_or(now),
            now,
            int(turns)
        ])?;
    bound(connection, CONVERSATIONS_MAX)
}

/// Lets the least recently used go.
pub(super) fn bound(connection: &Connection, most: i64) -> rusqlite::Result<()> {
    let total: i64 = connection.prepare("SELECT count(*) FROM conversations")?.query_row([], |row| row.get(0))?;
    if total > most {
        connection
            .prepare("DELETE FROM conversations WHERE turn IN (SELECT turn FROM conversations ORDER BY turn LIMIT ?1)")?
            .execute([total - most])?;
    }
    Ok(())
}

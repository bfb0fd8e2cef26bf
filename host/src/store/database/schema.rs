//! The tables, and how a database of an earlier version becomes one of this.

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Each makes the next version out of the one before. What is published is never changed: new ones are added at the end.
const MIGRATIONS: &[&str] = &[include_str!("schema/1.sql")];

/// The version that this program knows.
pub(super) fn version() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

pub(super) fn version_of(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings the database to this program's version, one step and one transaction at a time.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let mut at = version_of(connection)?;
    while let Some(step) = usize::try_from(at).ok().and_then(|index| MIGRATIONS.get(index)) {
        let transaction = Transaction::new(connection, TransactionBehavior::Exclusive)?;
        transaction.execute_batch(step)?;
        at += 1;
        transaction.pragma_update(None, "user_version", at)?;
        transaction.commit()?;
        tracing::debug!(version = at, "the database was brought to a new version");
    }
    Ok(())
}

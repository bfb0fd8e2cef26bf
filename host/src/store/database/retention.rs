//! What is old goes, and what is too much.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::clock::{Now, future, millis};
use super::writer::Pass;
use super::{media, statistics};
use crate::config::History;

/// Statistics are kept for so many days.
const STATISTICS_DAYS: u32 = 400;
/// Conversations that nobody went on with for so long, in milliseconds (90 days): most sites' own memory is no longer.
const CONVERSATION_AGE: i64 = 90 * 24 * 3600 * 1000;
/// Where the size is too large, it is brought to so many hundredths of what is allowed, so that not every request pays.
const SHRINK_TO: i64 = 90;
/// Pages of 4 KiB that are given back to the disk at once.
const VACUUM: i64 = 4096;

/// The time that the last run believed.
pub(super) fn last_seen(connection: &Connection) -> Option<i64> {
    let seen = connection.query_row("SELECT value FROM facts WHERE name = 'clock'", [], |row| row.get(0));
    seen.optional().ok().flatten()
}

pub(super) fn note_seen(connection: &Connection, now: Now) -> rusqlite::Result<()> {
    if now.certain {
        connection.execute("INSERT OR REPLACE INTO facts VALUES ('clock', ?1)", [now.ms])?;
    }
    Ok(())
}

/// One look at everything.
pub(super) fn tend(connection: &mut Connection, now: Now, history: &History, folder: &Path) -> rusqlite::Result<()> {
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    note_seen(&transaction, now)?;
    let mut garbage = Vec::new();
    age(&transaction, now, history)?;
    media::expire(&mut Pass { connection: &transaction, now, history, garbage: &mut garbage }, folder)?;
    transaction.commit()?;
    media::remove(&garbage);
    shrink(connection, history.max_size)?;
    vacuum(connection)
}

fn age(connection: &Connection, now: Now, history: &History) -> rusqlite::Result<()> {
    let future = future(now);
    connection.execute("UPDATE requests SET created = ?1 WHERE created > ?2", [now.ms, future])?;
    connection.execute("UPDATE conversations SET used = ?1 WHERE used > ?2", [now.ms, future])?;
    let before = |age: i64| now.ms.saturating_sub(age);
    connection.execute("DELETE FROM requests WHERE created < ?1", [before(millis(history.max_age))])?;
    connection.execute("DELETE FROM conversations WHERE used < ?1", [before(CONVERSATION_AGE)])?;
    let first = statistics::day(connection, now.ms, STATISTICS_DAYS)?;
    for table in ["statistics", "latencies"] {
        connection.execute(&format!("DELETE FROM {table} WHERE day < ?1"), params![first])?;
    }
    Ok(())
}

/// Deletes the oldest requests until the file's pages in use fit.
fn shrink(connection: &Connection, most: u64) -> rusqlite::Result<()> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    if used(connection)? <= most {
        return Ok(());
    }
    let goal = most / 100 * SHRINK_TO;
    loop {
        let total: i64 = connection.query_row("SELECT count(*) FROM requests", [], |row| row.get(0))?;
        let bytes = used(connection)?;
        if total == 0 || bytes <= goal {
            return Ok(());
        }
        // As if all were of one size; what is left is for the next round.
        let share = (bytes - goal).saturating_mul(total) / bytes.max(1);
        connection.execute(
            "DELETE FROM requests WHERE number IN (SELECT number FROM requests ORDER BY number LIMIT ?1)",
            [share.clamp(1, total)],
        )?;
    }
}

/// The bytes of the pages that hold something.
fn used(connection: &Connection) -> rusqlite::Result<i64> {
    let of = |pragma: &str| connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
    Ok((of("page_count")? - of("freelist_count")?) * of("page_size")?)
}

fn vacuum(connection: &Connection) -> rusqlite::Result<()> {
    // Each step of this statement gives back one page.
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({VACUUM})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

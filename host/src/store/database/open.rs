//! Opening the file: looked over first, set aside if it is damaged, left alone if it is of a newer program.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema;

/// How long one connection waits for another.
const BUSY: Duration = Duration::from_secs(5);
/// In pages of 4 KiB; negative: in KiB. The whole program is to stay small.
const CACHE: i64 = -2048;

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum OpenError {
    /// Made by a newer program.
    Newer(i64),
    /// It may work later, as when the disk is full.
    Now(String),
}

pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join("webai2api.db")
}

/// The connection that writes, to a database that is whole and of this program's version.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    match look_over(path) {
        Ok(()) => {}
        Err(Finding::Newer(version)) => return Err(OpenError::Newer(version)),
        Err(Finding::Damaged(why)) => set_aside(path, &why).map_err(|error| OpenError::Now(error.to_string()))?,
        Err(Finding::Unreadable(why)) => return Err(OpenError::Now(why)),
    }
    create(path).map_err(|error| OpenError::Now(error.to_string()))?;
    prepare(path).map_err(|error| OpenError::Now(error.to_string()))
}

/// A connection that reads.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    Ok(connection)
}

/// Whether SQLite says that the file is not what it should be.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

enum Finding {
    Newer(i64),
    Damaged(String),
    Unreadable(String),
}

impl From<rusqlite::Error> for Finding {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) { Self::Damaged(error.to_string()) } else { Self::Unreadable(error.to_string()) }
    }
}

/// Reads only, so that a newer program's database stays as it is.
fn look_over(path: &Path) -> Result<(), Finding> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Finding::Unreadable(error.to_string())),
        Ok(meta) if !meta.is_file() => return Err(Finding::Unreadable("there is something else in its place".into())),
        Ok(_) => {}
    }
    let connection = open_reader(path)?;
    let version = schema::version_of(&connection)?;
    if version > schema::version() {
        return Err(Finding::Newer(version));
    }
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(Finding::Damaged(verdict)) }
}

/// Gives a damaged file, and what belongs to it, another name.
fn set_aside(path: &Path, why: &str) -> io::Result<()> {
    let aside = format!("{}.damaged-{}", path.display(), super::clock::wall());
    fs::rename(path, &aside)?;
    for suffix in ["-wal", "-shm"] {
        match fs::rename(format!("{}{suffix}", path.display()), format!("{aside}{suffix}")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    tracing::warn!(aside, "the database is damaged and was set aside; a new one is begun: {why}");
    Ok(())
}

/// SQLite gives its other files the mode of the first.
fn create(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(())
}

fn prepare(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    // Counts only before the first table is made.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
    // What is deleted is gone, as far as that costs no writes of its own.
    connection.pragma_update(None, "secure_delete", "FAST")?;
    schema::migrate(&mut connection)?;
    Ok(connection)
}

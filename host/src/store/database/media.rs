//! Pictures and files of answers: which are there, and which links lead to them.
//!
//! Files are moved into their place, and removed from it, by the writer alone: so no link can lead to a file that is being
//! removed.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension as _, params};

use super::clock::{self, millis};
use super::requests::int;
use super::writer::Pass;
use super::{Database, DatabaseError};

/// A file that is not in its place after this long never will be.
const STALE: Duration = Duration::from_secs(3600);

/// Where a link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Link {
    pub(in crate::store) sha256: String,
    pub(in crate::store) mime: String,
    /// In bytes.
    pub(in crate::store) size: u64,
    /// In milliseconds since 1970.
    pub(in crate::store) expires: i64,
}

/// Where the file with this content is.
pub(in crate::store) fn place(folder: &Path, sha256: &str) -> PathBuf {
    let shelf = sha256.get(..2).unwrap_or("00");
    folder.join("media").join(shelf).join(sha256)
}

/// Where files are written before they are moved into their place.
pub(in crate::store) fn unfinished(folder: &Path) -> PathBuf {
    folder.join("media").join("new")
}

/// A file that was written and waits to be moved into its place.
#[derive(Debug, Clone)]
pub(in crate::store) struct NewFile {
    pub(in crate::store) written: PathBuf,
    pub(in crate::store) place: PathBuf,
    pub(in crate::store) sha256: String,
    /// In bytes.
    pub(in crate::store) size: u64,
    pub(in crate::store) mime: String,
    /// SHA-256 of the secret in the link.
    pub(in crate::store) token: [u8; 32],
}

impl Database {
    /// Moves a file into its place and makes a link to it.
    pub(in crate::store) async fn put_media(&self, file: NewFile, ttl: Duration) -> Result<(), DatabaseError> {
        let most = self.shared.history.load().media_max_size;
        if file.size > most {
            return Err(DatabaseError::TooLarge(file.size));
        }
        self.write(move |pass| put(pass, &file, ttl)).await
    }

    /// What the link with this hash leads to, if it has not expired by any clock.
    pub(in crate::store) async fn media_link(&self, token: [u8; 32]) -> Result<Option<Link>, DatabaseError> {
        let now = self.shared.clock.now().ms.max(clock::wall());
        self.read(move |connection| link(connection, &token, now)).await
    }

    /// How long links last.
    pub(in crate::store) fn media_ttl(&self) -> Duration {
        self.shared.history.load().media_ttl
    }
}

fn put(pass: &mut Pass<'_>, file: &NewFile, ttl: Duration) -> rusqlite::Result<()> {
    move_into_place(file).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    pass.garbage.retain(|path| *path != file.place);
    let (connection, now) = (pass.connection, clock::written(pass.now));
    connection.prepare("INSERT INTO media VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?.execute(params![
        file.sha256,
        int(file.size),
        now
    ])?;
    let expires = now.saturating_add(millis(ttl));
    connection.prepare("INSERT INTO media_links VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        file.token,
        file.sha256,
        file.mime,
        now,
        expires
    ])?;
    let folder = shelves(&file.place);
    shrink(connection, pass.history.media_max_size, Some(&file.sha256), folder, pass.garbage)
}

fn move_into_place(file: &NewFile) -> io::Result<()> {
    if let Some(shelf) = file.place.parent() {
        fs::create_dir_all(shelf)?;
    }
    fs::rename(&file.written, &file.place)
}

/// The data folder of a file in its place.
fn shelves(place: &Path) -> &Path {
    place.ancestors().nth(3).unwrap_or(place)
}

fn link(connection: &Connection, token: &[u8; 32], now: i64) -> rusqlite::Result<Option<Link>> {
    let mut statement = connection.prepare(
        "SELECT media.sha256, mime, size, expires FROM media_links JOIN media USING (sha256) \
         WHERE token = ?1 AND expires > ?2",
    )?;
    let found = statement.query_row(params![token, now], |row| {
        let size: i64 = row.get(2)?;
        Ok(Link { sha256: row.get(0)?, mime: row.get(1)?, size: super::requests::count(size), expires: row.get(3)? })
    });
    found.optional()
}

/// Forgets links that have expired, and files that no link leads to.
pub(super) fn expire(pass: &mut Pass<'_>, folder: &Path) -> rusqlite::Result<()> {
    let (connection, now) = (pass.connection, pass.now);
    let future = clock::future(now).saturating_add(millis(pass.history.media_ttl));
    let latest = now.ms.saturating_add(millis(pass.history.media_ttl));
    connection.execute("UPDATE media_links SET expires = ?1 WHERE expires > ?2", [latest, future])?;
    connection.execute("DELETE FROM media_links WHERE expires <= ?1", [now.ms])?;
    let mut statement = connection.prepare(
        "DELETE FROM media WHERE NOT EXISTS (SELECT 1 FROM media_links WHERE media_links.sha256 = media.sha256) \
         RETURNING sha256",
    )?;
    let gone = statement.query_map([], |row| row.get::<_, String>(0))?;
    for sha256 in gone {
        pass.garbage.push(place(folder, &sha256?));
    }
    shrink(connection, pass.history.media_max_size, None, folder, pass.garbage)
}

/// Lets files go until the rest fits; those whose links end first are the first.
fn shrink(
    connection: &Connection,
    most: u64,
    keep: Option<&str>,
    folder: &Path,
    garbage: &mut Vec<PathBuf>,
) -> rusqlite::Result<()> {
    let mut total: i64 =
        connection.prepare("SELECT ifnull(sum(size), 0) FROM media")?.query_row([], |row| row.get(0))?;
    if total <= int(most) {
        return Ok(());
    }
    let mut statement = connection.prepare(
        "SELECT sha256, size, max(expires) AS until FROM media JOIN media_links USING (sha256) \
         WHERE sha256 IS NOT ?1 GROUP BY sha256 ORDER BY until",
    )?;
    let first = statement.query_map([keep], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    let first: Vec<(String, i64)> = first.collect::<rusqlite::Result<_>>()?;
    for (sha256, size) in first {
        if total <= int(most) {
            break;
        }
        connection.prepare("DELETE FROM media WHERE sha256 = ?1")?.execute([&sha256])?;
        garbage.push(place(folder, &sha256));
        total -= size;
    }
    Ok(())
}

/// Removes files that nothing leads to any more.
pub(super) fn remove(garbage: &[PathBuf]) {
    for path in garbage {
        if let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(path = %path.display(), %error, "a file was not removed");
        }
    }
}

/// Removes files that the database knows nothing of, as after a crash.
pub(super) fn sweep(connection: &Connection, folder: &Path) -> io::Result<()> {
    let mut statement = connection.prepare("SELECT sha256 FROM media").map_err(io::Error::other)?;
    let known = statement.query_map([], |row| row.get::<_, String>(0)).map_err(io::Error::other)?;
    let known: HashSet<String> = known.collect::<rusqlite::Result<_>>().map_err(io::Error::other)?;
    let media = folder.join("media");
    let new = unfinished(folder);
    for shelf in list(&media)? {
        for path in list(&shelf)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let lost = if shelf == new { is_stale(&path) } else { !known.contains(name) };
            if lost {
                remove(&[path]);
            }
        }
    }
    Ok(())
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn is_stale(path: &Path) -> bool {
    let modified = fs::metadata(path).and_then(|meta| meta.modified());
    modified.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > STALE))
}

//! Pictures and files of answers, for as long as their links last: each under the hash of its content, so that the same
//! picture takes room once, and behind links that nobody can guess.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::database::{Database, DatabaseError, NewFile, place, unfinished};

/// In bytes: what is in the link, as base64 without padding.
const TOKEN: usize = 16;

/// Keeps files, in a folder of their own and in the database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Media {
    folder: PathBuf,
    database: Database,
}

/// A file that a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaFile {
    pub path: PathBuf,
    /// As the site named it.
    pub mime: String,
    /// In bytes.
    pub size: u64,
    /// In milliseconds since 1970.
    pub expires: i64,
}

impl MediaFile {
    /// How long its link lasts from now on.
    pub fn left(&self) -> Duration {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Duration::from_millis(u64::try_from(self.expires).unwrap_or(0)).saturating_sub(now)
    }
}

impl Media {
    /// Keeps files below `<folder>/media`; the database is that of the same folder.
    pub fn new(folder: &Path, database: Database) -> Self {
        Self { folder: folder.to_owned(), database }
    }

    /// Keeps a file for as long as `history.mediaTtl` says, and gives the secret that leads to it. It is on the disk when
    /// this returns.
    ///
    /// # Errors
    /// When it is too large, the disk refuses, or the database does not answer.
    pub async fn put(&self, bytes: Bytes, mime: &str) -> Result<String, DatabaseError> {
        let (folder, mime) = (self.folder.clone(), mime.to_owned());
        let writing = tokio::task::spawn_blocking(move || write(&folder, &bytes, mime));
        let written = writing.await.map_err(|error| DatabaseError::Failed(error.to_string()))?;
        let (token, file) = written.map_err(|error| DatabaseError::Failed(error.to_string()))?;
        let path = file.written.clone();
        let put = self.database.put_media(file, self.database.media_ttl()).await;
        if put.is_err() {
            // Where it is not there any more, it was moved into its place after all, and is swept at the next start.
            let _ = tokio::fs::remove_file(path).await;
        }
        put.map(|()| token)
    }

    /// What this secret leads to; none if it never was, or has expired.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find(&self, token: &str) -> Result<Option<MediaFile>, DatabaseError> {
        let Some(hash) = parse(token) else { return Ok(None) };
        let Some(link) = self.database.media_link(hash).await? else { return Ok(None) };
        let path = place(&self.folder, &link.sha256);
        Ok(Some(MediaFile { path, mime: link.mime, size: link.size, expires: link.expires }))
    }
}

/// The hash of a secret, if it can be one.
fn parse(token: &str) -> Option<[u8; 32]> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    (bytes.len() == TOKEN).then(|| Sha256::digest(bytes).into())
}

/// Writes the file beside its place, and makes up the secret.
fn write(folder: &Path, bytes: &[u8], mime: String) -> io::Result<(String, NewFile)> {
    let mut secret = [0; TOKEN];
    getrandom::fill(&mut secret).map_err(|error| io::Error::other(error.to_string()))?;
    let token = URL_SAFE_NO_PAD.encode(secret);
    let digest = Sha256::digest(bytes);
    let sha256: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let shelf = unfinished(folder);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&shelf)?;
    // One that does not tell the secret.
    let written = shelf.join(uuid::Uuid::new_v4().simple().to_string());
    let saved = save(&written, bytes);
    if let Err(error) = saved {
        let _ = fs::remove_file(&written);
        return Err(error);
    }
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let hash = Sha256::digest(secret).into();
    Ok((token, NewFile { written, place: place(folder, &sha256), sha256, size, mime, token: hash }))
}

fn save(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;

//! What adapters keep: a small memory for each adapter and account, one file each.
//!
//! The files are small and rarely written, so each is written whole, beside the old one, and then takes its place: whatever
//! happens, one of the two is there. A file that cannot be read is set aside under another name, and the memory begins empty.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::folder::write_private;

/// In bytes: a key, a value, and all of one memory.
const MAX_KEY: usize = 256;
const MAX_VALUE: usize = 64 << 10;
const MAX_TOTAL: usize = 1 << 20;
/// What an entry costs beside its key and value, in bytes: a flood of tiny ones is bounded too.
const OVERHEAD: usize = 32;
/// No memory's file is larger than what base64 and JSON make of its content.
const MAX_FILE: u64 = 8 << 20;
/// Letters that stand for themselves in a file's name. No dot: it parts adapter and account.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// Why something was not kept.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    #[error("{0}")]
    TooLarge(String),
    /// The disk refuses. The memory is as it was.
    #[error("{0}")]
    Unavailable(String),
}

/// All memories, in one folder.
#[derive(Debug)]
pub struct Kv {
    folder: PathBuf,
    open: Mutex<HashMap<PathBuf, Arc<AsyncMutex<Contents>>>>,
}

/// The memory of one adapter for one account. Cheap to clone; safe to use from several calls at once.
#[derive(Debug, Clone)]
pub struct Memory {
    path: PathBuf,
    contents: Arc<AsyncMutex<Contents>>,
}

#[derive(Debug, Default, Clone)]
struct Contents {
    /// None until it was read.
    entries: Option<BTreeMap<String, Vec<u8>>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct File {
    version: u32,
    /// Values in base64.
    entries: BTreeMap<String, String>,
}

impl Kv {
    /// Memories in this folder, which is made (mode 0700) when something is first kept.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, open: Mutex::default() }
    }

    /// The memory of an adapter for an account.
    pub fn memory(&self, adapter: &str, account: &str) -> Memory {
        let name = |text| utf8_percent_encode(text, PLAIN).to_string();
        let path = self.folder.join(format!("{}.{}.json", name(adapter), name(account)));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = Arc::clone(open.entry(path.clone()).or_default());
        Memory { path, contents }
    }
}

impl Memory {
    /// None where nothing is kept under this key.
    pub async fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.entries().await.entries.as_ref()?.get(key).cloned()
    }

    /// Keeps a value. It is on the disk when this returns.
    ///
    /// # Errors
    /// Where a cap is passed, or the disk refuses.
    pub async fn set(&self, key: &str, value: Vec<u8>) -> Result<(), KvError> {
        let too_large = |what: &str, size: usize, max: usize| {
            Err(KvError::TooLarge(format!("{what} has {size} bytes; at most {max} can be kept")))
        };
        if key.len() > MAX_KEY {
            return too_large("the key", key.len(), MAX_KEY);
        }
        if value.len() > MAX_VALUE {
            return too_large("the value", value.len(), MAX_VALUE);
        }
        let contents = self.entries().await;
        let mut entries = contents.entries.clone().unwrap_or_default();
        if entries.get(key) == Some(&value) {
            return Ok(());
        }
        entries.insert(key.to_owned(), value);
        let total = entries.iter().map(|(key, value)| key.len() + value.len() + OVERHEAD).sum();
        if total > MAX_TOTAL {
            return too_large("the whole memory", total, MAX_TOTAL);
        }
        self.replace(contents, entries).await
    }

    /// Forgets a value; one that is not there is nothing.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub async fn delete(&self, key: &str) -> Result<(), KvError> {
        let contents = self.entries().await;
        let mut entries = contents.entries.clone().unwrap_or_default();
        if entries.remove(key).is_none() {
            return Ok(());
        }
        self.replace(contents, entries).await
    }

    /// The keys that begin so, sorted.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        let contents = self.entries().await;
        let keys = contents.entries.iter().flat_map(BTreeMap::keys);
        keys.filter(|key| key.starts_with(prefix)).cloned().collect()
    }

    /// The contents, read from the disk the first time.
    async fn entries(&self) -> OwnedMutexGuard<Contents> {
        let mut contents = Arc::clone(&self.contents).lock_owned().await;
        if contents.entries.is_none() {
            let path = self.path.clone();
            let read = tokio::task::spawn_blocking(move || read_or_set_aside(&path)).await;
            contents.entries = Some(read.unwrap_or_default());
        }
        contents
    }

    /// Writes the new contents, and only then has them. Runs to its end even when nobody waits for it any more.
    async fn replace(
        &self,
        mut contents: OwnedMutexGuard<Contents>,
        entries: BTreeMap<String, Vec<u8>>,
    ) -> Result<(), KvError> {
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || {
            write(&path, &entries).map_err(KvError::Unavailable)?;
            contents.entries = Some(entries);
            Ok(())
        });
        written.await.unwrap_or_else(|error| Err(KvError::Unavailable(error.to_string())))
    }
}

fn read_or_set_aside(path: &Path) -> BTreeMap<String, Vec<u8>> {
    match read(path) {
        Ok(entries) => entries,
        Err(why) => {
            let aside = path.with_extension("damaged");
            let moved = fs::rename(path, &aside);
            tracing::warn!(path = %path.display(), aside = %aside.display(), ?moved, "an adapter's memory cannot be read: {why}");
            BTreeMap::new()
        }
    }
}

fn read(path: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.to_string()),
        Ok(meta) if meta.len() > MAX_FILE => return Err(format!("it has {} bytes", meta.len())),
        Ok(_) => {}
    }
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let file: File = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if file.version != 1 {
        return Err(format!("it is of version {}", file.version));
    }
    let decode = |(key, value): (String, String)| Ok((key, STANDARD.decode(value).map_err(|error| error.to_string())?));
    file.entries.into_iter().map(decode).collect()
}

fn write(path: &Path, entries: &BTreeMap<String, Vec<u8>>) -> Result<(), String> {
    let entries = entries.iter().map(|(key, value)| (key.clone(), STANDARD.encode(value))).collect();
    let text = serde_json::to_string(&File { version: 1, entries }).map_err(|error| error.to_string())?;
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| error.to_string())?;
    }
    write_private(path, &text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn kv(folder: &Path) -> Kv {
        Kv::new(folder.join("kv"))
    }

    #[tokio::test]
    async fn what_was_kept_outlives_a_restart_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let memory = kv(dir.path()).memory("demo", "default");
        assert_eq!(memory.get("a").await, None);
        memory.set("a", vec![0, 255]).await.unwrap();
        memory.set("ab", Vec::new()).await.unwrap();
        memory.set("b", vec![1]).await.unwrap();
        memory.delete("b").await.unwrap();
        memory.delete("never").await.unwrap();

        let memory = kv(dir.path()).memory("demo", "default");
        assert_eq!(memory.get("a").await, Some(vec![0, 255]));
        assert_eq!(memory.get("ab").await, Some(Vec::new()));
        assert_eq!(memory.get("b").await, None);
        assert_eq!(memory.keys("a").await, ["a", "ab"]);
        assert_eq!(memory.keys("").await, ["a", "ab"]);

        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let folder = dir.path().join("kv");
        assert_eq!(mode(&folder), 0o700);
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files, [folder.join("demo.default.json")]);
        assert_eq!(mode(&files[0]), 0o600);
    }

    #[tokio::test]
    async fn adapters_and_accounts_are_apart_whatever_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let kv = kv(dir.path());
        let names = [("a", "b"), ("a.b", "c"), ("a", "b.c"), ("a", "../../x"), ("a", ""), ("a", "/etc"), ("a", "é")];
        for (n, (adapter, account)) in names.into_iter().enumerate() {
            kv.memory(adapter, account).set("k", vec![u8::try_from(n).unwrap()]).await.unwrap();
        }
        for (n, (adapter, account)) in names.into_iter().enumerate() {
            let kept = Kv::new(dir.path().join("kv")).memory(adapter, account).get("k").await;
            assert_eq!(kept, Some(vec![u8::try_from(n).unwrap()]), "{adapter} {account}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing lies outside of the folder");
        assert_eq!(fs::read_dir(dir.path().join("kv")).unwrap().count(), names.len());
    }

    #[tokio::test]
    async fn caps_hold_and_leave_what_was() {
        let dir = tempfile::tempdir().unwrap();
        let memory = kv(dir.path()).memory("demo", "default");
        let large = |result| matches!(result, Err(KvError::TooLarge(_)));
        assert!(large(memory.set(&"k".repeat(MAX_KEY + 1), Vec::new()).await));
        assert!(large(memory.set("k", vec![0; MAX_VALUE + 1]).await));
        let mut kept = 0;
        while memory.set(&format!("k{kept:03}"), vec![7; MAX_VALUE]).await.is_ok() {
            kept += 1;
        }
        assert_eq!(kept, 15);
        assert!(large(memory.set("more", vec![7; MAX_VALUE]).await));
        memory.set("k000", vec![1]).await.unwrap();
        memory.set("more", vec![7; 1000]).await.unwrap();
        assert_eq!(kv(dir.path()).memory("demo", "default").keys("").await.len(), 16);
    }

    #[tokio::test]
    async fn a_damaged_file_is_set_aside() {
        for damaged in ["", "{", "{\"version\":2,\"entries\":{}}", "{\"version\":1,\"entries\":{\"a\":\"*\"}}", "\u{0}"]
        {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("kv")).unwrap();
            fs::write(dir.path().join("kv/demo.default.json"), damaged).unwrap();
            let memory = kv(dir.path()).memory("demo", "default");
            assert_eq!(memory.get("a").await, None, "{damaged:?}");
            memory.set("a", vec![1]).await.unwrap();
            assert_eq!(fs::read_to_string(dir.path().join("kv/demo.default.damaged")).unwrap(), damaged);
            assert_eq!(kv(dir.path()).memory("demo", "default").get("a").await, Some(vec![1]));
        }
    }

    #[tokio::test]
    async fn a_disk_that_refuses_is_told_and_nothing_changes() {
        let dir = tempfile::tempdir().unwrap();
        // A file where the folder should be.
        fs::write(dir.path().join("kv"), "").unwrap();
        let memory = kv(dir.path()).memory("demo", "default");
        assert!(matches!(memory.set("a", vec![1]).await, Err(KvError::Unavailable(_))));
        assert_eq!(memory.get("a").await, None);
    }

    #[tokio::test]
    async fn calls_at_once_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let kv = Arc::new(kv(dir.path()));
        let tasks: Vec<_> = (0..40)
            .map(|n| {
                let memory = kv.memory("demo", "default");
                tokio::spawn(async move { memory.set(&format!("{n}"), vec![n]).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(Kv::new(dir.path().join("kv")).memory("demo", "default").keys("").await.len(), 40);
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("x.y.json");
            fs::write(&path, bytes).unwrap();
            let _ = read_or_set_aside(&path);
        }

        #[test]
        fn any_content_survives(entries in proptest::collection::btree_map(".{0,8}", proptest::collection::vec(any::<u8>(), 0..40), 0..8)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("kv/x.y.json");
            write(&path, &entries).unwrap();
            prop_assert_eq!(read(&path).unwrap(), entries);
        }
    }
}

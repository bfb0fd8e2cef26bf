//! What makes a browser somebody's: its cookies, and what sites keep in it.
//!
//! Two forms of it leave a browser. A [`Snapshot`] is for the program itself: it lies beside the profile, sealed with a key of
//! the data folder, and brings back what a restart or a crash lost. An *archive* is for people: one file, sealed with a
//! passphrase, by which an account moves to another machine. What other tools export is read by [`import`].
//!
//! **Invariant:** nothing here knows a browser, an adapter or HTTP, and nothing here prints a value of a cookie.

pub mod archive;
mod cookie;
pub mod import;
mod seal;
mod snapshot;
mod vault;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use cookie::{Cookie, CookieId, PartitionKey};
pub use seal::{SealError, Secret};
pub use snapshot::{How, Plan, Snapshot};
pub use vault::{Vault, VaultError};

/// The entries of local storage, by origin (`https://a.example`), then by key.
pub type Storage = BTreeMap<String, BTreeMap<String, String>>;

/// Cookies and local storage.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    pub cookies: Vec<Cookie>,
    pub storage: Storage,
}

impl Session {
    pub fn is_empty(&self) -> bool {
        self.cookies.is_empty() && self.storage.values().all(BTreeMap::is_empty)
    }

    /// Keeps only what somebody wants, and counts the cookies and the entries that it left.
    pub fn retain(&mut self, cookie: impl Fn(&Cookie) -> bool, origin: impl Fn(&str) -> bool) -> usize {
        let before = self.cookies.len() + self.entries();
        self.cookies.retain(cookie);
        self.storage.retain(|name, _| origin(name));
        before - self.cookies.len() - self.entries()
    }

    /// How many entries of local storage there are.
    pub fn entries(&self) -> usize {
        self.storage.values().map(BTreeMap::len).sum()
    }
}

/// How much there is, and nothing of what it is.
impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("cookies", &self.cookies.len()).field("entries", &self.entries()).finish()
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

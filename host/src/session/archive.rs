//! An account as one file, sealed with a passphrase, to be carried elsewhere.
//!
//! ```text
//! magic       8 bytes   "WEBAIACC"
//! version     1         1
//! memory      4         of Argon2id, in KiB, little-endian
//! time        4         its passes
//! lanes       4
//! salt       16
//! nonce      12         of ChaCha20-Poly1305
//! sealed      n + 16    the content as JSON, and the tag; all before the nonce is bound to it
//! checksum   32         SHA-256 of all that stands before it
//! ```
//!
//! The checksum keeps nothing secret and protects from nobody. It tells a file that was damaged on its way, for which a new copy
//! helps, from a wrong passphrase.

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::cookie::Cookie;
use super::seal::{self, Secret};
use super::{Session, Storage};

const MAGIC: &[u8; 8] = b"WEBAIACC";
const VERSION: u8 = 1;
const HEAD: usize = 8 + 1 + 12 + 16;
const CHECKSUM: usize = 32;
/// The largest archive, in bytes.
pub const MAX_SIZE: usize = 64 << 20;
/// The shortest passphrase that seals, in characters.
pub const MIN_PASSPHRASE: usize = 8;

/// What a key costs to try: 64 MiB and about a fifth of a second.
const COST: Cost = Cost { memory: 64 << 10, time: 3, lanes: 1 };
/// What a file may ask for: an archive is foreign, and must not take the machine's memory or its day.
const MOST: Cost = Cost { memory: 1 << 20, time: 16, lanes: 16 };
/// Argon2's own least, for each lane, in KiB.
const MEMORY_LEAST: u32 = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    /// In KiB.
    memory: u32,
    time: u32,
    lanes: u32,
}

/// Why an archive was not made or opened. Tells nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    #[error("this is no account archive of webai2api")]
    NotAnArchive,
    #[error("this archive is of version {0}, and this program reads version {VERSION}: use a newer webai2api")]
    Version(u8),
    #[error("the archive is damaged or incomplete: copy it again")]
    Damaged,
    #[error("the archive asks for more than it may to open it: {0}")]
    Cost(String),
    #[error("the passphrase is not the one that sealed this archive")]
    Passphrase,
    #[error("the passphrase is too short: take at least {MIN_PASSPHRASE} characters")]
    WeakPassphrase,
    #[error("the account has {0} bytes, and an archive holds at most {MAX_SIZE}")]
    TooLarge(usize),
    #[error("the archive's content is not what it should be: {0}")]
    Content(String),
    #[error("it cannot be sealed: {0}")]
    Seal(String),
}

/// What an archive holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The instance that it was taken from.
    pub name: String,
    /// When, in seconds since 1970.
    pub made: u64,
    /// The origins that it was taken for.
    pub origins: Vec<String>,
    pub cookies: Vec<Cookie>,
    pub storage: Storage,
    /// What there was and is not here, in words.
    pub left_out: Vec<String>,
}

impl Account {
    pub fn session(&self) -> Session {
        Session { cookies: self.cookies.clone(), storage: self.storage.clone() }
    }
}

/// Whether these bytes say that they are an archive.
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// By which it is known whether an archive was imported before.
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Seals an account. Takes a processor for a moment: call it where that holds nobody up.
///
/// # Errors
/// Where the passphrase is too short, or the account too large.
pub fn seal(account: &Account, passphrase: &Secret) -> Result<Vec<u8>, ArchiveError> {
    seal_at(COST, account, passphrase)
}

fn seal_at(cost: Cost, account: &Account, passphrase: &Secret) -> Result<Vec<u8>, ArchiveError> {
    if passphrase.expose().chars().count() < MIN_PASSPHRASE {
        return Err(ArchiveError::WeakPassphrase);
    }
    let plain = serde_json::to_vec(account).map_err(|error| ArchiveError::Content(error.to_string()))?;
    let salt: [u8; 16] = seal::random().map_err(|error| ArchiveError::Seal(error.to_string()))?;
    let mut file = Vec::with_capacity(plain.len() + 128);
    file.extend(MAGIC);
    file.push(VERSION);
    for number in [cost.memory, cost.time, cost.lanes] {
        file.extend(number.to_le_bytes());
    }
    file.extend(salt);
    let key = derive(cost, &salt, passphrase)?;
    let sealed = seal::seal(&key, &file, &plain).map_err(|error| ArchiveError::Seal(error.to_string()))?;
    file.extend(sealed);
    let checksum = Sha256::digest(&file);
    file.extend(checksum);
    if file.len() > MAX_SIZE {
        return Err(ArchiveError::TooLarge(file.len()));
    }
    Ok(file)
}

/// What stands at an archive's head, in clear.
struct Head<'a> {
    cost: Cost,
    salt: &'a [u8],
    /// All of it: bound to what is sealed.
    bytes: &'a [u8],
    sealed: &'a [u8],
}

/// Opens an archive. Takes a processor and memory as the archive says, up to 1 GiB: call it where that holds nobody up.
///
/// # Errors
/// See [`ArchiveError`].
pub fn open(file: &[u8], passphrase: &Secret) -> Result<Account, ArchiveError> {
    let head = read(file)?;
    let key = derive(head.cost, head.salt, passphrase)?;
    let plain = seal::open(&key, head.bytes, head.sealed).map_err(|_| ArchiveError::Passphrase)?;
    // Where, and not what: the content is secret.
    let wrong = |error: serde_json::Error| ArchiveError::Content(format!("it breaks at byte {}", error.column()));
    let mut account: Account = serde_json::from_slice(&plain).map_err(wrong)?;
    account.cookies.retain(|cookie| cookie.problem().is_none());
    Ok(account)
}

fn read(file: &[u8]) -> Result<Head<'_>, ArchiveError> {
    let rest = file.strip_prefix(MAGIC).ok_or(ArchiveError::NotAnArchive)?;
    if file.len() > MAX_SIZE {
        return Err(ArchiveError::TooLarge(file.len()));
    }
    let (version, rest) = rest.split_first().ok_or(ArchiveError::Damaged)?;
    if *version != VERSION {
        return Err(ArchiveError::Version(*version));
    }
    let body = file.len().checked_sub(CHECKSUM).filter(|length| *length > HEAD).ok_or(ArchiveError::Damaged)?;
    let (content, checksum) = file.split_at_checked(body).ok_or(ArchiveError::Damaged)?;
    if Sha256::digest(content).as_slice() != checksum {
        return Err(ArchiveError::Damaged);
    }
    let (memory, rest) = number(rest)?;
    let (time, rest) = number(rest)?;
    let (lanes, rest) = number(rest)?;
    let salt = rest.get(..16).ok_or(ArchiveError::Damaged)?;
    let (bytes, sealed) = content.split_at_checked(HEAD).ok_or(ArchiveError::Damaged)?;
    Ok(Head { cost: bounded(Cost { memory, time, lanes })?, salt, bytes, sealed })
}

fn number(bytes: &[u8]) -> Result<(u32, &[u8]), ArchiveError> {
    let (number, rest) = bytes.split_first_chunk::<4>().ok_or(ArchiveError::Damaged)?;
    Ok((u32::from_le_bytes(*number), rest))
}

fn bounded(cost: Cost) -> Result<Cost, ArchiveError> {
    let refuse = |what: &str, found: u32, most: u32| Err(ArchiveError::Cost(format!("{what} {found}, at most {most}")));
    match cost {
        Cost { memory, .. } if memory > MOST.memory => refuse("KiB of memory:", memory, MOST.memory),
        Cost { time, .. } if time > MOST.time => refuse("passes:", time, MOST.time),
        Cost { lanes, .. } if lanes > MOST.lanes => refuse("lanes:", lanes, MOST.lanes),
        Cost { memory, time, lanes } if time == 0 || lanes == 0 || memory < MEMORY_LEAST * lanes => {
            Err(ArchiveError::Cost("no memory, no pass or no lane".into()))
        }
        cost => Ok(cost),
    }
}

fn derive(cost: Cost, salt: &[u8], passphrase: &Secret) -> Result<[u8; 32], ArchiveError> {
    let failed = |error: argon2::Error| ArchiveError::Cost(error.to_string());
    let params = Params::new(cost.memory, cost.time, cost.lanes, Some(32)).map_err(failed)?;
    let mut key = [0; 32];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon.hash_password_into(passphrase.expose().as_bytes(), salt, &mut key).map_err(failed)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::session::snapshot::tests::cookie;

    const CHEAP: Cost = Cost { memory: 8, time: 1, lanes: 1 };

    fn account(value: &str) -> Account {
        Account {
            name: "default".into(),
            made: 1,
            origins: vec!["https://a.example".into()],
            cookies: vec![cookie("sid", value, None)],
            storage: [("https://a.example".to_owned(), [("k".to_owned(), "v".to_owned())].into())].into(),
            left_out: vec!["IndexedDB".into()],
        }
    }

    fn secret() -> Secret {
        Secret::new("correct horse")
    }

    #[test]
    fn what_was_sealed_opens_with_its_passphrase_alone() {
        let file = seal(&account("s"), &secret()).unwrap();
        assert_eq!(open(&file, &secret()).unwrap(), account("s"));
        assert_eq!(open(&file, &Secret::new("another phrase")), Err(ArchiveError::Passphrase));
        assert_eq!(seal(&account("s"), &Secret::new("short")), Err(ArchiveError::WeakPassphrase));
        assert_ne!(seal(&account("s"), &secret()).unwrap(), file, "a nonce and a salt of its own");
    }

    #[test]
    fn a_damaged_file_is_told_from_a_wrong_passphrase() {
        let file = seal_at(CHEAP, &account("s"), &secret()).unwrap();
        for at in 9..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert_eq!(open(&changed, &secret()), Err(ArchiveError::Damaged), "byte {at}");
        }
        for length in 9..file.len() {
            assert_eq!(open(&file[..length], &secret()), Err(ArchiveError::Damaged), "{length} bytes");
        }
        assert_eq!(open(b"PK\x03\x04", &secret()), Err(ArchiveError::NotAnArchive));
        let mut newer = file;
        newer[8] = 2;
        assert_eq!(open(&newer, &secret()), Err(ArchiveError::Version(2)));
    }

    #[test]
    fn whoever_mends_the_checksum_gets_no_further() {
        let mut file = seal_at(CHEAP, &account("s"), &secret()).unwrap();
        for at in [13, 25, HEAD + 2, HEAD + 20] {
            let mut changed = file.clone();
            changed[at] ^= 1;
            mend(&mut changed);
            assert!(open(&changed, &secret()).is_err(), "byte {at}");
        }
        for (at, most) in [(9, MOST.memory), (13, MOST.time), (17, MOST.lanes)] {
            file[at..at + 4].copy_from_slice(&(most + 1).to_le_bytes());
            mend(&mut file);
            assert!(matches!(open(&file, &secret()), Err(ArchiveError::Cost(_))));
        }
    }

    fn mend(file: &mut [u8]) {
        let body = file.len() - CHECKSUM;
        let checksum = Sha256::digest(&file[..body]);
        file[body..].copy_from_slice(&checksum);
    }

    proptest! {
        #[test]
        fn any_account_survives(name in ".{0,20}", value in "[ -:<-~]{0,200}", key in ".{0,40}", entry in ".{0,200}") {
            let mut account = Account { name, ..account(&value) };
            account.storage.insert("https://b.example".into(), [(key, entry)].into());
            let file = seal_at(CHEAP, &account, &secret()).unwrap();
            prop_assert_eq!(open(&file, &secret()).unwrap(), account);
        }

        #[test]
        fn foreign_bytes_are_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), magic: bool) {
            if magic {
                bytes.splice(..0, MAGIC.iter().copied().chain([VERSION]));
            }
            prop_assert!(open(&bytes, &secret()).is_err());
        }
    }
}

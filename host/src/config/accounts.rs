//! `accounts`: where sessions are kept, and archives that are imported at the start.

use std::path::PathBuf;

use super::key::Key;
use super::layers::Sources;
use super::shape::Shape;
use super::values::Values;
use crate::session::Secret;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "accounts.dir",
        Shape::Text,
        "",
        "the folder for the snapshots of sessions, and then for their key, too; empty: `sessions` in the data folder, and the key \
         beside it",
    ),
    Key::new(
        "accounts.import",
        Shape::List(IMPORTS),
        "",
        "archives of accounts that are imported at the start, each once (see accounts.md)",
    ),
    Key::new("accounts.passphrase", Shape::Text, "", "the passphrase of archives that name no file with theirs")
        .env("WEBAI_PASSPHRASE")
        .secret(),
];

const IMPORTS: &[Key] = &[
    Key::new("instance", Shape::Text, "default", "the instance that gets it"),
    Key::new("file", Shape::Text, "", "the archive"),
    Key::new("passphraseFile", Shape::Text, "", "a file with its passphrase in the first line"),
];

/// Variables with an archive in base64 each begin so; the instance's name follows.
pub(super) const SESSION_VARIABLE: &str = "WEBAI_SESSION_";

/// An archive to import at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportEntry {
    pub instance: String,
    pub file: PathBuf,
    pub passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Accounts {
    pub dir: Option<PathBuf>,
    pub import: Vec<ImportEntry>,
    pub passphrase: Option<Secret>,
    /// Archives of the environment, in base64, by the end of the variable's name.
    sessions: Vec<(String, Secret)>,
}

impl Accounts {
    pub(super) fn read(values: &Values, sources: &Sources) -> Self {
        let entry = |item: Values| ImportEntry {
            instance: item.text("instance"),
            file: item.path("file"),
            passphrase_file: item.optional_text("passphraseFile").map(PathBuf::from),
        };
        let session = |(name, value): &(String, String)| {
            let instance = name.strip_prefix(SESSION_VARIABLE).filter(|_| !value.is_empty())?;
            Some((instance.to_owned(), Secret::new(value.clone())))
        };
        let import = values.list("accounts.import", IMPORTS).into_iter().map(entry);
        Self {
            dir: values.optional_text("accounts.dir").map(PathBuf::from),
            import: import.filter(|entry| !entry.file.as_os_str().is_empty()).collect(),
            passphrase: values.optional_text("accounts.passphrase").map(Secret::new),
            sessions: sources.env.iter().filter_map(session).collect(),
        }
    }

    /// The variable of the environment that may hold an instance's archive, and the archive in base64.
    pub fn session_of(&self, instance: &str) -> Option<(String, &Secret)> {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let name: String = instance.chars().map(plain).collect();
        let (_, session) = self.sessions.iter().find(|(known, _)| *known == name)?;
        Some((format!("{SESSION_VARIABLE}{name}"), session))
    }
}

//! What a registry would find, without one: nothing is compiled, decided or written.

use std::path::{Path, PathBuf};

use super::entry::{BrokenFile, Source};
use super::files::Files;
use super::lock::Lock;
use super::{RegistryOptions, Wishes};

/// The adapter files of some folders, and what `adapters.lock` says of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// `<id>@<version>` of each file that is an adapter.
    pub found: Vec<String>,
    /// Those that wait for the operator's approval.
    pub pending: Vec<String>,
    /// Id and reason of those that are out of use.
    pub quarantined: Vec<(String, String)>,
    pub broken: Vec<BrokenFile>,
    /// Why what was decided cannot be read, if so.
    pub lock: Option<String>,
}

/// Looks at the folders. Blocks.
pub fn survey(bundled: &[PathBuf], own: &Path, state: &Path, allow_unapproved: bool) -> Survey {
    let options = RegistryOptions {
        bundled: bundled.to_vec(),
        dropped_in: Some(own.to_owned()),
        wishes: Wishes { allow_unapproved, ..Wishes::default() },
        ..RegistryOptions::default()
    };
    let mut files = Files::default();
    files.look(&options);
    let (lock, unreadable) = read_lock(state);
    let mut survey = Survey { lock: unreadable, ..Survey::default() };
    for source in [Source::Bundled, Source::Folder] {
        for (_, package) in files.packages(source) {
            let manifest = &package.manifest;
            let label = format!("{}@{}", manifest.id, manifest.version);
            let approved = lock.adapters.get(&manifest.id).and_then(|decided| decided.approved.as_ref());
            let covered = approved.is_some_and(|approval| approval.grant.covers(&manifest.asks()));
            if source == Source::Folder && !allow_unapproved && !covered {
                survey.pending.push(label.clone());
            }
            survey.found.push(label);
        }
    }
    let out_of_use = |(id, decided): (&String, &super::lock::Decided)| {
        Some((id.clone(), decided.quarantine.as_ref()?.reason.clone()))
    };
    survey.quarantined = lock.adapters.iter().filter_map(out_of_use).collect();
    let broken = |path: &PathBuf| {
        let problem = files.seen.get(path)?.content.as_ref().err()?.clone();
        Some(BrokenFile { file: path.display().to_string(), problem })
    };
    survey.broken = files.order.iter().filter_map(broken).collect();
    survey
}

fn read_lock(state: &Path) -> (Lock, Option<String>) {
    match std::fs::read_to_string(state.join("adapters.lock")) {
        Ok(text) => match serde_json::from_str(&text) {
            Ok(lock) => (lock, None),
            Err(error) => (Lock::default(), Some(error.to_string())),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (Lock::default(), None),
        Err(error) => (Lock::default(), Some(error.to_string())),
    }
}

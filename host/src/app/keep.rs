//! How the sessions of instances are kept, by the configuration.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::browser::{ArchiveSource, Keeping, Origin, StartImport};
use crate::config::{Accounts, Config, ImportEntry};
use crate::plugin::Registry;
use crate::session::{Secret, Vault};
use crate::store::DataFolder;

/// How the session of this instance is kept, and what is imported into it.
pub(crate) fn keeping(config: &Config, folder: &DataFolder, instance: &str, registry: &Arc<Registry>) -> Keeping {
    let registry = Arc::clone(registry);
    Keeping {
        vault: Arc::new(vault(config, folder)),
        origins: Arc::new(move || origins(&registry)),
        imports: imports(&config.accounts, instance),
    }
}

/// The origins of all adapters that are loaded: where they act, and where the operator signs in.
pub(crate) fn origins(registry: &Registry) -> Vec<Origin> {
    origins_of(registry, |_| true)
}

/// The same of some of them, by their ids.
pub(crate) fn origins_of(registry: &Registry, which: impl Fn(&str) -> bool) -> Vec<Origin> {
    let mut origins: Vec<Origin> = Vec::new();
    for adapter in registry.all().iter().filter(|adapter| which(&adapter.manifest.id)) {
        for origin in adapter.manifest.page.iter().chain(&adapter.manifest.pass) {
            if !origins.contains(origin) {
                origins.push(origin.clone());
            }
        }
    }
    origins
}

fn vault(config: &Config, folder: &DataFolder) -> Vault {
    match &config.accounts.dir {
        // The data folder may be one that does not last: then what it takes to open the snapshots must lie beside them.
        Some(dir) => Vault::new(dir.clone(), dir.join("session-key")),
        None => Vault::new(folder.path().join("sessions"), folder.path().join("session-key")),
    }
}

/// The archives for this instance. One whose passphrase is not to be had is named in the log.
fn imports(accounts: &Accounts, instance: &str) -> Vec<StartImport> {
    let mut imports = Vec::new();
    let named = accounts.import.iter().filter(|entry| entry.instance == instance);
    for entry in named {
        let label = entry.file.display().to_string();
        match passphrase(accounts, entry) {
            Ok(passphrase) => {
                imports.push(StartImport { label, archive: ArchiveSource::File(entry.file.clone()), passphrase });
            }
            Err(why) => tracing::error!(instance, from = label, "an account was not imported: {why}"),
        }
    }
    if let Some((label, session)) = accounts.session_of(instance) {
        let packed: String = session.expose().chars().filter(|c| !c.is_whitespace()).collect();
        match (STANDARD.decode(packed), accounts.passphrase.clone()) {
            (Ok(bytes), Some(passphrase)) => {
                imports.push(StartImport { label, archive: ArchiveSource::Bytes(bytes), passphrase });
            }
            (Err(_), _) => tracing::error!(instance, from = label, "an account was not imported: it is not base64"),
            (_, None) => {
                tracing::error!(instance, from = label, "an account was not imported: set WEBAI_PASSPHRASE, too")
            }
        }
    }
    imports
}

fn passphrase(accounts: &Accounts, entry: &ImportEntry) -> Result<Secret, String> {
    match &entry.passphrase_file {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok(Secret::new(text.lines().next().unwrap_or_default()))
        }
        None => accounts.passphrase.clone().ok_or_else(|| {
            "it has no passphrase: set accounts.import[].passphraseFile, or WEBAI_PASSPHRASE".to_owned()
        }),
    }
}

//! The configuration: built-in defaults, then the file, then the environment, then flags; later wins.
//!
//! Every key stands once in the table of its section's file, with its shape, default and meaning; what is not in a table is
//! an error that names the nearest key. Nothing here reads a file or the environment: `cli` hands both in.

mod accounts;
mod adapters;
mod backend;
mod browser;
mod conversations;
mod deadlines;
mod error;
mod history;
mod key;
mod layers;
mod limits;
mod log;
mod node;
mod queue;
mod server;
mod shape;
mod show;
mod values;
mod yaml;

pub use accounts::{Accounts, ImportEntry};
pub use adapters::Adapters;
pub use backend::{Backend, Failover, InstanceEntry, LimitsEntry, Strategy, WorkerEntry};
pub use browser::{Browser, Proxy, ProxyKind, Sandbox};
pub use conversations::Conversations;
pub use deadlines::Deadlines;
pub use error::{ConfigError, Problem};
pub use history::{History, HistoryMode};
pub use key::Key;
pub use layers::Sources;
pub use limits::Limits;
pub use log::{Log, LogFormat};
pub use queue::Queue;
pub use server::{ApiKeyEntry, Beat, Images, MediaForm, NonStreamBeat, Reasoning, Server};

use values::Values;

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    pub server: Server,
    pub browser: Browser,
    pub queue: Queue,
    pub backend: Backend,
    pub adapters: Adapters,
    pub conversations: Conversations,
    pub accounts: Accounts,
    pub deadlines: Deadlines,
    pub limits: Limits,
    pub history: History,
    pub log: Log,
}

/// A configuration, and what its author should know about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    /// One sentence each; the settings count all the same.
    pub warnings: Vec<String>,
}

impl Config {
    /// Puts the layers together.
    ///
    /// # Errors
    /// All that is wrong in any layer, each with its place, the value found, and the nearest known key.
    pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
        let (config, layered) = Self::layered(sources, &keys())?;
        Ok(Loaded { config, warnings: layered.warnings })
    }

    fn layered(sources: &Sources, keys: &[Key]) -> Result<(Self, layers::Layered), ConfigError> {
        let layered = layers::merge(sources, keys)?;
        let config = Self::read(&layered.values, sources);
        let problems = config.backend.problems().into_iter();
        let place = || sources.file.as_ref().map_or("the configuration", |(name, _)| name).to_owned();
        let problems: Vec<Problem> =
            problems.map(|(path, message)| Problem { place: place(), path, message }).collect();
        if !problems.is_empty() {
            return Err(ConfigError { problems });
        }
        Ok((config, layered))
    }

    /// All layers together, as a file that says the same. Without `with_secrets`, passwords and keys are hidden.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn show(sources: &Sources, with_secrets: bool) -> Result<String, ConfigError> {
        let keys = keys();
        let (_, layered) = Self::layered(sources, &keys)?;
        Ok(show::show(&layered.values, &keys, with_secrets))
    }

    fn read(values: &Values, sources: &Sources) -> Self {
        Self {
            server: Server::read(values),
            browser: Browser::read(values),
            queue: Queue::read(values),
            backend: Backend::read(values),
            adapters: Adapters::read(values),
            conversations: Conversations::read(values),
            accounts: Accounts::read(values, sources),
            deadlines: Deadlines::read(values),
            limits: Limits::read(values),
            history: History::read(values),
            log: Log::read(values),
        }
    }
}

/// All keys, section by section.
pub fn keys() -> Vec<Key> {
    let sections = [
        log::KEYS,
        server::KEYS,
        queue::KEYS,
        browser::KEYS,
        backend::KEYS,
        adapters::KEYS,
        accounts::KEYS,
        conversations::KEYS,
        deadlines::KEYS,
        limits::KEYS,
        history::KEYS,
    ];
    sections.concat()
}

#[cfg(test)]
mod tests;

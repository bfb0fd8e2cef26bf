//! Finds the layers of the configuration: file, environment, flags.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::{Options, print};
use crate::config::{Config, Loaded, Sources};

/// The file that is read when none is named, if it is there.
const DEFAULT_FILE: &str = "config.yaml";

/// Reads all layers.
pub(super) fn load(options: &Options) -> anyhow::Result<Loaded> {
    Ok(Config::load(&sources(options)?)?)
}

/// `config show`
pub(super) fn show(options: &Options, secrets: bool) -> anyhow::Result<()> {
    print(Config::show(&sources(options)?, secrets)?.trim_end());
    Ok(())
}

fn sources(options: &Options) -> anyhow::Result<Sources> {
    Ok(Sources {
        file: read_file(options.config.as_deref())?,
        env: env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        flags: flags(options)?,
    })
}

/// `config check`: a configuration that got here is right.
pub(super) fn check(loaded: &Loaded) -> anyhow::Result<()> {
    for warning in &loaded.warnings {
        print(&format!("warning: {warning}"));
    }
    print("The configuration is right.");
    Ok(())
}

fn read_file(named: Option<&Path>) -> anyhow::Result<Option<(String, String)>> {
    let by_variable = env::var_os("WEBAI_CONFIG").filter(|value| !value.is_empty()).map(PathBuf::from);
    let path = match named.map(Path::to_owned).or(by_variable) {
        Some(path) => path,
        None if Path::new(DEFAULT_FILE).is_file() => PathBuf::from(DEFAULT_FILE),
        None => return Ok(None),
    };
    let name = path.display().to_string();
    let bytes = std::fs::read(&path).with_context(|| format!("the configuration file {name} cannot be read"))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some((name, text))),
        Err(_) => bail!("the configuration file {name} is not UTF-8 text"),
    }
}

fn flags(options: &Options) -> anyhow::Result<Vec<(String, String)>> {
    let mut flags = Vec::new();
    for setting in &options.set {
        let Some((key, value)) = setting.split_once('=') else {
            bail!("--set takes KEY=VALUE, such as --set queue.imageLimit=3; found `{setting}`");
        };
        flags.push((key.trim().to_owned(), value.to_owned()));
    }
    let named = [("dataDir", &options.data_dir), ("server.port", &options.port), ("logLevel", &options.log_level)];
    flags.extend(named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?))));
    if options.allow_unapproved {
        flags.push(("adapters.allowUnapproved".to_owned(), "true".to_owned()));
    }
    Ok(flags)
}

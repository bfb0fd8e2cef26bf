//! `key show` and `key rotate`.

use anyhow::{Context as _, bail};

use super::print;
use crate::config::Config;
use crate::store::{read_admin_key, rotate_admin_key};

pub(super) fn show(config: &Config) -> anyhow::Result<()> {
    if let Some(key) = &config.server.auth {
        print(key);
        return Ok(());
    }
    match read_admin_key(&config.log.data_dir)? {
        Some(key) => print(&key),
        None => bail!("there is no key yet: one is made at the first start"),
    }
    Ok(())
}

pub(super) fn rotate(config: &Config) -> anyhow::Result<()> {
    if config.server.auth.is_some() {
        bail!("the admin key is set by AUTH_TOKEN or server.auth: change it there");
    }
    let folder = &config.log.data_dir;
    std::fs::create_dir_all(folder).with_context(|| format!("the data folder {} cannot be made", folder.display()))?;
    print(&rotate_admin_key(folder)?);
    Ok(())
}

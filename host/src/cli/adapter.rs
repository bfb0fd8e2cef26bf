//! `adapter pack`, and where the program's own adapters lie.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;

use crate::plugin;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make an adapter of a module that was built with the SDK, and its manifest
    Pack {
        /// A core module or a component
        module: PathBuf,
        #[arg(long, value_name = "FILE", default_value = "adapter.toml")]
        manifest: PathBuf,
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    #[command(flatten)]
    Kit(super::kit::Command),
    #[command(flatten)]
    Remote(super::remote::Command),
}

pub(super) fn run(command: &Command, config: &crate::config::Config) -> anyhow::Result<()> {
    match command {
        Command::Pack { module, manifest, output } => pack(module, manifest, output),
        Command::Kit(command) => super::kit::run(command, config),
        Command::Remote(command) => super::remote::run(command, config),
    }
}

fn pack(module: &Path, manifest: &Path, output: &Path) -> anyhow::Result<()> {
    let code = std::fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let text = std::fs::read_to_string(manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    let packed = plugin::pack(&code, &text).with_context(|| format!("cannot pack {}", module.display()))?;
    // Whoever watches the folder must never see half a file.
    let part = output.with_extension("part");
    std::fs::write(&part, packed).with_context(|| format!("cannot write {}", part.display()))?;
    std::fs::rename(&part, output).with_context(|| format!("cannot write {}", output.display()))
}

/// Where the adapters that come with the program lie: where `WEBAI_BUNDLED` says, else beside it as a build leaves them, else
/// where packages put such files.
pub(super) fn bundled_folders() -> Vec<PathBuf> {
    if let Some(folder) = std::env::var_os("WEBAI_BUNDLED") {
        return vec![PathBuf::from(folder)];
    }
    let Ok(program) = std::env::current_exe().and_then(|path| path.canonicalize()) else { return Vec::new() };
    let beside = program.ancestors().skip(1).take(2).map(|folder| folder.join("adapters"));
    let shared = program.ancestors().nth(2).map(|prefix| prefix.join("share/webai2api/adapters"));
    beside.chain(shared).filter(|folder| folder.is_dir()).take(1).collect()
}

//! Where a passphrase comes from: a file, the environment, or a person. Never from the command line, which every user of the
//! machine can read.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::config::Config;
use crate::session::Secret;

/// The passphrase that opens something, or that seals it (`new`), which a person types twice.
pub(super) fn get(file: Option<&Path>, config: &Config, new: bool) -> anyhow::Result<Secret> {
    if let Some(file) = file {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        return Ok(Secret::new(text.lines().next().unwrap_or_default()));
    }
    if let Some(passphrase) = &config.accounts.passphrase {
        return Ok(passphrase.clone());
    }
    if !std::io::stdin().is_terminal() {
        bail!("no passphrase: give it by --passphrase-file or WEBAI_PASSPHRASE, or run this in a terminal");
    }
    let first = ask("Passphrase: ")?;
    if new && ask("Once more: ")? != first {
        bail!("the two passphrases differ");
    }
    Ok(Secret::new(first))
}

/// The terminal shows what is typed again when this is dropped.
struct Quiet;

impl Quiet {
    fn start() -> anyhow::Result<Self> {
        stty("-echo").context("the terminal cannot be kept from showing the passphrase: use --passphrase-file")?;
        Ok(Self)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // There is nothing left to try.
        let _ = stty("echo");
    }
}

fn stty(mode: &str) -> anyhow::Result<()> {
    let status = Command::new("stty").arg(mode).stdin(Stdio::inherit()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { bail!("stty {mode}: {status}") }
}

fn ask(question: &str) -> anyhow::Result<String> {
    let mut stderr = std::io::stderr();
    write!(stderr, "{question}").and_then(|()| stderr.flush())?;
    let mut line = String::new();
    {
        let _quiet = Quiet::start()?;
        std::io::stdin().read_line(&mut line)?;
    }
    writeln!(stderr)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

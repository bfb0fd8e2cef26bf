//! `adapter list`, `install`, `approve` and their like: orders to a running server, by its admin API.

mod api;
mod follow;
mod show;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::print;
use crate::config::Config;
pub(super) use api::Api;
pub(super) use follow::follow;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the adapters of a running server
    List {
        #[command(flatten)]
        server: Server,
    },
    /// Put an adapter file into a running server; it serves once what it asks for is approved
    Install {
        file: PathBuf,
        /// Approve what it asks for, too
        #[arg(long)]
        approve: bool,
        #[command(flatten)]
        server: Server,
    },
    /// Show what a waiting adapter asks for, and grant it
    Approve {
        id: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        server: Server,
    },
    /// Take an adapter out of use
    Disable {
        id: String,
        #[command(flatten)]
        server: Server,
    },
    /// Take it into use again; also after a quarantine
    Enable {
        id: String,
        #[command(flatten)]
        server: Server,
    },
    /// Go back to the version before
    Rollback {
        id: String,
        /// A version that is kept, or the beginning of its hash
        #[arg(long, value_name = "VERSION")]
        to: Option<String>,
        #[command(flatten)]
        server: Server,
    },
    /// Remove an adapter that was installed, and what was approved of it
    Remove {
        id: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        server: Server,
    },
    /// Print what an adapter logs
    Logs {
        id: String,
        /// Go on until interrupted
        #[arg(short, long)]
        follow: bool,
        /// How many of the last lines
        #[arg(short = 'n', long, default_value_t = 50)]
        lines: usize,
        #[command(flatten)]
        server: Server,
    },
}

/// Which server, and how its answers are printed.
#[derive(Debug, Args, Clone, Default)]
pub(super) struct Server {
    /// The server's address (else WEBAI_URL, else this machine and the configured port)
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// Its admin key (else WEBAI_KEY, else as configured or in the data folder)
    #[arg(long, value_name = "KEY")]
    pub(super) key: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(command: &Command, config: &Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(obey(command, config))
}

async fn obey(command: &Command, config: &Config) -> anyhow::Result<()> {
    match command {
        Command::List { server } => {
            let listed = Api::of(server, config)?.get("").await?;
            tell(server, &listed, show::list)
        }
        Command::Install { file, approve, server } => install(file, *approve, server, config).await,
        Command::Approve { id, yes, server } => approve(id, *yes, server, config).await,
        Command::Disable { id, server } => order(server, config, id, "disable", None).await,
        Command::Enable { id, server } => order(server, config, id, "enable", None).await,
        Command::Rollback { id, to, server } => {
            order(server, config, id, "rollback", to.as_ref().map(|to| json!({ "to": to }))).await
        }
        Command::Remove { id, yes, server } => remove(id, *yes, server, config).await,
        Command::Logs { id, follow, lines, server } => logs(id, *follow, *lines, server, config).await,
    }
}

async fn install(file: &Path, also_approve: bool, server: &Server, config: &Config) -> anyhow::Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    // What is wrong with the file is said here, without a way to the server.
    let manifest = crate::plugin::read_manifest(&bytes).with_context(|| file.display().to_string())?;
    let api = Api::of(server, config)?;
    let mut entry = api.upload(bytes).await?;
    if also_approve && let Some(sha256) = entry.pointer("/pending/sha256").cloned() {
        let id = &manifest.id;
        entry = api.post(&format!("/{id}/approve"), Some(json!({ "sha256": sha256 }))).await?;
    }
    tell(server, &entry, show::entry)
}

async fn approve(id: &str, yes: bool, server: &Server, config: &Config) -> anyhow::Result<()> {
    let api = Api::of(server, config)?;
    let entry = api.get(&format!("/{}", name(id)?)).await?;
    let Some(pending) = entry.get("pending").filter(|pending| !pending.is_null()) else {
        bail!("nothing of {id} waits for approval");
    };
    if !server.json {
        print(&show::asks(pending));
    }
    if !yes && !agreed("Approve it?")? {
        bail!("not approved; say --yes to approve without being asked");
    }
    // Bound to the file that was shown: one that came since is not approved by this.
    let sha256 = pending.get("sha256").cloned().unwrap_or_default();
    let entry = api.post(&format!("/{id}/approve"), Some(json!({ "sha256": sha256 }))).await?;
    tell(server, &entry, show::entry)
}

async fn order(server: &Server, config: &Config, id: &str, what: &str, body: Option<Value>) -> anyhow::Result<()> {
    let entry = Api::of(server, config)?.post(&format!("/{}/{what}", name(id)?), body).await?;
    tell(server, &entry, show::entry)
}

async fn remove(id: &str, yes: bool, server: &Server, config: &Config) -> anyhow::Result<()> {
    let path = format!("/{}", name(id)?);
    if !yes && !agreed(&format!("Remove {id}, and forget what was approved of it?"))? {
        bail!("not removed; say --yes to remove without being asked");
    }
    let answer = Api::of(server, config)?.delete(&path).await?;
    tell(server, &answer, |answer| match answer.get("adapter").filter(|left| !left.is_null()) {
        Some(left) => format!("{id} removed; the one that comes with the program serves again\n{}", show::entry(left)),
        None => format!("{id} removed"),
    })
}

async fn logs(id: &str, follow: bool, lines: usize, server: &Server, config: &Config) -> anyhow::Result<()> {
    let api = Api::of(server, config)?;
    let id = name(id)?;
    let mut path = format!("/{id}/logs?lines={lines}");
    loop {
        let answer = api.get(&path).await?;
        let new = answer.get("lines").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for line in new {
            print(&if server.json { line.to_string() } else { show::log_line(line) });
        }
        if !follow {
            return Ok(());
        }
        let last = new.last().and_then(|line| line.get("number")?.as_u64());
        let after = last.unwrap_or_else(|| api::after(&path));
        path = format!("/{id}/logs?wait=20&lines=1000&after={after}");
    }
}

/// An id that is one part of a path.
fn name(id: &str) -> anyhow::Result<&str> {
    let plain = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    if plain { Ok(id) } else { bail!("`{id}` is no adapter's id: see `webai2api adapter list`") }
}

fn tell(server: &Server, answer: &Value, for_people: impl Fn(&Value) -> String) -> anyhow::Result<()> {
    print(&if server.json { serde_json::to_string_pretty(answer)? } else { for_people(answer) });
    Ok(())
}

/// Asks a person; nobody is no.
fn agreed(question: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    let mut stderr = std::io::stderr();
    write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush())?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}

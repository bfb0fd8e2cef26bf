//! `account list`, `export` and `import`: orders to a running server, by its admin API.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use serde_json::{Value, json};

use super::remote::{Api, Server};
use super::{passphrase, print};
use crate::config::Config;
use crate::session::{archive, import};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the instances of a running server
    List {
        #[command(flatten)]
        server: Server,
    },
    /// Write an instance's account into a file that is sealed with a passphrase
    Export {
        instance: String,
        /// The file (else <instance>.webai-account)
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// A file with the passphrase in its first line (else WEBAI_PASSPHRASE, else you are asked)
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        #[command(flatten)]
        server: Server,
    },
    /// Bring an account in: an exported file, cookies.txt, or the JSON of a cookie extension or of Playwright
    Import {
        instance: String,
        file: PathBuf,
        /// A file with the passphrase in its first line (else WEBAI_PASSPHRASE, else you are asked)
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        #[command(flatten)]
        server: Server,
    },
}

pub(super) fn run(command: &Command, config: &Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::List { server } => list(server, config).await,
            Command::Export { instance, output, passphrase_file, server } => {
                let output = output.clone().unwrap_or_else(|| format!("{instance}.webai-account").into());
                export(instance, &output, passphrase_file.as_deref(), server, config).await
            }
            Command::Import { instance, file, passphrase_file, server } => {
                import(instance, file, passphrase_file.as_deref(), server, config).await
            }
        }
    })
}

async fn list(server: &Server, config: &Config) -> anyhow::Result<()> {
    let answer = Api::at("accounts", server, config)?.get("").await?;
    if server.json {
        print(&serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    for account in answer.get("accounts").and_then(Value::as_array).into_iter().flatten() {
        let reason = account.get("reason").and_then(Value::as_str).map(|why| format!(": {why}")).unwrap_or_default();
        let (instance, state) = (text(account, "instance"), text(account, "state"));
        print(&format!("{instance}  {state}{reason}  {}", words(account, "adapters").join(", ")));
    }
    Ok(())
}

async fn export(
    instance: &str,
    output: &Path,
    passphrase_file: Option<&Path>,
    server: &Server,
    config: &Config,
) -> anyhow::Result<()> {
    let api = Api::at("accounts", server, config)?;
    if output.exists() {
        bail!("{} is there already: name another by -o", output.display());
    }
    let passphrase = passphrase::get(passphrase_file, config, true)?;
    let body = json!({ "passphrase": passphrase.expose() });
    let answer = api.post(&format!("/{}/export", segment(instance)), Some(body)).await?;
    let archive = STANDARD.decode(text(&answer, "archive")).context("the server's archive cannot be read")?;
    write_new(output, &archive)?;
    if server.json {
        let mut shown = answer;
        if let Some(fields) = shown.as_object_mut() {
            fields.remove("archive");
            fields.insert("file".into(), json!(output));
        }
        print(&serde_json::to_string_pretty(&shown)?);
        return Ok(());
    }
    print(&exported(output, number(&answer, "cookies"), number(&answer, "entries"), &words(&answer, "leftOut")));
    Ok(())
}

/// What is said of an archive that was written.
pub(super) fn exported(output: &Path, cookies: u64, entries: u64, left_out: &[String]) -> String {
    let mut said = format!("{}: {cookies} cookies, {entries} entries of local storage. Not in it:", output.display());
    for what in left_out {
        said.push_str("\n  ");
        said.push_str(what);
    }
    said
}

/// Writes a file that only its owner may read, and overwrites none.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).with_context(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).with_context(failed)
}

async fn import(
    instance: &str,
    file: &Path,
    passphrase_file: Option<&Path>,
    server: &Server,
    config: &Config,
) -> anyhow::Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let passphrase = if archive::is_archive(&bytes) {
        Some(passphrase::get(passphrase_file, config, false)?)
    } else {
        // What is wrong with the file is said here, without a way to the server.
        import::parse(&bytes).with_context(|| file.display().to_string())?;
        None
    };
    let api = Api::at("accounts", server, config)?;
    let passphrase = passphrase.as_ref().map(|passphrase| passphrase.expose());
    let body = json!({ "file": STANDARD.encode(&bytes), "passphrase": passphrase });
    let answer = api.post(&format!("/{}/import", segment(instance)), Some(body)).await?;
    if server.json {
        print(&serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let n = |name: &str| number(&answer, name);
    print(&format!("{instance}: {} cookies and {} entries of local storage taken", n("cookies"), n("entries")));
    for (count, what) in [
        (n("foreign"), "of sites that no adapter of this instance is for: not taken"),
        (n("expired"), "expired: not taken"),
        (n("refused"), "refused by the browser"),
    ] {
        if count > 0 {
            print(&format!("  {count} {what}"));
        }
    }
    for origin in words(&answer, "unwritten") {
        print(&format!("  the local storage of {origin} could not be written"));
    }
    Ok(())
}

/// A name as one part of a path.
fn segment(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn words(value: &Value, name: &str) -> Vec<String> {
    let all = value.get(name).and_then(Value::as_array).into_iter().flatten();
    all.filter_map(Value::as_str).map(str::to_owned).collect()
}

//! `adapter test`, `new`, `check` and `watch`: what authors use.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::print;
use crate::config::Config;
use crate::kit::{self, Journal};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Try an adapter against a replica of its site, in a real browser
    Test {
        /// An adapter's folder, which is built first, or its .wasm file
        path: PathBuf,
        /// The folder with site.toml (else `fixtures` beside the adapter)
        #[arg(long, value_name = "FOLDER")]
        fixtures: Option<PathBuf>,
        /// Only cases whose name contains this
        #[arg(long, value_name = "NAME")]
        case: Option<String>,
        /// The report as JSON
        #[arg(long)]
        json: bool,
        /// Where pictures of failed pages go (else a folder below the system's temporary one)
        #[arg(long, value_name = "FOLDER")]
        pictures: Option<PathBuf>,
    },
}

pub(super) fn run(command: &Command, config: &Config) -> anyhow::Result<()> {
    match command {
        Command::Test { path, fixtures, case, json, pictures } => {
            let asked = Test { path, fixtures: fixtures.as_deref(), case: case.as_deref(), json: *json };
            test(&asked, pictures.clone(), config)
        }
    }
}

struct Test<'a> {
    path: &'a Path,
    fixtures: Option<&'a Path>,
    case: Option<&'a str>,
    json: bool,
}

fn test(asked: &Test<'_>, pictures: Option<PathBuf>, config: &Config) -> anyhow::Result<()> {
    let journal = Journal::default();
    // The journal alone: what the program itself would log says nothing to an author.
    let _ = tracing_subscriber::registry().with(journal.clone()).try_init();
    let built = kit::build(asked.path)?;
    let pictures = pictures.unwrap_or_else(|| std::env::temp_dir().join("webai2api-pictures").join(&built.id));
    std::fs::create_dir_all(&pictures).with_context(|| format!("{} cannot be made", pictures.display()))?;
    let options = kit::Options {
        adapter: built.bytes,
        fixtures: asked.fixtures.map_or(built.fixtures, Path::to_owned),
        only: asked.case.map(str::to_owned),
        browser: config.browser.path.clone(),
        pictures,
        journal,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let json = asked.json;
    let tell = |case: &kit::Case| {
        if !json {
            print(&case.text());
        }
    };
    let report = runtime.block_on(kit::run(options, tell))?;
    if json {
        print(&serde_json::to_string_pretty(&report)?);
    } else {
        print(&report.summary());
    }
    if report.is_good() {
        return Ok(());
    }
    bail!("{} of {} cases failed", report.failed, report.cases.len())
}

//! `adapter test`, `new`, `check`, `record` and `watch`: what authors use.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::print;
use super::remote::{self, Api, Server};
use crate::browser::guard::GuardOptions;
use crate::config::Config;
use crate::instances;
use crate::kit::{self, Journal};
use crate::lab::demo::{DemoOptions, DemoSite};

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
    /// Make a new adapter's project, which builds and passes the suite as it is
    New {
        /// Of a-z 0-9 and -, beginning with a letter
        id: String,
        #[arg(long, value_enum, default_value = "rust")]
        lang: Lang,
        /// The project's folder (else one named like the id, here)
        #[arg(long, value_name = "FOLDER")]
        folder: Option<PathBuf>,
        /// The folder of the SDK's crate, webai-adapter (else from its repository)
        #[arg(long, value_name = "FOLDER")]
        sdk: Option<PathBuf>,
    },
    /// Say what an adapter is, and all that is wrong with it, without running it
    Check {
        /// An adapter's folder, or its .wasm file
        path: PathBuf,
        /// The folder with site.toml (else `fixtures` in the adapter's folder)
        #[arg(long, value_name = "FOLDER")]
        fixtures: Option<PathBuf>,
        /// A server's folder of adapters, which it is to join (else `adapters` in the data folder)
        #[arg(long, value_name = "FOLDER")]
        into: Option<PathBuf>,
    },
    /// Drive the real site once, and keep what it sends and how it looks, scrubbed, for `test` to play again
    Record {
        /// An adapter's folder, which is built first, or its .wasm file
        path: PathBuf,
        /// The folder with site.toml (else `fixtures` beside the adapter)
        #[arg(long, value_name = "FOLDER")]
        fixtures: Option<PathBuf>,
        /// The recording's folder and state in the fixtures
        #[arg(long, default_value = "recorded")]
        name: String,
        /// A model of the manifest (else its first)
        #[arg(long)]
        model: Option<String>,
        /// What is asked: it can be read by whoever gets the recording
        #[arg(long, default_value = "Count from one to ten, in words, and nothing else.")]
        prompt: String,
        /// A name or another word that must not be told; may be given several times
        #[arg(long, value_name = "WORD")]
        scrub: Vec<String>,
        /// The browser profile in which you are signed in (else the server's own, which must not run meanwhile)
        #[arg(long, value_name = "FOLDER")]
        profile: Option<PathBuf>,
        /// Without a window, although there is a display
        #[arg(long)]
        headless: bool,
    },
    /// Build an adapter at every save, put it where a running server swaps it in, and show what it logs there
    Watch {
        folder: PathBuf,
        /// The server's folder of adapters (else `adapters` in the data folder)
        #[arg(long, value_name = "FOLDER")]
        into: Option<PathBuf>,
        #[command(flatten)]
        server: Server,
    },
}

/// What an adapter is written in.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Lang {
    Rust,
    Js,
}

pub(super) fn run(command: &Command, config: &Config) -> anyhow::Result<()> {
    match command {
        Command::Test { path, fixtures, case, json, pictures } => {
            let asked = Test { path, fixtures: fixtures.as_deref(), case: case.as_deref(), json: *json };
            test(&asked, pictures.clone(), config)
        }
        Command::New { id, lang, folder, sdk } => new(id, *lang, folder.as_deref(), sdk.as_deref()),
        Command::Check { path, fixtures, into } => {
            check(path, fixtures.as_deref(), &into.clone().unwrap_or_else(|| installed(config)))
        }
        Command::Record { path, fixtures, name, model, prompt, scrub, profile, headless } => {
            let built = kit::build(path)?;
            let options = kit::RecordOptions {
                adapter: built.bytes,
                fixtures: fixtures.clone().unwrap_or(built.fixtures),
                name: name.clone(),
                model: model.clone(),
                prompt: prompt.clone(),
                names: scrub.clone(),
                profile: profile.clone().unwrap_or_else(|| config.log.data_dir.join("profiles").join("default")),
                browser: config.browser.path.clone(),
                headless: *headless || !has_display(),
                guard: GuardOptions::default(),
                settings: config.backend.adapter.get(&built.id).cloned(),
            };
            record(options, config)
        }
        Command::Watch { folder, into, server } => {
            watch(folder, &into.clone().unwrap_or_else(|| installed(config)), server, config)
        }
    }
}

fn new(id: &str, lang: Lang, folder: Option<&Path>, sdk: Option<&Path>) -> anyhow::Result<()> {
    let language = match lang {
        Lang::Rust => kit::Language::Rust,
        Lang::Js => kit::Language::JavaScript,
    };
    let folder = folder.map_or_else(|| PathBuf::from(id), Path::to_owned);
    // It must hold wherever the project is built from.
    let sdk = sdk.map(std::fs::canonicalize).transpose().context("the SDK's folder cannot be found")?;
    for path in kit::scaffold(id, language, &folder, sdk.as_deref())? {
        print(&path.display().to_string());
    }
    print(&format!("\nNext: webai2api adapter test {}", folder.display()));
    Ok(())
}

/// Where a server of this configuration has its adapters.
fn installed(config: &Config) -> PathBuf {
    config.adapters.folder(&config.log.data_dir)
}

fn check(path: &Path, fixtures: Option<&Path>, into: &Path) -> anyhow::Result<()> {
    let findings = kit::check(path, fixtures, into);
    for fact in &findings.facts {
        print(fact);
    }
    if findings.wrong.is_empty() {
        print("Nothing is wrong with it.");
        return Ok(());
    }
    let mistakes = if findings.wrong.len() == 1 { "mistake" } else { "mistakes" };
    bail!("{} {mistakes}:\n  {}", findings.wrong.len(), findings.wrong.join("\n  "))
}

pub(super) fn has_display() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn record(mut options: kit::RecordOptions, config: &Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let recorded = runtime.block_on(async {
        let demo = match config.adapters.demo {
            true => Some(DemoSite::start(DemoOptions::default()).await?),
            false => None,
        };
        options.guard = instances::guard_options(demo.as_ref(), config, config.browser.proxy.as_ref());
        let person = |message: &str| {
            print(&format!("{message}\nDo it in the window that is open, then press Enter here."));
            std::io::stdin().read_line(&mut String::new()).is_ok_and(|read| read > 0)
        };
        anyhow::Ok(kit::record(options, person).await?)
    })?;
    for file in &recorded.files {
        print(&file.display().to_string());
    }
    match recorded.failure {
        None => print("\nRead it through before you give it away. It is played again by: webai2api adapter test"),
        Some(failure) => bail!("the adapter did not get an answer, and the recording shows how far it came: {failure}"),
    }
    Ok(())
}

fn watch(folder: &Path, into: &Path, server: &Server, config: &Config) -> anyhow::Result<()> {
    std::fs::create_dir_all(into).with_context(|| format!("{} cannot be made", into.display()))?;
    print(&format!("watching {}; builds go to {}", folder.display(), into.display()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    match Api::of(server, config) {
        // It ends with the runtime, at the end of this function.
        Ok(api) => drop(runtime.spawn(remote::follow(api, folder.to_owned(), server.json))),
        Err(error) => print(&format!("the server's log is not shown: {error:#}")),
    }
    Ok(kit::watch(folder, into, print)?)
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

//! A host around one adapter, with a replica for its site.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Options, SuiteError};
use crate::browser::Profile;
use crate::browser::guard::{GuardOptions, Unmapped};
use crate::chat::{Failure, FailureKind, Request};
use crate::config::{History, HistoryMode};
use crate::dispatch::{DispatchOptions, Dispatcher, Job};
use crate::kit::Journal;
use crate::kit::host::{self, Answered, BROWSER, Host, Setup};
use crate::lab::replica::Replica;
use crate::plugin::{Deadlines, read_manifest};
use crate::store::Database;

/// For which chats are remembered: longer than any run.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
/// For the disk.
const WRITTEN: Duration = Duration::from_secs(10);

pub(super) struct Bench {
    pub(super) replica: Replica,
    pub(super) host: Host,
    /// Which chats can go on.
    chats: Database,
    pub(super) journal: Journal,
    pub(super) pictures: PathBuf,
}

impl Bench {
    pub(super) async fn start(options: &Options) -> Result<Self, SuiteError> {
        let manifest = read_manifest(&options.adapter).map_err(|error| SuiteError::Adapter(error.to_string()))?;
        let mut named: Vec<String> = manifest.page.iter().chain(&manifest.pass).map(ToString::to_string).collect();
        named.extend(manifest.listen.iter().chain(&manifest.save).map(ToString::to_string));
        named.extend(manifest.rewrite.iter().map(|rule| rule.url.to_string()));
        let replica = Replica::start(&options.fixtures, &named).await?;
        let config = &replica.file().config;
        let setup = Setup {
            name: "test",
            adapter: &options.adapter,
            manifest,
            settings: (!config.is_empty()).then(|| Value::Object(config.clone().into_iter().collect())),
            guard: GuardOptions { mappings: replica.mappings(), upstream: None, unmapped: Unmapped::Refuse },
            profile: Profile::Throwaway,
            browser: options.browser.clone(),
            headless: true,
            flags: vec![replica.browser_flag()],
        };
        let host = Host::start(setup).await?;
        let history = History {
            mode: HistoryMode::Off,
            max_age: REMEMBERED,
            max_size: 16 << 20,
            media_ttl: REMEMBERED,
            media_max_size: 0,
        };
        let chats = Database::open(host.folder(), &history);
        Ok(Self { replica, host, chats, journal: options.journal.clone(), pictures: options.pictures.clone() })
    }

    /// A dispatcher whose page nobody has used, and that loses patience sooner than a server.
    pub(super) fn dispatcher(&self) -> Dispatcher {
        self.host.dispatcher(DispatchOptions {
            queue_wait: Duration::from_secs(60),
            deadlines: Deadlines {
                submit: Duration::from_secs(30),
                first_byte: Duration::from_secs(15),
                idle: Duration::from_secs(15),
                ..Deadlines::default()
            },
            pictures: Some(self.pictures.clone()),
            conversations: Some(REMEMBERED),
            history: Some(self.chats.clone()),
            ..DispatchOptions::default()
        })
    }

    /// Waits until the chats of all that was answered are known. False if that takes too long.
    pub(super) async fn remembers(&self) -> bool {
        self.chats.flush(WRITTEN).await.is_ok()
    }

    pub(super) async fn stop(self) {
        // What is not written is not missed.
        self.chats.close(WRITTEN).await;
        self.host.stop().await;
    }
}

/// Asks, and waits for the whole answer.
pub(super) async fn answer(bench: &Bench, dispatcher: &Dispatcher, request: Request) -> Answered {
    match ask(bench, dispatcher, request).await {
        Ok(job) => host::collect(job).await,
        Err(failure) => Answered::refused(failure),
    }
}

/// Asks, as soon as there is a browser.
pub(super) async fn ask(bench: &Bench, dispatcher: &Dispatcher, request: Request) -> Result<Job, Failure> {
    let until = Instant::now() + BROWSER;
    loop {
        match dispatcher.submit(request.clone()).await {
            Err(failure) if matches!(failure.kind, FailureKind::Starting { .. }) && Instant::now() < until => {
                // Ready, or it says why not at the next try.
                let _ = bench.host.browser().await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            job => return job,
        }
    }
}

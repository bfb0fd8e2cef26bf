//! Everything that goes wrong in weeks, within a minute: mixed load while tabs, browsers and guests die, adapters are swapped, the
//! site's network goes, the disk fills up, the configuration changes, and clients vanish. What must hold is looked at from outside.
//!
//! `make chaos` is the long form (`CHAOS_SECONDS`, `CHAOS_SEED`); see docs/reliability.md.

mod load;
mod mischief;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::support::client::{Client, ask, running, waiting};
use crate::support::process::{self, uses};
use crate::support::site::Site;
use crate::support::{Server, guest, number};
use load::{Asker, Tally, own_text};
use mischief::{Disk, Mischief, Versions, at_port, config};
use serde_json::json;

/// The longest that a request may take, whatever happens: its stages' deadlines, and two more tries.
const DEADLINE: Duration = Duration::from_secs(90);
const CLIENTS: u64 = 6;
const KEY: &str = "chaos-admin-key-of-this-test";

/// The same sequence for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Nobody waits and nobody works, but for what the program looks after by itself.
async fn until_at_rest(client: &Client) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let pool = client.pool().await;
        if (running(&pool), waiting(&pool)) == (0, 0) {
            return;
        }
        assert!(Instant::now() < deadline, "its slots do not come back: {pool:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// All workers at once, each with its own text.
async fn all_answer(client: &Client, round: &str) {
    let one = async |n: usize| {
        let text = format!("mark={round}{n} {}", own_text(&format!("{round}{n}")));
        let answer = client.ask_within(&ask("demo/echo", &text), DEADLINE).await;
        assert_eq!((answer.status, answer.body["choices"][0]["message"]["content"].as_str()), (200, Some(&*text)));
    };
    futures::future::join_all((0..6).map(one)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_mixed_up_sent_twice_or_left_behind() {
    let length = Duration::from_secs(number("CHAOS_SECONDS", 20));
    let seed = number("CHAOS_SEED", 7).max(1);
    let scratch = tempfile::tempdir().unwrap();
    let (bundled, data) = (scratch.path().join("bundled"), scratch.path().join("data"));
    std::fs::create_dir(&bundled).unwrap();
    std::fs::create_dir(&data).unwrap();
    let disk = Disk::mount(&data);
    std::fs::copy(guest::bundled("demo"), bundled.join("demo.wasm")).unwrap();
    guest::hostile(&bundled, "second", &[]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let builder = Server::builder().config(&at_port(&config(0), port)).data_dir(&data);
    let server = builder.env("WEBAI_BUNDLED", bundled.to_str().unwrap()).start_ready();
    let (client, site) = (Client::at(&server.url(""), KEY), Site::of(&server));
    all_answer(&client, "before").await;
    until_at_rest(&client).await;
    let before = uses(server.pid());

    let tally = Arc::new(Tally::default());
    let askers: Vec<_> = (0..CLIENTS)
        .map(|name| {
            let dice = Dice(seed.wrapping_mul(name + 2) | 1);
            let asker = Asker {
                client: client.clone(),
                tally: Arc::clone(&tally),
                dice,
                name,
                asked: 0,
                pause: Duration::ZERO,
            };
            tokio::spawn(asker.run())
        })
        .collect();
    let versions = Versions::default();
    let mut mischief = Mischief {
        server: &server,
        site: site.clone(),
        disk,
        versions,
        bundled,
        port,
        dice: Dice(seed),
        done: BTreeMap::new(),
    };
    let began = Instant::now();
    while began.elapsed() < length {
        mischief.one().await;
        tokio::time::sleep(Duration::from_millis(300 + mischief.dice.roll(1200))).await;
    }
    tally.over.store(true, Ordering::Relaxed);
    for asker in askers {
        asker.await.unwrap();
    }

    let quiet = Instant::now();
    until_at_rest(&client).await;
    server.reload(&at_port(&config(0), port));
    all_answer(&client, "after").await;
    until_at_rest(&client).await;
    let recovered = quiet.elapsed();
    let after = uses(server.pid());
    let stats = site.stats().await;
    let mut sent: BTreeMap<&str, u64> = BTreeMap::new();
    for prompt in stats["prompts"]["list"].as_array().unwrap() {
        *sent.entry(prompt["mark"].as_str().unwrap_or_default()).or_default() += 1;
    }
    for mark in tally.marks.lock().unwrap().iter() {
        let times = sent.get(mark.as_str()).copied().unwrap_or_default();
        if times > 1 {
            tally.violation(format!("{mark} was sent {times} times"));
        }
    }
    // One for each instance; one that the last configuration has taken away goes by itself.
    let settled = server.wait_for(|server| process::browsers(server).len() == 2);
    assert!(settled, "{} browsers: {}", process::browsers(&server).len(), server.log());
    let left = process::below(&server);
    let report = json!({
        "seed": seed,
        "seconds": length.as_secs(),
        "mischief": mischief.done,
        "outcomes": *tally.outcomes.lock().unwrap(),
        "prompts": stats["prompts"]["count"],
        "slowest_ms": tally.slowest_ms.load(Ordering::Relaxed),
        "recovered_ms": recovered.as_millis() as u64,
        "memory_mib": { "before": before.anonymous, "after": after.anonymous },
        "handles": { "before": before.handles, "after": after.handles },
        "violations": *tally.violations.lock().unwrap(),
    });
    println!("{report:#}");
    if let Some(file) = std::env::var_os("CHAOS_REPORT") {
        std::fs::write(file, format!("{report:#}\n")).unwrap();
    }
    let log = server.log();
    let log = log.get(log.len().saturating_sub(4000)..).unwrap_or(&log).to_owned();
    assert_eq!(*tally.violations.lock().unwrap(), Vec::<String>::new(), "seed {seed}: {log}");
    // One that answers nobody keeps all promises, too.
    let (asked, came) = tally.whole();
    assert!(came > 0 && came * 2 >= asked, "{came} of {asked} answers came whole: {report:#}");
    assert!(after.anonymous < before.anonymous + 48.0, "memory does not return: {report:#}");
    assert!(after.handles < before.handles + 24, "handles do not return: {report:#}");
    assert!(server.is_alive());
    let (status, _) = server.terminate();
    assert!(status.success(), "{status}");
    let folder = data.to_str().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while process::is_any_left(&left, folder) {
        assert!(Instant::now() < deadline, "processes are left");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

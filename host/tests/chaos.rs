//! Everything that goes wrong in weeks, within a minute: mixed load while tabs, browsers and guests die, adapters are swapped, the
//! site's network goes, the disk fills up, the configuration changes, and clients vanish. What must hold is looked at from outside.
//!
//! `make chaos` is the long form (`CHAOS_SECONDS`, `CHAOS_SEED`); see docs/reliability.md.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests report by panicking, and this one prints its report"
)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::Server;
use support::client::{Client, Event, ask, script, streaming};
use support::process::{self, uses};
use support::site::Site;

/// The longest that a request may take, whatever happens: its stages' deadlines, and two more tries.
const DEADLINE: Duration = Duration::from_secs(90);
const CLIENTS: u64 = 6;
/// Codes with which a request may end when its page, its browser or its site went away.
const EXCUSED: &[&str] = &["browser_failed", "timeout", "upstream_error", "server_busy", "starting"];

/// The configuration; `variant` is what a reload changes.
fn config(variant: usize) -> String {
    let strategy = ["least_busy", "round_robin", "random", "sticky"][variant % 4];
    let third = ["", "\n      - {name: c, workers: [{name: five, type: demo}]}"][variant / 2 % 2];
    let conversations = ["continue", "new"][variant % 2];
    format!(
        "server: {{auth: {KEY}}}
adapters: {{crashes: 0, enabled: [second]}}
demo: {{listen: \"127.0.0.1:{{port}}\"}}
browser: {{hosts: {{second.localhost: \"127.0.0.1:{{port}}\"}}}}
queue: {{queueBuffer: 100}}
conversations: {{mode: {conversations}}}
deadlines: {{queue: 20s, navigate: 8s, submit: 8s, firstByte: 8s, idle: 6s, call: 20s, callMax: 40s}}
history: {{mode: full}}
backend:
  pool:
    strategy: {strategy}
    instances:
      - {{name: a, workers: [{{name: one, type: demo}}, {{name: two, type: demo}}, {{name: three, type: second}}]}}
      - {{name: b, workers: [{{name: four, type: merge, mergeTypes: [demo, second]}}]}}{third}
"
    )
}

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

/// What was seen.
#[derive(Default)]
struct Tally {
    outcomes: Mutex<BTreeMap<String, u64>>,
    violations: Mutex<Vec<String>>,
    marks: Mutex<Vec<String>>,
    slowest_ms: AtomicU64,
    over: AtomicBool,
}

impl Tally {
    fn count(&self, what: String) {
        *self.outcomes.lock().unwrap().entry(what).or_default() += 1;
    }

    fn violation(&self, what: String) {
        self.violations.lock().unwrap().push(what);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// A client that asks one thing after the other.
struct Asker {
    client: Client,
    tally: Arc<Tally>,
    dice: Dice,
    name: u64,
    asked: u64,
}

impl Asker {
    async fn run(mut self) {
        while !self.tally.is_over() {
            self.asked += 1;
            let mark = format!("c{}n{}", self.name, self.asked);
            self.tally.marks.lock().unwrap().push(mark.clone());
            let began = Instant::now();
            match self.dice.roll(100) {
                0..50 => self.streams(&mark).await,
                50..65 => self.echoes(&mark).await,
                65..80 => self.vanishes(&mark).await,
                80..92 => self.meets_a_fault(&mark).await,
                _ => self.asks_the_hostile(&mark).await,
            }
            let took = began.elapsed();
            self.tally.slowest_ms.fetch_max(took.as_millis() as u64, Ordering::Relaxed);
            if took > DEADLINE {
                self.tally.violation(format!("{mark} took {took:?}"));
            }
        }
    }

    /// An answer that nobody else's can be taken for, piece by piece.
    async fn streams(&mut self, mark: &str) {
        let text = own_text(mark);
        let request = script(&format!("fixture=rest rate=40 chunk=2 mark={mark}\n{text}"));
        let (said, code) = self.stream(request, usize::MAX).await;
        self.judge("stream", mark, &text, &said, code.as_deref());
    }

    /// The prompt itself, in one piece.
    async fn echoes(&mut self, mark: &str) {
        let text = format!("mark={mark} {}", own_text(mark));
        let answer = self.client.ask_within(&ask("demo/echo", &text), DEADLINE).await;
        let code = (answer.status != 200).then(|| answer.error().1.to_owned());
        let said = if code.is_none() { answer.text().to_owned() } else { String::new() };
        self.judge("echo", mark, &text, &said, code.as_deref());
    }

    /// It closes its connection in the middle.
    async fn vanishes(&mut self, mark: &str) {
        let text = own_text(mark);
        let pieces = self.dice.roll(4) as usize;
        let request = script(&format!("fixture=rest rate=10 mark={mark}\n{text}"));
        let (said, code) = self.stream(request, pieces).await;
        if !text.starts_with(&said) {
            self.tally.violation(format!("{mark}: another's text: {said:?}"));
        }
        self.tally.count(format!("vanish: {}", code.as_deref().unwrap_or("gone")));
    }

    /// The site itself does wrong, or its page.
    async fn meets_a_fault(&mut self, mark: &str) {
        let faults = ["error=server-error", "error=disconnect after=3", "error=in-stream after=3", "page=hang after=3"];
        let more = ["page=leave after=3", "page=reload after=3", "page=dialog after=3"];
        let fault = [faults.as_slice(), &more].concat()[self.dice.roll(7) as usize];
        let (said, code) = self.stream(script(&format!("tokens=20 rate=20 mark={mark} {fault}")), usize::MAX).await;
        let whole = (0..20).map(|n| format!("t{n}")).collect::<Vec<_>>().join(" ");
        // A page that has lost its document, or waits for a dialog, may have its answer all the same.
        let may_be_whole = fault.starts_with("page");
        match code.as_deref() {
            None if said == whole && may_be_whole => {}
            Some(code) if EXCUSED.contains(&code) && whole.starts_with(&said) => {}
            _ => self.tally.violation(format!("{mark} ({fault}): {code:?} after {said:?}")),
        }
        self.tally.count(format!("{}: {}", fault.split(' ').next().unwrap(), code.as_deref().unwrap_or("ok")));
    }

    /// A guest that dies.
    async fn asks_the_hostile(&mut self, mark: &str) {
        let (what, right) =
            [("trap", "adapter_crashed"), ("loop", "adapter_cpu_limit"), ("bomb", "adapter_memory_limit")]
                [self.dice.roll(3) as usize];
        let answer = self.client.ask_within(&ask("second/script", what), DEADLINE).await;
        let code = answer.error().1;
        if code != right && !EXCUSED.contains(&code) {
            self.tally.violation(format!("{mark}: {what} is {answer:?}"));
        }
        self.tally.count(format!("guest {what}: {code}"));
    }

    /// The text of at most so many pieces, and the error's code if there was one.
    async fn stream(&self, request: Value, pieces: usize) -> (String, Option<String>) {
        let response = self.client.send(&streaming(request)).await;
        if response.status() != 200 {
            let answer = support::client::answer(response).await;
            return (String::new(), Some(answer.error().1.to_owned()));
        }
        let mut stream = support::client::stream_of(response).await;
        let (mut said, mut seen) = (String::new(), 0);
        while seen < pieces {
            match stream.next().await {
                Some(Event::Done) => return (said, None),
                Some(event) if event.error_code().is_some() => return (said, event.error_code().map(str::to_owned)),
                Some(event) => {
                    if let Some(text) = event.delta("content") {
                        said.push_str(text);
                        seen += 1;
                    }
                }
                None => return (said, Some("the stream ended without a word".to_owned())),
            }
        }
        (said, None)
    }

    /// Whole, or an error that says what went away; in no case another's text.
    fn judge(&self, what: &str, mark: &str, text: &str, said: &str, code: Option<&str>) {
        match code {
            None if said == text => {}
            Some(code) if EXCUSED.contains(&code) && text.starts_with(said) => {}
            _ => self.tally.violation(format!("{mark} ({what}): {code:?} after {said:?}")),
        }
        self.tally.count(format!("{what}: {}", code.unwrap_or("ok")));
    }
}

/// About 60 characters that no other request has.
fn own_text(mark: &str) -> String {
    (0..8).map(|n| format!("{mark}w{n}")).collect::<Vec<_>>().join(" ")
}

/// What is done to the program.
struct Mischief<'a> {
    server: &'a Server,
    site: Site,
    disk: Option<Disk>,
    versions: Versions,
    bundled: PathBuf,
    port: u16,
    dice: Dice,
    done: BTreeMap<&'static str, u64>,
}

impl Mischief<'_> {
    async fn one(&mut self) {
        let what = match self.dice.roll(20) {
            0..6 => self.kill_a_tab(),
            6..8 => self.kill_a_browser(),
            8..12 => self.swap(),
            12..14 => self.cut_the_network().await,
            14..16 => self.fill_the_disk().await,
            16..19 => self.reload(),
            _ => self.reload_nonsense(),
        };
        *self.done.entry(what).or_default() += 1;
    }

    fn kill_a_tab(&mut self) -> &'static str {
        let tabs = process::renderers(self.server);
        if !tabs.is_empty() {
            process::kill(tabs[self.dice.roll(tabs.len() as u64) as usize]);
        }
        "tabs killed"
    }

    fn kill_a_browser(&mut self) -> &'static str {
        let browsers = process::browsers(self.server);
        if !browsers.is_empty() {
            process::kill(browsers[self.dice.roll(browsers.len() as u64) as usize]);
        }
        "browsers killed"
    }

    fn swap(&mut self) -> &'static str {
        let file = self.versions.next();
        std::fs::rename(file, self.bundled.join("demo.wasm")).unwrap();
        "adapters swapped"
    }

    async fn cut_the_network(&mut self) -> &'static str {
        let ms = 200 + self.dice.roll(1800);
        self.site.control(json!({ "outage_ms": ms })).await;
        tokio::time::sleep(Duration::from_millis(ms + 100)).await;
        "network outages"
    }

    async fn fill_the_disk(&mut self) -> &'static str {
        let Some(disk) = &self.disk else { return "disk not filled: only root can mount a small one" };
        disk.fill();
        tokio::time::sleep(Duration::from_millis(500 + self.dice.roll(1500))).await;
        disk.relieve();
        "disk filled"
    }

    fn reload(&mut self) -> &'static str {
        let variant = self.dice.roll(4) as usize;
        self.server.reload(&at_port(&config(variant), self.port));
        "configurations loaded"
    }

    fn reload_nonsense(&mut self) -> &'static str {
        self.server.reload("backend: {pool: {instances: [{name: ''}]}}");
        "bad configurations refused"
    }
}

fn at_port(config: &str, port: u16) -> String {
    config.replace("{port}", &port.to_string())
}

/// The demo's adapter under ever new versions.
struct Versions {
    scratch: tempfile::TempDir,
    count: u32,
}

impl Versions {
    fn next(&mut self) -> PathBuf {
        self.count += 1;
        let manifest = include_str!("../../adapters-wasm/demo/adapter.toml");
        let version = format!("version = \"0.1.{}\"", self.count);
        let toml = self.scratch.path().join("adapter.toml");
        std::fs::write(&toml, manifest.replacen("version = \"0.1.0\"", &version, 1)).unwrap();
        let file = self.scratch.path().join("next.wasm");
        let mut pack = Command::new(support::program());
        pack.args(["adapter", "pack"]).arg(demo()).arg("--manifest").arg(toml).arg("--output").arg(&file);
        support::guest::run(&mut pack);
        file
    }
}

fn demo() -> PathBuf {
    support::guest::bundled("demo")
}

/// A small disk in memory; gone when dropped.
struct Disk(PathBuf);

impl Disk {
    /// None where this user may not mount one.
    fn mount(at: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        let done = mount.args(["-t", "tmpfs", "-o", "size=300m", "tmpfs"]).arg(at).output().ok()?;
        done.status.success().then(|| Self(at.to_owned()))
    }

    fn fill(&self) {
        // It ends when nothing more fits.
        let mut fill = Command::new("dd");
        fill.args(["if=/dev/zero", "bs=64k"]).arg(format!("of={}", self.filler().display()));
        drop(fill.output().unwrap());
    }

    fn relieve(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).output());
    }
}

/// Nobody waits and nobody works, but for what the program looks after by itself.
async fn until_at_rest(client: &Client) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let pool = client.get("/admin/api/pool").await.body;
        let own = |one: &Value| ["probe", "models", "a warm page"].iter().any(|name| one["id"] == *name);
        let at_work = pool["running"].as_array().unwrap().iter().filter(|one| !own(one)).count();
        if at_work == 0 && pool["waiting"].as_array().unwrap().is_empty() {
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

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
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
    std::fs::copy(demo(), bundled.join("demo.wasm")).unwrap();
    support::guest::hostile(&bundled, "second", &[]);
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
            let asker = Asker { client: client.clone(), tally: Arc::clone(&tally), dice, name, asked: 0 };
            tokio::spawn(asker.run())
        })
        .collect();
    let versions = Versions { scratch: tempfile::tempdir().unwrap(), count: 0 };
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

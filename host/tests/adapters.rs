//! Adapters that an operator drops in: they wait for approval, are swapped, rolled back, switched off and removed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::client::{self, Client, ask, script};
use crate::support::site::Site;
use crate::support::{Server, guest};
use serde_json::Value;

/// Adapters of the test's own: none bundled, packed ones to drop in.
struct Bench {
    scratch: tempfile::TempDir,
    data: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { scratch: tempfile::tempdir().unwrap(), data: tempfile::tempdir().unwrap() };
        std::fs::create_dir(bench.scratch.path().join("bundled")).unwrap();
        bench
    }

    fn server(&self, config: &str) -> Server {
        let bundled = self.scratch.path().join("bundled");
        let data = self.data.path().join("data");
        let server = Server::builder().config(config).data_dir(&data).env("WEBAI_BUNDLED", bundled.to_str().unwrap());
        server.start()
    }

    fn key(&self) -> String {
        std::fs::read_to_string(self.data.path().join("data/admin-key")).unwrap().trim().to_owned()
    }

    /// The demo's adapter with another manifest.
    fn packed(&self, edits: &[(&str, &str)]) -> PathBuf {
        let mut manifest = include_str!("../../adapters-wasm/demo/adapter.toml").to_owned();
        for (from, to) in edits {
            assert!(manifest.contains(from), "{from}");
            manifest = manifest.replacen(from, to, 1);
        }
        self.pack(&demo(), &manifest)
    }

    /// A component of any kind with the demo's manifest.
    fn packed_wat(&self, wat: &str) -> PathBuf {
        let module = self.scratch.path().join("module.wasm");
        std::fs::write(&module, wat::parse_str(wat).unwrap()).unwrap();
        self.pack(&module, include_str!("../../adapters-wasm/demo/adapter.toml"))
    }

    fn pack(&self, module: &Path, manifest: &str) -> PathBuf {
        let output = self.scratch.path().join("packed.wasm");
        guest::pack(module, manifest, &output);
        output
    }

    fn version(&self, version: &str) -> PathBuf {
        self.packed(&[("version = \"0.1.0\"", &format!("version = {version:?}"))])
    }

    /// A version that listens to more than the demo's does.
    fn greedy(&self, version: &str) -> PathBuf {
        let listens = "listen = [\"http://demo.localhost/api/chat\"";
        let more = format!("{listens}, \"http://demo.localhost/**\"");
        self.packed(&[("version = \"0.1.0\"", &format!("version = {version:?}")), (listens, &more)])
    }

    /// Drops a file into the operator's folder, under any name.
    fn drop_in(&self, file: &Path) {
        let folder = self.data.path().join("data/adapters");
        std::fs::copy(file, folder.join("some.part")).unwrap();
        std::fs::rename(folder.join("some.part"), folder.join("some-name.wasm")).unwrap();
    }
}

fn demo() -> PathBuf {
    guest::bundled("demo")
}

/// The command line against a server.
fn run(bench: &Bench, server: &Server, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_webai2api"));
    command.env_clear().current_dir(bench.scratch.path()).arg("adapter").args(args);
    command.env("WEBAI_KEY", bench.key()).env("WEBAI_URL", server.url("")).output().unwrap()
}

fn told(bench: &Bench, server: &Server, args: &[&str]) -> String {
    let output = run(bench, server, args);
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{args:?}: {stdout}{stderr}");
    stdout
}

fn refused(bench: &Bench, server: &Server, args: &[&str]) -> String {
    let output = run(bench, server, args);
    assert!(!output.status.success(), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// What the command line's JSON says of the adapter once it is so.
async fn until(bench: &Bench, server: &Server, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let deadline = tokio::time::Instant::now() + client::PATIENCE;
    loop {
        let list: Value = serde_json::from_str(&told(bench, server, &["list", "--json"])).unwrap();
        let entry = list["adapters"].as_array().unwrap().iter().find(|entry| entry["id"] == "demo");
        let entry = entry.cloned().unwrap_or_default();
        if is_so(&entry) {
            return entry;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited in vain until {what}: {list:#}{}", server.log());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn lock(bench: &Bench) -> Value {
    let path = bench.data.path().join("data/adapters.lock");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The version that answers, or the error's code.
async fn asked(client: &Client, text: &str) -> String {
    let answer = client.ask(&ask("demo/echo", text)).await;
    match answer.status {
        200 => answer.header("x-webai-adapter").unwrap().to_owned(),
        _ => answer.error().1.to_owned(),
    }
}

#[tokio::test]
async fn an_adapter_from_its_approval_to_its_removal() {
    let bench = Bench::new();
    let server = bench.server("adapters: {pages: 2}");
    let client = Client::of(&server);
    let client = client.with_key(&bench.key());
    bench.drop_in(&bench.version("1.0.0"));
    let entry = until(&bench, &server, "it waits", |e| e["state"] == "pending").await;
    assert_eq!(entry["pending"]["sentences"][0], "act and read on http://demo.localhost");
    assert!(entry["pending"]["meaning"].as_str().unwrap().contains("whatever your account can do"));
    assert!(refused(&bench, &server, &["approve", "demo"]).contains("--yes"), "nobody was asked");
    let shown = told(&bench, &server, &["approve", "demo", "--yes"]);
    assert!(
        shown.contains("whatever your account can do on these origins") && shown.contains("demo 1.0.0: serving"),
        "{shown}"
    );
    assert_eq!(lock(&bench)["adapters"]["demo"]["approved"]["grant"]["page"][0], "http://demo.localhost");
    server.until_ready();
    assert_eq!(asked(&client, "first").await, "demo@1.0.0");

    // Within what was approved, a new version serves at once; one that asks for more waits while the old one serves.
    bench.drop_in(&bench.version("1.1.0"));
    until(&bench, &server, "1.1.0 serves", |e| e["version"] == "1.1.0").await;
    assert_eq!(asked(&client, "second").await, "demo@1.1.0");
    bench.drop_in(&bench.greedy("1.2.0"));
    let entry = until(&bench, &server, "1.2.0 waits", |e| e["pending"]["version"] == "1.2.0").await;
    assert_eq!((&entry["state"], &entry["version"]), (&"serving".into(), &"1.1.0".into()));
    assert_eq!(entry["pending"]["sentences"].as_array().unwrap().len(), 1, "only what is new: {entry:#}");
    assert_eq!(asked(&client, "third").await, "demo@1.1.0");

    // That is so after a restart, too, though the file in the folder is the one that waits.
    let (_, log) = server.terminate();
    assert!(log.contains("adapter loaded"), "{log}");
    let server = bench.server("adapters: {pages: 2}");
    until(&bench, &server, "1.1.0 serves again", |e| e["version"] == "1.1.0" && e["pending"]["version"] == "1.2.0")
        .await;
    told(&bench, &server, &["approve", "demo", "--yes"]);
    until(&bench, &server, "1.2.0 serves", |e| e["version"] == "1.2.0" && e["pending"].is_null()).await;

    // Back, and back to a version by name.
    assert!(told(&bench, &server, &["rollback", "demo"]).contains("demo 1.1.0: serving"));
    assert!(told(&bench, &server, &["rollback", "demo"]).contains("demo 1.0.0: serving"));
    assert!(refused(&bench, &server, &["rollback", "demo"]).contains("no earlier version"));
    assert!(told(&bench, &server, &["rollback", "demo", "--to", "1.1.0"]).contains("demo 1.1.0: serving"));
    assert!(refused(&bench, &server, &["rollback", "demo", "--to", "7.0.0"]).contains("no version 7.0.0"));

    assert!(told(&bench, &server, &["disable", "demo"]).contains("disabled"));
    assert!(told(&bench, &server, &["enable", "demo"]).contains("serving"));
    assert!(refused(&bench, &server, &["install", bench.version("0.9.0").to_str().unwrap()]).contains("is older than"));
    let file = bench.version("1.3.0");
    assert!(told(&bench, &server, &["install", file.to_str().unwrap()]).contains("demo 1.3.0: serving"));
    assert!(refused(&bench, &server, &["remove", "demo"]).contains("--yes"));
    assert!(told(&bench, &server, &["remove", "demo", "--yes"]).contains("demo removed"));
    assert_eq!(lock(&bench)["adapters"]["demo"], Value::Null);
    assert!(refused(&bench, &server, &["logs", "demo2"]).contains("no adapter demo2"));
}

#[tokio::test]
async fn what_fits_no_contract_or_no_settings_is_refused_in_one_sentence() {
    let bench = Bench::new();
    let server = bench.server("backend: {adapter: {demo: {tier: 3}}}");
    let schema = "[config.schema]\ntype = \"object\"\nproperties.tier.type = \"string\"\n\n[site]";
    let file = bench.packed(&[("[site]", schema)]);
    let shown = told(&bench, &server, &["install", file.to_str().unwrap(), "--approve"]);
    assert!(shown.contains("backend.adapter.demo.tier = \"3\": expected string"), "{shown}");
    let entry = until(&bench, &server, "it failed", |e| e["state"] == "failed").await;
    assert_eq!(entry["version"], Value::Null);

    // A component that is packed with a manifest, and does nothing of what the contract wants.
    for (what, wat, reason) in [
        ("empty", "(component)", "build it with the SDK"),
        (
            "command",
            "(component (import \"wasi:cli/environment@0.2.0\" (instance (export \"f\" (func)))))",
            "it needs WASI",
        ),
    ] {
        let shown = told(&bench, &server, &["install", bench.packed_wat(wat).to_str().unwrap(), "--approve"]);
        assert!(shown.contains(reason), "{what}: {shown}");
    }
    let text = bench.scratch.path().join("text.wasm");
    std::fs::write(&text, "hello").unwrap();
    assert!(refused(&bench, &server, &["install", text.to_str().unwrap()]).contains("this is not WebAssembly"));
    assert!(server.is_alive());
}

#[tokio::test]
async fn the_admin_api_opens_to_the_admin_key_alone() {
    let bench = Bench::new();
    let server = bench.server("server: {apiKeys: [{name: client, key: sk-client-0123456789}]}");
    let client = Client::of(&server).with_key(&bench.key());
    let path = "/admin/api/adapters";
    let list = client.get(path).await;
    assert_eq!((list.status, list.header("cache-control")), (200, Some("no-store")));
    assert!(list.header("access-control-allow-origin").is_none());
    assert_eq!(client.with_key("sk-client-0123456789").get(path).await.error(), (403, "admin_only"));
    assert_eq!(client.with_key("wrong").get(path).await.error(), (401, "invalid_api_key"));
    assert_eq!(client.get(&format!("{path}/none")).await.error(), (404, "adapter_not_found"));
    assert_eq!(client.get(&format!("{path}/none/logs")).await.error(), (404, "adapter_not_found"));
    let foreign = format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nOrigin: http://evil.example\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        bench.key()
    );
    assert!(server.raw(foreign.as_bytes()).contains("foreign_origin"));
    let huge = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Length: 99999999999\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        bench.key()
    );
    assert!(server.raw(huge.as_bytes()).starts_with("HTTP/1.1 413"));
    // Its own pace: a script that runs wild is told to wait.
    let order = format!(
        "POST {path}/none/enable HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        bench.key()
    );
    let slowed = (0..200).any(|_| server.raw(order.as_bytes()).starts_with("HTTP/1.1 429"));
    assert!(slowed);
}

#[tokio::test]
async fn swaps_under_a_steady_load_lose_nothing() {
    let bench = Bench::new();
    let server = bench.server("adapters: {pages: 3}\nqueue: {queueBuffer: 8}");
    told(&bench, &server, &["install", bench.version("1.0.0").to_str().unwrap(), "--approve"]);
    server.until_ready();
    let client = Client::of(&server).with_key(&bench.key());
    let enough = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let whole_text = (0..30).map(|n| format!("t{n}")).collect::<Vec<_>>().join(" ");
    let loads: Vec<_> = (0..3)
        .map(|n| {
            let (client, enough) = (client.clone(), std::sync::Arc::clone(&enough));
            let whole_text = whole_text.clone();
            tokio::spawn(async move {
                let mut whole = 0;
                while !enough.load(std::sync::atomic::Ordering::Relaxed) {
                    // Slow enough that a swap comes in the middle of it, and leaves the machine time to compile.
                    let stream = client.stream(script(&format!("tokens=30 rate=10 mark=load{n}"))).await;
                    let events = stream.rest().await;
                    let text = client::joined(&events, "content");
                    assert_eq!(text, whole_text);
                    assert!(events.contains(&client::Event::Done), "{events:?}");
                    whole += 1;
                }
                whole
            })
        })
        .collect();
    for n in 1..=12 {
        bench.drop_in(&bench.version(&format!("1.{n}.0")));
        let wanted = format!("1.{n}.0");
        until(&bench, &server, &wanted, |e| e["version"] == *wanted).await;
    }
    enough.store(true, std::sync::atomic::Ordering::Relaxed);
    for load in loads {
        assert!(load.await.unwrap() > 0);
    }
    let entry = until(&bench, &server, "nothing drains", |e| e["draining"] == 0).await;
    assert!(entry["kept"].as_array().unwrap().len() <= 5, "{entry:#}");
    let kept = std::fs::read_dir(bench.data.path().join("data/adapters-kept")).unwrap().count();
    assert!(kept <= 5, "{kept} files are kept");
}

#[tokio::test]
async fn a_version_that_drains_is_counted() {
    let bench = Bench::new();
    let server = bench.server("adapters: {pages: 2}");
    told(&bench, &server, &["install", bench.version("1.0.0").to_str().unwrap(), "--approve"]);
    server.until_ready();
    let (client, site) = (Client::of(&server).with_key(&bench.key()), Site::of(&server));
    let mut old = client.stream(script("tokens=2 rate=0 gate=1 mark=old")).await;
    assert_eq!(old.next_text().await.unwrap(), "t0");
    told(&bench, &server, &["install", bench.version("2.0.0").to_str().unwrap()]);
    until(&bench, &server, "one drains", |e| e["version"] == "2.0.0" && e["draining"] == 1).await;
    site.let_go("old", 2).await;
    old.rest().await;
    until(&bench, &server, "none drains", |e| e["draining"] == 0).await;
}

#[tokio::test]
async fn a_bundled_adapter_serves_once_somebody_wants_it() {
    let bench = Bench::new();
    let bundled = bench.scratch.path().join("bundled");
    std::fs::copy(demo(), bundled.join("demo.wasm")).unwrap();
    // Each edit is of the next place; the site is one that nobody has.
    let site = ("http://demo.localhost", "https://chat.example.com");
    let other = bench.packed(&[("id = \"demo\"", "id = \"other\""), site, site, site]);
    std::fs::copy(other, bundled.join("other.wasm")).unwrap();
    let state = |server: &Server| {
        let list: Value = serde_json::from_str(&told(&bench, server, &["list", "--json"])).unwrap();
        let entries = list["adapters"].as_array().unwrap();
        entries.iter().find(|entry| entry["id"] == "other").unwrap()["state"].as_str().unwrap().to_owned()
    };

    let server = bench.server("");
    // Models are there once there is a browser.
    server.until_ready();
    until(&bench, &server, "the demo serves", |e| e["state"] == "serving").await;
    let models = Client::of(&server).with_key(&bench.key()).get("/v1/models").await;
    assert!(!models.body.to_string().contains("other/"), "{models:?}");
    assert_eq!(state(&server), "disabled");
    told(&bench, &server, &["enable", "other"]);
    let models = Client::of(&server).with_key(&bench.key()).get("/v1/models").await;
    assert!(models.body.to_string().contains("other/echo"), "{models:?}");
    drop(server);

    let server = bench.server("");
    until(&bench, &server, "the demo serves", |e| e["state"] == "serving").await;
    assert_eq!(state(&server), "serving", "what the operator said holds");
    told(&bench, &server, &["disable", "other"]);
    assert_eq!(state(&server), "disabled");
    drop(server);

    std::fs::remove_file(bench.data.path().join("data/adapters.lock")).unwrap();
    for config in
        ["adapters: {enabled: [other]}", "backend: {pool: {instances: [{name: a, workers: [{name: w, type: other}]}]}}"]
    {
        let server = bench.server(config);
        until(&bench, &server, "the demo serves", |e| e["state"] == "serving").await;
        assert_eq!(state(&server), "serving", "{config}");
    }
}

#[tokio::test]
async fn what_is_dropped_in_and_cannot_serve_says_why() {
    let bench = Bench::new();
    let server = bench.server("adapters: {allowUnapproved: true}");
    let command = "(component (import \"wasi:cli/environment@0.2.0\" (instance (export \"f\" (func)))))";
    let later = "(component (import \"webai:adapter/page@0.9.0\" (instance (export \"f\" (func)))))";
    for (what, wat, reason) in [("command", command, "it needs WASI"), ("later", later, "webai:adapter/page@0.9.0")] {
        bench.drop_in(&bench.packed_wat(wat));
        let told = |entry: &Value| entry["problem"].as_str().is_some_and(|problem| problem.contains(reason));
        let entry = until(&bench, &server, what, told).await;
        assert_eq!((&entry["state"], &entry["version"]), (&Value::from("failed"), &Value::Null));
    }
    // A good one heals it; a second file of the same id is named and left alone; and no version goes back by itself.
    bench.drop_in(&bench.version("0.5.0"));
    until(&bench, &server, "it serves", |entry| entry["version"] == "0.5.0").await;
    let other = bench.data.path().join("data/adapters/other.wasm");
    std::fs::copy(bench.version("0.6.0"), &other).unwrap();
    let named = |entry: &Value| {
        entry["problem"].as_str().is_some_and(|problem| problem.contains("another file of the same id serves: remove"))
    };
    until(&bench, &server, "the second file is named", named).await;
    std::fs::remove_file(&other).unwrap();
    let older = bench.version("0.4.0");
    let shown = refused(&bench, &server, &["install", older.to_str().unwrap(), "--approve"]);
    assert!(shown.contains("demo 0.4.0 is older than 0.5.0") && shown.contains("use rollback"), "{shown}");
    until(&bench, &server, "nothing has changed", |entry| entry["version"] == "0.5.0").await;
}

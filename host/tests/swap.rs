//! An adapter is replaced while it works: nobody notices but by the version number.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::client::{self, Client, Event, ask, joined, script};
use crate::support::site::Site;
use crate::support::{Server, guest};

/// A folder of adapters of the test's own, with the demo's in it.
struct Adapters(tempfile::TempDir);

impl Adapters {
    fn new() -> Self {
        let adapters = Self(tempfile::tempdir().unwrap());
        std::fs::copy(bundled(), adapters.file()).unwrap();
        adapters
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("demo.wasm")
    }

    fn server(&self) -> Server {
        let config = "adapters: {pages: 2}\nqueue: {queueBuffer: 8}";
        Server::builder().config(config).env("WEBAI_BUNDLED", self.0.path().to_str().unwrap()).start_ready()
    }

    /// Puts the same adapter in its own place, as another version.
    fn replace(&self, version: &str) {
        let manifest = include_str!("../../adapters-wasm/demo/adapter.toml");
        let manifest = manifest.replacen("version = \"0.1.0\"", &format!("version = {version:?}"), 1);
        assert!(manifest.contains(version));
        guest::pack(&bundled(), &manifest, &self.file());
    }

    /// Puts something else there, at once as a whole.
    fn put(&self, bytes: &[u8]) {
        let part = self.0.path().join("demo.part");
        std::fs::write(&part, bytes).unwrap();
        std::fs::rename(part, self.file()).unwrap();
    }
}

/// The demo's adapter as the build left it.
fn bundled() -> PathBuf {
    guest::bundled("demo")
}

/// The version that new requests get, if any.
async fn version(client: &Client) -> Option<String> {
    let models = client.get("/v1/models").await;
    models.body["data"][0]["webai"]["adapter"]["version"].as_str().map(str::to_owned)
}

async fn until_version(client: &Client, wanted: Option<&str>) {
    let deadline = tokio::time::Instant::now() + client::PATIENCE;
    while version(client).await.as_deref() != wanted {
        assert!(tokio::time::Instant::now() < deadline, "{wanted:?} does not come");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn running_requests_finish_on_the_version_they_began_with() {
    let adapters = Adapters::new();
    let server = adapters.server();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let mut old = client.stream(script("tokens=4 rate=0 gate=1 mark=old")).await;
    assert_eq!(old.next_text().await.unwrap(), "t0");

    // Others keep coming all the while.
    let enough = Arc::new(AtomicBool::new(false));
    let others = tokio::spawn({
        let (client, enough) = (client.clone(), Arc::clone(&enough));
        async move {
            let mut versions = Vec::new();
            while !enough.load(Ordering::Relaxed) {
                let answer = client.ask(&ask("demo/echo", "steady")).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                versions.push(answer.header("x-webai-adapter").unwrap().to_owned());
            }
            versions
        }
    });
    for version in ["0.2.0", "0.3.0", "0.4.0"] {
        adapters.replace(version);
        until_version(&client, Some(version)).await;
        let answer = client.ask(&ask("demo/echo", "new")).await;
        assert_eq!((answer.status, answer.header("x-webai-adapter")), (200, Some(&*format!("demo@{version}"))));
    }
    enough.store(true, Ordering::Relaxed);
    let versions = others.await.unwrap();
    assert!(versions.is_sorted(), "no request gets an older version than one before: {versions:?}");

    // The first one is still there, three versions later.
    assert_eq!(old.headers["x-webai-adapter"], "demo@0.1.0");
    site.let_go("old", 4).await;
    let rest = old.rest().await;
    assert_eq!(joined(&rest, "content"), " t1 t2 t3");
    assert!(rest.contains(&Event::Done), "{rest:?}");
}

#[tokio::test]
async fn a_broken_file_leaves_the_good_version_in_place() {
    let adapters = Adapters::new();
    let good = std::fs::read(adapters.file()).unwrap();
    let server = adapters.server();
    let client = Client::of(&server);
    until_version(&client, Some("0.1.0")).await;
    for (what, bytes) in [
        ("this is not WebAssembly", b"no wasm at all".to_vec()),
        ("damaged or cut off", good[..good.len() / 2].to_vec()),
        ("core module", b"\0asm\x01\0\0\0".to_vec()),
    ] {
        adapters.put(&bytes);
        let told = server.wait_for(|server| server.log().contains(what));
        assert!(told, "{what}: {}", server.log());
        assert!(server.log().contains("adapter not loaded"));
        let answer = client.ask(&ask("demo/echo", what)).await;
        assert_eq!((answer.text(), answer.header("x-webai-adapter")), (what, Some("demo@0.1.0")));
    }
    adapters.replace("0.5.0");
    until_version(&client, Some("0.5.0")).await;
    assert_eq!(client.ask(&ask("demo/echo", "mended")).await.header("x-webai-adapter"), Some("demo@0.5.0"));
}

#[tokio::test]
async fn a_deleted_file_takes_its_models_away_and_hurts_nobody() {
    let adapters = Adapters::new();
    let good = std::fs::read(adapters.file()).unwrap();
    let server = adapters.server();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let mut running = client.stream(script("tokens=3 rate=0 gate=1 mark=running")).await;
    assert_eq!(running.next_text().await.unwrap(), "t0");
    std::fs::remove_file(adapters.file()).unwrap();
    until_version(&client, None).await;
    assert_eq!(client.ask(&ask("demo/echo", "x")).await.error(), (404, "model_not_found"));
    site.let_go("running", 3).await;
    assert!(running.rest().await.contains(&Event::Done));
    adapters.put(&good);
    until_version(&client, Some("0.1.0")).await;
    assert_eq!(client.ask(&ask("demo/echo", "back")).await.text(), "back");
}

//! The registry without browser and program: components are compiled in this process.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::plugin::package::pack;

fn component() -> Vec<u8> {
    // As much of a component as loading goes: it links only if it exports what the contract says.
    b"\0asm\x0d\0\x01\0".to_vec()
}

fn manifest(id: &str, version: &str, page: &str) -> String {
    format!(
        "[adapter]\nid = \"{id}\"\nversion = \"{version}\"\ncontract = \"0.1\"\nname = \"Test\"\nverified = \"replica\"\n\
         [origins]\npage = [\"{page}\"]\n[site]\nentry = \"{page}/\"\n[[models]]\nid = \"m\"\nlabel = \"M\"\n"
    )
}

struct Place {
    data: tempfile::TempDir,
    own: std::path::PathBuf,
}

impl Place {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let own = data.path().join("adapters");
        std::fs::create_dir(&own).unwrap();
        Self { data, own }
    }

    fn registry(&self) -> Registry {
        let options = RegistryOptions {
            dropped_in: Some(self.own.clone()),
            state: Some(self.data.path().to_owned()),
            ..RegistryOptions::default()
        };
        Registry::start(Engine::new(None).unwrap(), options)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        kept::write_whole(&self.own.join(name), bytes).unwrap();
    }
}

async fn until(registry: &Registry, what: impl Fn(&Registry) -> bool) {
    let mut changes = registry.changes();
    let waiting = async {
        while !what(registry) {
            changes.changed().await.unwrap();
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    assert!(in_time.is_ok(), "{:?} {:?}", registry.list(), registry.broken());
}

#[tokio::test]
async fn a_file_waits_for_approval_and_says_what_it_asks_for() {
    let place = Place::new();
    place.put("any-name.wasm", &pack(&component(), &manifest("a", "1.0.0", "https://a.example.com")).unwrap());
    let registry = place.registry();
    until(&registry, |r| r.entry("a").is_some_and(|e| e.state == State::Pending)).await;
    let pending = registry.entry("a").unwrap().pending.unwrap();
    assert_eq!(pending.sentences, ["act and read on https://a.example.com"]);
    assert!(pending.meaning.contains("whatever your account can do"));
    assert!(registry.get("a").is_none());
    let other = registry.change(Change::Approve { id: "a".into(), sha256: Some("00".into()) }).await;
    assert!(matches!(other, Err(ChangeError::OtherFile { .. })), "{other:?}");
    // Approved, it is compiled for the first time; and this one exports nothing.
    registry.change(Change::Approve { id: "a".into(), sha256: Some(pending.sha256) }).await.unwrap();
    let entry = registry.entry("a").unwrap();
    assert_eq!(entry.state, State::Failed);
    assert!(entry.problem.unwrap().contains("build it with the SDK"));
}

#[tokio::test]
async fn what_is_no_adapter_is_told_with_the_reason() {
    let place = Place::new();
    let good = pack(&component(), &manifest("a", "1.0.0", "https://a.example.com")).unwrap();
    place.put("core.wasm", b"\0asm\x01\0\0\0");
    place.put("cut.wasm", &good[..good.len() - 3]);
    place.put("text.wasm", b"hello");
    place.put("bare.wasm", &component());
    // A file with a hole: a gigabyte that takes no room.
    std::fs::File::create(place.own.join("giant.wasm")).unwrap().set_len(1 << 30).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", place.own.join("link.wasm")).unwrap();
    std::fs::create_dir(place.own.join("folder.wasm")).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(place.own.join("fifo.wasm")).status().unwrap();
    assert!(fifo.success());
    let contract = manifest("b", "1.0.0", "https://b.example.com").replace("contract = \"0.1\"", "contract = \"0.3\"");
    let mut other = component();
    other.extend(section(&contract));
    place.put("other.wasm", &other);
    let registry = place.registry();
    until(&registry, Registry::loaded).await;
    let broken = registry.broken();
    for (name, reason) in [
        ("core.wasm", "core module"),
        ("cut.wasm", "damaged or cut off"),
        ("text.wasm", "not WebAssembly"),
        ("bare.wasm", "no manifest"),
        ("giant.wasm", "may have at most"),
        ("link.wasm", "symbolic link"),
        ("folder.wasm", "not a regular file"),
        ("fifo.wasm", "not a regular file"),
        ("other.wasm", "this host has contract 0.1"),
    ] {
        let told = broken.iter().find(|b| Path::new(&b.file).ends_with(name)).map(|b| b.problem.as_str());
        assert!(told.is_some_and(|problem| problem.contains(reason)), "{name}: {told:?}");
    }
}

/// A custom section as packing writes it, for manifests that packing refuses.
fn section(manifest: &str) -> Vec<u8> {
    let name = b"webai:adapter";
    let size = 1 + name.len() + manifest.len();
    let mut bytes = vec![0, (size & 0x7f) as u8 | 0x80, (size >> 7) as u8, name.len() as u8];
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(manifest.as_bytes());
    bytes
}

#[tokio::test]
async fn orders_for_what_is_not_there_are_refused() {
    let place = Place::new();
    let registry = place.registry();
    let id = || "none".to_owned();
    for change in [
        Change::Approve { id: id(), sha256: None },
        Change::Disable { id: id() },
        Change::Enable { id: id() },
        Change::Rollback { id: id(), to: None },
        Change::Remove { id: id() },
    ] {
        let what = format!("{change:?}");
        assert!(matches!(registry.change(change).await, Err(ChangeError::Unknown(_))), "{what}");
    }
    let refused = registry.change(Change::Install { file: b"no".to_vec() }).await;
    assert!(matches!(refused, Err(ChangeError::Package(_))), "{refused:?}");
    assert_eq!(std::fs::read_dir(&place.own).unwrap().count(), 0);
}

#[tokio::test]
async fn an_older_version_is_not_installed_over_a_newer_one() {
    let place = Place::new();
    let registry = place.registry();
    let file = |version: &str| pack(&component(), &manifest("a", version, "https://a.example.com")).unwrap();
    registry.change(Change::Install { file: file("1.1.0") }).await.unwrap();
    let refused = registry.change(Change::Install { file: file("1.0.9") }).await.unwrap_err().to_string();
    assert!(refused.contains("a 1.0.9 is older than 1.1.0") && refused.contains("rollback"), "{refused}");
    assert_eq!(registry.entry("a").unwrap().pending.unwrap().version, "1.1.0");
    registry.change(Change::Remove { id: "a".into() }).await.unwrap();
    assert!(registry.entry("a").is_none());
}

/// What adapters.lock would say of an adapter that has served from a file of this name.
fn served(place: &Place, name: &str, version: &str, kept: &[&str]) {
    let file = |version: &str| pack(&component(), &manifest("a", version, "https://a.example.com")).unwrap();
    let mut lock = lock::LockFile::open(Some(place.data.path()));
    let store = kept::Kept::open(Some(place.data.path()));
    let decided = lock.entry("a");
    let approved = crate::plugin::read_manifest(&file(version)).unwrap();
    let sha256 = |version: &str| crate::plugin::loader::hash(&file(version));
    decided.approved =
        Some(lock::Approval { version: version.into(), sha256: sha256(version), grant: approved.asks() });
    for version in kept.iter().chain([&version]) {
        store.put(&sha256(version), &file(version)).unwrap();
        decided.serves(lock::Served {
            version: (*version).to_owned(),
            sha256: sha256(version),
            file: place.own.join(name),
        });
    }
    lock.save().unwrap();
    place.put(name, &file(version));
}

#[tokio::test]
async fn an_older_file_in_the_place_of_a_newer_one_is_refused() {
    let place = Place::new();
    served(&place, "a.wasm", "1.1.0", &["1.0.0"]);
    let file = |version: &str| pack(&component(), &manifest("a", version, "https://a.example.com")).unwrap();
    place.put("a.wasm", &file("1.0.9"));
    // Told after a restart as well: of what served before this registry began, the lock knows.
    let registry = place.registry();
    until(&registry, Registry::loaded).await;
    let entry = registry.entry("a").unwrap();
    let problem = entry.problem.unwrap();
    assert!(problem.contains("a 1.0.9 is older than 1.1.0") && problem.contains("adapter rollback a"), "{problem}");
    assert!(!problem.contains("build it with the SDK"), "nothing of it was tried: {problem}");

    // A higher version is tried, and so is what the operator goes back to.
    registry.change(Change::Install { file: file("1.1.1") }).await.unwrap();
    let problem = registry.entry("a").unwrap().problem.unwrap();
    assert!(problem.contains("build it with the SDK"), "{problem}");
    registry.change(Change::Rollback { id: "a".into(), to: Some("1.0.0".into()) }).await.unwrap();
    let problem = registry.entry("a").unwrap().problem.unwrap();
    assert!(problem.contains("build it with the SDK"), "{problem}");
}

#[tokio::test]
async fn an_older_file_of_another_name_is_the_operators_own_choice() {
    let place = Place::new();
    served(&place, "a.wasm", "1.1.0", &[]);
    std::fs::remove_file(place.own.join("a.wasm")).unwrap();
    place.put("b.wasm", &pack(&component(), &manifest("a", "1.0.0", "https://a.example.com")).unwrap());
    let registry = place.registry();
    until(&registry, Registry::loaded).await;
    let problem = registry.entry("a").unwrap().problem.unwrap();
    assert!(problem.contains("build it with the SDK"), "{problem}");
}

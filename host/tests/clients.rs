//! The clients that people really use, as they come from their registries.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Server;
use crate::support::site::Site;

/// Where `scripts/setup clients` puts them.
fn installed(what: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients").join(what);
    assert!(path.exists(), "{} is not there: run scripts/setup clients", path.display());
    path.canonicalize().unwrap_or(path)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

fn run(mut client: Command) {
    // One page, so that what a page has loaded is known.
    let server = Server::builder().config("adapters: {pages: 1}\nqueue: {queueBuffer: 4}").start_ready();
    // A browser that never comes up.
    let folder = tempfile::tempdir().unwrap();
    let slow = folder.path().join("chromium");
    std::fs::write(&slow, "#!/bin/sh\nexec sleep 600\n").unwrap();
    std::fs::set_permissions(&slow, std::fs::Permissions::from_mode(0o755)).unwrap();
    let starting =
        Server::builder().env("WEBAI_BROWSER_PATH", slow.to_str().unwrap()).env("AUTH_TOKEN", &server.key).start();
    let run = client
        .env("BASE", server.url(""))
        .env("KEY", &server.key)
        .env("SITE", Site::of(&server).url())
        .env("STARTING", starting.url(""))
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() && said.contains("ok"), "{said}\n{}", server.log());
}

#[test]
fn openai_for_python() {
    let venv = installed("venv/bin");
    let mut python = Command::new(venv.join("python"));
    python.arg(script("openai_client.py"));
    run(python);
}

#[test]
fn openai_for_node() {
    let mut node = Command::new("node");
    node.arg(script("openai_client.mjs")).env("CLIENTS", installed("node_modules").parent().unwrap());
    run(node);
}

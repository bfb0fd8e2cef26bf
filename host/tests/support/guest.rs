//! Guests of the tests' own.

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Where guests are compiled: what several have in common is compiled once.
pub(crate) fn target() -> PathBuf {
    repository().join("target/guest-tests")
}

/// The cargo that makes adapters, as those of this repository are made.
pub(crate) fn cargo() -> PathBuf {
    repository().join("scripts/guest-cargo")
}

/// Compiles the crate of a folder, with more arguments for cargo, to a module of this name.
pub(crate) fn build(folder: &Path, name: &str, more: &[&str]) -> PathBuf {
    let mut cargo = Command::new(cargo());
    cargo.env("GUEST_QUIET", "1").current_dir(folder);
    cargo.args(["build", "--release", "--quiet", "--lib", "--target", "wasm32-unknown-unknown"]);
    run(cargo.args(more).arg("--target-dir").arg(target()));
    target().join("wasm32-unknown-unknown/release").join(format!("{name}.wasm"))
}

/// The source of one of the guests here.
pub(crate) fn source(name: &str) -> PathBuf {
    repository().join("host/tests/guests").join(name)
}

/// Builds the hostile guest under an id and with features, and packs it into a folder.
pub(crate) fn hostile(folder: &Path, id: &str, features: &[&str]) {
    hostiles(folder, &[id], features);
}

/// The same under several ids.
pub(crate) fn hostiles(folder: &Path, ids: &[&str], features: &[&str]) {
    let guest = source("hostile");
    std::fs::create_dir_all(target()).unwrap();
    // One after the other, until it is packed: each kind of it has the same name there.
    let turn = std::fs::File::create(target().join("hostile.lock")).unwrap();
    turn.lock().unwrap();
    let module = build(&guest, "webai_test_guest_hostile", &["--locked", "--features", &features.join(",")]);
    let text = std::fs::read_to_string(guest.join("adapter.toml")).unwrap();
    for id in ids {
        let named = text.replace("id = \"demo\"", &format!("id = {id:?}"));
        let named = named.replace("demo.localhost", &format!("{id}.localhost"));
        pack(&module, &named, &folder.join(format!("{id}.wasm")));
    }
}

/// Packs a module with the text of a manifest.
pub(crate) fn pack(module: &Path, manifest: &str, output: &Path) {
    let toml = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(toml.path(), manifest).unwrap();
    let mut pack = Command::new(super::program());
    pack.args(["adapter", "pack"]).arg(module).arg("--manifest").arg(toml.path());
    run(pack.arg("--output").arg(output));
}

/// An adapter that comes with the program.
pub(crate) fn bundled(id: &str) -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_webai2api")).ancestors().nth(2).unwrap().join("adapters");
    let folder = std::env::var_os("WEBAI_BUNDLED").map_or(beside, PathBuf::from);
    let file = folder.join(format!("{id}.wasm"));
    assert!(file.exists(), "{} is not there: run scripts/build-adapters", file.display());
    file
}

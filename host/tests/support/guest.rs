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

/// Builds the hostile guest as every adapter is built, under an id and with features, and packs it into a folder.
pub(crate) fn hostile(folder: &Path, id: &str, features: &[&str]) {
    let guest = repository().join("host/tests/guests/hostile");
    let target = repository().join("target/guest-tests");
    std::fs::create_dir_all(&target).unwrap();
    // One after the other, until it is packed: each kind of it has the same name there.
    let turn = std::fs::File::create(target.join("hostile.lock")).unwrap();
    turn.lock().unwrap();
    let rustc = run(Command::new(repository().join("scripts/guest-toolchain")).env("GUEST_QUIET", "1"));
    let mut cargo = Command::new(env!("CARGO"));
    for name in
        ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"]
    {
        cargo.env_remove(name);
    }
    cargo.env("RUSTC", rustc).args(["build", "--locked", "--release", "--quiet", "--target", "wasm32-unknown-unknown"]);
    cargo.arg("--features").arg(features.join(","));
    run(cargo.arg("--manifest-path").arg(guest.join("Cargo.toml")).arg("--target-dir").arg(&target));
    let module = target.join("wasm32-unknown-unknown/release/webai_test_guest_hostile.wasm");
    let text = std::fs::read_to_string(guest.join("adapter.toml")).unwrap();
    let named =
        text.replace("id = \"demo\"", &format!("id = {id:?}")).replace("demo.localhost", &format!("{id}.localhost"));
    pack(&module, &named, &folder.join(format!("{id}.wasm")));
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

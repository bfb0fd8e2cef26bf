//! An adapter changes what the page sends, saves files, remembers, and says which models there are: through the real program.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::Server;
use crate::support::client::{Client, ask};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Builds the guest as every adapter is built, and packs it into a folder.
fn build_into(folder: &Path) {
    let guest = repository().join("host/tests/guests/data");
    let target = repository().join("target/guest-tests");
    let rustc = run(Command::new(repository().join("scripts/guest-toolchain")).env("GUEST_QUIET", "1"));
    let mut cargo = Command::new(env!("CARGO"));
    for name in
        ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"]
    {
        cargo.env_remove(name);
    }
    cargo.env("RUSTC", rustc).args(["build", "--locked", "--release", "--quiet", "--target", "wasm32-unknown-unknown"]);
    run(cargo.arg("--manifest-path").arg(guest.join("Cargo.toml")).arg("--target-dir").arg(&target));
    let module = target.join("wasm32-unknown-unknown/release/webai_test_guest_data.wasm");
    let mut pack = Command::new(env!("CARGO_BIN_EXE_webai2api"));
    pack.args(["adapter", "pack"]).arg(module).arg("--manifest").arg(guest.join("adapter.toml"));
    run(pack.arg("--output").arg(folder.join("demo.wasm")));
}

async fn answer(client: &Client, prompt: &str) -> String {
    let answer = client.ask(&ask("demo/script", prompt)).await;
    assert_eq!(answer.status, 200, "{prompt}: {answer:?}");
    answer.text().to_owned()
}

#[tokio::test]
async fn the_contracts_data_functions_do_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    build_into(folder.path());
    let data = tempfile::tempdir().unwrap();
    let start = || {
        let builder =
            Server::builder().config("adapters: {pages: 1, crashes: 0}\nserver: {media: data}").data_dir(data.path());
        builder.env("WEBAI_BUNDLED", folder.path().to_str().unwrap()).start_ready()
    };
    let server = start();
    let client = Client::at(&server.url(""), std::fs::read_to_string(data.path().join("admin-key")).unwrap().trim());

    // The model is chosen in the body alone; the page shows its own.
    let echoed = answer(&client, "rewrite /model \"echo\"").await;
    assert!(
        echoed.starts_with("true: ") && echoed.contains("from the page") && echoed.contains("what the page never saw"),
        "{echoed}"
    );
    let refused = answer(&client, "rewrite /model/slug 1").await;
    assert!(refused.starts_with("refused: ") && refused.contains("/model/slug"), "{refused}");
    let outside = client.ask(&ask("demo/script", "rewrite /thinking true")).await;
    assert_ne!(outside.status, 200, "{outside:?}");

    for what in ["icon", "url"] {
        let saved = answer(&client, &format!("save {what}")).await;
        assert!(saved.contains("data:image/svg+xml;base64,") && saved.contains("image/svg+xml "), "{saved}");
        assert!(saved.contains(" true"), "{saved}");
    }
    let elsewhere = answer(&client, "save elsewhere").await;
    assert_eq!(elsewhere, "not granted: saving from http://demo.localhost (capabilities.save)");
    assert_eq!(answer(&client, "save body").await, "invalid-pointer");

    assert_eq!(answer(&client, "get cookie").await, "nothing");
    assert_eq!(answer(&client, "set cookie crumbs").await, "kept");
    assert_eq!(answer(&client, "set other x").await, "kept");
    assert_eq!(answer(&client, "fill 65536").await, "kept");
    assert_eq!(answer(&client, "fill 65537").await, "too-large");
    assert_eq!(answer(&client, "delete other").await, "kept");
    server.terminate();

    let server = start();
    let client = Client::at(&server.url(""), std::fs::read_to_string(data.path().join("admin-key")).unwrap().trim());
    assert_eq!(answer(&client, "get cookie").await, "crumbs");
    assert_eq!(answer(&client, "keys").await, "cookie,large");

    // The manifest's models until the adapter has said what there is.
    let ids = |body: &serde_json::Value| -> Vec<String> {
        body["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    };
    let mut models = client.get("/v1/models").await.body;
    for _ in 0..400 {
        if ids(&models) == ["demo/script", "demo/new one"] {
            break;
        }
        assert_eq!(ids(&models), ["demo/script", "demo/gone"]);
        tokio::time::sleep(Duration::from_millis(50)).await;
        models = client.get("/v1/models").await.body;
    }
    assert_eq!(ids(&models), ["demo/script", "demo/new one"], "{}", server.log());
    assert_eq!(models["data"][0]["webai"]["label"], "Script as shown");
    assert_eq!(models["data"][0]["webai"]["features"]["vision"], "native", "the manifest's");
    assert_eq!(models["data"][1]["webai"]["kind"], "image");
    assert_eq!(answer(&client, "get cookie").await, "crumbs", "it serves on");
    // What it said can be asked for.
    let new = client.ask(&ask("demo/new one", "get cookie")).await;
    assert_eq!((new.status, new.text()), (200, "crumbs"), "{new:?}");
}

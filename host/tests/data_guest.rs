//! An adapter changes what the page sends, saves files, remembers, and says which models there are: through the real program.

use std::path::Path;
use std::process::Command;

use crate::support::client::{Client, ask};
use crate::support::{Server, guest};

/// Builds the guest, and packs it into a folder.
fn build_into(folder: &Path) {
    let module = guest::build(&guest::source("data"), "webai_test_guest_data", &["--locked"]);
    let manifest = std::fs::read_to_string(guest::source("data").join("adapter.toml")).unwrap();
    guest::pack(&module, &manifest, &folder.join("demo.wasm"));
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
    // Who tries what it was not granted is out of use, however many crashes are put up with.
    let enable = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_webai2api"));
        let key = std::fs::read_to_string(data.path().join("admin-key")).unwrap();
        command.env("WEBAI_URL", server.url("")).env("WEBAI_KEY", key.trim());
        guest::run(command.args(["adapter", "enable", "demo"]));
    };
    enable();

    for what in ["icon", "url"] {
        let saved = answer(&client, &format!("save {what}")).await;
        assert!(saved.contains("data:image/svg+xml;base64,") && saved.contains("image/svg+xml "), "{saved}");
        assert!(saved.contains(" true"), "{saved}");
    }
    let elsewhere = answer(&client, "save elsewhere").await;
    assert_eq!(elsewhere, "not granted: saving from http://demo.localhost (capabilities.save)");
    enable();
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
    client.until_models(&["demo/script", "demo/gone"]).await;
    let models = client.until_models(&["demo/script", "demo/new one"]).await;
    assert_eq!(models["data"][0]["webai"]["label"], "Script as shown");
    assert_eq!(models["data"][0]["webai"]["features"]["vision"], "native", "the manifest's");
    assert_eq!(models["data"][1]["webai"]["kind"], "image");
    assert_eq!(answer(&client, "get cookie").await, "crumbs", "it serves on");
    // What it said can be asked for.
    let new = client.ask(&ask("demo/new one", "get cookie")).await;
    assert_eq!((new.status, new.text()), (200, "crumbs"), "{new:?}");
}

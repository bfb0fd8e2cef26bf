//! A prompt that is longer than its site takes, by what the manifest says of it.

use crate::support::client::Client;
use crate::support::site::Site;
use crate::support::{Server, guest};
use serde_json::json;

/// The demo's adapter with these lines in its manifest, and a server that has no other.
fn server(features: &str) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let manifest = include_str!("../../adapters-wasm/demo/adapter.toml");
    let manifest = manifest.replacen("conversations = true", features, 1);
    guest::pack(&guest::bundled("demo"), &manifest, &folder.path().join("demo.wasm"));
    let server = Server::builder().env("WEBAI_BUNDLED", folder.path().to_str().unwrap()).start_ready();
    (folder, server)
}

fn conversation(system: &str) -> serde_json::Value {
    let message = |role: &str, content: &str| json!({ "role": role, "content": content });
    json!({ "model": "demo/echo", "messages": [message("system", system), message("user", "mark=limit What now?")] })
}

#[tokio::test]
async fn a_longer_prompt_goes_up_as_a_file() {
    let (_folder, server) = server("prompt_limit = 300\nprompt_overflow = \"file\"");
    let client = Client::of(&server);
    let system = "é".repeat(1000);
    let answer = client.ask(&conversation(&system)).await;
    // The site says back what was typed, and which files came.
    let typed = "mark=limit What now?\n\n(What was said before this message, with all instructions, is in the attached file \
                 prompt.txt. Read it first.)";
    let size = "[System]\n".len() + system.len();
    assert!(answer.text().starts_with(&format!("{typed}\n\n[attachments]\n")), "{answer:?}");
    assert!(answer.text().contains(&format!("prompt.txt text/plain {size} bytes")), "{answer:?}");
    let short = client.ask(&conversation("be brief")).await;
    assert_eq!(short.text(), "[System]\nbe brief\n\n[User]\nmark=limit What now?");
}

#[tokio::test]
async fn where_no_file_is_taken_it_is_an_error_with_both_numbers() {
    let (_folder, server) = server("prompt_limit = 300");
    let answer = Client::of(&server).ask(&conversation(&"é".repeat(1000))).await;
    assert_eq!(answer.error(), (400, "context_length_exceeded"), "{answer:?}");
    let length = "[System]\n\n\n[User]\nmark=limit What now?".len() + 1000;
    let message = answer.body["error"]["message"].as_str().unwrap();
    assert!(message.contains(&length.to_string()) && message.contains("300"), "{message}");
    assert_eq!(answer.body["error"]["param"], "messages");
    assert_eq!(Site::of(&server).prompts("limit").await, 0, "nothing was sent");
}

//! A request's id is on every line that the request causes: in the edge, the dispatcher, the adapter and the browser.

use crate::support::Server;
use crate::support::client::{Client, script};
use serde_json::Value;

const SECRET: &str = "the-prompt-that-nobody-may-read";

/// Asks once, and gives the request's id.
async fn one_request(server: &Server) -> String {
    let client = Client::of(server);
    let mut stream = client.stream(script(&format!("{SECRET}\ntokens=5"))).await;
    let id = stream.headers["x-request-id"].to_str().unwrap().to_owned();
    while stream.next().await.is_some() {}
    assert!(server.wait_for(|server| server.log().lines().any(|l| l.contains(&id) && l.contains("total_ms"))));
    id
}

#[tokio::test]
async fn json_lines_have_the_span() {
    let server = Server::builder().env("LOG_FORMAT", "json").env("LOG_LEVEL", "debug").start_ready();
    let id = one_request(&server).await;
    assert!(server.wait_for(|server| server.log().lines().any(|l| l.contains("\"job\"") && l.contains(&id))));
    let log = server.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_request = |message: &str| {
        lines.iter().filter(|line| line["message"] == message && line["span"]["id"] == id.as_str()).count()
    };
    // The edge's, the dispatcher's, and the adapter's steps.
    assert_eq!((of_request("request"), of_request("job")), (1, 1), "{log}");
    assert!(of_request("step") >= 2, "{log}");
    let strays: Vec<&Value> = lines.iter().filter(|line| line["message"] == "step" && line["span"].is_null()).collect();
    assert!(strays.is_empty(), "{strays:?}");
}

#[tokio::test]
async fn text_lines_begin_with_it_at_any_level_and_hold_no_prompt() {
    let server = Server::builder().start_ready();
    let id = one_request(&server).await;
    let log = server.log();
    let line = log.lines().find(|line| line.contains("total_ms")).unwrap();
    assert!(
        line.contains(&format!("request{{id=\"{id}\"}}")) || line.contains(&format!("request{{id={id}}}")),
        "{line}"
    );
    assert!(!log.contains(SECRET) && !log.contains(&server.key), "{log}");
}

#[tokio::test]
async fn what_the_browser_says_meanwhile_belongs_to_the_request() {
    let server = Server::builder().env("LOG_FORMAT", "json").start_ready();
    let client = Client::of(&server);
    // The site leads its page to another origin: the fence says so, in a task of the page's own.
    let request = script("page=leave after=2 tokens=20 rate=20");
    let response = client.send(&request).await;
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    drop(response.text().await);
    let stopped = |server: &Server| server.log().contains("a navigation outside was stopped");
    assert!(server.wait_for(stopped), "{}", server.log());
    let log = server.log();
    let line = log.lines().find(|line| line.contains("a navigation outside was stopped")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(line).unwrap()["span"]["id"], id.as_str(), "{line}");
}

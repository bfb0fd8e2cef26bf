//! The guard of the memory, with a limit that the program is over from the start.

use crate::support::Server;
use crate::support::client::{Client, ask};
use crate::support::process::browsers;

const READYZ: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// The program alone takes more than a megabyte.
fn short_of_memory() -> Server {
    let server = Server::builder().env("WEBAI_LIMITS_MEMORY", "1MB").start();
    let refuses = |server: &Server| server.raw(READYZ).contains("memory is short");
    assert!(server.wait_for(refuses), "{}{}", server.raw(READYZ), server.log());
    server
}

#[tokio::test]
async fn new_work_is_refused_and_the_reason_is_told() {
    let server = short_of_memory();
    let client = Client::of(&server);
    let refused = client.ask(&ask("demo/echo", "hello")).await;
    assert_eq!(refused.error(), (503, "low_memory"), "{refused:?}");
    assert!(refused.header("retry-after").is_some());
    assert!(server.raw(READYZ).starts_with("HTTP/1.1 503"));
    assert!(server.is_alive(), "it is alive all the same");
    assert_eq!(client.get("/v1/models").await.status, 200, "what is no work is answered");
    let log = server.log();
    let line = log.lines().find(|line| line.contains("new work is refused")).unwrap();
    assert!(line.contains("ERROR") && line.contains("limit_mib=1") && line.contains("used_mib="), "{line}");
}

#[tokio::test]
async fn steps_are_taken_and_logged_with_their_figures() {
    let server = short_of_memory();
    let closes = |server: &Server| server.log().contains("idle pages are closed");
    assert!(server.wait_for(closes), "{}", server.log());
    let log = server.log();
    let line = log.lines().find(|line| line.contains("idle pages are closed")).unwrap();
    assert!(line.contains("percent=") && line.contains("closed="), "{line}");
}

#[tokio::test]
async fn the_largest_browser_is_started_anew_and_the_others_are_left_alone() {
    let config = "
backend:
  pool:
    instances:
      - {name: home, workers: [{name: a, type: demo}]}
      - {name: work, workers: [{name: b, type: demo}]}
";
    let server = Server::builder().config(config).env("WEBAI_LIMITS_MEMORY", "1MB").start();
    assert!(server.wait_for(|server| browsers(server).len() == 2), "{}", server.log());
    let before = browsers(&server);
    let is_said = |server: &Server| server.log().contains("the largest browser is started anew");
    assert!(server.wait_for(is_said), "{}", server.log());
    let log = server.log();
    let line = log.lines().find(|line| line.contains("the largest browser is started anew")).unwrap();
    assert!(line.contains("done=true"), "{line}");
    let is_back = |server: &Server| {
        let now = browsers(server);
        now.len() == 2 && now.iter().filter(|pid| before.contains(pid)).count() == 1
    };
    assert!(server.wait_for(is_back), "{before:?} {:?} {}", browsers(&server), server.log());
}

#[tokio::test]
async fn with_memory_enough_nothing_is_done() {
    let server = Server::builder().env("WEBAI_LIMITS_MEMORY", "60GB").start_ready();
    assert_eq!(Client::of(&server).ask(&ask("demo/echo", "hello")).await.status, 200);
    assert!(!server.log().contains("memory runs short"), "{}", server.log());
}

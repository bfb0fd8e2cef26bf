//! How much is asked of an instance and of an account, who is asked instead, and that nobody waits for somebody else's site.

use std::net::TcpListener;

use crate::support::client::{Client, ask, running, script, waiting};
use crate::support::site::Site;
use crate::support::{Server, guest, instances};

fn with_site(config: &str, limits: &str) -> String {
    format!("{config}    sites: [{{adapter: demo, {limits}}}]\n")
}

async fn take_over(client: &Client, server: &Server, config: &str) {
    server.configure(config);
    let done = client.post("/admin/api/reload").await;
    assert_eq!(done.status, 200, "{done:?}");
}

#[tokio::test]
async fn no_more_pages_are_used_than_an_instance_and_a_site_allow_and_that_can_change_meanwhile() {
    let free = instances(&["home"], 2, "");
    let limited = [instances(&["home"], 2, ", limits: {pages: 1}"), with_site(&free, "pages: 1")];
    let server = Server::builder().config(&limited[0]).start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    for (round, config) in limited.iter().enumerate() {
        take_over(&client, &server, config).await;
        let mut first = client.stream(script(&format!("tokens=2 rate=0 gate=1 mark=first{round}"))).await;
        assert_eq!(first.next_text().await.unwrap(), "t0");
        let second = tokio::spawn({
            let client = client.clone();
            async move { client.ask(&script(&format!("tokens=2 rate=0 gate=1 mark=second{round}"))).await }
        });
        client.until_pool("the second waits", |pool| (running(pool), waiting(pool)) == (1, 1)).await;
        take_over(&client, &server, &free).await;
        client.until_pool("both run", |pool| (running(pool), waiting(pool)) == (2, 0)).await;
        site.let_go(&format!("first{round}"), 2).await;
        site.let_go(&format!("second{round}"), 2).await;
        assert_eq!(second.await.unwrap().text(), "t0 t1");
        first.rest().await;
    }
}

#[tokio::test]
async fn no_more_is_asked_in_a_minute_than_is_allowed() {
    let patience = "deadlines: {queue: 15s}\n";
    let free = instances(&["home"], 1, "") + patience;
    let limited = [
        instances(&["home"], 1, ", limits: {perMinute: 2}") + patience,
        with_site(&instances(&["home"], 1, ""), "perMinute: 2") + patience,
    ];
    let server = Server::builder().config(&limited[0]).start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    for _ in 0..2 {
        assert_eq!(client.ask(&ask("demo/echo", "hello")).await.status, 200);
    }
    for config in &limited {
        take_over(&client, &server, config).await;
        let refused = client.ask(&script("mark=refused")).await;
        assert_eq!(refused.error(), (429, "rate_limited"), "{config}: {refused:?}");
        let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&after), "{after}");
    }
    assert_eq!(site.prompts("refused").await, 0);
    take_over(&client, &server, &free).await;
    assert_eq!(client.ask(&ask("demo/echo", "hello")).await.status, 200);
}

#[tokio::test]
async fn another_account_is_asked_while_one_is_limited_and_nobody_when_all_are() {
    let server = Server::builder().config(&instances(&["home", "work"], 1, "")).start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let limit = async || {
        let limited = client.ask(&script("error=rate-limited retry_after=600 mark=limit")).await;
        assert_eq!(limited.error(), (424, "rate_limited"));
        let pool = client.pool().await;
        let accounts = pool["accounts"].as_array().unwrap().iter();
        let limited = accounts.filter(|account| account["limited_for_ms"].is_u64());
        limited.map(|account| account["instance"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = limit().await;
    assert_eq!(first.len(), 1);
    for _ in 0..3 {
        let answer = client.ask(&ask("demo/echo", "hello")).await;
        assert_eq!((answer.status, answer.text()), (200, "hello"));
        assert_ne!(answer.header("x-webai-instance"), Some(&*first[0]));
    }
    assert_eq!(limit().await.len(), 2);
    let refused = client.ask(&script("mark=refused")).await;
    assert_eq!(refused.error(), (429, "rate_limited"), "{refused:?}");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(site.prompts("refused").await, 0);
}

/// What fails on one account before it is sent is tried on the other, and both tries are in the log.
#[tokio::test]
async fn each_account_is_tried_once() {
    let folder = tempfile::tempdir().unwrap();
    guest::hostile(folder.path(), "demo", &[]);
    let server = Server::builder()
        .config(&(instances(&["home", "work"], 1, "") + "deadlines: {submit: 1s}\nlogLevel: debug\n"))
        .env("WEBAI_BUNDLED", folder.path().to_str().unwrap())
        .start_ready();
    let failed = Client::of(&server).ask(&ask("demo/script", "sleep")).await;
    assert_eq!((failed.error(), failed.header("x-webai-attempts")), ((504, "timeout"), Some("2")), "{failed:?}");
    let log = server.log();
    let tries: Vec<&str> = log.lines().filter(|line| line.contains("attempt=")).collect();
    assert!(tries.len() == 2 && tries.iter().all(|line| line.contains("outcome=\"timeout\"")), "{tries:?}");
    assert!(["home", "work"].iter().all(|name| tries.iter().any(|line| line.contains(name))), "{tries:?}");
}

/// A site takes connections, and says nothing.
#[tokio::test]
async fn a_site_that_does_not_open_holds_up_nobody_elses_page() {
    let folder = tempfile::tempdir().unwrap();
    guest::hostile(folder.path(), "aaa", &[]);
    std::fs::copy(guest::bundled("demo"), folder.path().join("demo.wasm")).unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!(
        "adapters: {{enabled: [aaa], pages: 4}}\ndeadlines: {{navigate: 10m}}\n\
         browser: {{hosts: {{aaa.localhost: \"{}\"}}}}",
        silent.local_addr().unwrap()
    );
    let server = Server::builder().config(&config).env("WEBAI_BUNDLED", folder.path().to_str().unwrap()).start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let stuck: Vec<_> = (0..3)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.ask(&ask("aaa/script", "hello")).await })
        })
        .collect();
    client.until_pool("all places of the silent site are taken", |pool| running(pool) == 3).await;
    // The page that is warm, and one that is to be opened.
    let mut first = client.stream(script("tokens=2 rate=0 gate=1 mark=first")).await;
    assert_eq!(first.next_text().await.unwrap(), "t0");
    assert_eq!(client.ask(&ask("demo/echo", "hello")).await.text(), "hello");
    assert!(stuck.iter().all(|one| !one.is_finished()), "they still wait for their site");
    site.let_go("first", 2).await;
    first.rest().await;
    stuck.iter().for_each(tokio::task::JoinHandle::abort);
}

//! What dies is replaced; a prompt that was not sent yet is sent by the replacement, and one that was is never sent again.

use crate::support::client::{Client, Event, PATIENCE, ask, joined, script};
use crate::support::process::{self, browser, kill, renderers};
use crate::support::site::Site;
use crate::support::{Builder, Server};
use serde_json::json;

/// One page, so that whoever comes next needs the very one that was hurt.
fn one_page() -> Builder {
    Server::builder().config("adapters: {pages: 1}\nqueue: {queueBuffer: 8}\nserver: {keepalive: {holdStatus: 200ms}}")
}

/// Asks until it is answered; until then, nothing but "not now".
async fn heals(client: &Client) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = client.ask(&ask("demo/echo", "well again")).await;
        if answer.status == 200 {
            assert_eq!(answer.text(), "well again");
            return;
        }
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
        assert!(tokio::time::Instant::now() < deadline, "it does not heal: {answer:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// The browser's process, once it is there.
fn running_browser(server: &Server) -> u32 {
    assert!(server.wait_for(|server| browser(server).is_some()), "{}", server.log());
    browser(server).unwrap()
}

#[tokio::test]
async fn a_browser_that_dies_idle_is_started_again() {
    let server = one_page().start_ready();
    let client = Client::of(&server);
    heals(&client).await;
    let old = running_browser(&server);
    kill(old);
    assert!(server.wait_for(|server| browser(server).is_some_and(|new| new != old)), "{}", server.log());
    heals(&client).await;
}

#[tokio::test]
async fn what_was_not_sent_yet_is_answered_by_the_next_browser() {
    let server = one_page().env("LOG_LEVEL", "debug").start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    // The adapter looks for the parts of a page that has none of them, for some seconds: nothing is sent meanwhile.
    site.control(json!({ "state": "site-changed" })).await;
    client.ask(&ask("demo/echo", "whatever page was loaded before")).await;
    let searches = |server: &Server| server.log().matches("step=\"choose the model\"").count();
    let before = searches(&server);
    let mut stream = client.stream(script("tokens=3 rate=0 mark=unsent")).await;
    assert!(server.wait_for(|server| searches(server) > before), "the adapter is at work: {}", server.log());
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.ask(&ask("demo/echo", "mark=queued")).await }
    });
    site.control(json!({ "state": "ok" })).await;
    kill(running_browser(&server));
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event);
    }
    assert_eq!(joined(&events, "content"), "t0 t1 t2", "{events:?}");
    assert_eq!(waiting.await.unwrap().text(), "mark=queued");
    assert_eq!((site.prompts("unsent").await, site.prompts("queued").await), (1, 1));
}

#[tokio::test]
async fn what_was_sent_is_never_sent_again() {
    let server = one_page().start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));

    // Before the first word.
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.ask(&script("delay_ms=600000 mark=early")).await }
    });
    site.until_prompted("early").await;
    let queued = tokio::spawn({
        let client = client.clone();
        async move { client.ask(&ask("demo/echo", "mark=behind")).await }
    });
    kill(running_browser(&server));
    let lost = asking.await.unwrap();
    assert_eq!(lost.error(), (424, "browser_failed"), "{lost:?}\n{}", server.log());
    assert_eq!((lost.header("x-should-retry"), lost.header("retry-after")), (Some("false"), None));
    let behind = queued.await.unwrap();
    assert!(behind.status == 503 || behind.text() == "mark=behind", "{behind:?}");
    heals(&client).await;

    // In mid-answer.
    let mut stream = client.stream(script("tokens=9 rate=0 gate=1 mark=mid")).await;
    assert_eq!(stream.next_text().await.unwrap(), "t0");
    kill(running_browser(&server));
    let rest = stream.rest().await;
    assert_eq!(rest.last().unwrap().error_code(), Some("browser_failed"), "{rest:?}");
    assert!(!rest.contains(&Event::Done));
    heals(&client).await;
    assert_eq!((site.prompts("early").await, site.prompts("mid").await), (1, 1));
    assert!(site.prompts("behind").await <= 1);
}

#[tokio::test]
async fn a_tab_that_crashes_is_replaced() {
    let server = one_page().start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    heals(&client).await;
    let main = running_browser(&server);

    renderers(&server).into_iter().for_each(kill);
    heals(&client).await;

    let mut stream = client.stream(script("tokens=9 rate=0 gate=1 mark=crash")).await;
    assert_eq!(stream.next_text().await.unwrap(), "t0");
    renderers(&server).into_iter().for_each(kill);
    let rest = stream.rest().await;
    assert_eq!(rest.last().unwrap().error_code(), Some("browser_failed"), "{rest:?}");
    heals(&client).await;
    assert_eq!(site.prompts("crash").await, 1);
    assert_eq!(browser(&server), Some(main), "the browser itself lived on");
}

#[tokio::test]
async fn a_tab_that_leaves_or_hangs_is_brought_back() {
    // A page that hangs takes no more bytes: it looks like a site that has fallen silent.
    let config = "adapters: {pages: 1}\nqueue: {queueBuffer: 8}\ndeadlines: {idle: 3s}";
    let server = Server::builder().config(config).start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    for act in ["dialog", "reload", "leave", "hang"] {
        let mark = format!("act-{act}");
        // Capture is quicker than a page: an answer that a page shall lose is not sent to its end.
        let pace = if matches!(act, "reload" | "hang") {
            site.let_go(&mark, 4).await;
            "rate=0 gate=1"
        } else {
            "rate=20"
        };
        let answer = client.ask(&script(&format!("tokens=6 {pace} page={act} after=3 mark={mark}"))).await;
        match act {
            "dialog" => assert_eq!(answer.text(), "t0 t1 t2 t3 t4 t5"),
            // The fence keeps it where it is.
            "leave" if answer.status == 200 => assert_eq!(answer.text(), "t0 t1 t2 t3 t4 t5"),
            _ => {
                assert_eq!(answer.status, 424, "{act}: {answer:?}");
                assert!(act != "hang" || answer.error().1 == "timeout", "{answer:?}");
                assert_eq!(answer.header("x-should-retry"), Some("false"), "{act}");
            }
        }
        heals(&client).await;
        assert_eq!(site.prompts(&mark).await, 1, "{act}");
    }
}

#[tokio::test]
async fn no_browser_outlives_the_program() {
    let mut server = one_page().start_ready();
    let client = Client::of(&server);
    heals(&client).await;
    let (pids, folder) = (process::below(&server), server.home().to_string_lossy().into_owned());
    assert!(!pids.is_empty());
    let mut stream = client.stream(script("tokens=9 rate=0 gate=1")).await;
    stream.next_text().await.unwrap();
    kill(server.pid());
    server.wait_end().expect("it was killed");
    assert!(server.wait_for(|_| !process::is_any_left(&pids, &folder)), "{pids:?}");
}

#[tokio::test]
async fn at_sigterm_a_running_answer_may_finish() {
    let server = one_page().start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let mut stream = client.stream(script("tokens=5 rate=0 gate=1 mark=last")).await;
    assert_eq!(stream.next_text().await.unwrap(), "t0");
    let (pids, folder) = (process::below(&server), server.home().to_string_lossy().into_owned());

    server.signal_term();
    assert!(server.wait_for(|server| server.log().contains("SIGTERM")));
    site.let_go("last", 5).await;
    let rest = stream.rest().await;
    assert_eq!(joined(&rest, "content"), " t1 t2 t3 t4", "{rest:?}");
    assert!(rest.contains(&Event::Done), "{rest:?}");
    let (status, log) = server.terminate();
    assert!(status.success(), "{log}");
    assert!(!process::is_any_left(&pids, &folder), "{log}");
}

#[tokio::test]
async fn at_sigterm_an_endless_answer_is_ended() {
    let server = Server::builder().config("deadlines: {drain: 500ms}").start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let mut stream = client.stream(script("tokens=5 rate=0 gate=1 mark=endless")).await;
    assert_eq!(stream.next_text().await.unwrap(), "t0");
    let (pids, folder) = (process::below(&server), server.home().to_string_lossy().into_owned());
    assert_eq!(site.prompts("endless").await, 1);
    let (status, log) = server.terminate();
    assert!(status.success(), "{log}");
    assert!(!process::is_any_left(&pids, &folder), "{log}");
}

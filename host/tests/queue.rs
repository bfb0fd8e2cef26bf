//! Waiting: how many may, what they hear meanwhile, and when each stage's patience ends.

use crate::support::Server;
use crate::support::client::{self, Client, Event, answer, ask, joined, script, streaming};
use crate::support::site::Site;

const ONE_PAGE: &str = "
adapters: {pages: 1}
queue: {queueBuffer: 1}
server: {keepalive: {holdStatus: 100ms, interval: 50ms}}
";

fn is_beat(event: &Event) -> bool {
    matches!(event, Event::Chunk(c) if c["choices"][0]["delta"] == serde_json::json!({})
        && c["choices"][0]["finish_reason"].is_null())
}

/// One page, so many that may wait for it, and two keys.
fn two_keys(queue: usize) -> String {
    format!(
        "
adapters: {{pages: 1}}
queue: {{queueBuffer: {queue}}}
server:
  keepalive: {{holdStatus: 100ms}}
  apiKeys: [{{name: ann, key: key-of-ann-0123456789}}, {{name: bob, key: key-of-bob-0123456789}}]
"
    )
}

fn ann_and_bob(client: &Client) -> (Client, Client) {
    (client.with_key("key-of-ann-0123456789"), client.with_key("key-of-bob-0123456789"))
}

#[tokio::test]
async fn a_full_queue_says_so_at_once_and_those_who_wait_hear_beats() {
    let server = Server::builder().config(ONE_PAGE).start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let mut running = client.stream(script("tokens=3 rate=0 gate=1 mark=running")).await;
    assert_eq!(running.next_text().await.unwrap(), "t0");

    let mut waiting = client.stream(script("tokens=3 rate=0 gate=1 mark=waiting")).await;
    assert_eq!(waiting.next().await.unwrap().delta("role"), Some("assistant"));
    for _ in 0..3 {
        assert!(is_beat(&waiting.next().await.unwrap()));
    }
    assert_eq!(site.prompts("waiting").await, 0, "it is still in the queue");

    for request in [script("mark=refused"), streaming(script("mark=refused"))] {
        let refused = client.ask(&request).await;
        assert_eq!(refused.error(), (429, "server_busy"), "{refused:?}");
        let after: u32 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!(after >= 1);
    }
    // Both that were there before are as they were: nothing has ended to make room.
    assert_eq!(site.stream("running").await.unwrap()["state"], "open");

    site.let_go("running", 3).await;
    assert!(running.rest().await.contains(&Event::Done));
    assert_eq!(waiting.next_text().await.unwrap(), "t0");
    // The site is silent now: the client hears that it is still there.
    for _ in 0..3 {
        assert!(is_beat(&waiting.next().await.unwrap()));
    }
    site.let_go("waiting", 3).await;
    let rest = waiting.rest().await;
    assert_eq!(joined(&rest, "content"), " t1 t2");
    assert_eq!(site.prompts("refused").await, 0);
}

#[tokio::test]
async fn keys_take_turns_and_whoever_leaves_the_queue_is_out_of_it() {
    let server = Server::builder().config(&two_keys(8)).start_ready();
    let (admin, site) = (Client::of(&server), Site::of(&server));
    let (ann, bob) = ann_and_bob(&admin);
    let mut running = ann.stream(script("tokens=2 rate=0 gate=1 mark=running")).await;
    running.next_text().await.unwrap();
    let mut waiting = Vec::new();
    for n in 1..=3 {
        let request = streaming(script(&format!("tokens=1 rate=0 mark=ann{n}")));
        let ann = ann.clone();
        waiting.push(tokio::spawn(async move { ann.stream(request).await.rest().await }));
        admin.until_pool("it waits", |pool| pool["waiting"].as_array().unwrap().len() == n).await;
    }
    let gone = ann.stream(streaming(script("tokens=1 rate=0 mark=gone"))).await;
    assert_eq!(gone.headers["x-webai-queue-position"], "4");
    let of_bob = streaming(script("tokens=1 rate=0 mark=bob"));
    let request = tokio::spawn(async move { bob.stream(of_bob).await.rest().await });
    let pool = admin.until_pool("all wait", |pool| pool["waiting"].as_array().unwrap().len() == 5).await;
    let order: Vec<&str> = pool["waiting"].as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap()).collect();
    assert_eq!(order.iter().position(|key| *key == "bob"), Some(0), "ann has the page already: {order:?}");
    drop(gone);
    admin.until_pool("the one that left is out", |pool| pool["waiting"].as_array().unwrap().len() == 4).await;
    site.let_go("running", 2).await;
    running.rest().await;
    for answer in waiting {
        answer.await.unwrap();
    }
    request.await.unwrap();
    assert_eq!(site.prompts("gone").await, 0);
}

#[tokio::test]
async fn a_key_that_fills_the_queue_keeps_no_other_one_out() {
    let server = Server::builder().config(&two_keys(1)).start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let (ann, bob) = ann_and_bob(&client);
    let mut running = ann.stream(script("tokens=2 rate=0 gate=1 mark=running")).await;
    running.next_text().await.unwrap();
    let waits = ann.stream(streaming(script("tokens=1 rate=0 mark=waits"))).await;
    assert_eq!(waits.headers["x-webai-queue-position"], "1");
    assert_eq!(ann.ask(&script("mark=refused")).await.error(), (429, "server_busy"));
    let of_bob = bob.stream(streaming(script("tokens=1 rate=0 mark=bob"))).await;
    assert!(of_bob.headers.contains_key("x-webai-queue-position"), "{:?}", of_bob.headers);
    assert_eq!(bob.ask(&script("mark=refused")).await.error(), (429, "server_busy"), "one place, no more");
    site.let_go("running", 2).await;
    for answer in [running, waits, of_bob] {
        assert!(answer.rest().await.contains(&Event::Done));
    }
    assert_eq!(site.prompts("refused").await, 0);
}

#[tokio::test]
async fn beats_can_be_comments() {
    let config = format!("{ONE_PAGE}\nlogLevel: info").replace("interval: 50ms", "interval: 50ms, mode: comment");
    let server = Server::builder().config(&config).start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let mut stream = client.stream(script("tokens=2 rate=0 gate=1 mark=c")).await;
    assert_eq!(stream.next_text().await.unwrap(), "t0");
    for _ in 0..2 {
        assert_eq!(stream.next().await.unwrap(), Event::Comment("keepalive".into()));
    }
    site.let_go("c", 2).await;
    assert_eq!(joined(&stream.rest().await, "content"), " t1");
}

#[tokio::test]
async fn who_waits_too_long_for_a_page_is_told() {
    let config = "adapters: {pages: 1}\ndeadlines: {queue: 3s}";
    let server = Server::builder().config(config).start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    // Opening the first page is no waiting in a queue; it may take longer here than the deadline.
    while client.ask(&ask("demo/echo", "warm")).await.status != 200 {}
    let mut running = client.stream(script("tokens=2 rate=0 gate=1 mark=running")).await;
    running.next_text().await.unwrap();
    for request in [script("mark=late"), streaming(script("mark=late"))] {
        let late = client.ask(&request).await;
        assert_eq!(late.error(), (504, "timeout"), "{late:?}");
        assert!(late.body["error"]["message"].as_str().unwrap().contains("stage: queue"), "{late:?}");
        assert_eq!(late.header("x-should-retry"), None);
    }
    assert_eq!(site.prompts("late").await, 0);
    site.let_go("running", 2).await;
    assert!(running.rest().await.contains(&Event::Done), "the one that ran is not hurt");
}

#[tokio::test]
async fn each_stage_has_its_deadline() {
    let config = "
adapters: {pages: 1}
deadlines: {submit: 2s, firstByte: 1s, idle: 1s}
";
    let server = Server::builder().config(config).start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));

    for (directives, stage) in [("delay_ms=600000", "first-byte"), ("rate=0 tokens=6 silence_ms=600000", "idle")] {
        let mark = format!("{stage}-whole");
        let whole = client.ask(&script(&format!("{directives} mark={mark}"))).await;
        assert_eq!(whole.error(), (424, "timeout"), "{whole:?}");
        assert!(whole.body["error"]["message"].as_str().unwrap().contains(&format!("stage: {stage}")), "{whole:?}");
        assert_eq!(whole.header("x-should-retry"), Some("false"));
        assert_eq!(site.until_closed(&mark).await["state"], "aborted", "the site does not go on for nobody");
        assert_eq!(client.ask(&ask("demo/echo", "next")).await.text(), "next");

        let response = client.send(&streaming(script(&format!("{directives} mark={stage}-stream")))).await;
        if stage == "first-byte" {
            assert_eq!(answer(response).await.error(), (424, "timeout"));
        } else {
            let events = client::stream_of(response).await.rest().await;
            assert_eq!(joined(&events, "content"), "t0 t1 t2");
            assert_eq!(events.last().unwrap().error_code(), Some("timeout"), "{events:?}");
        }
        assert_eq!(site.prompts(&format!("{stage}-stream")).await, 1);
    }

    // Any byte is a sign of life.
    let pinged = client.ask(&script("tokens=4 rate=0 silence_ms=3000 ping_ms=200")).await;
    assert_eq!(pinged.text(), "t0 t1 t2 t3");

    // The adapter looks for the composer in vain for longer than this stage may take.
    site.control(serde_json::json!({ "state": "site-changed" })).await;
    client.ask(&ask("demo/echo", "the page that was loaded before")).await;
    let late = client.ask(&ask("demo/echo", "mark=unsent")).await;
    assert_eq!(late.error(), (504, "timeout"), "{late:?}");
    assert!(late.body["error"]["message"].as_str().unwrap().contains("stage: submit"), "{late:?}");
    assert_eq!((late.header("x-should-retry"), site.prompts("unsent").await), (None, 0));
}

#[tokio::test]
async fn a_site_that_does_not_load_has_its_deadline() {
    let server = Server::builder().config("adapters: {pages: 1}\ndeadlines: {navigate: 3s, queue: 30s}").start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    while client.ask(&ask("demo/echo", "warm")).await.status != 200 {}
    site.control(serde_json::json!({ "state": "silent" })).await;
    // The page goes back to its entry after an answer, in vain from now on; the next has to be opened.
    client.ask(&ask("demo/echo", "the page that was loaded before")).await;
    let late = client.ask(&ask("demo/echo", "mark=unloaded")).await;
    assert_eq!(late.error(), (504, "timeout"), "{late:?}");
    assert!(late.body["error"]["message"].as_str().unwrap().contains("stage: navigate"), "{late:?}");
    assert_eq!(site.prompts("unloaded").await, 0);
    site.control(serde_json::json!({ "state": "ok" })).await;
    assert_eq!(client.ask(&ask("demo/echo", "again")).await.text(), "again");
}

#[tokio::test]
async fn a_call_as_a_whole_has_a_deadline_until_its_answer_begins() {
    let config = "adapters: {pages: 1}\ndeadlines: {call: 2s, callMax: 5s}";
    let server = Server::builder().config(config).start_ready();
    let client = Client::of(&server);
    let silent = client.ask(&script("delay_ms=600000")).await;
    assert_eq!(silent.error(), (424, "timeout"), "{silent:?}");
    assert!(silent.body["error"]["message"].as_str().unwrap().contains("stage: call"), "{silent:?}");
    // Data stretches it.
    let answer = client.ask(&script("tokens=60 rate=20")).await;
    assert!(answer.text().ends_with(" t59"));
    // But not for ever.
    let endless = client.ask(&script("tokens=1000 rate=20")).await;
    assert_eq!(endless.error(), (424, "timeout"), "{endless:?}");
}

#[tokio::test]
async fn repetitions_of_a_request_are_sent_once_however_close_they_come() {
    let server = Server::builder().config("adapters: {pages: 3}").start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let keyed = |directives: &str, key: &'static str| {
        let (client, request) = (client.clone(), script(directives));
        async move { answer(client.send_with(&request, &[("idempotency-key", key)]).await).await }
    };
    let at_once = (0..10).map(|_| tokio::spawn(keyed("tokens=3 rate=20 mark=once", "a")));
    for asked in futures::future::join_all(at_once).await {
        assert_eq!(asked.unwrap().text(), "t0 t1 t2");
    }
    assert_eq!(keyed("tokens=3 rate=20 mark=once", "a").await.text(), "t0 t1 t2", "when it is over, too");
    assert_eq!(site.prompts("once").await, 1);

    let other = keyed("tokens=1 mark=other", "a").await;
    assert_eq!(other.error(), (400, "idempotency_key_reused"), "{other:?}");
    assert_eq!(site.prompts("other").await, 0);
    assert_eq!(keyed("tokens=1 mark=other", "b").await.text(), "t0");
    // A stream that joins hears all of it.
    let stream = streaming(script("tokens=2 rate=0 gate=1 mark=stream"));
    let headers = [("idempotency-key", "c")];
    let mut first = client::stream_of(client.send_with(&stream, &headers).await).await;
    assert_eq!(first.next_text().await.unwrap(), "t0");
    let second = client::stream_of(client.send_with(&stream, &headers).await).await;
    site.let_go("stream", 2).await;
    assert_eq!(joined(&second.rest().await, "content"), "t0 t1");
    assert_eq!(joined(&first.rest().await, "content"), " t1");
    assert_eq!(site.prompts("stream").await, 1);
}

//! A client that goes away stops the site, and the page is free for the next one.

use crate::support::Server;
use crate::support::client::{Client, ask, script, streaming};
use crate::support::site::{Site, marked};
use serde_json::Value;

const CONFIG: &str = "
adapters: {pages: 1}
queue: {queueBuffer: 4}
server: {keepalive: {holdStatus: 100ms}}
";

/// One page, so that the next answer shows that it is free again.
fn server() -> Server {
    Server::builder().config(CONFIG).start_ready()
}

async fn is_free(client: &Client) {
    assert_eq!(client.ask(&ask("demo/echo", "next")).await.text(), "next");
}

fn by(way: &str, directives: &str) -> Value {
    if way == "stream" { streaming(script(directives)) } else { script(directives) }
}

#[tokio::test]
async fn leaving_in_mid_answer_presses_stop() {
    let server = server();
    let (client, site) = (Client::of(&server), Site::of(&server));
    for n in 0..3 {
        let mark = format!("mid-{n}");
        let mut stream = client.stream(script(&format!("tokens=9 rate=0 gate=1 mark={mark}"))).await;
        assert_eq!(stream.next_text().await.unwrap(), "t0");
        drop(stream);
        site.until_stopped(&mark).await;
        is_free(&client).await;
    }
    let stats = site.stats().await;
    assert_eq!((stats["stops"].as_u64(), stats["streams"]["open"].as_u64()), (Some(3), Some(0)));
    assert!(server.log().contains("client_gone"), "{}", server.log());
}

#[tokio::test]
async fn leaving_before_the_first_word_presses_stop_too() {
    let server = server();
    let (client, site) = (Client::of(&server), Site::of(&server));
    for way in ["whole", "stream"] {
        let mark = format!("early-{way}");
        let waiting = tokio::spawn({
            let (client, request) = (client.clone(), by(way, &format!("delay_ms=3600000 mark={mark}")));
            async move { client.send(&request).await }
        });
        site.until_prompted(&mark).await;
        waiting.abort();
        // The head of a stream may have come already, and the task be done: then the handle holds the connection.
        drop(waiting);
        let end = site.until_closed(&mark).await;
        assert_eq!(end["state"], "aborted", "{way}: {end}");
        is_free(&client).await;
    }
    assert_eq!(site.stats().await["streams"]["open"], 0);
}

#[tokio::test]
async fn leaving_while_waiting_sends_nothing() {
    let server = server();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let mut running = client.stream(script("tokens=3 rate=0 gate=1 mark=running")).await;
    running.next_text().await.unwrap();
    // A beat tells that it is in the queue.
    let mut waiting = client.stream(script("mark=waiting")).await;
    waiting.next().await.unwrap();
    drop(waiting);
    site.let_go("running", 3).await;
    running.rest().await;
    is_free(&client).await;
    assert_eq!(site.prompts("waiting").await, 0);
}

#[tokio::test]
async fn a_site_that_does_not_stop_loses_its_page() {
    let server = server();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let mut stream = client.stream(script("tokens=500 rate=20 ignore_stop=1 mark=deaf")).await;
    stream.next_text().await.unwrap();
    drop(stream);
    // The site goes on as if nothing had happened; only the end of its page ends it.
    site.until_stopped("deaf").await;
    is_free(&client).await;
    let stats = site.stats().await;
    assert_eq!(marked(&stats["prompts"]["list"], "deaf").len(), 1);
}

//! Nothing waits for the end of an answer: each piece is with the client before the site says the next.

use crate::support::Server;
use crate::support::client::{Client, Event, ask, joined, script, streaming};
use crate::support::site::Site;

#[tokio::test]
async fn every_piece_arrives_before_the_site_goes_on() {
    let server = Server::builder().start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let mut stream = client.stream(script("tokens=8 rate=0 gate=1 mark=a")).await;
    // The first token is in the first event, which no gate holds.
    for n in 0..8 {
        let space = if n == 0 { "" } else { " " };
        assert_eq!(stream.next_text().await.unwrap(), format!("{space}t{n}"));
        // The site has not been told to go on: what came can only have come while it waits.
        assert_eq!(site.stream("a").await.unwrap()["state"], "open");
        site.let_go("a", 1).await;
    }
    let events = stream.rest().await;
    assert!(events.contains(&Event::Done), "{events:?}");
    assert_eq!(site.until_closed("a").await["state"], "complete");
}

#[tokio::test]
async fn streams_do_not_wait_for_one_another() {
    let server = Server::builder().config("adapters: {pages: 3}").start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let open = |mark: &'static str| {
        let client = client.clone();
        async move { client.stream(script(&format!("tokens=5 rate=0 gate=1 mark={mark}"))).await }
    };
    let (mut a, mut b, mut c) = tokio::join!(open("a"), open("b"), open("c"));
    for stream in [&mut a, &mut b, &mut c] {
        assert_eq!(stream.next_text().await.unwrap(), "t0");
    }
    // Only one of them is let go, and it comes to its end beside two that stand still.
    site.let_go("b", 5).await;
    assert!(b.rest().await.contains(&Event::Done));
    assert_eq!(site.stats().await["streams"]["open"], 2);
    site.let_go("c", 1).await;
    assert_eq!(c.next_text().await.unwrap(), " t1");
    site.let_go("a", 5).await;
    assert!(a.rest().await.contains(&Event::Done));
    site.let_go("c", 4).await;
    assert!(c.rest().await.contains(&Event::Done));
}

#[tokio::test]
async fn a_slow_reader_loses_nothing() {
    let server = Server::builder().start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    // The site is done long before the client reads on.
    let mut stream = client.stream(script("tokens=20000 rate=0 chunk=20 mark=slow")).await;
    stream.next_text().await.unwrap();
    site.until_closed("slow").await;
    let rest = stream.rest().await;
    assert!(rest.contains(&Event::Done));
    let expected: String = (0..20_000).map(|n| format!(" t{n}")).collect();
    assert!(expected.ends_with(&joined(&rest, "content")), "the rest is whole, and in order");
}

#[tokio::test]
async fn a_stop_word_ends_the_answer_and_the_site_is_told() {
    let server = Server::builder().config("adapters: {pages: 1}").start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let mut request = streaming(script("tokens=50 rate=0 gate=1 mark=stop"));
    request["stop"] = "t3".into();
    let reading = tokio::spawn({
        let client = client.clone();
        async move { client.stream(request).await.rest().await }
    });
    site.let_go("stop", 10).await;
    let events = reading.await.unwrap();
    assert_eq!(joined(&events, "content"), "t0 t1 t2 ");
    assert!(events.contains(&Event::Done), "{events:?}");
    // The site would say more if it were let; it was stopped instead, and the page is free.
    assert_eq!(site.until_closed("stop").await["state"], "aborted");
    assert_eq!(client.ask(&ask("demo/echo", "next")).await.text(), "next");
}

#[tokio::test]
async fn an_answer_that_is_only_in_the_page_is_read_whole() {
    let server = Server::builder().config("server: {keepalive: {holdStatus: 100ms}}").start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let rows = (0..150).map(|n| format!("Row {n} of the answer, *{n}*")).collect::<Vec<_>>().join("\n\n");
    let request = ask("demo/list", &format!("fixture=rest rate=1000 chunk=5\n{rows}"));
    let events = client.stream(request).await.rest().await;
    assert_eq!(joined(&events, "content"), rows);
    assert!(events.iter().filter(|event| event.delta("content").is_some()).count() > 10, "it comes in pieces");

    // It is stopped like any other.
    let mut stream = client.stream(ask("demo/list", "tokens=9 rate=0 gate=1 mark=list")).await;
    site.let_go("list", 4).await;
    assert!(stream.next_text().await.unwrap().starts_with("t0"));
    drop(stream);
    let end = site.until_closed("list").await;
    assert!(end["state"] == "aborted" && end["stopped"] == true, "{end}");
}

//! Every way in which a site fails has its own status and code, and none of them makes a client send a prompt twice.

use crate::support::Server;
use crate::support::client::{Answer, Client, Event, ask, joined, script, streaming};
use crate::support::site::Site;
use serde_json::{Value, json};

/// What the site says, and the status and code that a client gets once the prompt has been sent.
const REFUSALS: [(&str, u16, &str); 10] = [
    ("error=rate-limited retry_after=77", 424, "rate_limited"),
    ("error=quota retry_after=77", 424, "insufficient_quota"),
    ("error=content-blocked", 400, "content_policy_violation"),
    ("error=signed-out", 403, "login_required"),
    ("error=challenge", 403, "challenge_required"),
    ("error=site-changed", 424, "site_changed"),
    ("error=server-error", 424, "upstream_error"),
    ("error=disconnect", 424, "upstream_error"),
    ("status=503", 424, "upstream_error"),
    ("tokens=nonsense", 400, "invalid_request"),
];

/// Nothing in this answer makes a client ask again.
fn is_final(answer: &Answer) {
    assert_eq!(answer.header("x-should-retry"), Some("false"), "{answer:?}");
    assert_eq!(answer.header("retry-after"), None, "{answer:?}");
    assert!(!matches!(answer.status, 408 | 409 | 425 | 429 | 500..), "{answer:?}");
}

fn by(way: &str, directives: &str) -> Value {
    if way == "stream" { streaming(script(directives)) } else { script(directives) }
}

#[tokio::test]
async fn after_the_prompt_was_sent_nothing_invites_a_retry() {
    let server = Server::builder().start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    for (n, (directives, status, code)) in REFUSALS.into_iter().enumerate() {
        for way in ["whole", "stream"] {
            let mark = format!("refusal-{n}-{way}");
            let answer = client.ask(&by(way, &format!("{directives} mark={mark}"))).await;
            assert_eq!(answer.error(), (status, code), "{directives}: {answer:?}");
            is_final(&answer);
            assert!(answer.body["error"]["message"].as_str().is_some_and(|m| m.contains("demo")), "{answer:?}");
            // Chromium itself sends a request again whose kept-alive connection was cut before any answer, as it does for a
            // person; that is below what a program can see or stop.
            let by_browser = if directives == "error=disconnect" { 1..=6 } else { 1..=1 };
            assert!(by_browser.contains(&site.prompts(&mark).await), "{directives}");
        }
    }
    assert_eq!(client.ask(&ask("demo/echo", "well again")).await.text(), "well again");
}

#[tokio::test]
async fn an_answer_that_breaks_off_says_why() {
    let server = Server::builder().start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    for (error, code) in [
        ("rate-limited", "rate_limited"),
        ("quota", "insufficient_quota"),
        ("signed-out", "login_required"),
        ("challenge", "challenge_required"),
        ("server-error", "upstream_error"),
        ("in-stream", "upstream_error"),
        ("disconnect", "upstream_error"),
    ] {
        // The rate lets the pieces before the error leave before it.
        let directives = format!("error={error} after=3 rate=20 mark=break-{error}");
        let events = client.stream(script(&directives)).await.rest().await;
        assert_eq!(joined(&events, "content"), "t0 t1 t2", "{error}: {events:?}");
        assert_eq!(events.last().unwrap().error_code(), Some(code), "{error}: nothing follows the error");
        assert!(!events.contains(&Event::Done), "{error}");

        let whole = client.ask(&script(&directives)).await;
        assert_eq!(whole.body["error"]["code"], code, "{error}: {whole:?}");
        is_final(&whole);
        assert_eq!(site.prompts(&format!("break-{error}")).await, 2, "one for each request");
    }

    // What was blocked after its first words is an answer that was cut off, and no error.
    let directives = "error=content-blocked after=3 rate=20";
    let events = client.stream(script(directives)).await.rest().await;
    assert_eq!(joined(&events, "content"), "t0 t1 t2");
    let finish =
        |event: &Event| matches!(event, Event::Chunk(c) if c["choices"][0]["finish_reason"] == "content_filter");
    assert!(events.iter().any(finish) && events.contains(&Event::Done), "{events:?}");
    let whole = client.ask(&script(directives)).await;
    assert_eq!((whole.status, &whole.body["choices"][0]["finish_reason"]), (200, &json!("content_filter")));
}

#[tokio::test]
async fn before_the_prompt_is_sent_the_status_is_the_plain_one() {
    let server = Server::builder().config("adapters: {pages: 1}").start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    for (state, status, code) in [
        ("limit", 429, "rate_limited"),
        ("signed-out", 403, "login_required"),
        ("challenge", 403, "challenge_required"),
        ("site-changed", 502, "site_changed"),
    ] {
        // A page that was loaded before sees it only when the prompt is sent; the next one at once.
        site.control(json!({ "state": state, "retry_after": 55 })).await;
        let late = client.ask(&ask("demo/echo", &format!("mark=late-{state}"))).await;
        assert_eq!(late.body["error"]["code"], code, "{state}: {late:?}");
        if site.prompts(&format!("late-{state}")).await > 0 {
            is_final(&late);
        }

        for request in [ask("demo/echo", "mark=early"), streaming(ask("demo/echo", "mark=early"))] {
            let early = client.ask(&request).await;
            assert_eq!(early.error(), (status, code), "{state}: {early:?}");
            assert_eq!(early.header("x-should-retry"), None, "{state}");
            assert_eq!(early.header("retry-after"), (status == 429).then_some("55"), "{state}");
            if state == "site-changed" {
                let message = early.body["error"]["message"].as_str().unwrap();
                for part in ["demo@0.1.0", "step", "testid="] {
                    assert!(message.contains(part), "{message}");
                }
            }
        }
        assert_eq!(site.prompts("early").await, 0, "{state}: nothing was sent");
        site.control(json!({ "state": "ok" })).await;
        // The page that shows the old state is used once more at the most.
        if client.ask(&ask("demo/echo", "again")).await.status != 200 {
            assert_eq!(client.ask(&ask("demo/echo", "again")).await.text(), "again", "{state}");
        }
    }

    site.control(json!({ "models": ["echo", "script"] })).await;
    // Until it is loaded anew, the page knows the model, and only the site does not.
    client.ask(&ask("demo/echo", "reload")).await;
    let gone = client.ask(&ask("demo/reasoner", "mark=gone")).await;
    assert_eq!(gone.error(), (404, "model_unavailable"), "{gone:?}");
    assert_eq!((gone.header("x-should-retry"), site.prompts("gone").await), (None, 0));
    assert_eq!(client.ask(&ask("demo/none", "x")).await.error(), (404, "model_not_found"));
    assert_eq!(client.ask(&ask("other/model", "x")).await.error(), (404, "model_not_found"));
    assert_eq!(client.with_key("wrong").ask(&ask("demo/echo", "x")).await.status, 401);
}

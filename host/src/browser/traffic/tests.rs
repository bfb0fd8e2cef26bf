use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::event::{Ending, EventBody};
use super::*;

mod interleaving;

const URL: &str = "https://chat.test/api/chat";

fn grant() -> Grant {
    Grant {
        page: Box::new(|url| url.scheme() == "https" && url.host_str() == Some("chat.test")),
        listen: vec!["https://chat.test/api/**".into(), "wss://chat.test/ws".into()],
    }
}

fn filter(url: &str) -> Filter {
    Filter { url: url.into(), ..Filter::default() }
}

fn traffic() -> Traffic {
    let mut traffic = Traffic::new(grant());
    traffic.listen(7, filter("https://chat.test/api/*")).unwrap();
    traffic
}

fn event(method: &str, params: Value) -> Event {
    Event { method: method.into(), session: "page".into(), params }
}

fn sent(url: &str) -> Event {
    event(
        "Network.requestWillBeSent",
        json!({
            "requestId": "1", "loaderId": "L", "frameId": "F", "documentURL": "https://chat.test/", "type": "Fetch",
            "request": {"url": url, "method": "POST", "headers": {}},
        }),
    )
}

fn head(status: u16, content_type: &str) -> Event {
    event(
        "Network.responseReceived",
        json!({
            "requestId": "1",
            "response": {"url": URL, "status": status, "headers": {"Content-Type": content_type, "Set-Cookie": "s=1"}},
        }),
    )
}

fn data(bytes: &[u8]) -> Event {
    event(
        "Network.dataReceived",
        json!({
            "requestId": "1", "dataLength": bytes.len(), "data": STANDARD.encode(bytes),
        }),
    )
}

fn finished() -> Event {
    event("Network.loadingFinished", json!({"requestId": "1"}))
}

fn failed(text: &str) -> Event {
    event("Network.loadingFailed", json!({"requestId": "1", "errorText": text, "canceled": false}))
}

fn buffered(bytes: &[u8]) -> Value {
    json!({"bufferedData": STANDARD.encode(bytes)})
}

fn refused() -> CdpError {
    CdpError::Refused {
        method: "Network.streamResourceContent".into(),
        code: -32602,
        message: "already finished".into(),
    }
}

/// The question that was asked, and nothing else.
fn asked(effects: &[Effect]) -> (Token, Question) {
    let [Effect::Ask { token, session, request, question }] = effects else { panic!("one question: {effects:?}") };
    assert_eq!((session.as_str(), request.as_str()), ("page", "1"));
    (*token, *question)
}

fn arm(traffic: &mut Traffic) -> Token {
    let (token, question) = asked(&traffic.on_event(&sent(URL)));
    assert_eq!(question, Question::Stream);
    token
}

/// What was delivered, in short.
fn told(effects: Vec<Effect>) -> Vec<String> {
    effects
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Deliver(event) => {
                assert_eq!(event.source, 7);
                Some(match event.body {
                    EventBody::Response(head) => format!("{} {}", head.method, head.status),
                    EventBody::Bytes(bytes) => format!("+{}", String::from_utf8_lossy(&bytes)),
                    other => format!("{other:?}"),
                })
            }
            Effect::Ask { .. } => None,
        })
        .collect()
}

const COMPLETE: &str = "End(Complete)";
const ABORTED: &str = "End(Aborted)";

#[test]
fn streams_an_answer() {
    let mut traffic = traffic();
    let token = arm(&mut traffic);
    assert!(traffic.on_reply(token, Ok(&buffered(b""))).is_empty());
    assert_eq!(told(traffic.on_event(&head(200, "text/event-stream"))), ["POST 200"]);
    assert_eq!(told(traffic.on_event(&data(b"one"))), ["+one"]);
    assert_eq!(told(traffic.on_event(&data(b"two"))), ["+two"]);
    assert_eq!(told(traffic.on_event(&finished())), [COMPLETE]);
    assert!(traffic.exchanges.is_empty() && traffic.asked.is_empty());
    assert!(traffic.on_event(&finished()).is_empty(), "an end is told once");
}

#[test]
fn what_overtakes_the_reply_comes_after_what_the_reply_brings() {
    let mut traffic = traffic();
    let token = arm(&mut traffic);
    assert_eq!(told(traffic.on_event(&head(200, ""))), ["POST 200"]);
    let unarmed = event("Network.dataReceived", json!({"requestId": "1", "dataLength": 3}));
    assert!(traffic.on_event(&unarmed).is_empty());
    assert!(traffic.on_event(&data(b"two")).is_empty());
    assert!(traffic.on_event(&finished()).is_empty());
    assert_eq!(told(traffic.on_reply(token, Ok(&buffered(b"one")))), ["+one", "+two", COMPLETE]);
}

#[test]
fn a_stream_that_was_granted_without_its_first_bytes_is_fetched() {
    let body = json!({"body": STANDARD.encode("one two"), "base64Encoded": true});
    for (reply, expected) in [(Ok(&body), Some("+one two")), (Err(&refused()), None)] {
        let mut traffic = traffic();
        let token = arm(&mut traffic);
        traffic.on_event(&head(200, ""));
        traffic.on_event(&event("Network.dataReceived", json!({"requestId": "1", "dataLength": 3})));
        traffic.on_event(&data(b" two"));
        assert!(traffic.on_reply(token, Ok(&buffered(b""))).is_empty());
        let (token, question) = asked(&traffic.on_event(&finished()));
        assert_eq!(question, Question::Body);
        let told = told(traffic.on_reply(token, reply));
        match expected {
            Some(bytes) => assert_eq!(told, [bytes, COMPLETE]),
            None => assert!(told.len() == 1 && told[0].starts_with("Failed"), "{told:?}"),
        }
    }
}

#[test]
fn bytes_wait_for_the_head() {
    let mut traffic = traffic();
    let token = arm(&mut traffic);
    traffic.on_reply(token, Ok(&buffered(b"a")));
    assert!(traffic.on_event(&data(b"b")).is_empty());
    assert_eq!(told(traffic.on_event(&head(200, ""))), ["POST 200", "+a", "+b"]);
}

#[test]
fn too_much_before_the_head_ends_the_stream() {
    let mut traffic = traffic();
    let token = arm(&mut traffic);
    traffic.on_reply(token, Ok(&buffered(b"")));
    let mebibyte = data(&vec![b'x'; 1 << 20]);
    let told: Vec<_> = (0..5).flat_map(|_| told(traffic.on_event(&mebibyte))).collect();
    assert!(told.len() == 1 && told[0].starts_with("Failed"), "{told:?}");
    assert!(traffic.exchanges.is_empty());
}

#[test]
fn an_abort_is_an_end_and_another_failure_is_none() {
    for (text, expected) in
        [("net::ERR_ABORTED", ABORTED), ("net::ERR_CONNECTION_RESET", "Failed(\"net::ERR_CONNECTION_RESET\")")]
    {
        let mut traffic = traffic();
        let token = arm(&mut traffic);
        traffic.on_reply(token, Ok(&buffered(b"")));
        traffic.on_event(&head(200, ""));
        assert_eq!(told(traffic.on_event(&failed(text))), [expected]);
    }
}

#[test]
fn what_is_over_already_is_fetched() {
    for (body, encoded) in [("é€你", false), (STANDARD.encode("é€你").as_str(), true)] {
        let mut traffic = traffic();
        let token = arm(&mut traffic);
        traffic.on_event(&head(200, "text/plain; charset=utf-8"));
        traffic.on_event(&finished());
        let (token, question) = asked(&traffic.on_reply(token, Err(&refused())));
        assert_eq!(question, Question::Body);
        let reply = json!({"body": body, "base64Encoded": encoded});
        assert_eq!(told(traffic.on_reply(token, Ok(&reply))), ["+é€你", COMPLETE]);
    }
}

#[test]
fn a_body_that_is_gone_is_a_failure() {
    let mut traffic = traffic();
    let token = arm(&mut traffic);
    traffic.on_event(&head(200, ""));
    traffic.on_reply(token, Err(&refused()));
    let (token, _) = asked(&traffic.on_event(&finished()));
    let told = told(traffic.on_reply(token, Err(&refused())));
    assert!(told.len() == 1 && told[0].starts_with("Failed"), "{told:?}");
}

#[test]
fn a_refusal_before_the_answer_is_tried_again() {
    let mut traffic = traffic();
    let token = arm(&mut traffic);
    assert!(traffic.on_reply(token, Err(&refused())).is_empty());
    let effects = traffic.on_event(&head(200, ""));
    let Some(Effect::Ask { token, question: Question::Stream, .. }) = effects.last() else { panic!("{effects:?}") };
    let token = *token;
    assert_eq!(told(traffic.on_reply(token, Ok(&buffered(b"x")))), ["+x"]);
}

#[test]
fn filters_by_status_and_content_type() {
    for (status, content_type, heard) in [
        (200, "text/event-stream; charset=utf-8", true),
        (200, "application/json", false),
        (500, "text/event-stream", false),
    ] {
        let mut traffic = Traffic::new(grant());
        let filter = Filter {
            url: URL.into(),
            method: Some("post".into()),
            statuses: vec![200],
            content_types: vec!["text/event-stream".into()],
        };
        traffic.listen(7, filter).unwrap();
        let token = arm(&mut traffic);
        traffic.on_reply(token, Ok(&buffered(b"x")));
        assert_eq!(!told(traffic.on_event(&head(status, content_type))).is_empty(), heard);
        assert_eq!(!told(traffic.on_event(&data(b"x"))).is_empty(), heard);
    }
}

#[test]
fn filters_by_method() {
    let mut traffic = Traffic::new(grant());
    traffic.listen(7, Filter { method: Some("GET".into()), ..filter(URL) }).unwrap();
    assert!(traffic.on_event(&sent(URL)).is_empty());
}

#[test]
fn preflights_and_requests_from_before_are_not_heard() {
    let mut traffic = Traffic::new(grant());
    assert!(traffic.on_event(&sent(URL)).is_empty());
    traffic.listen(7, filter(URL)).unwrap();
    assert!(traffic.on_event(&head(200, "")).is_empty());
    assert!(traffic.on_event(&data(b"x")).is_empty());
    let mut preflight = sent(URL);
    preflight.params["type"] = json!("Preflight");
    assert!(traffic.on_event(&preflight).is_empty());
}

#[test]
fn credentials_are_left_out_of_both_kinds_of_heads() {
    let mut traffic = traffic();
    arm(&mut traffic);
    traffic.on_event(&event(
        "Network.responseReceivedExtraInfo",
        json!({
            "requestId": "1", "statusCode": 200, "headers": {"Retry-After": "9", "set-cookie": "a=b", "X-CSRF": "t"},
        }),
    ));
    let effects = traffic.on_event(&head(200, ""));
    let Some(Effect::Deliver(PageEvent { body: EventBody::Response(head), .. })) = effects.first() else { panic!() };
    assert_eq!(head.headers, [("retry-after".to_owned(), "9".to_owned())]);
}

#[test]
fn a_redirect_out_of_the_grant_fails_and_drops_the_bytes() {
    let mut traffic = traffic();
    let token = arm(&mut traffic);
    traffic.on_reply(token, Ok(&buffered(b"")));
    let mut hop = sent("https://evil.test/api/chat?secret=1");
    hop.params["redirectResponse"] = json!({"status": 307});
    let told_now = told(traffic.on_event(&hop));
    assert_eq!(told_now.len(), 1);
    assert!(told_now[0].starts_with("Failed") && !told_now[0].contains("secret"), "{told_now:?}");
    assert!(traffic.on_event(&head(200, "")).is_empty());
    assert!(traffic.on_event(&data(b"x")).is_empty());
}

#[test]
fn a_redirect_within_the_grant_goes_on() {
    let mut traffic = traffic();
    let token = arm(&mut traffic);
    traffic.on_reply(token, Ok(&buffered(b"")));
    let mut hop = sent("https://chat.test/api/v2/chat");
    hop.params["redirectResponse"] = json!({"status": 307});
    assert!(traffic.on_event(&hop).is_empty());
    assert_eq!(told(traffic.on_event(&head(200, ""))), ["POST 200"]);
    assert_eq!(told(traffic.on_event(&data(b"x"))), ["+x"]);
}

#[test]
fn a_redirect_to_where_somebody_listens_is_heard() {
    let mut traffic = traffic();
    assert!(traffic.on_event(&sent("https://chat.test/go")).is_empty());
    let mut hop = sent(URL);
    hop.params["redirectResponse"] = json!({"status": 307});
    asked(&traffic.on_event(&hop));
}

#[test]
fn an_answer_from_elsewhere_fails() {
    let mut traffic = traffic();
    arm(&mut traffic);
    let mut head = head(200, "");
    head.params["response"]["url"] = json!("https://evil.test/");
    let told = told(traffic.on_event(&head));
    assert!(told.len() == 1 && told[0].starts_with("Failed"), "{told:?}");
}

#[test]
fn only_granted_frames_are_heard() {
    let mut traffic = traffic();
    let mut foreign = sent(URL);
    foreign.params["documentURL"] = json!("https://ads.test/");
    let heard = told(traffic.on_event(&foreign));
    assert!(heard.len() == 1 && heard[0].contains("https://ads.test"), "{heard:?}");
    // A sandboxed frame on the site's own address has an opaque origin.
    let context = json!({"context": {"origin": "://", "auxData": {"isDefault": true, "frameId": "F"}}});
    traffic.on_event(&event("Runtime.executionContextCreated", context));
    let heard = told(traffic.on_event(&sent(URL)));
    assert!(heard.len() == 1 && heard[0].starts_with("Failed"), "{heard:?}");
    let navigated = json!({"frame": {"id": "F", "loaderId": "M"}});
    traffic.on_event(&event("Page.frameNavigated", navigated));
    asked(&traffic.on_event(&sent(URL)));
}

#[test]
fn requests_of_workers_are_told_apart_by_session() {
    let mut traffic = traffic();
    for worker in ["w1", "w2"] {
        let attached = json!({
            "sessionId": worker, "targetInfo": {"type": "worker", "url": "blob:https://chat.test/0-1"}});
        traffic.on_event(&event("Target.attachedToTarget", attached));
        let mut sent = sent(URL);
        sent.session = worker.into();
        sent.params["documentURL"] = json!("");
        let effects = traffic.on_event(&sent);
        let [Effect::Ask { token, session, .. }] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!(session, worker);
        traffic.on_reply(*token, Ok(&buffered(b"")));
        let mut head = head(200, "");
        head.session = worker.into();
        assert_eq!(told(traffic.on_event(&head)), ["POST 200"]);
    }
    assert_eq!(traffic.exchanges.len(), 2);
    let gone = traffic.on_event(&event("Target.detachedFromTarget", json!({"sessionId": "w1"})));
    assert_eq!(told(gone), [ABORTED]);
    assert_eq!(traffic.exchanges.len(), 1);
}

#[test]
fn workers_that_serve_several_tabs_are_not_this_page() {
    for kind in ["service_worker", "shared_worker"] {
        let mut traffic = traffic();
        let attached = json!({"sessionId": "page", "targetInfo": {"type": kind, "url": "https://chat.test/sw.js"}});
        traffic.on_event(&event("Target.attachedToTarget", attached));
        assert!(traffic.on_event(&sent(URL)).is_empty());
    }
}

#[test]
fn a_foreign_worker_is_not_heard() {
    let mut traffic = traffic();
    let attached = json!({"sessionId": "page", "targetInfo": {"type": "worker", "url": "https://ads.test/w.js"}});
    traffic.on_event(&event("Target.attachedToTarget", attached));
    let heard = told(traffic.on_event(&sent(URL)));
    assert!(heard.len() == 1 && heard[0].starts_with("Failed"), "{heard:?}");
}

#[test]
fn a_new_document_ends_what_the_old_one_had_open() {
    let mut traffic = traffic();
    let token = arm(&mut traffic);
    traffic.on_reply(token, Ok(&buffered(b"")));
    traffic.on_event(&head(200, ""));
    let navigated = |frame: &str| {
        event(
            "Page.frameNavigated",
            json!({"frame": {"id": frame, "loaderId": "M", "securityOrigin": "https://chat.test"}}),
        )
    };
    assert!(traffic.on_event(&navigated("other")).is_empty());
    assert_eq!(told(traffic.on_event(&navigated("F"))), [ABORTED]);
}

#[test]
fn a_web_socket_is_heard() {
    let mut traffic = Traffic::new(grant());
    traffic.listen(7, filter("wss://chat.test/ws")).unwrap();
    let mut on = |method: &str, mut params: Value| {
        params["requestId"] = json!("1");
        told(traffic.on_event(&event(&format!("Network.webSocket{method}"), params)))
    };
    let frame =
        |opcode: u8, payload: &str| json!({"response": {"opcode": opcode, "mask": false, "payloadData": payload}});
    assert!(on("Created", json!({"url": "wss://chat.test/ws?token=1"})).is_empty());
    let origin = json!({"request": {"headers": {"Origin": "https://chat.test"}}});
    assert!(on("WillSendHandshakeRequest", origin).is_empty());
    assert_eq!(on("HandshakeResponseReceived", json!({"response": {"status": 101, "headers": {}}})), ["GET 101"]);
    assert_eq!(on("FrameReceived", frame(1, "hé")), ["Text(\"hé\")"]);
    assert_eq!(on("FrameReceived", frame(2, "AP8B")), [r#"Binary(b"\0\xff\x01")"#]);
    assert!(on("FrameReceived", frame(9, "")).is_empty());
    assert!(on("FrameSent", frame(1, "mine")).is_empty());
    assert_eq!(on("Closed", json!({})), [COMPLETE]);
    assert!(on("Closed", json!({})).is_empty());
}

#[test]
fn a_web_socket_of_a_foreign_frame_or_without_an_answer_fails() {
    let mut traffic = Traffic::new(grant());
    traffic.listen(7, filter("wss://chat.test/ws")).unwrap();
    let created = event("Network.webSocketCreated", json!({"requestId": "1", "url": "wss://chat.test/ws"}));
    for (method, params) in [
        ("WillSendHandshakeRequest", json!({"requestId": "1", "request": {"headers": {"origin": "https://ads.test"}}})),
        ("WillSendHandshakeRequest", json!({"requestId": "1", "request": {"headers": {}}})),
        ("FrameError", json!({"requestId": "1", "errorMessage": "refused"})),
        ("FrameReceived", json!({"requestId": "1", "response": {"opcode": 2, "payloadData": "%"}})),
        ("Closed", json!({"requestId": "1"})),
    ] {
        traffic.on_event(&created);
        let told = told(traffic.on_event(&event(&format!("Network.webSocket{method}"), params)));
        assert!(told.len() == 1 && told[0].starts_with("Failed"), "{method}: {told:?}");
        assert!(traffic.sockets.is_empty());
    }
}

#[test]
fn a_web_socket_ends_with_its_document() {
    let mut traffic = Traffic::new(grant());
    traffic.listen(7, filter("wss://chat.test/ws")).unwrap();
    let navigated = |parent: Value| event("Page.frameNavigated", json!({"frame": {"id": "X", "parentId": parent}}));
    let created = event("Network.webSocketCreated", json!({"requestId": "1", "url": "wss://chat.test/ws"}));
    traffic.on_event(&created);
    let opened = json!({"requestId": "1", "response": {"status": 101, "headers": {}}});
    traffic.on_event(&event("Network.webSocketHandshakeResponseReceived", opened));
    assert!(traffic.on_event(&navigated(json!("F"))).is_empty(), "a frame's document says nothing of the page's");
    assert_eq!(told(traffic.on_event(&navigated(Value::Null))), [ABORTED]);

    // Before the handshake it may be anybody's: it fails, as one of a foreign frame does.
    traffic.on_event(&created);
    let told = told(traffic.on_event(&navigated(Value::Null)));
    assert!(told.len() == 1 && told[0].starts_with("Failed"), "{told:?}");
}

#[test]
fn each_listen_has_its_own_stream() {
    let mut traffic = traffic();
    traffic.listen(8, filter("https://chat.test/api/**")).unwrap();
    arm(&mut traffic);
    let effects = traffic.on_event(&head(200, ""));
    let heard: Vec<_> = effects
        .iter()
        .map(|effect| match effect {
            Effect::Deliver(event) => (event.source, event.stream),
            Effect::Ask { .. } => panic!("{effect:?}"),
        })
        .collect();
    assert_eq!(heard, [(7, 1), (8, 2)]);
    traffic.stop_listening(7);
    assert_eq!(traffic.exchanges.len(), 1);
    traffic.stop_listening(8);
    assert!(traffic.exchanges.is_empty());
    assert!(traffic.on_event(&data(b"x")).is_empty());
}

#[test]
fn listens_are_granted_and_counted() {
    let mut traffic = Traffic::new(grant());
    for url in ["https://chat.test/**", "https://evil.test/api/x", "http://chat.test/api/x", "wss://chat.test/other"] {
        assert!(matches!(traffic.listen(1, filter(url)), Err(PageError::NotGranted(_))), "{url}");
    }
    assert!(matches!(traffic.listen(1, filter("api")), Err(PageError::Other { code: "bad-pattern", .. })));
    for id in 0..8 {
        traffic.listen(id, filter(URL)).unwrap();
    }
    assert!(matches!(traffic.listen(9, filter(URL)), Err(PageError::Other { code: "too-many-listens", .. })));
    traffic.stop_listening(0);
    traffic.listen(9, filter(URL)).unwrap();
}

#[test]
fn what_cannot_be_read_ends_its_stream() {
    for broken in [
        event("Network.dataReceived", json!({"requestId": "1", "data": "%%%"})),
        event("Network.dataReceived", json!({"requestId": "1", "data": 5})),
        event("Network.responseReceived", json!({"requestId": "1", "response": {"status": "ok"}})),
        event("Network.loadingFailed", json!({"requestId": "1", "errorText": []})),
    ] {
        let mut traffic = traffic();
        arm(&mut traffic);
        let told = told(traffic.on_event(&broken));
        assert!(told.len() == 1 && told[0].starts_with("Failed"), "{broken:?}: {told:?}");
        assert!(traffic.exchanges.is_empty());
    }
}

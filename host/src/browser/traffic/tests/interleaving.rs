//! Whatever order Chromium's processes happen to speak in, the bytes come out in order, once, and the end last.

use proptest::prelude::*;

use super::*;

/// A renderer that has an answer of some chunks to tell, and a moment at which the arming command reaches it.
#[derive(Debug, Clone)]
struct Story {
    chunks: Vec<Vec<u8>>,
    /// After how many of the renderer's steps it sees the command; head, chunks and end are a step each.
    armed_at: usize,
    /// After how many of its further steps its reply arrives.
    reply_after: usize,
    aborted: bool,
}

fn story() -> impl Strategy<Value = Story> {
    let chunk = prop_oneof![prop::collection::vec(any::<u8>(), 1..40), Just(vec![b'x'; 300_000])];
    (prop::collection::vec(chunk, 0..12), 0usize..16, 0usize..16, any::<bool>())
        .prop_map(|(chunks, armed_at, reply_after, aborted)| Story { chunks, armed_at, reply_after, aborted })
}

/// Plays a story and returns everything that was told.
fn play(story: &Story) -> Vec<PageEvent> {
    let mut traffic = traffic();
    let mut told = Vec::new();
    let mut token = arm(&mut traffic);
    let last = story.chunks.len() + 1;
    let mut reply: Option<(usize, Result<Value, CdpError>)> = None;
    let mut buffer = Vec::new();
    for step in 0..=last + story.reply_after + story.armed_at {
        if step == story.armed_at {
            let answer = if step > last { Err(refused()) } else { Ok(buffered(&buffer)) };
            reply = Some((step + story.reply_after, answer));
        }
        let mut effects = Vec::new();
        if let Some((at, answer)) = reply.take() {
            if at == step {
                effects.extend(traffic.on_reply(token, answer.as_ref()));
            } else {
                reply = Some((at, answer));
            }
        }
        if step == 0 {
            effects.extend(traffic.on_event(&head(200, "application/octet-stream")));
        } else if let Some(chunk) = story.chunks.get(step - 1) {
            if step >= story.armed_at {
                effects.extend(traffic.on_event(&data(chunk)));
            } else {
                buffer.extend_from_slice(chunk);
                let lengths = json!({"requestId": "1", "dataLength": chunk.len()});
                effects.extend(traffic.on_event(&event("Network.dataReceived", lengths)));
            }
        } else if step == last {
            effects.extend(traffic.on_event(&if story.aborted { failed("net::ERR_ABORTED") } else { finished() }));
        }
        while !effects.is_empty() {
            for effect in std::mem::take(&mut effects) {
                match effect {
                    Effect::Deliver(event) => told.push(event),
                    Effect::Ask { token: asked, question: Question::Body, .. } => {
                        token = asked;
                        let body = json!({"body": STANDARD.encode(story.chunks.concat()), "base64Encoded": true});
                        effects.extend(traffic.on_reply(token, Ok(&body)));
                    }
                    Effect::Ask { .. } => panic!("armed twice"),
                }
            }
        }
    }
    assert!(traffic.exchanges.is_empty(), "it is over");
    told
}

/// Names of methods that are handled, and some that are not.
fn method() -> impl Strategy<Value = String> {
    let names = [
        "requestWillBeSent",
        "responseReceivedExtraInfo",
        "responseReceived",
        "dataReceived",
        "loadingFinished",
        "loadingFailed",
        "webSocketCreated",
        "webSocketWillSendHandshakeRequest",
        "webSocketHandshakeResponseReceived",
        "webSocketFrameReceived",
        "webSocketFrameError",
        "webSocketClosed",
        "somethingNew",
    ];
    let page = [
        "Runtime.executionContextCreated",
        "Page.frameNavigated",
        "Page.frameDetached",
        "Target.attachedToTarget",
        "Target.detachedFromTarget",
    ];
    let all: Vec<_> = names.iter().map(|n| format!("Network.{n}")).chain(page.map(str::to_owned)).collect();
    prop::sample::select(all)
}

/// JSON in which the names that are read occur often, with values that are sometimes right.
fn foreign() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "1",
            "F",
            "L",
            URL,
            "wss://chat.test/ws",
            "https://chat.test/",
            "POST",
            "GET",
            "eA=="
        ])
        .prop_map(Value::from),
        prop::sample::select(vec![1, 2, 101, 200, 307]).prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "requestId",
        "request",
        "response",
        "url",
        "method",
        "status",
        "headers",
        "data",
        "dataLength",
        "opcode",
        "payloadData",
        "errorText",
        "canceled",
        "frame",
        "id",
        "frameId",
        "loaderId",
        "documentURL",
        "sessionId",
        "targetInfo",
        "type",
        "redirectResponse",
        "Origin",
        "statusCode",
        "body",
        "base64Encoded",
        "bufferedData",
    ]);
    leaf.prop_recursive(4, 64, 12, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..12).prop_map(|fields| fields
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}

/// Lays one value over another, field by field.
fn overlay(base: &mut Value, top: Value) {
    match (base, top) {
        (Value::Object(base), Value::Object(top)) => {
            for (name, value) in top {
                overlay(base.entry(name).or_insert(Value::Null), value);
            }
        }
        (base, top) => *base = top,
    }
}

proptest! {
    #[test]
    fn the_bytes_come_in_order_and_once(story in story()) {
        let mut told = play(&story).into_iter().map(|event| event.body);
        prop_assert!(matches!(told.next(), Some(EventBody::Response(_))));
        let expected = if story.aborted { Ending::Aborted } else { Ending::Complete };
        prop_assert_eq!(told.next_back(), Some(EventBody::End(expected)));
        let mut joined = Vec::new();
        for body in told {
            let EventBody::Bytes(bytes) = body else { panic!("bytes: {body:?}") };
            prop_assert!(bytes.len() <= body::MAX_PIECE);
            joined.extend_from_slice(&bytes);
        }
        prop_assert_eq!(joined, story.chunks.concat());
    }

    #[test]
    fn nothing_that_chromium_says_makes_it_panic(
        events in prop::collection::vec((method(), foreign(), any::<bool>(), foreign()), 0..40)
    ) {
        let mut traffic = traffic();
        traffic.listen(8, filter("wss://chat.test/ws")).unwrap();
        let mut tokens = Vec::new();
        for (method, params, whole, reply) in events {
            let mut event = if whole { sent(URL) } else { event("", json!({"requestId": "1", "url": "wss://chat.test/ws"})) };
            event.method = method;
            overlay(&mut event.params, params);
            for effect in traffic.on_event(&event) {
                if let Effect::Ask { token, .. } = effect {
                    tokens.push(token);
                }
            }
            if let Some(token) = tokens.pop() {
                for effect in traffic.on_reply(token, Ok(&reply)) {
                    if let Effect::Ask { token, .. } = effect {
                        tokens.push(token);
                    }
                }
            }
        }
    }
}

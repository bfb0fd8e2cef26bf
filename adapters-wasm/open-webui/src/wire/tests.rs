use proptest::prelude::*;
use serde_json::json;

use super::*;

fn event(chat: &str, kind: &str, data: Value) -> String {
    let envelope = json!({ "chat_id": chat, "message_id": "m", "data": { "type": kind, "data": data } });
    format!("42{}", json!(["events", envelope]))
}

fn delta(chat: &str, kind: &str, text: &str) -> String {
    event(chat, "response:completion", json!({ "type": format!("response.{kind}.delta"), "delta": text }))
}

fn done(chat: &str, text: &str) -> String {
    let message = json!({ "type": "message", "content": [{ "type": "output_text", "text": text }] });
    let thought = json!({ "type": "reasoning", "content": [{ "type": "output_text", "text": "hm" }] });
    event(chat, "chat:completion", json!({ "done": true, "output": [thought, message], "title": "t" }))
}

fn started(chat: &str) -> Vec<u8> {
    json!({ "status": true, "task_ids": ["t"], "chat_id": chat }).to_string().into_bytes()
}

fn said(pieces: Vec<Piece>) -> String {
    let say = |piece| match piece {
        Piece::Text(text) => text,
        Piece::Reasoning(text) => format!("<{text}>"),
        Piece::Restart => "!".to_owned(),
        other => panic!("{other:?}"),
    };
    pieces.into_iter().map(say).collect()
}

/// The request is answered after so many messages.
fn read(messages: &[String], after: usize) -> (String, Result<String, String>) {
    let mut stream = Stream::default();
    let mut text = String::new();
    for (n, message) in messages.iter().enumerate() {
        if n == after {
            text.push_str(&said(stream.bytes(&started("c")).unwrap()));
        }
        text.push_str(&said(stream.message(message).unwrap()));
    }
    if messages.len() <= after {
        text.push_str(&said(stream.bytes(&started("c")).unwrap()));
    }
    (text, stream.end().map(|finish| format!("{finish:?}")).map_err(|failure| format!("{failure:?}")))
}

fn answer() -> Vec<String> {
    vec![
        "0{}".into(),
        "40{}".into(),
        event("c", "chat:active", json!({ "active": true })),
        delta("c", "reasoning_text", "hm"),
        delta("other", "output_text", "not ours"),
        delta("c", "output_text", "Grüße "),
        "2".into(),
        delta("c", "output_text", "🌍"),
        event("other", "chat:completion", json!({ "done": true })),
        event("c", "chat:completion", json!({ "model": "m", "choices": [{ "finish_reason": "length" }] })),
        done("c", "Grüße 🌍"),
    ]
}

#[test]
fn an_answer_is_read_whenever_the_request_is_answered() {
    for after in 0..=answer().len() {
        assert_eq!(read(&answer(), after), ("<hm>Grüße 🌍".into(), Ok("Finish::Length".into())), "{after}");
    }
}

#[test]
fn the_end_says_what_no_delta_said() {
    assert_eq!(read(&[delta("c", "output_text", "a"), done("c", "a b")], 0).0, "a b");
    assert_eq!(read(&[delta("c", "output_text", "a"), done("c", "other")], 0).0, "a!other");
    assert_eq!(read(&[delta("c", "output_text", "a"), done("c", "")], 0).0, "a");
    assert_eq!(read(&[delta("c", "output_text", "a\n"), done("c", "a")], 0).0, "a\n");
    let rewritten = [delta("c", "reasoning_text", "hm"), delta("c", "output_text", "a"), done("c", "b")];
    assert_eq!(read(&rewritten, 0).0, "<hm>a!<hm>b");
}

#[test]
fn what_breaks_off_is_a_failure() {
    assert!(read(&[delta("c", "output_text", "a")], 0).1.unwrap_err().contains("ended before"));
    let error = event("c", "chat:message:error", json!({ "error": { "content": "Too many requests" }, "done": true }));
    assert!(read(std::slice::from_ref(&error), 0).1.unwrap_err().contains("RateLimited"));
    let error = event("c", "chat:completion", json!({ "error": { "message": "boom" } }));
    assert!(read(std::slice::from_ref(&error), 0).1.unwrap_err().contains("boom"));
    let mut stream = Stream::default();
    assert!(stream.bytes(br#"{"status":false}"#).is_err());
}

#[test]
fn a_refusal_says_what_it_is() {
    let head = |status| ResponseHead { url: String::new(), method: "POST".into(), status, headers: Vec::new() };
    let refused = |status, body: &str| Stream::default().refused(&head(status), body.as_bytes());
    assert!(
        matches!(refused(401, r#"{"detail":"Not authenticated"}"#), Failure::LoginRequired(why) if why.contains("Not auth"))
    );
    assert!(matches!(refused(404, r#"{"detail":"Model not found"}"#), Failure::ModelUnavailable(_)));
    assert!(matches!(refused(500, "<html>"), Failure::Upstream(why) if why.contains("500")));
}

#[test]
fn temporary_chats_cannot_go_on() {
    let chat = |id: &str| {
        let mut stream = Stream::default();
        drop(stream.bytes(&started(id)).unwrap());
        stream.conversation()
    };
    assert_eq!(chat("ab-1").as_deref(), Some("ab-1"));
    assert_eq!(chat("temporary:x"), None);
}

proptest! {
    #[test]
    fn no_message_makes_it_panic(message in "(42|4|)\\PC{0,80}", body in proptest::collection::vec(any::<u8>(), 0..80)) {
        let mut stream = Stream::default();
        let _ = stream.message(&message);
        let _ = stream.bytes(&body);
    }
}

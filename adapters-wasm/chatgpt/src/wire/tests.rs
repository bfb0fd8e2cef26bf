use proptest::prelude::*;

use super::*;

const SEARCH: &str = include_str!("../../fixtures/search.sse");
const HANDED_OFF: &str = include_str!("../../fixtures/handoff.sse");
const ON_SOCKET: &str = include_str!("../../fixtures/handoff.jsonl");

fn run(wire: &str, size: usize) -> (Stream, Vec<Piece>) {
    let mut stream = Stream::default();
    let pieces = wire.as_bytes().chunks(size).flat_map(|chunk| stream.bytes(chunk).unwrap()).collect();
    (stream, pieces)
}

fn text(pieces: &[Piece]) -> String {
    pieces.iter().map(|p| if let Piece::Text(t) = p { t.as_str() } else { "" }).collect()
}

#[test]
fn reads_the_answer_among_several_messages() {
    let (mut stream, pieces) = run(SEARCH, 1);
    assert_eq!(text(&pieces), "The answer is 42.");
    let reasoning: String = pieces.iter().map(|p| if let Piece::Reasoning(t) = p { t.as_str() } else { "" }).collect();
    assert_eq!(reasoning, "The user wants facts.");
    assert!(pieces.contains(&Piece::Citation { url: "https://e.example/a".into(), title: "A".into() }));
    assert!(stream.is_over());
    assert!(matches!(stream.end(), Ok(Finish::Stop)));
    assert_eq!(stream.conversation().as_deref(), Some("c-1"));
    assert_eq!(stream.model().as_deref(), Some("gpt-5-6-thinking"));
}

#[test]
fn goes_on_on_the_socket_whichever_comes_first() {
    for early in [0, 2, 4] {
        let mut stream = Stream::default();
        let mut pieces = Vec::new();
        let messages: Vec<&str> = ON_SOCKET.lines().collect();
        for message in &messages[..early] {
            pieces.extend(stream.message(message).unwrap());
        }
        pieces.extend(stream.bytes(HANDED_OFF.as_bytes()).unwrap());
        assert!(stream.is_handed_off());
        for message in &messages[early..] {
            pieces.extend(stream.message(message).unwrap());
        }
        assert_eq!(text(&pieces), "Hello there, how are you?");
        assert!(stream.is_over());
        assert!(matches!(stream.end(), Ok(Finish::Stop)));
    }
}

#[test]
fn a_replaced_text_is_taken_back() {
    let seed = r#"{"p":"","o":"add","v":{"message":{"author":{"role":"assistant"},"content":{"content_type":"text","parts":["Old"]}}}}"#;
    let anew = r#"{"p":"/message/content/parts/0","o":"replace","v":"New"}"#;
    let (_, pieces) = run(&format!("data: {seed}\n\ndata: {anew}\n\n"), 11);
    assert_eq!(pieces, [Piece::Text("Old".into()), Piece::Restart, Piece::Text("New".into())]);
}

#[test]
fn errors_keep_their_kind() {
    let end = |data: &str| run(&format!("data: {data}\n\n"), 6).0.end().unwrap_err();
    assert!(matches!(
        end(r#"{"message":null,"error":"You've hit your limit; it resets at 5."}"#),
        Failure::RateLimited(_)
    ));
    assert!(matches!(
        end(r#"{"message":null,"error":"This may violate our usage policies."}"#),
        Failure::ContentBlocked(_)
    ));
    assert!(matches!(end(r#"{"type":"moderation"}"#), Failure::ContentBlocked(_)));
    assert!(matches!(end(r#"{"type":"ping"}"#), Failure::Upstream(_)));
    assert!(matches!(refused(401, b""), Failure::LoginRequired(_)));
    assert!(matches!(refused(403, b"unusual activity"), Failure::Challenge(_)));
    assert!(matches!(refused(413, br#"{"detail":"too long"}"#), Failure::InvalidRequest(m) if m == "too long"));
    let limit = br#"{"detail":{"message":"m","clears_in":30}}"#;
    assert!(matches!(refused(429, limit), Failure::RateLimited(l) if l.retry_after_s == Some(30)));
    assert!(matches!(Stream::default().bytes(b"data: {\"q\":1}\n\n"), Err(Failure::SiteChanged(_))));
}

proptest! {
    #[test]
    fn any_cut_gives_the_same(size in 1_usize..300) {
        prop_assert_eq!(run(SEARCH, size).1, run(SEARCH, 1).1);
    }

    #[test]
    fn no_bytes_make_it_panic(at in 0_usize..3000, noise in proptest::collection::vec(any::<u8>(), 0..60), text in ".{0,80}") {
        let mut bytes = SEARCH.as_bytes().to_vec();
        let at = at.min(bytes.len());
        bytes.splice(at..at, noise);
        let _ = Stream::default().bytes(&bytes);
        let mut stream = Stream::default();
        let _ = stream.bytes(HANDED_OFF.as_bytes());
        let _ = stream.message(&text);
    }
}

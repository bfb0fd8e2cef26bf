use proptest::prelude::*;

use super::*;

/// The fixture as the site sends it: a line is an envelope, and one that begins with `!` the last.
fn bytes(lines: &str) -> Vec<u8> {
    let envelope = |line: &str| {
        let (flags, data) = line.strip_prefix('!').map_or((0, line), |data| (2, data));
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        [&[flags], length.as_slice(), data.as_bytes()].concat()
    };
    lines.lines().flat_map(envelope).collect()
}

fn run(lines: &str, size: usize) -> (Stream, Vec<Piece>) {
    let mut stream = Stream::default();
    let pieces = bytes(lines).chunks(size).flat_map(|chunk| stream.bytes(chunk).unwrap()).collect();
    (stream, pieces)
}

const ANSWER: &str = include_str!("../../fixtures/answer.jsonl");
const SEARCH: &str = include_str!("../../fixtures/search.jsonl");

#[test]
fn reads_an_answer_without_the_echo() {
    let (mut stream, pieces) = run(ANSWER, 1);
    let texts = ["Hello", " there", ", how", " are you?"].map(|text| Piece::Text(text.into()));
    assert_eq!(pieces, texts);
    assert!(stream.is_over());
    assert!(matches!(stream.end(), Ok(Finish::Stop)));
    assert_eq!(stream.conversation().as_deref(), Some("chat-1"));
}

#[test]
fn a_chat_that_goes_on_keeps_its_name_if_the_wire_says_none() {
    let mut stream = Stream::of(Some("chat-0".into()));
    stream.bytes(&bytes(r#"{"done":{}}"#)).unwrap();
    assert_eq!(stream.conversation().as_deref(), Some("chat-0"));
    stream.bytes(&bytes(ANSWER)).unwrap();
    assert_eq!(stream.conversation().as_deref(), Some("chat-1"));
}

#[test]
fn reads_thoughts_sources_and_a_rewriting() {
    let (_, pieces) = run(SEARCH, 3);
    let at = pieces.iter().position(|piece| *piece == Piece::Restart).unwrap();
    assert_eq!(pieces[at + 1..at + 3], [Piece::Reasoning("Consider".into()), Piece::Text("The answer is 42.".into())]);
    for (url, title) in [("https://e.example/a", "A"), ("https://e.example/b", "B")] {
        assert!(pieces.contains(&Piece::Citation { url: url.into(), title: title.into() }));
    }
}

#[test]
fn errors_keep_their_kind() {
    let end = |lines: &str| run(lines, 4).0.end().unwrap_err();
    assert!(matches!(end(include_str!("../../fixtures/overloaded.jsonl")), Failure::RateLimited(_)));
    assert!(matches!(end(include_str!("../../fixtures/limit.jsonl")), Failure::RateLimited(_)));
    assert!(matches!(end(r#"!{"error":{"code":"unauthenticated"}}"#), Failure::LoginRequired(_)));
    assert!(matches!(end(r#"{"op":"set","chat":{"id":"c"}}"#), Failure::Upstream(_)));
    assert!(matches!(refused(401, b"{}"), Failure::LoginRequired(_)));
    assert!(
        matches!(refused(429, br#"{"code":"resource_exhausted","message":"m"}"#), Failure::RateLimited(l) if l.message == "m")
    );
    assert!(matches!(Stream::default().bytes(b"<html></html>"), Err(Failure::SiteChanged(_))));
}

proptest! {
    #[test]
    fn any_cut_gives_the_same(size in 1_usize..300) {
        prop_assert_eq!(run(SEARCH, size).1, run(SEARCH, 1).1);
    }

    #[test]
    fn no_bytes_make_it_panic(at in 0_usize..1500, noise in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut bytes = bytes(SEARCH);
        let at = at.min(bytes.len());
        bytes.splice(at..at, noise);
        let _ = Stream::default().bytes(&bytes);
    }
}

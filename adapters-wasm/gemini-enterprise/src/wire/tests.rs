use proptest::prelude::*;

use super::*;

fn run(text: &str, size: usize) -> (Stream, Vec<Piece>) {
    let mut stream = Stream::default();
    let pieces = text.as_bytes().chunks(size).flat_map(|chunk| stream.bytes(chunk).unwrap()).collect();
    (stream, pieces)
}

const ANSWER: &str = include_str!("../../fixtures/answer.json");
const PICTURE: &str = include_str!("../../fixtures/picture.json");

#[test]
fn reads_thoughts_text_and_pictures() {
    let (mut stream, pieces) = run(ANSWER, 1);
    let texts = ["Hello", " there", ", how are you?"].map(|text| Piece::Text(text.into()));
    assert_eq!(pieces[0], Piece::Reasoning("Planning".into()));
    assert_eq!(pieces[1..], texts);
    assert!(stream.is_over() && matches!(stream.end(), Ok(Finish::Stop)));
    assert_eq!(stream.conversation().as_deref(), Some("9"));
    assert_eq!(run(PICTURE, 7).0.files(), ["7", "8"]);
}

#[test]
fn errors_keep_their_kind() {
    let end = |text: &str| run(text, 5).0.end().unwrap_err();
    assert!(matches!(end(include_str!("../../fixtures/blocked.json")), Failure::ContentBlocked(_)));
    assert!(matches!(end(r#"[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}]"#), Failure::RateLimited(_)));
    assert!(matches!(end(r#"[{"streamAssistResponse":{"answer":{"state":"IN_PROGRESS"}}}"#), Failure::Upstream(_)));
    let refused = |status, body: &[u8]| {
        let head = ResponseHead { url: String::new(), method: "POST".into(), status, headers: Vec::new() };
        Stream::default().refused(&head, body)
    };
    assert!(matches!(refused(401, b""), Failure::LoginRequired(_)));
    let limit = refused(429, br#"[{"error":{"code":429,"message":"m"}}]"#);
    assert!(matches!(limit, Failure::RateLimited(limit) if limit.message == "m"));
    assert!(matches!(Stream::default().bytes(b"<html></html>"), Err(Failure::SiteChanged(_))));
}

proptest! {
    #[test]
    fn any_cut_gives_the_same(size in 1_usize..400) {
        prop_assert_eq!(run(ANSWER, size).1, run(ANSWER, 1).1);
    }

    #[test]
    fn no_bytes_make_it_panic(at in 0_usize..1500, noise in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut bytes = ANSWER.as_bytes().to_vec();
        let at = at.min(bytes.len());
        bytes.splice(at..at, noise);
        let _ = Stream::default().bytes(&bytes);
    }
}

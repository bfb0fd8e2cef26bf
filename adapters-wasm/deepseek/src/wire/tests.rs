use proptest::prelude::*;

use super::*;

const ANSWER: &str = include_str!("../../fixtures/search.sse");

fn run(wire: &str, size: usize) -> (Stream, Vec<Piece>) {
    let mut stream = Stream::new("default");
    let pieces = wire.as_bytes().chunks(size).flat_map(|chunk| stream.bytes(chunk).unwrap()).collect();
    (stream, pieces)
}

fn text(pieces: &[Piece]) -> String {
    pieces.iter().map(|p| if let Piece::Text(t) = p { t.as_str() } else { "" }).collect()
}

fn reasoning(pieces: &[Piece]) -> String {
    pieces.iter().map(|p| if let Piece::Reasoning(t) = p { t.as_str() } else { "" }).collect()
}

#[test]
fn reads_thoughts_searches_and_text() {
    let (mut stream, pieces) = run(ANSWER, 1);
    assert_eq!(reasoning(&pieces), "First, think more. Then answer.");
    assert_eq!(text(&pieces), "The answer is 42.");
    assert!(pieces.contains(&Piece::Citation { url: "https://e.example/a".into(), title: "A".into() }));
    assert!(stream.is_over());
    assert!(matches!(stream.end(), Ok(Finish::Stop)));
    assert_eq!(stream.model().as_deref(), Some("default"));
}

#[test]
fn a_text_that_is_sent_anew_takes_the_old_one_back() {
    let seed = r#"{"v":{"response":{"status":"WIP","fragments":[{"type":"RESPONSE","content":"Old"}]}}}"#;
    let anew = r#"{"p":"response/fragments","o":"SET","v":[{"type":"RESPONSE","content":"New"}]}"#;
    let (_, pieces) = run(&format!("data: {seed}\n\ndata: {anew}\n\n"), 1000);
    assert_eq!(pieces, [Piece::Text("Old".into()), Piece::Restart, Piece::Text("New".into())]);
}

#[test]
fn errors_keep_their_kind() {
    let hint = |reason: &str| {
        let (mut stream, _) = run(
            &format!(
                "event: hint\ndata: {{\"type\":\"error\",\"content\":\"busy\",\"finish_reason\":\"{reason}\"}}\n\n"
            ),
            7,
        );
        assert!(stream.is_over());
        stream.end().unwrap_err()
    };
    assert!(matches!(hint("rate_limit_reached"), Failure::RateLimited(_)));
    assert!(matches!(hint("input_exceeds_limit"), Failure::InvalidRequest(_)));
    assert!(matches!(hint("other"), Failure::Upstream(_)));
    assert!(matches!(refused(200, br#"{"code":40003,"msg":"x","data":null}"#), Failure::LoginRequired(_)));
    assert!(matches!(refused(429, b""), Failure::RateLimited(_)));
    assert!(
        matches!(refused(200, br#"{"code":0,"msg":"","data":{"biz_code":5,"biz_msg":"no"}}"#), Failure::Upstream(m) if m.ends_with("no"))
    );
    assert!(matches!(refused(202, b"<title>Just a moment...</title>"), Failure::Challenge(_)));
}

#[test]
fn another_model_is_not_taken() {
    let ready = b"event: ready\ndata: {\"model_type\":\"default\"}\n\n";
    assert!(matches!(Stream::new("expert").bytes(ready), Err(Failure::ModelUnavailable(_))));
}

#[test]
fn a_filtered_answer_is_blocked_or_cut() {
    let filtered = |content: &str| {
        let seed = format!(
            "{{\"v\":{{\"response\":{{\"status\":\"WIP\",\"fragments\":[{{\"type\":\"RESPONSE\",\"content\":\"{content}\"}}]}}}}}}"
        );
        let end = r#"{"p":"response/status","o":"SET","v":"CONTENT_FILTER"}"#;
        run(&format!("data: {seed}\n\ndata: {end}\n\n"), 5).0.end()
    };
    assert!(matches!(filtered(""), Err(Failure::ContentBlocked(_))));
    assert!(matches!(filtered("some"), Ok(Finish::ContentFilter)));
}

#[test]
fn a_broken_off_answer_is_told() {
    let (mut stream, _) = run("data: {\"v\":{\"response\":{\"status\":\"WIP\"}}}\n\n", 9);
    assert!(!stream.is_over());
    assert!(matches!(stream.end(), Err(Failure::Upstream(_))));
}

proptest! {
    #[test]
    fn any_cut_gives_the_same(size in 1_usize..200) {
        let (_, pieces) = run(ANSWER, size);
        prop_assert_eq!(text(&pieces), "The answer is 42.");
        prop_assert_eq!(reasoning(&pieces), "First, think more. Then answer.");
    }

    #[test]
    fn no_bytes_make_it_panic(start in 0_usize..2000, noise in proptest::collection::vec(any::<u8>(), 0..100)) {
        let mut bytes = ANSWER.as_bytes().to_vec();
        let at = start.min(bytes.len());
        bytes.splice(at..at, noise);
        let _ = Stream::new("default").bytes(&bytes);
    }
}

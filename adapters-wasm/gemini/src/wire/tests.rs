use proptest::prelude::*;

use super::*;

/// The fixture as the site sends it: each line is a frame, counted in UTF-16 units with both line feeds.
fn bytes(lines: &str) -> Vec<u8> {
    let mut text = String::new();
    for line in lines.lines() {
        match line {
            ")]}'" => text.push_str(")]}'\n\n"),
            line => text.push_str(&format!("{}\n{line}\n", line.encode_utf16().count() + 2)),
        }
    }
    text.into_bytes()
}

fn run(lines: &str, size: usize) -> (Stream, Vec<Piece>) {
    let mut stream = Stream::default();
    let pieces = bytes(lines).chunks(size).flat_map(|chunk| stream.bytes(chunk).unwrap()).collect();
    (stream, pieces)
}

fn text_of(pieces: &[Piece]) -> (String, String) {
    let (mut reasoning, mut text) = (String::new(), String::new());
    for piece in pieces {
        match piece {
            Piece::Text(more) => text.push_str(more),
            Piece::Reasoning(more) => reasoning.push_str(more),
            Piece::Restart => (reasoning, text) = (String::new(), String::new()),
            other => panic!("{other:?}"),
        }
    }
    (reasoning, text)
}

const ANSWER: &str = include_str!("../../fixtures/answer.txt");
const THOUGHTS: &str = include_str!("../../fixtures/thoughts.txt");

#[test]
fn reads_snapshots_as_they_grow() {
    let (mut stream, pieces) = run(ANSWER, 1);
    let texts = ["Hello", " there", ", how are", " you?"].map(|text| Piece::Text(text.into()));
    assert_eq!(pieces, texts);
    assert!(stream.is_over() && matches!(stream.end(), Ok(Finish::Stop)));
    assert_eq!(stream.conversation().as_deref(), Some("1a2b"));
}

#[test]
fn reads_thoughts_code_and_a_rewriting() {
    let (mut stream, pieces) = run(THOUGHTS, 3);
    let (reasoning, text) = text_of(&pieces);
    assert_eq!(reasoning, "**Considering**\nThe user wants code \u{1f642}.");
    assert_eq!(text, "So: see\n```py\nprint(42)\nprint(43)\n```\n");
    assert_eq!(pieces.iter().filter(|piece| **piece == Piece::Restart).count(), 1, "{pieces:?}");
    assert!(matches!(stream.end(), Ok(Finish::Stop)));
}

#[test]
fn errors_keep_their_kind() {
    let coded = |code: u64| {
        let mut stream = Stream::default();
        let row = format!("[[\"wrb.fr\",null,null,null,null,[13,null,[[\"type\",[{code}]]]]]]");
        assert_eq!(stream.bytes(&bytes(&row)).unwrap(), []);
        assert!(stream.is_over());
        stream.end().unwrap_err()
    };
    assert!(matches!(coded(1037), Failure::QuotaExhausted(_)));
    assert!(matches!(coded(1052), Failure::ModelUnavailable(_)));
    assert!(matches!(coded(1013), Failure::Upstream(_)));
    assert!(matches!(refused(429, b""), Failure::RateLimited(_)));
    assert!(matches!(refused(200, b"unusual activity"), Failure::Challenge(_)));
    assert!(matches!(Stream::default().end(), Err(Failure::Upstream(_))));
    assert!(matches!(Stream::default().bytes(b"<html></html>"), Err(Failure::SiteChanged(_))));
}

proptest! {
    #[test]
    fn any_cut_gives_the_same(size in 1_usize..400) {
        prop_assert_eq!(run(THOUGHTS, size).1, run(THOUGHTS, 1).1);
    }

    #[test]
    fn no_bytes_make_it_panic(at in 0_usize..1500, noise in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut bytes = bytes(THOUGHTS);
        let at = at.min(bytes.len());
        bytes.splice(at..at, noise);
        let _ = Stream::default().bytes(&bytes);
    }
}

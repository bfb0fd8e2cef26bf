use proptest::prelude::*;

use super::*;

/// What the pieces say, and how it ended.
fn read(body: &[u8], size: usize) -> (String, Result<String, String>) {
    let mut stream = Stream::default();
    let mut said = String::new();
    for bytes in body.chunks(size.max(1)) {
        match stream.bytes(bytes) {
            Ok(pieces) => said.extend(pieces.into_iter().map(|piece| match piece {
                Piece::Text(text) => text,
                Piece::Reasoning(text) => format!("<{text}>"),
                other => panic!("{other:?}"),
            })),
            Err(failure) => return (said, Err(format!("{failure:?}"))),
        }
    }
    (said, stream.end().map(|finish| format!("{finish:?}")).map_err(|failure| format!("{failure:?}")))
}

fn event(json: &str) -> String {
    format!("data: {json}\n\n")
}

fn answer(finish: &str) -> String {
    let think = event(r#"{"choices":[{"index":0,"delta":{"reasoning_content":"Hm."}}],"model":"m"}"#);
    let text = event(r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}"#);
    let more = event(r#"{"choices":[{"index":0,"delta":{"content":"Grüße 🌍"}}]}"#);
    let end =
        event(&format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"{finish}"}}],"timings":{{}}}}"#));
    format!("{think}:\n\n{text}{more}{end}{}", event("[DONE]"))
}

#[test]
fn an_answer_is_read() {
    assert_eq!(read(answer("stop").as_bytes(), 9999), ("<Hm.>Grüße 🌍".into(), Ok("Finish::Stop".into())));
    assert_eq!(read(answer("length").as_bytes(), 9999).1, Ok("Finish::Length".into()));
}

#[test]
fn other_ends_are_failures() {
    assert!(read(answer("tool_calls").as_bytes(), 9999).1.unwrap_err().contains("tool of the page"));
    assert!(read(answer("surprise").as_bytes(), 9999).1.unwrap_err().contains("SiteChanged"));
    assert!(
        read(event(r#"{"choices":[{"delta":{"content":"a"}}]}"#).as_bytes(), 9999).1.unwrap_err().contains("broke")
    );
    let error = event(r#"{"error":{"code":500,"message":"slot is gone","type":"server_error"}}"#);
    assert!(read(error.as_bytes(), 9999).1.unwrap_err().contains("slot is gone"));
    assert!(read(b"data: <html>\n\n", 9999).1.unwrap_err().contains("SiteChanged"));
}

#[test]
fn a_refusal_says_what_it_is() {
    let head = ResponseHead { url: String::new(), method: "POST".into(), status: 400, headers: Vec::new() };
    let long = br#"{"error":{"code":400,"message":"request (6031 tokens) exceeds the available context size","type":"exceed_context_size_error"}}"#;
    assert!(
        matches!(Stream::default().refused(&head, long), Failure::InvalidRequest(why) if why.contains("6031 tokens"))
    );
    assert!(matches!(Stream::default().refused(&head, b"<html>"), Failure::Upstream(why) if why.contains("400")));
}

proptest! {
    #[test]
    fn any_cut_gives_the_same(size in 1_usize..50) {
        let whole = answer("stop");
        prop_assert_eq!(read(whole.as_bytes(), size), read(whole.as_bytes(), 9999));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes, 7);
    }
}

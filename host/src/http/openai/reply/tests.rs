//! The rules of a response's time and shape, with a clock that the test moves.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::*;
use crate::chat::{Delta, Failure, FailureKind, Outcome, Part, Request, Role, Turn};
use crate::http::openai::encode::Header;
use crate::telemetry::RequestLog;

fn request() -> Request {
    let parts = vec![Part::Text("hi".into())];
    Request {
        id: "req_1".into(),
        model: "demo/echo".into(),
        turns: vec![Turn { role: Role::User, name: None, parts }],
        stop: vec!["STOP".into()],
        max_tokens: None,
        options: BTreeMap::new(),
        temporary: None,
        caller: String::new(),
        dialect: "test",
        stream: false,
        fingerprint: None,
    }
}

fn answer() -> Answer {
    let header = Header { id: "chatcmpl-1".into(), created: 1, model: "demo/echo".into() };
    Answer::new(&request(), header, RequestLog::new("POST".into(), "/".into(), tracing::Span::none()))
}

fn manner() -> Manner {
    Manner {
        language: Language::English,
        style: Reasoning::ReasoningContent,
        include_usage: true,
        ignored: "seed".into(),
        warning: None,
        prompt_tokens: 2,
        overhead: Duration::from_millis(1),
        beat: Beat::Content,
        interval: Duration::from_secs(10),
        hold: Duration::from_secs(10),
        non_stream_beat: NonStreamBeat::Off,
    }
}

fn channel() -> (mpsc::Sender<JobEvent>, ReceiverStream<JobEvent>) {
    let (sender, receiver) = mpsc::channel(100);
    (sender, ReceiverStream::new(receiver))
}

fn text(text: &str) -> JobEvent {
    JobEvent::Delta(Delta::Text(text.into()))
}

fn started() -> JobEvent {
    JobEvent::Started {
        adapter: "demo".into(),
        instance: "default".into(),
        queued: Duration::from_millis(5),
        attempts: 1,
    }
}

fn done() -> JobEvent {
    JobEvent::Done(Outcome { finish: Finish::Stop, conversation: None, model: None })
}

fn failed(kind: FailureKind) -> JobEvent {
    JobEvent::Failed(Failure::new(kind, "why"))
}

async fn body(response: Response) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn streamed(events: Vec<JobEvent>) -> Result<String, ApiError> {
    let (sender, receiver) = channel();
    for event in events {
        sender.try_send(event).unwrap();
    }
    drop(sender);
    Ok(body(stream(answer(), receiver, manner()).await?).await)
}

/// The text of all deltas of a stream.
fn content(sse: &str) -> String {
    sse.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_role_pieces_finish_usage_done() {
    let sse = streamed(vec![started(), JobEvent::Submitted, text("Hel"), text("lo"), done()]).await.unwrap();
    assert_eq!(content(&sse), "Hello");
    let events: Vec<&str> = sse.split_terminator("\n\n").collect();
    assert!(events[0].contains(r#""role":"assistant""#));
    assert!(events[3].contains(r#""finish_reason":"stop""#));
    assert!(events[4].contains(r#""choices":[]"#) && events[4].contains(r#""prompt_tokens":2"#));
    assert_eq!(events[5], "data: [DONE]");
    assert!(events[6].starts_with(": webai queue_ms=5"), "{}", events[6]);
}

#[tokio::test(start_paused = true)]
async fn headers_say_what_is_known() {
    let (sender, receiver) = channel();
    for event in [started(), text("a")] {
        sender.try_send(event).unwrap();
    }
    let response = stream(answer(), receiver, manner()).await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/event-stream; charset=utf-8");
    assert_eq!((header("cache-control"), header("x-accel-buffering")), ("no-cache".into(), "no".into()));
    assert_eq!((header("x-webai-adapter"), header("x-webai-instance")), ("demo".into(), "default".into()));
    assert_eq!((header("x-webai-queue-ms"), header("x-webai-ignored")), ("5".into(), "seed".into()));
    assert_eq!((header("x-usage-estimated"), header("x-webai-overhead-ms")), ("1".into(), "1".into()));
}

#[tokio::test(start_paused = true)]
async fn a_failure_before_the_first_piece_has_its_own_status() {
    let error = streamed(vec![started(), failed(FailureKind::LoginRequired)]).await.unwrap_err();
    assert_eq!(error.status.as_u16(), 403);
    let limited = FailureKind::RateLimited { retry_after: None };
    let error = streamed(vec![started(), JobEvent::Submitted, failed(limited)]).await.unwrap_err();
    assert_eq!((error.status.as_u16(), error.code.as_str()), (424, "rate_limited"));
}

/// What a site answers before it has the prompt is a status of its own, streaming or not, with what an SDK goes by.
#[tokio::test(start_paused = true)]
async fn before_submitting_each_failure_is_a_real_status() {
    let wait = Some(Duration::from_secs(90));
    for (kind, status, retry_after) in [
        (FailureKind::LoginRequired, 403, None),
        (FailureKind::ChallengeRequired, 403, None),
        (FailureKind::RateLimited { retry_after: wait }, 429, Some("90")),
        (FailureKind::QuotaExhausted { retry_after: wait }, 429, Some("90")),
        (FailureKind::ServerBusy { retry_after: Duration::from_secs(5) }, 429, Some("5")),
        (FailureKind::ModelUnavailable, 404, None),
        (FailureKind::BrowserFailed, 503, Some("5")),
    ] {
        for streaming in [true, false] {
            let (sender, receiver) = channel();
            sender.try_send(started()).unwrap();
            let failure = failed(kind.clone());
            // Late, but before the status line has to go out.
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(9)).await;
                sender.send(failure).await.unwrap();
            });
            let result = match streaming {
                true => stream(answer(), receiver, manner()).await,
                false => whole(answer(), receiver, manner()).await,
            };
            let response = result.unwrap_err().into_response();
            assert_eq!(response.status().as_u16(), status, "{kind:?}");
            let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap());
            assert_eq!(header("content-type"), Some("application/json"));
            assert_eq!((header("retry-after"), header("x-should-retry")), (retry_after, None), "{kind:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_in_mid_stream_speaks_the_clients_language() {
    let (sender, receiver) = channel();
    for event in [text("a"), failed(FailureKind::Upstream)] {
        sender.try_send(event).unwrap();
    }
    let manner = Manner { language: Language::Chinese, ..manner() };
    let sse = body(stream(answer(), receiver, manner).await.unwrap()).await;
    assert!(sse.contains("网站返回了错误：why"), "{sse}");
}

#[tokio::test(start_paused = true)]
async fn a_warning_is_a_header() {
    let (sender, receiver) = channel();
    sender.try_send(done()).unwrap();
    let manner = Manner { warning: Some("something"), ..manner() };
    let response = whole(answer(), receiver, manner).await.unwrap();
    assert_eq!(response.headers()["x-webai-warning"], "something");
}

#[tokio::test(start_paused = true)]
async fn after_ten_seconds_it_is_200_and_from_then_on_a_beat() {
    let (sender, receiver) = channel();
    let began = Instant::now();
    let response = stream(answer(), receiver, manner()).await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(10));
    let mut frames = response.into_body().into_data_stream();
    let mut next = async || String::from_utf8(frames.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(next().await.contains("assistant"));
    for n in 2..4 {
        assert!(next().await.contains(r#""delta":{}"#));
        assert_eq!(began.elapsed(), Duration::from_secs(10 * n));
    }
    sender.send(failed(FailureKind::Upstream)).await.unwrap();
    let error = next().await;
    let event: Value = serde_json::from_str(error.trim().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(event["error"]["code"], "upstream_error");
    assert!(frames.next().await.is_none(), "nothing follows an error");
}

#[tokio::test(start_paused = true)]
async fn each_delta_is_a_write_of_its_own_at_once() {
    let (sender, receiver) = channel();
    sender.send(text("0")).await.unwrap();
    let response = stream(answer(), receiver, manner()).await.unwrap();
    let mut frames = response.into_body().into_data_stream();
    frames.next().await.unwrap().unwrap();
    let began = Instant::now();
    for n in 1..5 {
        sender.send(text(&n.to_string())).await.unwrap();
        let frame = frames.next().await.unwrap().unwrap();
        assert_eq!(content(std::str::from_utf8(&frame).unwrap()), n.to_string());
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_drops_the_job() {
    let (sender, receiver) = channel();
    sender.send(text("a")).await.unwrap();
    let response = stream(answer(), receiver, manner()).await.unwrap();
    assert!(!sender.is_closed());
    drop(response);
    assert!(sender.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_stop_sequence_ends_the_stream_and_the_job() {
    let (sender, receiver) = channel();
    for piece in ["one S", "TO", "P two"] {
        sender.send(text(piece)).await.unwrap();
    }
    let response = stream(answer(), receiver, manner()).await.unwrap();
    let sse = body(response).await;
    assert_eq!(content(&sse), "one ");
    assert!(sse.contains("[DONE]") && sender.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_rewritten_answer_is_an_error_in_a_stream_and_exact_as_a_whole() {
    let events = || vec![text("Hello"), JobEvent::Delta(Delta::Restart), text("Help"), done()];
    let sse = streamed(events()).await.unwrap();
    assert!(sse.contains("answer_rewritten") && !sse.contains("[DONE]"), "{sse}");
    let (sender, receiver) = channel();
    for event in events() {
        sender.try_send(event).unwrap();
    }
    let response = whole(answer(), receiver, manner()).await.unwrap();
    assert_eq!(response.headers()["x-usage-estimated"], "1");
    let value: Value = serde_json::from_str(&body(response).await).unwrap();
    assert_eq!(value["choices"][0]["message"]["content"], "Help");
}

#[tokio::test(start_paused = true)]
async fn a_blocked_answer_that_had_begun_ends_with_content_filter() {
    let sse = streamed(vec![text("a"), failed(FailureKind::ContentBlocked)]).await.unwrap();
    assert!(sse.contains(r#""finish_reason":"content_filter""#) && sse.contains("[DONE]"));
    assert_eq!(streamed(vec![failed(FailureKind::ContentBlocked)]).await.unwrap_err().status.as_u16(), 400);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_lost_is_an_error() {
    assert_eq!(streamed(vec![]).await.unwrap_err().code, "internal_error");
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_may_be_preceded_by_spaces() {
    let manner = Manner { non_stream_beat: NonStreamBeat::Whitespace, ..manner() };
    let (sender, receiver) = channel();
    let began = Instant::now();
    let response = whole(answer(), receiver, manner).await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(45));
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(15)).await;
        sender.send(failed(FailureKind::Upstream)).await.unwrap();
    });
    let text = body(response).await;
    assert!(text.starts_with("  {"), "{text}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["error"]["code"], json!("upstream_error"));
}

//! What Open WebUI is connected to in tests: a server of OpenAI's API that says what the prompt tells it to, and notes when.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;

use crate::support::client::PATIENCE;

pub(crate) const MODELS: [&str; 2] = ["alpha", "beta-2"];

/// A request, and what became of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) model: String,
    /// The last message, as JSON where it is not text.
    pub(crate) prompt: String,
    /// When each token was handed on.
    pub(crate) sent: Vec<Instant>,
    /// Nobody listens any more.
    pub(crate) left: bool,
}

type Seen = Arc<Mutex<Vec<Asked>>>;

pub(crate) struct Backend {
    pub(crate) url: String,
    seen: Seen,
    offered: Arc<Mutex<Vec<&'static str>>>,
    _server: AbortOnDropHandle<()>,
}

impl Backend {
    pub(crate) async fn start() -> Self {
        let seen = Seen::default();
        let offered = Arc::new(Mutex::new(MODELS.to_vec()));
        let models = Arc::clone(&offered);
        let list = async move || {
            let models = models.lock().unwrap().clone();
            let models = models.into_iter().map(|id| json!({ "id": id, "object": "model", "owned_by": "lab" }));
            Json(json!({ "object": "list", "data": models.collect::<Vec<_>>() }))
        };
        let app = Router::new()
            .route("/v1/models", get(list))
            .route("/v1/chat/completions", post(answer))
            .with_state(Arc::clone(&seen));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, seen, offered, _server: AbortOnDropHandle::new(server) }
    }

    /// Offers these models from now on.
    pub(crate) fn offer(&self, models: &[&'static str]) {
        *self.offered.lock().unwrap() = models.to_vec();
    }

    /// The newest request whose prompt holds this.
    pub(crate) fn asked(&self, part: &str) -> Option<Asked> {
        self.seen.lock().unwrap().iter().rev().find(|asked| asked.prompt.contains(part)).cloned()
    }

    pub(crate) async fn until_left(&self, part: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.asked(part).is_some_and(|asked| asked.left) {
            assert!(Instant::now() < deadline, "it goes on: {:?}", self.asked(part));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// `tokens=N` `rate=N` `think=N` `fail=STATUS` `cut=N` `finish=length` `fixture`, anywhere in the prompt.
fn directive(prompt: &str, name: &str) -> Option<u64> {
    let (_, rest) = prompt.split_once(&format!("{name}="))?;
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

/// What is hard on the way: Markdown, a table, code, other scripts, joined emoji, formulas, and what looks like HTML.
pub(crate) const FIXTURE: &str = "# Grüße\n\n| a | b |\n|---|---|\n| 1 | 中文 |\n\n```rust\nfn main() { println!(\"<b>&amp;</b>\"); }\n```\n\n\
    👩‍👩‍👧‍👦 and $\\frac{a}{b}$, `x < y`, \\(z\\)\n\n- [ ] one\n- [x] **two**\n";

async fn answer(State(seen): State<Seen>, Json(body): Json<Value>) -> Response {
    let last = body["messages"].as_array().and_then(|all| all.last()).map(|m| m["content"].clone()).unwrap_or_default();
    let prompt = last.as_str().map_or_else(|| last.to_string(), str::to_owned);
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    let place = {
        let mut seen = seen.lock().unwrap();
        seen.push(Asked { model: model.clone(), prompt: prompt.clone(), ..Asked::default() });
        seen.len() - 1
    };
    if let Some(status) = directive(&prompt, "fail") {
        let words = if status == 429 { "Too many requests, come back later" } else { "the backend is broken" };
        let status = StatusCode::from_u16(status.try_into().unwrap()).unwrap();
        return (status, Json(json!({ "error": { "message": words, "type": "lab" } }))).into_response();
    }
    let (sender, receiver) = mpsc::channel::<Result<Bytes, Infallible>>(1);
    let cut = directive(&prompt, "cut").is_some();
    tokio::spawn(async move {
        let done = say(&prompt, &model, &sender, &|| seen.lock().unwrap()[place].sent.push(Instant::now())).await;
        seen.lock().unwrap()[place].left = done.is_none();
    });
    let body = Body::from_stream(ReceiverStream::new(receiver));
    let mut response = ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response();
    if cut {
        // More is promised than comes.
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("999999"));
    }
    response
}

/// None when nobody listens any more.
async fn say(
    prompt: &str,
    model: &str,
    to: &mpsc::Sender<Result<Bytes, Infallible>>,
    note: &(dyn Fn() + Sync),
) -> Option<()> {
    let rate = directive(prompt, "rate").unwrap_or(50).max(1);
    let cut = directive(prompt, "cut");
    let thoughts = (0..directive(prompt, "think").unwrap_or(0)).map(|n| ("reasoning_content", format!("h{n} ")));
    let words: Vec<String> = if prompt.contains("fixture") {
        FIXTURE.chars().collect::<Vec<_>>().chunks(3).map(|piece| piece.iter().collect()).collect()
    } else {
        (0..directive(prompt, "tokens").unwrap_or(5))
            .map(|n| format!("{}t{n}", if n == 0 { "" } else { " " }))
            .collect()
    };
    let chunk = |delta: Value, finish: Option<&str>| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
        let chunk = json!({ "id": "lab", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice] });
        Ok(Bytes::from(format!("data: {chunk}\n\n")))
    };
    for (n, (field, text)) in thoughts.chain(words.into_iter().map(|word| ("content", word))).enumerate() {
        if cut == Some(n as u64) {
            return Some(());
        }
        tokio::time::sleep(Duration::from_micros(1_000_000 / rate)).await;
        note();
        to.send(chunk(json!({ field: text }), None)).await.ok()?;
    }
    let finish = if prompt.contains("finish=length") { "length" } else { "stop" };
    to.send(chunk(json!({}), Some(finish))).await.ok()?;
    to.send(Ok(Bytes::from_static(b"data: [DONE]\n\n"))).await.ok()
}

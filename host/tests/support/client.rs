//! An API client for tests: it reads a stream event by event, and every wait of its has an end.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::Server;

/// No single wait for a server's next word may take longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
}

/// An answer that came whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The text of a completion.
    pub(crate) fn text(&self) -> &str {
        self.body["choices"][0]["message"]["content"].as_str().unwrap_or_else(|| panic!("no text: {self:?}"))
    }

    /// Status and code of an error.
    pub(crate) fn error(&self) -> (u16, &str) {
        (self.status, self.body["error"]["code"].as_str().unwrap_or_default())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A part of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    Chunk(Value),
    Comment(String),
    Done,
}

impl Event {
    /// What a delta holds under this name.
    pub(crate) fn delta(&self, name: &str) -> Option<&str> {
        let Self::Chunk(chunk) = self else { return None };
        chunk["choices"][0]["delta"][name].as_str().filter(|text| !text.is_empty())
    }

    pub(crate) fn error_code(&self) -> Option<&str> {
        let Self::Chunk(chunk) = self else { return None };
        chunk["error"]["code"].as_str()
    }
}

/// A stream that is being read. Dropping it closes the connection.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) headers: HeaderMap,
    response: reqwest::Response,
    waiting: String,
    bytes: Vec<u8>,
}

impl Stream {
    /// The next event; none at the end of the body, however it came about.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.waiting.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.waiting = rest;
                return Some(parse(&event));
            }
            let piece = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("a piece within the time");
            let Ok(Some(piece)) = piece else {
                assert_eq!(self.waiting, "", "the stream ends within an event");
                return None;
            };
            self.bytes.extend_from_slice(&piece);
            let whole = match std::str::from_utf8(&self.bytes) {
                Ok(text) => text.len(),
                Err(error) => error.valid_up_to(),
            };
            let rest = self.bytes.split_off(whole);
            self.waiting.push_str(&String::from_utf8(std::mem::replace(&mut self.bytes, rest)).unwrap());
        }
    }

    /// The next piece of text that is not empty.
    pub(crate) async fn next_text(&mut self) -> Option<String> {
        loop {
            let event = self.next().await?;
            assert_eq!(event.error_code(), None, "{event:?}");
            if let Some(text) = event.delta("content") {
                return Some(text.to_owned());
            }
        }
    }

    /// All that is still to come.
    pub(crate) async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

fn parse(event: &str) -> Event {
    if let Some(comment) = event.strip_prefix(':') {
        return Event::Comment(comment.trim().to_owned());
    }
    let data = event.strip_prefix("data: ").unwrap_or_else(|| panic!("no event: {event:?}"));
    if data == "[DONE]" { Event::Done } else { Event::Chunk(serde_json::from_str(data).unwrap()) }
}

/// All text of some events under a name such as `content`.
pub(crate) fn joined(events: &[Event], name: &str) -> String {
    events.iter().filter_map(|event| event.delta(name)).collect()
}

/// A request to `demo/script` whose answer is what the directives say.
pub(crate) fn script(directives: &str) -> Value {
    ask("demo/script", directives)
}

/// A request with one message.
pub(crate) fn ask(model: &str, content: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": content }] })
}

/// The same request, streaming.
pub(crate) fn streaming(mut request: Value) -> Value {
    request["stream"] = true.into();
    request
}

impl Client {
    pub(crate) fn of(server: &Server) -> Self {
        Self::at(&server.url(""), &server.key)
    }

    pub(crate) fn at(base: &str, key: &str) -> Self {
        // No connection is used twice: what a test closes is closed.
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).no_proxy().build().unwrap();
        Self { http, base: base.to_owned(), key: key.to_owned() }
    }

    pub(crate) fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    /// A `POST` without a body.
    pub(crate) async fn post(&self, path: &str) -> Answer {
        let request = self.http.post(format!("{}{path}", self.base)).bearer_auth(&self.key);
        answer(request.send().await.unwrap()).await
    }

    /// A `POST` with a body.
    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Answer {
        let sending = self.posting(path, body).send();
        answer(tokio::time::timeout(PATIENCE, sending).await.expect("an answer in time").unwrap()).await
    }

    /// Who waits, who runs, workers and accounts.
    pub(crate) async fn pool(&self) -> Value {
        self.get("/admin/api/pool").await.body
    }

    /// Waits until that is so.
    pub(crate) async fn until_pool(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        self.until("/admin/api/pool", what, is_so).await
    }

    /// The list of models as soon as it has these.
    pub(crate) async fn until_models(&self, wanted: &[&str]) -> Value {
        let is_so = |list: &Value| {
            let models = list["data"].as_array().unwrap();
            models.iter().map(|model| model["id"].as_str().unwrap()).eq(wanted.iter().copied())
        };
        self.until("/v1/models", "the models are there", is_so).await
    }

    async fn until(&self, path: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let body = self.get(path).await.body;
            if is_so(&body) {
                return body;
            }
            assert!(tokio::time::Instant::now() < deadline, "waited in vain until {what}: {body:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let request = self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.key);
        answer(tokio::time::timeout(PATIENCE, request.send()).await.expect("an answer in time").unwrap()).await
    }

    /// Sends a request for a completion and waits for the head of the response.
    pub(crate) async fn send(&self, request: &Value) -> reqwest::Response {
        self.send_with(request, &[]).await
    }

    pub(crate) async fn send_with(&self, request: &Value, headers: &[(&str, &str)]) -> reqwest::Response {
        let mut sending = self.completion(request);
        for (name, value) in headers {
            sending = sending.header(*name, *value);
        }
        tokio::time::timeout(PATIENCE, sending.send()).await.expect("an answer in time").unwrap()
    }

    fn completion(&self, request: &Value) -> reqwest::RequestBuilder {
        self.posting("/v1/chat/completions", request)
    }

    fn posting(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        let sending = self.http.post(format!("{}{path}", self.base)).bearer_auth(&self.key);
        sending.header("content-type", "application/json").body(body.to_string())
    }

    /// A whole answer, or an error.
    pub(crate) async fn ask(&self, request: &Value) -> Answer {
        answer(self.send(request).await).await
    }

    /// The same, for those that know how long it may take.
    pub(crate) async fn ask_within(&self, request: &Value, within: Duration) -> Answer {
        let sending = self.completion(request).send();
        answer(tokio::time::timeout(within, sending).await.expect("an answer within its deadlines").unwrap()).await
    }

    /// A stream, which must begin well.
    pub(crate) async fn stream(&self, request: Value) -> Stream {
        let response = self.send(&streaming(request)).await;
        stream_of(response).await
    }
}

/// A response that must be a stream.
pub(crate) async fn stream_of(response: reqwest::Response) -> Stream {
    if response.status() != 200 {
        panic!("no stream: {:?}", answer(response).await);
    }
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    Stream { headers: response.headers().clone(), response, waiting: String::new(), bytes: Vec::new() }
}

pub(crate) async fn answer(response: reqwest::Response) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = tokio::time::timeout(PATIENCE, response.bytes()).await.expect("a body in time").unwrap();
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| panic!("{status}, and no JSON: {}", String::from_utf8_lossy(&bytes)));
    Answer { status, headers, body }
}

/// Requests of a pool that have a page; what the program looks after by itself is none.
pub(crate) fn running(pool: &Value) -> usize {
    let own = |one: &Value| ["probe", "models", "a warm page"].iter().any(|name| one["id"] == *name);
    pool["running"].as_array().unwrap().iter().filter(|one| !own(one)).count()
}

/// Requests of a pool that have none yet.
pub(crate) fn waiting(pool: &Value) -> usize {
    pool["waiting"].as_array().unwrap().len()
}

//! The demo site behind a server, at its own address: what it received, and the state that tests put it into.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::PATIENCE;
use super::{Server, word_after};

#[derive(Clone)]
pub(crate) struct Site {
    http: reqwest::Client,
    base: String,
}

impl Site {
    pub(crate) fn of(server: &Server) -> Self {
        let mark = "the demo site listens address=";
        assert!(server.wait_for(|server| server.log().contains(mark)), "{}", server.log());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, base: format!("http://{}", word_after(&server.log(), mark)) }
    }

    pub(crate) fn url(&self) -> &str {
        &self.base
    }

    pub(crate) async fn stats(&self) -> Value {
        let response = self.http.get(format!("{}/stats", self.base)).send().await.unwrap();
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> reqwest::Response {
        let request = self.http.post(format!("{}{path}", self.base)).header("content-type", "application/json");
        request.body(body.to_string()).send().await.unwrap()
    }

    pub(crate) async fn control(&self, change: Value) {
        let response = self.post("/control", change).await;
        let status = response.status();
        assert!(status.is_success(), "{status} {}", response.text().await.unwrap());
    }

    /// Signs somebody in. What the browser that did would send from then on in the cookie `demo_session`.
    pub(crate) async fn sign_in(&self, email: &str) -> String {
        let response = self.post("/api/login", json!({ "email": email, "password": "demo" })).await;
        let cookies = response.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
        let session = cookies.filter_map(|cookie| cookie.strip_prefix("demo_session=")).next().unwrap();
        session.split(';').next().unwrap().to_owned()
    }

    /// Lets so many more events of a gated answer go.
    pub(crate) async fn let_go(&self, mark: &str, events: u16) {
        self.control(json!({ "let_go": { mark: events } })).await;
    }

    /// How often a prompt with this mark arrived.
    pub(crate) async fn prompts(&self, mark: &str) -> usize {
        marked(&self.stats().await["prompts"]["list"], mark).len()
    }

    /// The newest stream with this mark.
    pub(crate) async fn stream(&self, mark: &str) -> Option<Value> {
        marked(&self.stats().await["streams"]["list"], mark).pop()
    }

    /// Waits until the figures are so, and returns them.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stats = self.stats().await;
            if is_so(&stats) {
                return stats;
            }
            assert!(Instant::now() < deadline, "waited in vain until {what}: {stats:#}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until a prompt with this mark has arrived.
    pub(crate) async fn until_prompted(&self, mark: &str) {
        self.until(&format!("the prompt {mark} is there"), |stats| !marked(&stats["prompts"]["list"], mark).is_empty())
            .await;
    }

    /// Waits until the stream with this mark is over, and returns it.
    pub(crate) async fn until_closed(&self, mark: &str) -> Value {
        let over = |stats: &Value| {
            marked(&stats["streams"]["list"], mark).last().is_some_and(|stream| stream["state"] != "open")
        };
        let stats = self.until(&format!("the stream {mark} is over"), over).await;
        marked(&stats["streams"]["list"], mark).pop().unwrap()
    }

    /// Waits until the stop button of the stream with this mark was pressed and the stream is over. The page tells of the one and
    /// does the other: either may arrive first.
    pub(crate) async fn until_stopped(&self, mark: &str) {
        let over = |stream: &Value| stream["state"] == "aborted" && stream["stopped"] == true;
        let stopped = |stats: &Value| marked(&stats["streams"]["list"], mark).last().is_some_and(over);
        self.until(&format!("the stream {mark} is stopped"), stopped).await;
    }
}

/// The records with a mark, the oldest first.
pub(crate) fn marked(list: &Value, mark: &str) -> Vec<Value> {
    list.as_array().unwrap().iter().filter(|record| record["mark"] == mark).cloned().collect()
}

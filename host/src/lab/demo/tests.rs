use std::time::{Duration, Instant};

use futures::StreamExt as _;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use super::*;

/// A site and a client with a cookie jar of its own kind: none, so every call is a new visitor.
struct Lab {
    site: DemoSite,
    http: Client,
}

impl Lab {
    async fn new() -> Lab {
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Lab { site: DemoSite::start(DemoOptions::default()).await.unwrap(), http }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.site.addr())
    }

    async fn ask(&self, model: &str, prompt: &str) -> reqwest::Result<Response> {
        self.http.post(self.url("/api/chat")).body_json(&json!({ "model": model, "prompt": prompt })).send().await
    }

    async fn get(&self, path: &str) -> Value {
        self.http.get(self.url(path)).send().await.unwrap().read_json().await
    }

    async fn set(&self, change: Value) -> StatusCode {
        self.http.post(self.url("/control")).body_json(&change).send().await.unwrap().status()
    }

    /// Waits until the figures say so.
    async fn until(&self, holds: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let stats = self.get("/stats").await;
            if holds(&stats) {
                return stats;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "{stats:#}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

trait PostJson {
    fn body_json(self, value: &Value) -> Self;
}

impl PostJson for reqwest::RequestBuilder {
    fn body_json(self, value: &Value) -> Self {
        self.header("content-type", "application/json").body(value.to_string())
    }
}

trait ReadJson {
    async fn read_json(self) -> Value;
}

impl ReadJson for Response {
    async fn read_json(self) -> Value {
        serde_json::from_slice(&self.bytes().await.unwrap()).unwrap()
    }
}

/// Applies the patches of a finished stream, as the page does.
fn message(stream: &str) -> Value {
    let mut doc = Value::Null;
    let (mut path, mut op) = (String::new(), String::new());
    let events: Vec<&str> = stream.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
    assert_eq!(events.last(), Some(&"[DONE]"));
    for data in &events[..events.len() - 1] {
        let event: Value = serde_json::from_str(data).unwrap();
        if doc.is_null() {
            doc = event["v"].clone();
            continue;
        }
        path = event["p"].as_str().map_or(path, str::to_owned);
        op = event["o"].as_str().map_or(op, str::to_owned);
        let place = doc.pointer_mut(&path).unwrap();
        match (op.as_str(), place) {
            ("append", Value::String(text)) => text.push_str(event["v"].as_str().unwrap()),
            ("append", Value::Array(list)) => list.push(event["v"].clone()),
            (_, place) => *place = event["v"].clone(),
        }
    }
    doc["message"].clone()
}

async fn text(lab: &Lab, model: &str, prompt: &str) -> String {
    let stream = lab.ask(model, prompt).await.unwrap().text().await.unwrap();
    message(&stream)["parts"][0]["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn echo_says_exactly_what_came() {
    let lab = Lab::new().await;
    let prompt = "# System\n\nBe brief.\n\n# User\n  two  spaces, \"quotes\", 你好 👩‍👧 <b>\ttab\n\nend";
    assert_eq!(text(&lab, "echo", prompt).await, prompt);
    let stats = lab.get("/stats").await;
    assert_eq!(stats["prompts"]["count"], 1);
    assert_eq!(
        stats["prompts"]["list"][0]["sha256"],
        stats::hex(&<[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(prompt)))
    );
}

#[tokio::test]
async fn fixtures_survive_cuts_anywhere() {
    let lab = Lab::new().await;
    for name in ["markdown", "cjk", "emoji"] {
        let expected = name.parse::<fixture::Fixture>().unwrap().text("");
        // A busy machine joins what was sent in pieces: asked again until a piece is seen to end inside a character.
        let mut broken = 0;
        for _ in 0..50 {
            let mut body = lab.ask("script", &format!("fixture={name}")).await.unwrap().bytes_stream();
            let mut whole = Vec::new();
            while let Some(piece) = body.next().await {
                let piece = piece.unwrap();
                broken += u32::from(std::str::from_utf8(&piece).is_err());
                whole.extend_from_slice(&piece);
            }
            let got = message(std::str::from_utf8(&whole).unwrap());
            assert_eq!(got["parts"][0]["text"], expected);
            if broken > 0 {
                break;
            }
        }
        assert!(broken > 0, "{name}: no piece ended inside a character");
    }
}

#[tokio::test]
async fn tokens_leave_when_they_are_due() {
    let lab = Lab::new().await;
    let response = lab.ask("script", "tokens=20 rate=100 mark=pace").await.unwrap();
    let mut body = response.bytes_stream();
    while let Some(piece) = body.next().await {
        piece.unwrap();
    }
    let stats = lab.until(|stats| stats["streams"]["completed"] == 1).await;
    let stream = &stats["streams"]["list"][0];
    assert_eq!((&stream["mark"], &stream["state"]), (&json!("pace"), &json!("complete")));
    let took = stream["last_sent"].as_f64().unwrap() - stream["first_sent"].as_f64().unwrap();
    assert!(took > 0.0, "all at once");
    let sends = lab.get(&format!("/stats/sends?stream={}", stream["id"])).await;
    assert_eq!(sends.as_array().unwrap().len() as u64, stream["events"].as_u64().unwrap());
}

#[tokio::test]
async fn reasoning_comes_first() {
    let lab = Lab::new().await;
    let stream = lab.ask("script", "tokens=2 reasoning=3 rate=0").await.unwrap().text().await.unwrap();
    let message = message(&stream);
    assert_eq!((&message["reasoning"], &message["parts"][0]["text"]), (&json!("r0 r1 r2"), &json!("t0 t1")));
}

#[tokio::test]
async fn errors_come_as_status_or_in_the_stream() {
    let lab = Lab::new().await;
    for (error, status, code) in [
        ("rate-limited", 429, "rate_limited"),
        ("quota", 429, "quota_exhausted"),
        ("content-blocked", 400, "content_blocked"),
        ("signed-out", 401, "signed_out"),
        ("challenge", 403, "challenge"),
        ("server-error", 500, "server_error"),
        ("server-error status=503", 503, "server_error"),
    ] {
        let response = lab.ask("script", &format!("error={error} retry_after=7")).await.unwrap();
        assert_eq!(response.status(), status, "{error}");
        assert_eq!(response.headers().contains_key("retry-after"), status == 429 || status == 503);
        let body: Value = response.read_json().await;
        assert_eq!(body["error"]["code"], code);
    }
    let stream = lab.ask("script", "tokens=9 rate=0 error=rate-limited after=3").await.unwrap().text().await.unwrap();
    let message = message(&stream);
    assert_eq!((&message["parts"][0]["text"], &message["error"]["code"]), (&json!("t0 t1 t2"), &json!("rate_limited")));
    assert_eq!(lab.get("/stats").await["prompts"]["count"], 8);
}

#[tokio::test]
async fn a_cut_connection_is_no_end() {
    let lab = Lab::new().await;
    assert!(match lab.ask("script", "error=disconnect").await {
        Err(_) => true,
        Ok(response) => response.bytes().await.is_err(),
    });
    let response = lab.ask("script", "tokens=5 error=disconnect after=2").await.unwrap();
    assert!(response.bytes().await.is_err());
}

#[tokio::test]
async fn a_page_that_goes_away_is_noticed() {
    let lab = Lab::new().await;
    let response = lab.ask("script", "tokens=1000 rate=10").await.unwrap();
    lab.until(|stats| stats["streams"]["open"] == 1).await;
    drop(response);
    let stats = lab.until(|stats| stats["streams"]["open"] == 0).await;
    assert_eq!(stats["streams"]["aborted"], 1);
}

#[tokio::test]
async fn states_show_in_pages_and_answers() {
    let lab = Lab::new().await;
    let page = async || {
        let response = lab.http.get(lab.url("/")).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert!(page().await.1.contains("data-view=\"chat\""));
    lab.set(json!({ "state": "signed-out" })).await;
    assert!(page().await.1.contains("data-view=\"sign-in\""));
    assert_eq!(lab.ask("echo", "x").await.unwrap().status(), 401);
    lab.set(json!({ "state": "challenge" })).await;
    let (status, html) = page().await;
    assert!(status == 403 && html.contains("<title>Just a moment...</title>"));
    lab.set(json!({ "state": "site-changed" })).await;
    assert!(!page().await.1.contains("data-testid"));
    assert!(lab.ask("echo", "x").await.unwrap().text().await.unwrap().starts_with("data: {\"delta\":"));
    lab.set(json!({ "state": "limit", "retry_after": 9 })).await;
    assert_eq!(lab.get("/api/me").await["limited"], 9);
    assert_eq!(lab.ask("echo", "x").await.unwrap().headers()["retry-after"], "9");
    assert_eq!(lab.set(json!({ "state": "nonsense" })).await, 422);
    lab.set(json!({ "state": "ok", "models": ["echo"] })).await;
    assert_eq!(lab.get("/api/me").await["models"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn signing_in_and_out() {
    let lab = Lab::new().await;
    lab.set(json!({ "state": "signed-out" })).await;
    let sign_in = async |password: &str| {
        let form = json!({ "email": "a@b.c", "password": password });
        lab.http.post(lab.url("/api/login")).body_json(&form).send().await.unwrap()
    };
    assert_eq!(sign_in("wrong").await.status(), 401);
    let signed_in = sign_in("demo").await;
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let me = async || -> Value {
        lab.http.get(lab.url("/api/me")).header("cookie", &cookie).send().await.unwrap().read_json().await
    };
    assert_eq!(me().await["user"], "a@b.c");
    lab.http.post(lab.url("/api/logout")).header("cookie", &cookie).send().await.unwrap();
    assert_eq!(me().await["admitted"], false);
}

#[tokio::test]
async fn uploads_are_described() {
    let lab = Lab::new().await;
    let png = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        picture::data_uri("x").strip_prefix("data:image/png;base64,").unwrap(),
    )
    .unwrap();
    let upload =
        lab.http.post(lab.url("/api/upload")).header("content-type", "image/png").header("x-file-name", "a%20b.png");
    let about: Value = upload.body(png.clone()).send().await.unwrap().read_json().await;
    assert_eq!((&about["name"], &about["width"], &about["bytes"]), (&json!("a b.png"), &json!(192), &json!(png.len())));
    let ask = json!({ "model": "echo", "prompt": "look", "attachments": [about["id"]] });
    let stream = lab.http.post(lab.url("/api/chat")).body_json(&ask).send().await.unwrap().text().await.unwrap();
    let line = format!(
        "look\n\n[attachments]\n1. a b.png image/png {} bytes 192x192 px sha256={}",
        png.len(),
        about["sha256"].as_str().unwrap()
    );
    assert_eq!(message(&stream)["parts"][0]["text"], line);
}

#[tokio::test]
async fn dropping_the_site_ends_its_streams() {
    let lab = Lab::new().await;
    let response = lab.ask("script", "tokens=1000 rate=10").await.unwrap();
    let addr = lab.site.addr();
    drop(lab.site);
    assert!(response.bytes().await.is_err());
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn bad_directives_are_said() {
    let lab = Lab::new().await;
    let response = lab.ask("script", "tokens=many").await.unwrap();
    assert_eq!(response.status(), 400);
    assert!(response.text().await.unwrap().contains("tokens=many"));
}

#[tokio::test]
async fn nothing_reaches_it_during_an_outage() {
    let lab = Lab::new().await;
    let mut answer = lab.ask("script", "tokens=100 rate=5").await.unwrap().bytes_stream();
    answer.next().await.unwrap().unwrap();
    let began = Instant::now();
    assert_eq!(lab.set(json!({ "outage_ms": 1500 })).await, StatusCode::OK);
    while let Some(Ok(_)) = answer.next().await {}
    // What was under way is cut, and nobody else gets in, until it is over.
    let asks = async || lab.http.get(lab.url("/stats")).send().await;
    assert!(asks().await.is_err());
    while asks().await.is_err() {}
    assert!(began.elapsed() >= Duration::from_millis(1500));
}

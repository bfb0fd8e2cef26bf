//! Open WebUI, signed in by its own form: a model picker, uploads, thoughts, and an answer that comes on a WebSocket.

use std::time::Duration;

use serde_json::json;
use url::Url;
use webai2api::browser::guard::{Guard, GuardOptions, Mapping, Unmapped};
use webai2api::browser::{Instance, InstanceOptions, InstanceState, LaunchOptions, Origin, PageSpec, Profile};

use super::app::App;
use super::backend::{Backend, FIXTURE, MODELS};
use crate::support::client::{Client, Event, ask, joined};

const SITE: &str = "http://open-webui.localhost";
const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));

/// Signs in as the operator would, in the profile that the server will use.
async fn sign_in(app: &App, profile: std::path::PathBuf) {
    let mapping = Mapping { host: "open-webui.localhost".into(), port: 80, to: app.address };
    let options = GuardOptions { mappings: vec![mapping], unmapped: Unmapped::Refuse, upstream: None };
    let guard = Guard::start(options).await.unwrap();
    let launch = LaunchOptions::new(guard.addr());
    let instance = Instance::spawn(InstanceOptions { name: "operator".into(), profile: Profile::Dir(profile), launch });
    let mut state = instance.state();
    state.wait_for(|state| matches!(state, InstanceState::Ready { .. })).await.unwrap();
    let spec = PageSpec {
        entry: Url::parse(SITE).unwrap(),
        page: vec![Origin::parse_granted(SITE).unwrap()],
        pass: Vec::new(),
        listen: Vec::new(),
        rewrite: Vec::new(),
        save: Vec::new(),
        stop_button: None,
        throwaway: false,
    };
    let page = instance.open_page(spec).await.unwrap();
    page.back_to_entry(PATIENCE).await.unwrap();
    page.fill("css=input[type=email]", "lab@example.com", PATIENCE).await.unwrap();
    page.fill("css=input[type=password]", "lab-password", PATIENCE).await.unwrap();
    page.click("role=button[name=\"Sign in\"]", 1, PATIENCE).await.unwrap();
    page.text("css=#chat-input", PATIENCE).await.unwrap();
    drop(page);
    instance.stop().await;
}

#[tokio::test]
#[ignore = "needs `scripts/setup open-webui` (740 MB): run by `make lab`"]
async fn a_whole_application_works() {
    let backend = Backend::start().await;
    let app = App::open_webui(&backend.url).ready().await;
    let home = tempfile::TempDir::new().unwrap();
    let server = app.server().data_dir(home.path()).start_ready();
    let refused = Client::at(&server.url(""), &key(home.path())).ask(&ask("open-webui/default", "Hello")).await;
    assert_eq!(refused.error(), (403, "login_required"));
    server.terminate();

    sign_in(&app, home.path().join("profiles/default")).await;
    let server = app.server().data_dir(home.path()).start_ready();
    let client = Client::at(&server.url(""), &key(home.path()));

    answers(&client, &backend).await;
    models(&client, &backend).await;
    uploads(&client, &backend).await;
    failures(&client).await;
    stops(&client, &backend).await;
    two_at_once(&client).await;
    latency(&client, &backend).await;
}

fn key(data: &std::path::Path) -> String {
    std::fs::read_to_string(data.join("admin-key")).unwrap().trim().to_owned()
}

async fn answers(client: &Client, backend: &Backend) {
    // A model that no manifest names, before anybody has asked for the list.
    let events = client.stream(ask("open-webui/alpha", "think=3 tokens=6")).await.rest().await;
    assert_eq!(joined(&events, "reasoning_content").trim(), "h0 h1 h2", "{events:?}");
    assert_eq!(joined(&events, "content"), "t0 t1 t2 t3 t4 t5");
    assert!(events.iter().filter(|event| event.delta("content").is_some()).count() > 3, "in pieces: {events:?}");
    assert_eq!(backend.asked("think=3").unwrap().model, "alpha");

    let answer = client.ask(&ask("open-webui/alpha", "the fixture")).await;
    assert_eq!(answer.text(), FIXTURE);
    // The prompt arrives as it was written, whatever the composer makes of it.
    let hard = "/help me\n\n* not a list\n<b>&amp;</b> `x` #tag @you $5 {{USER_NAME}} 中文 👩‍👩‍👧‍👦\n    indented tokens=2";
    assert_eq!(client.ask(&ask("open-webui/alpha", hard)).await.text(), "t0 t1");
    assert_eq!(backend.asked("not a list").unwrap().prompt, hard);

    let answer = client.ask(&ask("open-webui/alpha", "tokens=3 finish=length")).await;
    assert_eq!(answer.body["choices"][0]["finish_reason"], "length", "{answer:?}");
}

async fn models(client: &Client, backend: &Backend) {
    let list = client.get("/v1/models").await.body;
    let ids: Vec<&str> = list["data"].as_array().unwrap().iter().filter_map(|model| model["id"].as_str()).collect();
    for id in MODELS {
        assert!(ids.contains(&format!("open-webui/{id}").as_str()), "{ids:?}");
    }
    assert_eq!(client.ask(&ask("open-webui/beta-2", "which=beta")).await.text(), "t0 t1 t2 t3 t4");
    assert_eq!(backend.asked("which=beta").unwrap().model, "beta-2");
    assert_eq!(client.ask(&ask("open-webui/gone", "which=gone")).await.error(), (404, "model_not_found"));
    // One that was there a moment ago: the page itself would say nothing, and answer with another model.
    backend.offer(&MODELS[..1]);
    let gone = client.ask(&ask("open-webui/beta-2", "which=gone")).await;
    assert_eq!(gone.error().1, "model_unavailable", "{gone:?}");
    assert!(backend.asked("which=gone").is_none());
    backend.offer(&MODELS);
}

async fn uploads(client: &Client, backend: &Backend) {
    use base64::Engine as _;
    let data = |mime: &str, bytes: &[u8]| {
        format!("data:{mime};base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes))
    };
    let note = data("text/plain", b"The secret word is pelican.");
    let parts = json!([
        { "type": "text", "text": "a file, tokens=2" },
        { "type": "file", "file": { "filename": "note.txt", "file_data": note } },
    ]);
    let request = json!({ "model": "open-webui/alpha", "messages": [{ "role": "user", "content": parts }] });
    assert_eq!(client.ask(&request).await.text(), "t0 t1");
    assert!(backend.asked("pelican").is_some(), "{:?}", backend.asked("a file"));

    let png = base64::engine::general_purpose::STANDARD
        .decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
        .unwrap();
    let parts = json!([
        { "type": "text", "text": "a picture, tokens=2" },
        { "type": "image_url", "image_url": { "url": data("image/png", &png) } },
    ]);
    let request = json!({ "model": "open-webui/alpha", "messages": [{ "role": "user", "content": parts }] });
    assert_eq!(client.ask(&request).await.text(), "t0 t1");
    assert!(backend.asked("a picture").unwrap().prompt.contains("image_url"), "{:?}", backend.asked("a picture"));
}

async fn failures(client: &Client) {
    let limited = client.ask(&ask("open-webui/alpha", "fail=429")).await;
    assert!(limited.body["error"]["message"].as_str().unwrap().contains("Too many requests"), "{limited:?}");
    assert_eq!(limited.error().1, "rate_limited", "{limited:?}");
    let broken = client.ask(&ask("open-webui/alpha", "fail=500")).await;
    assert!(broken.body["error"]["message"].as_str().unwrap().contains("the backend is broken"), "{broken:?}");
    let events = client.stream(ask("open-webui/alpha", "tokens=9 cut=4")).await.rest().await;
    let codes: Vec<_> = events.iter().filter_map(Event::error_code).collect();
    assert_eq!(codes, ["upstream_error"], "{events:?}");
    assert!("t0 t1 t2 t3".starts_with(&joined(&events, "content")), "{events:?}");
}

async fn stops(client: &Client, backend: &Backend) {
    let mut stream = client.stream(ask("open-webui/alpha", "tokens=3000 rate=20 leaving")).await;
    assert_eq!(stream.next_text().await.unwrap(), "t0");
    drop(stream);
    backend.until_left("leaving").await;
    assert!(backend.asked("leaving").unwrap().sent.len() < 1000);
    assert_eq!(client.ask(&ask("open-webui/alpha", "tokens=1")).await.text(), "t0");
}

/// All chats of a person share their events.
async fn two_at_once(client: &Client) {
    let request = |n: usize| ask("open-webui/alpha", &format!("tokens={} rate=30", 40 + n));
    let (one, two) = (request(1), request(2));
    let (one, two) = tokio::join!(client.ask(&one), client.ask(&two));
    let words = |n: usize| (0..n).map(|n| format!("t{n}")).collect::<Vec<_>>().join(" ");
    assert_eq!((one.text(), two.text()), (words(41).as_str(), words(42).as_str()));
}

/// From the backend's send to the client's receipt, through Open WebUI, its socket, Chromium, the adapter and the API.
async fn latency(client: &Client, backend: &Backend) {
    let mut stream = client.stream(ask("open-webui/alpha", "tokens=300 rate=50 latency")).await;
    let mut words = 0;
    let mut late: Vec<Duration> = Vec::new();
    while let Some(event) = stream.next().await {
        let Some(text) = event.delta("content") else { continue };
        let sent = backend.asked("latency").unwrap().sent;
        for _ in 0..text.matches('t').count() {
            late.push(sent[words].elapsed());
            words += 1;
        }
    }
    assert_eq!(words, 300);
    late.sort();
    println!("open-webui: backend to client p50 {:?}, p95 {:?}, max {:?}", late[150], late[285], late[299]);
}

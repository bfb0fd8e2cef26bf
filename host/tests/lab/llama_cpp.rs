//! llama.cpp's page with a real model: nobody knows what it will say, nor how fast.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::app::App;
use crate::support::Server;
use crate::support::client::{Client, Event, PATIENCE, ask, joined};

/// What the server's slots are doing.
async fn slots(app: &App) -> Vec<Value> {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = http.get(format!("http://{}/slots", app.address)).send().await.unwrap();
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

async fn busy(app: &App) -> usize {
    slots(app).await.iter().filter(|slot| slot["is_processing"] == true).count()
}

/// Waits until the model has nothing to do, after this.
async fn until_idle(app: &App, server: &Server, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    while busy(app).await > 0 {
        assert!(Instant::now() < deadline, "{what}: the server goes on: {}\n{}", app.log(), server.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_real_model_answers_through_its_own_page() {
    let app = App::llama_cpp().ready().await;
    let server = app.server().start_ready();
    let client = Client::of(&server);

    // An answer that comes while it is made.
    let mut stream = client.stream(ask("llama-cpp/default", "Write a long story about a lighthouse.")).await;
    let mut story = String::new();
    for _ in 0..8 {
        story.push_str(&stream.next_text().await.unwrap());
    }
    assert_eq!(busy(&app).await, 1, "eight pieces have come, and the model is not done: {story}");
    assert!(story.split_whitespace().count() >= 3, "{story:?}");

    // Leaving stops the model itself, not only the reading.
    drop(stream);
    until_idle(&app, &server, "leaving in mid-answer").await;

    // A whole one, with how it ended, and the model's own name.
    let mut request = ask("llama-cpp/default", "Say hello in one short sentence.");
    request["max_tokens"] = 40.into();
    let answer = client.ask(&request).await;
    assert!(!answer.text().trim().is_empty(), "{answer:?}");
    assert!(["stop", "length"].contains(&answer.body["choices"][0]["finish_reason"].as_str().unwrap()), "{answer:?}");
    until_idle(&app, &server, "a short answer").await;

    // A file becomes a part of the prompt.
    let short = slots(&app).await.iter().filter_map(|slot| slot["n_prompt_tokens_processed"].as_u64()).max().unwrap();
    let file = "data:text/plain;base64,".to_owned() + &base64(&"The secret word is pelican. ".repeat(60));
    let parts = json!([
        { "type": "text", "text": "What is the secret word?" },
        { "type": "file", "file": { "filename": "note.txt", "file_data": file } },
    ]);
    let mut stream = client
        .stream(json!({ "model": "llama-cpp/default", "messages": [{ "role": "user", "content": parts }] }))
        .await;
    assert!(stream.next_text().await.is_some());
    let long = slots(&app).await.iter().filter_map(|slot| slot["n_prompt_tokens_processed"].as_u64()).max().unwrap();
    assert!(long > short + 300, "{short} and then {long}");
    drop(stream);
    until_idle(&app, &server, "a file").await;

    // What the server refuses is said, and with its status.
    let refused = client.ask(&ask("llama-cpp/default", &"word ".repeat(20_000))).await;
    assert!(refused.status >= 400, "{refused:?}");
    assert!(!refused.body["error"]["message"].as_str().unwrap().is_empty());

    // Two at once, each on a page of its own.
    let (one, two) = tokio::join!(
        client.stream(ask("llama-cpp/default", "Tell me about the sea.")),
        client.stream(ask("llama-cpp/default", "Tell me about the moon."))
    );
    let (mut one, mut two) = (one, two);
    assert!(one.next_text().await.is_some() && two.next_text().await.is_some());
    assert_eq!(busy(&app).await, 2);
    drop((one, two));
    until_idle(&app, &server, "two at once").await;
}

#[tokio::test]
async fn a_server_that_dies_is_an_error_and_no_end() {
    let mut app = App::llama_cpp().ready().await;
    let server = app.server().start_ready();
    let client = Client::of(&server);
    let mut stream = client.stream(ask("llama-cpp/default", "Write a long story about a ship.")).await;
    assert!(stream.next_text().await.is_some());
    app.kill();
    let events = stream.rest().await;
    let codes: Vec<_> = events.iter().filter_map(Event::error_code).collect();
    assert_eq!(codes, ["upstream_error"], "{} {events:?}", joined(&events, "content"));
    // With nothing there, the page is an error page; the caller learns of it, and the program lives.
    let answer = client.ask(&ask("llama-cpp/default", "Are you there?")).await;
    assert!(answer.status >= 400, "{answer:?}");
    assert!(server.is_alive());
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

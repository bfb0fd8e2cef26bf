//! What a client says reaches the site whole, and what the site says reaches the client as it is.

use crate::support::Server;
use crate::support::client::{self, Client, Event, ask, joined, script, stream_of, streaming};
use crate::support::site::Site;
use base64::Engine as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const FIXTURES: [(&str, &str); 6] = [
    ("code", include_str!("../src/lab/demo/fixtures/code.md")),
    ("table", include_str!("../src/lab/demo/fixtures/table.md")),
    ("latex", include_str!("../src/lab/demo/fixtures/latex.md")),
    ("cjk", include_str!("../src/lab/demo/fixtures/cjk.md")),
    ("emoji", include_str!("../src/lab/demo/fixtures/emoji.md")),
    ("tags", include_str!("../src/lab/demo/fixtures/tags.md")),
];

/// The answer to a request, streamed and whole; both must say the same.
async fn both(client: &Client, request: &Value) -> String {
    let whole = client.ask(request).await;
    assert_eq!(whole.status, 200, "{whole:?}");
    let events = client.stream(request.clone()).await.rest().await;
    assert_eq!(joined(&events, "content"), whole.text());
    whole.text().to_owned()
}

fn png(width: u32, height: u32, shade: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(width, height, image::Rgb([shade; 3]));
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn data_uri(bytes: &[u8]) -> String {
    format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn the_whole_conversation_and_its_pictures_reach_the_site() {
    let server = Server::builder().start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));

    assert_eq!(both(&client, &ask("demo/echo", "  just this\n\nas it is  ")).await, "  just this\n\nas it is  ");

    let request = json!({ "model": "demo/echo", "messages": [
        { "role": "system", "content": "Be brief." },
        { "role": "user", "content": [{ "type": "text", "text": "one" }, { "type": "text", "text": "two" }] },
        { "role": "assistant", "content": "three 你好 👩‍👩‍👧" },
        { "role": "developer", "content": "In English." },
        { "role": "user", "name": "Ann", "content": "four" },
    ]});
    assert_eq!(
        both(&client, &request).await,
        "[System]\nBe brief.\n\n[User]\none\ntwo\n\n[Assistant]\nthree 你好 👩‍👩‍👧\n\n[System]\nIn English.\n\n[User: Ann]\nfour"
    );

    let long: String = (0..30_000).map(|n| format!("{n} ")).collect();
    assert_eq!(client.ask(&ask("demo/echo", &long)).await.text(), long);

    let (first, second) = (png(3, 2, 10), png(40, 30, 200));
    let request = json!({ "model": "demo/echo", "messages": [{ "role": "user", "content": [
        { "type": "text", "text": "Look." },
        { "type": "image_url", "image_url": { "url": data_uri(&first) } },
        { "type": "image_url", "image_url": { "url": data_uri(&second) } },
    ]}]});
    let expected = format!(
        "Look.\n\n[attachments]\n1. image-1.png image/png {} bytes 3x2 px sha256={}\n2. image-2.png image/png {} bytes \
         40x30 px sha256={}",
        first.len(),
        hex(&first),
        second.len(),
        hex(&second)
    );
    assert_eq!(both(&client, &request).await, expected);
    assert_eq!(site.stats().await["uploads"]["count"], 4, "each of two requests brought two pictures");
}

#[tokio::test]
async fn hard_texts_come_back_exactly() {
    let server = Server::builder().start_ready();
    let client = Client::of(&server);
    let all = FIXTURES.map(|(_, text)| text.trim_end()).join("\n\n");
    assert_eq!(both(&client, &script("fixture=markdown")).await, all);
    for (name, text) in FIXTURES {
        // Bytes cut anywhere; surrogate pairs that fall into two events.
        for extra in ["cut=1", "lone=1 chunk=1"] {
            let stream = client.stream(script(&format!("fixture={name} {extra}"))).await;
            assert_eq!(joined(&stream.rest().await, "content"), text.trim_end(), "{name} {extra}");
        }
    }
}

#[tokio::test]
async fn answers_have_the_form_that_clients_expect() {
    let server = Server::builder().start_ready();
    let client = Client::of(&server);

    let mut request = script("tokens=12 rate=0 reasoning=3");
    request["temperature"] = 0.5.into();
    let whole = client.ask(&request).await;
    assert_eq!((whole.status, &whole.body["object"]), (200, &json!("chat.completion")));
    assert_eq!(whole.text(), "t0 t1 t2 t3 t4 t5 t6 t7 t8 t9 t10 t11");
    assert_eq!(whole.body["choices"][0]["message"]["reasoning_content"], "r0 r1 r2");
    assert_eq!(whole.body["choices"][0]["finish_reason"], "stop");
    let usage = &whole.body["usage"];
    let count = |name: &str| usage[name].as_u64().unwrap();
    assert!(count("prompt_tokens") > 0 && count("completion_tokens") >= 12, "{usage}");
    assert_eq!(count("total_tokens"), count("prompt_tokens") + count("completion_tokens"));
    assert!(usage["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap() > 0);
    assert_eq!(whole.header("x-webai-adapter"), Some("demo@0.1.0"));
    assert_eq!(whole.header("x-webai-instance"), Some("default"));
    assert_eq!(whole.header("x-webai-ignored"), Some("temperature"));
    assert_eq!(whole.header("x-usage-estimated"), Some("1"));
    for name in ["x-request-id", "x-webai-overhead-ms", "x-webai-queue-ms"] {
        assert!(whole.header(name).is_some(), "{name}: {whole:?}");
    }

    request["stream_options"] = json!({ "include_usage": true });
    let stream = client.stream(request).await;
    assert_eq!(stream.headers["cache-control"], "no-cache");
    assert_eq!(stream.headers["x-accel-buffering"], "no");
    let events = stream.rest().await;
    let chunks: Vec<&Value> =
        events.iter().filter_map(|event| if let Event::Chunk(chunk) = event { Some(chunk) } else { None }).collect();
    for chunk in &chunks {
        assert_eq!((&chunk["id"], &chunk["created"]), (&chunks[0]["id"], &chunks[0]["created"]));
        assert_eq!((&chunk["object"], &chunk["model"]), (&json!("chat.completion.chunk"), &json!("demo/script")));
    }
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(joined(&events, "reasoning_content"), "r0 r1 r2");
    let [.., finish, last] = chunks.as_slice() else { panic!("{chunks:?}") };
    assert_eq!(finish["choices"][0]["finish_reason"], "stop");
    assert_eq!((&last["choices"], &last["usage"]), (&json!([]), usage));
    let done = events.iter().position(|event| *event == Event::Done).unwrap();
    assert!(events[done + 1..].iter().all(|event| matches!(event, Event::Comment(_))), "{events:?}");

    let cut = client.ask(&script("tokens=3 finish=length")).await;
    assert_eq!(cut.body["choices"][0]["finish_reason"], "length");
}

#[tokio::test]
async fn each_model_is_the_one_that_was_asked_for() {
    let server = Server::builder().start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));

    let models = client.get("/v1/models").await;
    let ids: Vec<&str> = models.body["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["demo/echo", "demo/reasoner", "demo/image", "demo/script", "demo/list"]);
    for id in ids {
        let one = client.get(&format!("/v1/models/{id}")).await.body;
        let listed = models.body["data"].as_array().unwrap().iter().find(|model| model["id"] == id).unwrap();
        assert_eq!(one["id"], id);
        // Whether its adapter was tried at the real site, as the manifest says.
        for model in [&one, listed] {
            assert_eq!(model["webai"]["adapter"]["verified"], "real, tested with every build", "{model}");
        }
    }
    assert_eq!(client.get("/v1/models/demo/none").await.error(), (404, "model_not_found"));

    // One page after the other is used for another model than the last time.
    for model in ["reasoner", "echo", "image", "reasoner", "script", "echo"] {
        let answer = client.ask(&ask(&format!("demo/{model}"), "tokens=2")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let prompts = site.stats().await["prompts"]["list"].clone();
        assert_eq!(prompts.as_array().unwrap().last().unwrap()["model"], model);
    }

    let linked = client.ask(&ask("demo/image", "hills")).await;
    let (_, url) = linked.text().split_once("![image](").unwrap();
    let (url, _) = url.split_once(')').unwrap();
    assert!(url.starts_with(&server.url("/media/")), "{url}");
    let file = reqwest::get(url).await.unwrap();
    assert_eq!((file.status().as_u16(), &file.headers()["content-type"]), (200, &"image/png".parse().unwrap()));
    let linked = file.bytes().await.unwrap();

    let response = client.send_with(&ask("demo/image", "hills"), &[("x-webai-media", "data")]).await;
    let picture = client::answer(response).await;
    let (_, uri) = picture.text().split_once("](data:image/png;base64,").unwrap();
    let (uri, _) = uri.split_once(')').unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(uri).unwrap();
    assert_eq!(image::load_from_memory(&bytes).unwrap().width(), 192);
    assert_eq!(linked, bytes);
    let response = client.send_with(&ask("demo/image", "hills"), &[("x-webai-media", "paper")]).await;
    assert_eq!(client::answer(response).await.error(), (400, "invalid_request"));

    for (style, name) in [("reasoning_content", "reasoning_content"), ("reasoning", "reasoning"), ("think", "content")]
    {
        let request = streaming(ask("demo/reasoner", "one two"));
        let response = client.send_with(&request, &[("x-webai-reasoning", style)]).await;
        let events = stream_of(response).await.rest().await;
        assert!(joined(&events, name).contains("The prompt has 2 words"), "{style}: {events:?}");
        assert!(joined(&events, "content").ends_with("Your prompt has **2** words and **7** characters."));
    }

    let mut request = ask("demo/echo", "hello");
    request["reasoning_effort"] = "high".into();
    let thought = client.ask(&request).await;
    assert!(thought.body["choices"][0]["message"]["reasoning_content"].is_string(), "{thought:?}");
    request["reasoning_effort"] = "none".into();
    let plain = client.ask(&request).await;
    assert!(plain.body["choices"][0]["message"].get("reasoning_content").is_none(), "{plain:?}");
}

#[tokio::test]
async fn an_image_model_gets_the_last_message_and_the_client_a_warning() {
    let server = Server::builder().start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let last = json!({ "role": "user", "content": [
        { "type": "text", "text": "hills" },
        { "type": "image_url", "image_url": { "url": data_uri(&png(2, 2, 7)) } },
    ]});
    let more = json!({ "model": "demo/image", "messages": [
        { "role": "system", "content": "Be brief." },
        { "role": "user", "content": "the sea" },
        { "role": "assistant", "content": "here" },
        last,
    ]});
    let warning = "earlier messages were not sent to an image model";
    let whole = client.ask(&more).await;
    assert_eq!((whole.status, whole.header("x-webai-warning")), (200, Some(warning)), "{whole:?}");
    assert_eq!(client.stream(more).await.headers["x-webai-warning"], warning);
    let alone = client.ask(&json!({ "model": "demo/image", "messages": [last] })).await;
    assert_eq!((alone.status, alone.header("x-webai-warning")), (200, None), "{alone:?}");
    for prompt in site.stats().await["prompts"]["list"].as_array().unwrap() {
        assert_eq!(prompt["chars"], "hills".len(), "{prompt}");
        assert_eq!(
            prompt["attachments"].as_array().map(Vec::len).or(prompt["attachments"].as_u64().map(|n| n as usize)),
            Some(1),
            "{prompt}"
        );
    }
}

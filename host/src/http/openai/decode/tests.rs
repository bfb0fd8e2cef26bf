use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::http::media::tests::png;

const LIMITS: DecodeLimits =
    DecodeLimits { attachments: 3, media: MediaLimits { bytes: 1_000_000, pixels: 1_000_000 } };

fn decoded(value: &Value) -> Result<Draft, ApiError> {
    decode(value.to_string().as_bytes(), LIMITS)
}

/// A right request with some fields set.
fn with(fields: Value) -> Value {
    let mut value = json!({ "model": "demo/echo", "messages": [{ "role": "user", "content": "hi" }] });
    value.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    value
}

fn messages(messages: Value) -> Value {
    with(json!({ "messages": messages }))
}

fn user(content: Value) -> Value {
    messages(json!([{ "role": "user", "content": content }]))
}

fn picture(url: &str) -> Value {
    json!({ "type": "image_url", "image_url": { "url": url } })
}

fn data_uri(bytes: &[u8]) -> String {
    use base64::Engine as _;
    format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes))
}

fn texts(request: &Request) -> Vec<(Role, Option<&str>, String)> {
    let text = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Attachment(file) => format!("<{} {}>", file.name, file.mime_type),
    };
    request.turns.iter().map(|turn| (turn.role, turn.name.as_deref(), turn.parts.iter().map(text).collect())).collect()
}

/// Wrong request in; the field and a part of the message out.
fn mistakes() -> Vec<(Value, &'static str, &'static str)> {
    let part = |part: Value| user(json!([part]));
    let assistant = |fields: Value| {
        let mut message = json!({ "role": "assistant" });
        message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        messages(json!([{ "role": "user", "content": "a" }, message]))
    };
    vec![
        (json!([]), "", "expected an object, found an empty array"),
        (json!("x"), "", "expected an object"),
        (json!({ "messages": [] }), "model", "missing"),
        (with(json!({ "model": 3 })), "model", "expected a string"),
        (with(json!({ "model": null })), "model", "found null"),
        (with(json!({ "model": " " })), "model", "not empty"),
        (json!({ "model": "m" }), "messages", "missing"),
        (messages(json!([])), "messages", "at least one message"),
        (messages(json!("hi")), "messages", "expected an array, found a string"),
        (messages(json!({})), "messages", "expected an array"),
        (messages(json!(["hi"])), "messages[0]", "expected an object"),
        (messages(json!([{ "content": "a" }])), "messages[0].role", "missing"),
        (messages(json!([{ "role": 1, "content": "a" }])), "messages[0].role", "expected a string"),
        (messages(json!([{ "role": "robot", "content": "a" }])), "messages[0].role", "one of system"),
        (messages(json!([{ "role": "user" }])), "messages[0].content", "missing"),
        (messages(json!([{ "role": "user", "content": "a", "name": {} }])), "messages[0].name", "expected a string"),
        (user(Value::Null), "messages[0].content", "found null"),
        (user(json!(3)), "messages[0].content", "a string or an array of parts"),
        (user(json!({})), "messages[0].content", "a string or an array of parts"),
        (user(json!([])), "messages[0].content", "at least one part"),
        (user(json!(["a"])), "messages[0].content[0]", "expected an object"),
        (part(json!({})), "messages[0].content[0].type", "missing"),
        (part(json!({ "type": "video" })), "messages[0].content[0].type", "one of text"),
        (part(json!({ "type": "input_audio" })), "messages[0].content[0].type", "not supported"),
        (part(json!({ "type": "text" })), "messages[0].content[0].text", "missing"),
        (part(json!({ "type": "text", "text": null })), "messages[0].content[0].text", "found null"),
        (part(json!({ "type": "text", "text": ["a"] })), "messages[0].content[0].text", "expected a string"),
        (part(json!({ "type": "image_url" })), "messages[0].content[0].image_url", "missing"),
        (
            part(json!({ "type": "image_url", "image_url": 1 })),
            "messages[0].content[0].image_url",
            "a string or an object",
        ),
        (part(json!({ "type": "image_url", "image_url": {} })), "messages[0].content[0].image_url.url", "missing"),
        (part(picture("http://a.example/x.png")), "messages[0].content[0].image_url.url", "https://"),
        (part(picture("file:///etc/passwd")), "messages[0].content[0].image_url.url", "https://"),
        (part(picture("data:image/png;base64,%%%")), "messages[0].content[0].image_url.url", "not valid base64"),
        (part(picture("data:image/png,abc")), "messages[0].content[0].image_url.url", "not base64"),
        (part(picture("data:image/png;base64,aGVsbG8=")), "messages[0].content[0].image_url.url", "not a PNG"),
        (part(picture(&data_uri(&png(30_000, 30_000)))), "messages[0].content[0].image_url.url", "too large"),
        (
            part(json!({ "type": "file", "file": { "file_id": "f" } })),
            "messages[0].content[0].file.file_id",
            "not supported",
        ),
        (part(json!({ "type": "file", "file": {} })), "messages[0].content[0].file.file_data", "missing"),
        (
            part(json!({ "type": "file", "file": { "file_data": "x" } })),
            "messages[0].content[0].file.file_data",
            "expected `data:",
        ),
        (
            user(json!([
                picture("https://a/1"),
                picture("https://a/2"),
                picture("https://a/3"),
                picture("https://a/4")
            ])),
            "messages[0].content[3].image_url.url",
            "at most 3",
        ),
        (assistant(json!({})), "messages[1].content", "missing"),
        (assistant(json!({ "content": null })), "messages[1].content", "found null"),
        (assistant(json!({ "content": "a", "tool_calls": {} })), "messages[1].tool_calls", "expected an array"),
        (assistant(json!({ "tool_calls": [{ "id": 1 }] })), "messages[1].tool_calls[0].id", "expected a string"),
        (
            assistant(json!({ "tool_calls": [{ "id": "c", "function": { "name": "f", "arguments": {} } }] })),
            "messages[1].tool_calls[0].function.arguments",
            "expected a string",
        ),
        (with(json!({ "stream": "yes" })), "stream", "true or false"),
        (with(json!({ "stream_options": true })), "stream_options", "expected an object"),
        (with(json!({ "stream_options": { "include_usage": 1 } })), "stream_options.include_usage", "true or false"),
        (with(json!({ "n": 2 })), "n", "must be 1"),
        (with(json!({ "n": "1" })), "n", "whole number"),
        (with(json!({ "temperature": "hot" })), "temperature", "expected a number"),
        (with(json!({ "max_tokens": 0 })), "max_tokens", "at least 1"),
        (with(json!({ "max_tokens": 1.5 })), "max_tokens", "whole number"),
        (with(json!({ "max_completion_tokens": -1 })), "max_completion_tokens", "whole number"),
        (with(json!({ "stop": 1 })), "stop", "a string or an array of strings"),
        (with(json!({ "stop": ["a", 1] })), "stop[1]", "a string"),
        (with(json!({ "stop": ["a", "b", "c", "d", "e"] })), "stop", "at most four"),
        (with(json!({ "reasoning_effort": "huge" })), "reasoning_effort", "one of"),
        (with(json!({ "response_format": "json" })), "response_format", "expected an object"),
        (with(json!({ "response_format": { "type": "json_object" } })), "response_format", "supported"),
        (with(json!({ "modalities": ["text", "audio"] })), "modalities[1]", "Only text"),
        (with(json!({ "tools": {} })), "tools", "expected an array"),
        (with(json!({ "tools": [1] })), "tools[0]", "expected an object"),
        (with(json!({ "tools": [{ "type": "function" }] })), "tools", "not supported yet"),
        (with(json!({ "tools": [{}], "tool_choice": "auto" })), "tools", "not supported yet"),
        (with(json!({ "tool_choice": 1 })), "tool_choice", "a string or an object"),
        (with(json!({ "metadata": [] })), "metadata", "expected an object"),
        (with(json!({ "user": {} })), "user", "expected a string"),
        (with(json!({ "logprobs": 1 })), "logprobs", "true or false"),
    ]
}

#[test]
fn every_mistake_names_its_field() {
    for (value, param, message) in mistakes() {
        let error = decoded(&value).map(|_| ()).expect_err(&value.to_string());
        assert_eq!(error.status.as_u16(), 400, "{value}");
        assert_eq!(error.param.as_deref().unwrap_or_default(), param, "{value}: {error}");
        assert!(error.message.en.contains(message), "{value}: {error}");
    }
}

#[test]
fn what_is_no_json_is_told_with_its_place() {
    let deep = "[".repeat(100_000);
    for body in ["", "{", "{\"model\":", "{'a':1}", "\u{feff}{}", "{\"a\":\"\\ud800\"}", deep.as_str()] {
        let error = decode(body.as_bytes(), LIMITS).unwrap_err();
        assert_eq!((error.status.as_u16(), error.code.as_str()), (400, "invalid_json"), "{body:.20}");
    }
    assert_eq!(decode(b"\xff\xfe{}", LIMITS).unwrap_err().code, "invalid_json");
}

#[test]
fn fields_are_understood_and_unknown_ones_passed_over() {
    let draft = decoded(&with(json!({
        "stream": true, "stream_options": { "include_usage": true, "new": 1 }, "stop": "END", "max_tokens": 5,
        "max_completion_tokens": 7, "reasoning_effort": "high", "temperature": 0.5, "seed": 1, "logprobs": false,
        "n": 1, "tools": [], "tool_choice": "none", "response_format": { "type": "text" }, "something_new": { "a": [1] },
        "parallel_tool_calls": true, "top_p": null, "logit_bias": {}
    })))
    .unwrap();
    assert!(draft.stream && draft.include_usage);
    assert_eq!(draft.ignored, ["temperature", "seed", "logit_bias"]);
    let request = draft.into_request("req_1".into(), Vec::new());
    assert_eq!((request.stop, request.max_tokens), (vec!["END".to_owned()], Some(7)));
    assert_eq!(request.options["reasoning-effort"], "high");
}

#[test]
fn forbidden_tools_are_ignored_and_named() {
    let draft = decoded(&with(json!({ "tools": [{ "type": "function" }], "tool_choice": "none" }))).unwrap();
    assert_eq!(draft.ignored, ["tools"]);
}

#[test]
fn nothing_of_a_conversation_is_dropped() {
    let value = messages(json!([
        { "role": "developer", "content": "be brief" },
        { "role": "user", "name": "Ann", "content": [{ "type": "text", "text": "weather" }, { "type": "text", "text": "?" }] },
        { "role": "assistant", "content": null, "tool_calls": [
            { "id": "c1", "type": "function", "function": { "name": "weather", "arguments": "{\"at\":\"here\"}" } }] },
        { "role": "tool", "tool_call_id": "c1", "content": "12 degrees" },
        { "role": "assistant", "content": "", "refusal": "no" },
        { "role": "user", "content": "" }
    ]));
    let request = decoded(&value).unwrap().into_request("r".into(), Vec::new());
    let expected = [
        (Role::System, None, "be brief"),
        (Role::User, Some("Ann"), "weather?"),
        (Role::Assistant, None, "[Tool call c1: weather({\"at\":\"here\"})]"),
        (Role::Tool, Some("c1"), "12 degrees"),
        (Role::Assistant, None, "no"),
        (Role::User, None, ""),
    ];
    assert_eq!(texts(&request), expected.map(|(role, name, text)| (role, name, text.to_owned())));
}

#[test]
fn pictures_and_files_keep_their_places() {
    let value = user(json!([
        { "type": "text", "text": "a" },
        picture(&data_uri(&png(4, 4)).replace("image/png", "image/jpeg")),
        picture("https://a.example/b.png"),
        { "type": "file", "file": { "filename": "../../etc/.pass\u{0}wd", "file_data": "data:text/plain;base64,aGk=" } }
    ]));
    let draft = decoded(&value).unwrap();
    let remotes = draft.remotes();
    assert_eq!(
        remotes,
        [Remote { url: "https://a.example/b.png".into(), param: "messages[0].content[2].image_url.url".into() }]
    );
    let fetched = Attachment { name: "f.gif".into(), mime_type: "image/gif".into(), bytes: "x".into() };
    let request = draft.into_request("r".into(), vec![fetched]);
    assert_eq!(texts(&request)[0].2, "a<image-1.png image/png><f.gif image/gif><passwd text/plain>");
}

#[test]
fn an_address_in_place_of_the_object_is_taken() {
    let draft = decoded(&user(json!([{ "type": "image_url", "image_url": "https://a.example/" }]))).unwrap();
    assert_eq!(draft.remotes().len(), 1);
}

/// Any JSON, a few levels deep, with the names that matter.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "(user|assistant|tool|text|image_url|data:image/png;base64,AAAA|https://a/|.{0,5})".prop_map(Value::from),
    ];
    let names =
        "(model|messages|role|content|type|text|image_url|url|tool_calls|function|name|arguments|id|stop|tools|n|file)";
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(names, inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes, LIMITS);
    }

    #[test]
    fn no_json_panics(value in any_json(), messages in any_json()) {
        let _ = decoded(&value);
        let _ = decoded(&with(json!({ "messages": messages })));
    }

    /// Whatever field gets whatever wrong value, the error, if there is one, is a 400 with a message.
    #[test]
    fn every_error_is_a_400(value in any_json()) {
        for name in ["messages", "stop", "tools", "stream", "n", "temperature", "response_format", "stream_options"] {
            if let Err(error) = decoded(&with(json!({ name: value }))) {
                prop_assert_eq!(error.status.as_u16(), 400);
                prop_assert!(!error.message.en.is_empty() && !error.message.zh.is_empty());
            }
        }
    }
}

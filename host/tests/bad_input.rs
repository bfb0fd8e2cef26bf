//! Bad input of every kind: a clear error, and the server lives on.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::Server;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

/// A request by hand, with the right key.
fn post(server: &Server, path: &str, body: &[u8], extra: &str) -> (u16, String) {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\nConnection: close\r\n{extra}\r\n",
        server.key,
        body.len()
    );
    answer(&server.raw(&[head.as_bytes(), body].concat()))
}

fn answer(text: &str) -> (u16, String) {
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, text.to_owned())
}

fn body_of(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    serde_json::from_str(body.trim()).unwrap_or(Value::Null)
}

#[test]
fn bodies_that_are_wrong() {
    let server = Server::builder().start();
    let long_name = "x".repeat(100_000);
    let deep = "[".repeat(50_000);
    let ok = json!([{ "role": "user", "content": "hi" }]);
    let chat = |messages: Value| json!({ "model": "demo/echo", "messages": messages }).to_string();
    let user = |content: Value| chat(json!([{ "role": "user", "content": content }]));
    let image = |url: &str| user(json!([{ "type": "image_url", "image_url": { "url": url } }]));
    let cases: Vec<(String, u16, &str)> = vec![
        (String::new(), 400, "invalid_json"),
        ("{".into(), 400, "invalid_json"),
        ("not json".into(), 400, "invalid_json"),
        (deep, 400, "invalid_json"),
        ("[]".into(), 400, "invalid_request"),
        ("null".into(), 400, "invalid_request"),
        (json!({ "messages": ok }).to_string(), 400, "missing_field"),
        (json!({ "model": "demo/echo" }).to_string(), 400, "missing_field"),
        (json!({ "model": 7, "messages": ok }).to_string(), 400, "invalid_request"),
        (chat(json!([])), 400, "invalid_request"),
        (chat(json!("hi")), 400, "invalid_request"),
        (chat(json!([null])), 400, "invalid_request"),
        (user(Value::Null), 400, "invalid_request"),
        (user(json!([{ "type": "text", "text": { "a": 1 } }])), 400, "invalid_request"),
        (image("data:image/png;base64,***"), 400, "invalid_request"),
        (image("data:image/png;base64,aGVsbG8="), 400, "invalid_request"),
        (image("https://127.0.0.1/x.png"), 400, "invalid_request"),
        (image("https://localhost:1/x.png"), 400, "invalid_request"),
        (image("http://example.com/x.png"), 400, "invalid_request"),
        (json!({ "model": "m", "messages": ok, "n": 3 }).to_string(), 400, "unsupported"),
        (json!({ "model": "m", "messages": ok, "tools": [{}] }).to_string(), 400, "unsupported"),
    ];
    for (body, status, code) in cases {
        let (found, text) = post(&server, CHAT, body.as_bytes(), "Content-Type: application/json\r\n");
        let value = body_of(&text);
        assert_eq!((found, value["error"]["code"].as_str()), (status, Some(code)), "{body:.200}\n{text}");
        assert!(value["error"]["message"].as_str().is_some_and(|message| !message.is_empty()));
        assert!(text.contains("x-request-id: req_"), "{text}");
    }
    // A model of no use as a name, and one that is unknown: some 4xx or 503, in the envelope.
    for model in [long_name.as_str(), "no/such", "\u{0}", "../../etc"] {
        let body = json!({ "model": model, "messages": ok }).to_string();
        let (status, text) = post(&server, CHAT, body.as_bytes(), "");
        assert!(matches!(status, 404 | 503), "{status}");
        assert!(body_of(&text)["error"]["code"].is_string());
    }
    assert!(server.is_alive());
}

#[test]
fn types_and_sizes_that_are_refused() {
    let server = Server::builder().start();
    for (extra, status) in [
        ("Content-Type: text/plain\r\n", 415),
        ("Content-Type: multipart/form-data; boundary=x\r\n", 415),
        ("Content-Type: application/json\r\nContent-Encoding: gzip\r\n", 415),
        ("Content-Type: application/json; charset=utf-8\r\n", 400),
        ("Content-Type: application/json\r\nExpect: 100-continue\r\n", 400),
    ] {
        let (found, text) = post(&server, CHAT, b"{", extra);
        // After `100 Continue` the answer proper follows.
        let found = if found == 100 { answer(text.split_once("\r\n\r\n").unwrap().1).0 } else { found };
        assert_eq!(found, status, "{extra}{text}");
    }
    let huge = vec![b' '; 50 * 1024 * 1024];
    let (status, text) = post(&server, CHAT, &huge, "Content-Type: application/json\r\n");
    assert_eq!((status, body_of(&text)["error"]["code"].as_str()), (413, Some("request_too_large")));
    // The same without a length.
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        server.key
    );
    let mut chunked = head.into_bytes();
    for _ in 0..50 {
        chunked.extend_from_slice(b"100000\r\n");
        chunked.extend_from_slice(&huge[..0x10_0000]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(answer(&server.raw(&chunked)).0, 413);
    let small = post(&server, CHAT, b"{}", "Content-Length: 5\r\n");
    assert!(small.0 == 400 || small.0 == 0, "two lengths: {}", small.1);
    assert!(server.is_alive());
}

#[test]
fn request_lines_and_heads_that_are_odd() {
    let server = Server::builder().start();
    let key = format!("Authorization: Bearer {}\r\n", server.key);
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n{key}Connection: close\r\n\r\n").into_bytes();
    let mut not_utf8 = b"GET /v1/\xff\xfe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec();
    let many: String = (0..500).map(|n| format!("x-{n}: 1\r\n")).collect();
    let long = format!("x-long: {}\r\n", "a".repeat(200_000));
    let flood = |headers: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}Connection: close\r\n\r\n").into_bytes();
    let cases: Vec<(Vec<u8>, &[u16])> = vec![
        (get("/"), &[200]),
        (get("//"), &[200]),
        (get("/healthz/"), &[200]),
        (get("//healthz"), &[200]),
        (get("/nothing"), &[404]),
        (get("/v1/embeddings"), &[404]),
        (get("/v1/chat/completions"), &[405]),
        (get("/chat/completions/"), &[405]),
        (get("/v1/models/%FF"), &[400]),
        (get("/%FF%00"), &[404]),
        (get("/../../etc/passwd"), &[404]),
        (get("http://other.example/healthz"), &[200]),
        (get("http://other.example//"), &[200]),
        (get("*"), &[400, 404]),
        (get("healthz"), &[400, 404]),
        (get(&format!("/{}", "a".repeat(5000))), &[404]),
        (get(&format!("/{}", "a".repeat(200_000))), &[400, 404, 414, 431]),
        (std::mem::take(&mut not_utf8), &[400, 404]),
        (flood(&many), &[431]),
        (flood(&long), &[431]),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), &[400, 0]),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n".to_vec(), &[400]),
        (b"GET / HTTP/3.7\r\n\r\n".to_vec(), &[400]),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), &[400, 0]),
        (b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n".to_vec(), &[400]),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec(), &[400, 404, 405]),
    ];
    for (request, statuses) in cases {
        let (status, text) = answer(&server.raw(&request));
        let shown = String::from_utf8_lossy(&request[..request.len().min(80)]).into_owned();
        assert!(statuses.contains(&status), "{shown:?} gave {status}: {text:.300}");
        assert!(server.is_alive(), "after {shown:?}");
    }
}

#[test]
fn errors_have_the_envelope_and_methods_are_told() {
    let server = Server::builder().start();
    let (status, text) = answer(&server.raw(b"DELETE /v1/models HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    let error = &body_of(&text)["error"];
    assert_eq!(
        (status, error["code"].as_str(), error["type"].as_str()),
        (405, Some("method_not_allowed"), Some("invalid_request_error"))
    );
    assert!(text.to_ascii_lowercase().contains("allow: get,head"), "{text}");
    let options = b"OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: a\r\nOrigin: https://x.example\r\n\
        Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\nConnection: close\r\n\r\n";
    let (status, text) = answer(&server.raw(options));
    assert_eq!(status, 200);
    assert!(
        text.contains("access-control-allow-origin: *") && text.contains("access-control-allow-headers: authorization"),
        "{text}"
    );
    let (status, text) = answer(&server.raw(b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    assert!(status == 200 && text.ends_with("\r\n\r\n"), "{text}");
    assert!(
        !text.to_ascii_lowercase().contains("x-frame-options")
            && text.contains("frame-ancestors 'self' https://huggingface.co")
    );
}

#[test]
fn the_status_page_speaks_the_visitors_language_and_holds_no_secret() {
    let server = Server::builder().start();
    let page = |language: &str| {
        server.raw(
            format!("GET / HTTP/1.1\r\nHost: a\r\nAccept-Language: {language}\r\nConnection: close\r\n\r\n").as_bytes(),
        )
    };
    assert!(page("zh-CN,zh;q=0.9").contains("状态") && page("en").contains("State"));
    assert!(!page("en").contains(&server.key));
}

#[test]
fn slow_clients_are_cut_off() {
    let server = Server::builder().config("limits: {headerTimeout: 1s, bodyTimeout: 1s}").start();
    let began = Instant::now();
    let mut slow = server.connect();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
    let mut answer = Vec::new();
    // An answer or a reset: in either case it is over.
    let _ = slow.read_to_end(&mut answer);
    assert!(began.elapsed() < Duration::from_secs(10), "a head that never ends");

    let began = Instant::now();
    let mut slow = server.connect();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Length: 100\r\n\r\n{{",
        server.key
    );
    slow.write_all(head.as_bytes()).unwrap();
    let mut buffer = [0; 1024];
    let n = slow.read(&mut buffer).unwrap();
    assert!(String::from_utf8_lossy(&buffer[..n]).starts_with("HTTP/1.1 408"), "a body that never ends");
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(server.is_alive());
}

#[test]
fn many_slow_clients_keep_nobody_out_for_ever() {
    let server = Server::builder().config("limits: {headerTimeout: 1s, connections: 20}").start();
    let slow: Vec<_> = (0..60)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(b"GET / HT").unwrap();
            stream
        })
        .collect();
    assert!(server.is_alive());
    drop(slow);
}

#[test]
fn half_closed_sockets_are_noticed() {
    let server = Server::builder().start();
    for request in ["", "GET / HT", "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"] {
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let began = Instant::now();
        let _ = stream.read_to_end(&mut Vec::new());
        assert!(began.elapsed() < Duration::from_secs(5), "{request:?}");
    }
    assert!(server.is_alive());
}

#[test]
fn a_wrong_key_a_thousand_times() {
    let server = Server::builder().start();
    let try_key = |key: &str| {
        let request =
            format!("GET /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n");
        answer(&server.raw(request.as_bytes()))
    };
    let (status, text) = try_key("wrong");
    assert_eq!((status, body_of(&text)["error"]["code"].as_str()), (401, Some("invalid_api_key")));
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(try_key("wa-wrong").0, 401);
                }
            });
        }
    });
    // The right key is not slowed by those who guess.
    let began = Instant::now();
    assert_ne!(try_key(&server.key).0, 401);
    assert!(began.elapsed() < Duration::from_secs(2));
    let (status, text) = answer(&server.raw(b"GET /v1/models HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    assert_eq!((status, body_of(&text)["error"]["code"].as_str()), (401, Some("missing_api_key")));
    assert!(!server.log().contains(&server.key) && !server.log().contains("wa-wrong"), "no key is in the log");
}

#[test]
fn one_log_line_per_request() {
    let server = Server::builder().env("LOG_FORMAT", "json").start();
    let (_, text) =
        post(&server, CHAT, br#"{"model":"no/such","messages":[{"role":"user","content":"my secret"}]}"#, "");
    let id = text.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap().trim().to_owned();
    assert!(server.wait_for(|server| server.log().contains(&id)));
    let log = server.log();
    let lines: Vec<Value> =
        log.lines().filter(|line| line.contains(&id)).map(|line| serde_json::from_str(line).unwrap()).collect();
    let [line] = lines.as_slice() else { panic!("{log}") };
    assert_eq!((&line["model"], &line["path"]), (&json!("no/such"), &json!(CHAT)));
    assert!(line["total_ms"].is_u64() && line["outcome"].is_string() && line["status"].is_u64());
    assert!(!log.contains("my secret"));
}

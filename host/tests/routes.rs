//! Every route, in every spelling and by every method that clients use, and the languages of errors.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use crate::support::Server;
use serde_json::Value;

const CHAT: &str = "/chat/completions";

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn of(text: &str) -> Self {
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn error(&self) -> (String, String) {
        let start = self.body.find('{').unwrap_or(0);
        let end = self.body.rfind('}').map_or(0, |end| end + 1);
        let json = self.body.get(start..end).unwrap_or_default();
        let value: Value = serde_json::from_str(json).unwrap_or_default();
        let part = |name: &str| {
            value.pointer(&format!("/error/{name}")).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        (part("code"), part("message"))
    }
}

fn ask(server: &Server, method: &str, path: &str, extra: &str) -> Answer {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nConnection: close\r\n{extra}\r\n",
        server.key
    );
    Answer::of(&server.raw(head.as_bytes()))
}

/// Waits until the browser is up or has failed: from then on answers do not change by themselves.
fn settled() -> Server {
    let server = Server::builder().start();
    let up = |server: &Server| !ask(server, "GET", "/readyz", "").body.contains("\"starting\"");
    assert!(server.wait_for(up), "{}", server.log());
    server
}

#[test]
fn every_route_in_every_spelling() {
    let server = settled();
    // Path, the methods that it has, and whether it is part of the API (with and without /v1, CORS).
    let routes: &[(&str, &[&str], bool)] = &[
        (CHAT, &["POST"], true),
        ("/models", &["GET", "HEAD"], true),
        ("/models/no/such", &["GET", "HEAD"], true),
        ("/", &["GET", "HEAD"], false),
        ("/healthz", &["GET", "HEAD"], false),
        ("/readyz", &["GET", "HEAD"], false),
    ];
    for (path, methods, api) in routes {
        let prefixes: &[&str] = if *api { &["", "/v1"] } else { &[""] };
        for prefix in prefixes {
            for slash in ["", "/"] {
                let path = format!("{prefix}{path}{slash}");
                for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"] {
                    let answer = ask(&server, method, &path, "Content-Length: 0\r\n");
                    assert!(answer.head.contains("x-request-id: req_"), "{method} {path}: {}", answer.head);
                    if methods.contains(&method) {
                        assert_ne!(answer.status, 405, "{method} {path}");
                        assert_ne!(answer.error().0, "not_found", "{method} {path}");
                    } else {
                        assert_eq!(answer.status, 405, "{method} {path}");
                    }
                    if method == "HEAD" {
                        assert!(answer.body.is_empty(), "{path}: {}", answer.body);
                    }
                }
                if *api {
                    let asked = "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n";
                    let answer = ask(&server, "OPTIONS", &path, asked);
                    assert_eq!(answer.status, 200, "OPTIONS {path}");
                    assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "OPTIONS {path}");
                }
            }
        }
    }
    for path in ["/embeddings", "/v1/embeddings/"] {
        let answer = ask(&server, "POST", path, "Content-Length: 0\r\n");
        assert_eq!((answer.status, answer.error().0.as_str()), (404, "not_supported"), "{path}");
    }
    for path in ["/v1", "/v2/models", "/v1/nothing", "/chat"] {
        let answer = ask(&server, "GET", path, "");
        assert_eq!((answer.status, answer.error().0.as_str()), (404, "not_found"), "{path}");
    }
}

#[test]
fn errors_speak_the_clients_language() {
    let server = settled();
    let no_model = "Content-Length: 13\r\nContent-Type: application/json\r\n";
    let cases = [
        ("GET", "/nothing", "", "There is nothing at GET /nothing.", "GET /nothing 不存在。"),
        ("DELETE", "/v1/models", "", "DELETE is not allowed here.", "此处不支持 DELETE 方法。"),
        ("GET", "/v1/models/%FF", "", "The model id is not valid UTF-8.", "模型名称不是有效的 UTF-8。"),
        ("POST", "/v1/chat/completions", no_model, "`model` is missing.", "缺少 `model`。"),
    ];
    for (method, path, extra, english, chinese) in cases {
        let body = if extra.is_empty() { "" } else { "{\"stream\": 1}" };
        let say = |language: &str| {
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: a\r\nx-api-key: {}\r\nConnection: close\r\n{language}{extra}\r\n{body}",
                server.key
            );
            Answer::of(&server.raw(head.as_bytes()))
        };
        for (language, expected) in [
            ("", english),
            ("Accept-Language: *\r\n", english),
            ("Accept-Language: en-US,en;q=0.9,zh;q=0.5\r\n", english),
            ("Accept-Language: zh-CN,zh;q=0.9,en;q=0.8\r\n", chinese),
        ] {
            let answer = say(language);
            assert_eq!(answer.error().1, expected, "{method} {path} {language}");
            assert!(answer.head.contains("accept-language"), "{}", answer.head);
            if let Some(length) = answer.header("content-length") {
                assert_eq!(length, answer.body.len().to_string());
            }
        }
    }
    // The answer to HEAD has no body in any language.
    let answer = ask(&server, "HEAD", "/v1/models/no/such", "Accept-Language: zh\r\n");
    assert!(answer.status >= 400 && answer.body.is_empty(), "{}", answer.body);
}

#[test]
fn while_it_starts_the_api_says_so() {
    // A browser that never comes up: it starts, or has failed, but is not ready.
    let server = Server::builder().env("WEBAI_BROWSER_PATH", "/bin/false").start();
    for path in ["/v1/models", "/v1/models/demo/echo", "/models"] {
        let answer = ask(&server, "GET", path, "");
        let (code, message) = answer.error();
        assert_eq!(answer.status, 503, "{path}: {}", answer.body);
        assert!(matches!(code.as_str(), "starting" | "not_ready"), "{code}: {message}");
        assert!(answer.header("retry-after").is_some_and(|after| after.parse::<u32>().is_ok_and(|after| after > 0)));
    }
    let health = ask(&server, "GET", "/healthz", "");
    assert_eq!(health.status, 200);
    let ready = ask(&server, "GET", "/readyz", "");
    assert_eq!(ready.status, 503);
    let state: Value = serde_json::from_str(&ready.body).unwrap();
    assert!(state["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{state}");
    let page = ask(&server, "GET", "/", "");
    assert_eq!(page.status, 200);
}

#[test]
fn one_connection_serves_many_requests_in_order() {
    let server = Server::builder().start();
    let mut stream = server.connect();
    // Pipelined: all are sent before the first answer is read.
    let paths = ["/healthz", "/nothing", "/v1/embeddings", "/healthz", "/", "/last"];
    let mut requests = String::new();
    for path in paths {
        let close = if path == "/last" { "Connection: close\r\n" } else { "" };
        requests.push_str(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n{close}\r\n"));
    }
    stream.write_all(requests.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let statuses: Vec<&str> = text
        .match_indices("HTTP/1.1 ")
        .filter_map(|(at, mark)| text.get(at + mark.len()..at + mark.len() + 3))
        .collect();
    assert_eq!(statuses, ["200", "404", "404", "200", "200", "404"], "{text}");
    assert!(text.contains("/last"), "{text}");
}

#[test]
fn an_unread_body_does_not_become_the_next_request() {
    let server = Server::builder().start();
    let mut stream = server.connect();
    // The first is refused for its key before its body is read; what follows must not be taken for a head.
    let body = "GET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n";
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    stream
        .write_all(format!("{head}{body}GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut text = String::new();
    // Either the body is read and passed over, or the connection is closed.
    let _ = stream.read_to_string(&mut text);
    assert!(text.starts_with("HTTP/1.1 401"), "{text}");
    assert!(!text.contains("HTTP/1.1 200"), "{text}");
}

#[test]
fn an_idle_connection_is_closed() {
    let server = Server::builder().config("limits: {headerTimeout: 1s}").start();
    let mut stream = server.connect();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let began = Instant::now();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    assert!(began.elapsed() < Duration::from_secs(10), "it is kept for the time that a head may take");
}

//! The history in the admin API, and the files of answers behind their links: against the real program.

use std::path::Path;
use std::time::Duration;

use crate::support::Server;
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use webai2api::config::{Config, History, HistoryMode, Sources};
use webai2api::store::{Database, Media, RequestRecord, Stages, TryRecord};

const LONG: Duration = Duration::from_secs(30);

fn history() -> History {
    History { mode: HistoryMode::Full, ..Config::load(&Sources::default()).unwrap().config.history }
}

/// A folder with some requests of an earlier run.
async fn earlier_run(folder: &Path) -> Database {
    let database = Database::open(folder, &history());
    for number in 0..25u32 {
        let outcome = if number % 5 == 0 { "timeout" } else { "ok" };
        let tried = TryRecord { adapter: "demo".into(), outcome: outcome.into(), ..TryRecord::default() };
        database.record(RequestRecord {
            id: format!("req_{number}"),
            created: 1_900_000_000_000,
            key: "admin".into(),
            dialect: "openai".into(),
            model: format!("demo/{}", number % 2),
            instance: Some("default".into()),
            outcome: outcome.into(),
            status: 200,
            stages: Stages { first_ms: Some(100), total_ms: 900, ..Stages::default() },
            tries: vec![tried],
            prompt: Some("你好\0".into()),
            ..RequestRecord::default()
        });
    }
    database.flush(LONG).await.unwrap();
    database
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    bytes: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    fn code(&self) -> (u16, String) {
        (self.status, self.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
    }
}

async fn call(server: &Server, method: Method, path: &str, key: &str) -> Answer {
    let client = reqwest::Client::builder().no_proxy().timeout(LONG).build().unwrap();
    let response = client.request(method, server.url(path)).header("x-api-key", key).send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, bytes: response.bytes().await.unwrap() }
}

fn start(folder: &Path) -> (Server, String) {
    let config = "demo: {enabled: false}\nserver: {apiKeys: [{name: a, key: client-key}]}";
    let server = Server::builder().config(config).data_dir(folder).start();
    let key = std::fs::read_to_string(folder.join("admin-key")).unwrap().trim().to_owned();
    (server, key)
}

fn ids(page: &Value) -> Vec<&str> {
    page["requests"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_operator_reads_and_deletes_the_history() {
    let folder = tempfile::tempdir().unwrap();
    assert!(earlier_run(folder.path()).await.close(LONG).await);
    let (server, key) = start(folder.path());
    let get = async |path: &str| call(&server, Method::GET, path, &key).await;

    let first = get("/admin/api/requests?limit=20").await.json();
    assert_eq!((ids(&first).len(), ids(&first)[0], ids(&first)[19]), (20, "req_24", "req_5"));
    assert_eq!(first["history"]["state"], "open");
    let second = get(&format!("/admin/api/requests?limit=20&before={}", first["next"])).await.json();
    assert_eq!(ids(&second), ["req_4", "req_3", "req_2", "req_1", "req_0"]);
    assert_eq!(second["next"], Value::Null);
    let failed = get("/admin/api/requests?outcome=timeout&model=demo/0&instance=default").await.json();
    assert_eq!(ids(&failed), ["req_20", "req_10", "req_0"]);

    let one = get("/admin/api/requests/req_20").await.json();
    assert_eq!((&one["prompt"], &one["tries"][0]["outcome"]), (&"你好\0".into(), &"timeout".into()));
    assert_eq!((&one["stages"]["first_ms"], &one["attempts"]), (&100.into(), &1.into()));
    let sums = get("/admin/api/statistics?days=400").await.json();
    let rows = sums["rows"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["requests"].as_u64().unwrap()).sum::<u64>(), 25);
    assert_eq!((&rows[0]["day"], &rows[0]["outcomes"]["timeout"]), (&"2030-03-17".into(), &2.into()));

    for (method, path, key, status, code) in [
        (Method::GET, "/admin/api/requests/req_99", key.as_str(), 404, "request_not_found"),
        (Method::GET, "/admin/api/requests?limit=many", &key, 400, "invalid_request"),
        (Method::GET, "/admin/api/statistics?days=-1", &key, 400, "invalid_request"),
        (Method::GET, "/admin/api/requests", "client-key", 403, "admin_only"),
        (Method::GET, "/admin/api/statistics", "client-key", 403, "admin_only"),
        (Method::DELETE, "/admin/api/requests", "client-key", 403, "admin_only"),
        (Method::GET, "/admin/api/requests/req_1", "wrong", 401, "invalid_api_key"),
    ] {
        assert_eq!(call(&server, method, path, key).await.code(), (status, code.to_owned()), "{path}");
    }

    let deleted = call(&server, Method::DELETE, "/admin/api/requests/req_20", &key).await;
    assert_eq!((deleted.status, deleted.json()["deleted"].as_u64()), (200, Some(1)));
    assert_eq!(get("/admin/api/requests/req_20").await.code(), (404, "request_not_found".into()));
    let all = call(&server, Method::DELETE, "/admin/api/requests", &key).await;
    assert_eq!(all.json()["deleted"], 24);
    assert_eq!(ids(&get("/admin/api/requests").await.json()), [""; 0]);
    let sums = get("/admin/api/statistics?days=400").await.json();
    assert_eq!(sums["rows"].as_array().unwrap().len(), 2, "the sums stay");
    let (status, log) = server.terminate();
    assert!(status.success() && !log.contains("你好"), "{log}");
}

#[tokio::test]
async fn files_are_served_to_whoever_has_the_link() {
    let folder = tempfile::tempdir().unwrap();
    let database = earlier_run(folder.path()).await;
    let media = Media::new(folder.path(), database.clone());
    let large = Bytes::from((0..3_000_000u32).map(|n| u8::try_from(n % 251).unwrap()).collect::<Vec<u8>>());
    let picture = media.put(large.clone(), "image/png").await.unwrap();
    let page = media.put(Bytes::from_static(b"<script>alert(1)</script>"), "text/html").await.unwrap();
    database.configure(&History { media_ttl: Duration::ZERO, ..history() });
    let expired = media.put(Bytes::from_static(b"old"), "image/png").await.unwrap();
    assert!(database.close(LONG).await);
    let (server, _) = start(folder.path());
    let ask = async |method: Method, token: &str| call(&server, method, &format!("/media/{token}"), "").await;

    let got = ask(Method::GET, &picture).await;
    assert!(got.status == 200 && got.bytes == large);
    let header = |answer: &Answer, name: &str| answer.headers[name].to_str().unwrap().to_owned();
    assert_eq!((header(&got, "content-type"), header(&got, "content-length")), ("image/png".into(), "3000000".into()));
    assert!(header(&got, "content-disposition").starts_with("inline"));
    assert_eq!(header(&got, "x-content-type-options"), "nosniff");
    assert!(header(&got, "content-security-policy").contains("sandbox"));
    let cache = header(&got, "cache-control");
    assert!(cache.starts_with("private, max-age=86") && !cache.contains("no-store"), "{cache}");
    let head = ask(Method::HEAD, &picture).await;
    assert_eq!((head.status, header(&head, "content-length"), head.bytes.len()), (200, "3000000".into(), 0));
    let page = ask(Method::GET, &page).await;
    assert!(page.status == 200 && header(&page, "content-disposition").starts_with("attachment"));

    for wrong in [expired.as_str(), "AAAAAAAAAAAAAAAAAAAAAA", "x", "%FF", "..%2f..%2fadmin-key"] {
        assert_eq!(ask(Method::GET, wrong).await.code(), (404, "media_not_found".into()), "{wrong}");
    }
    assert_eq!(ask(Method::POST, &picture).await.status, 405);
    let (_, log) = server.terminate();
    assert!(log.contains("/media/...") && !log.contains(&picture) && !log.contains(&expired), "{log}");
}

#[tokio::test]
async fn without_a_usable_database_all_else_works() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("webai2api.db")).unwrap();
    let (server, key) = start(folder.path());
    let answer = call(&server, Method::GET, "/admin/api/requests", &key).await;
    assert_eq!(answer.code(), (503, "history_unavailable".into()));
    let answer = call(&server, Method::GET, "/media/AAAAAAAAAAAAAAAAAAAAAA", "").await;
    assert_eq!(answer.code(), (503, "media_unavailable".into()));
    // There is no browser behind this server: what answers without one does.
    assert_eq!(call(&server, Method::GET, "/healthz", "").await.status, 200);
    assert!(server.is_alive());
    let (status, log) = server.terminate();
    assert!(status.success() && log.contains("tried again every minute"), "{log}");
}

//! Starting with what is wrong around the program, and ending in order.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use crate::support::Server;

#[test]
fn configurations_that_are_wrong() {
    for (yaml, expected) in [
        ("server: {prot: 1}", "server.prot: unknown key (value: 1); did you mean server.port?"),
        ("browser: {headles: true}", "did you mean browser.headless?"),
        ("queue: {imageLimit: many}", "queue.imageLimit: expected a whole number"),
        ("server: [", "config.yaml: "),
        ("\t- tab", "config.yaml: "),
    ] {
        let ended = Server::builder().config(yaml).arg("config").arg("check").run();
        assert_eq!(ended.status.code(), Some(2), "{yaml}");
        assert!(ended.stderr.contains(expected), "{yaml}: {}", ended.stderr);
        let ended = Server::builder().config(yaml).run();
        assert_eq!(ended.status.code(), Some(2), "the server does not start with it either");
    }
    let ended = Server::builder().env("PORT", "eighty").run();
    assert!(
        ended.stderr.contains("environment variable PORT: server.port: expected a whole number"),
        "{}",
        ended.stderr
    );
    let ended = Server::builder().arg("--set").arg("nonsense").run();
    assert!(ended.stderr.contains("--set takes KEY=VALUE"), "{}", ended.stderr);
    let ended = Server::builder().arg("--config").arg("/no/such/file.yaml").run();
    assert!(ended.stderr.contains("/no/such/file.yaml cannot be read"), "{}", ended.stderr);
    let ended = Server::builder().arg("swerve").run();
    assert!(ended.status.code() == Some(2) && ended.stderr.contains("serve"), "{}", ended.stderr);
}

#[test]
fn a_right_configuration_is_said_to_be_right() {
    let yaml = "server: {imageMarkdown: true}\nlogLevel: warn";
    let ended = Server::builder().config(yaml).arg("config").arg("check").run();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(ended.stdout.contains("server.imageMarkdown") && ended.stdout.contains("is right"), "{}", ended.stdout);
}

#[test]
fn a_port_in_use_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let ended = Server::builder().env("PORT", &port.to_string()).run();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains(&format!("port {port} is in use")) && ended.stderr.contains("--port"),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_address_that_is_not_ours_is_told() {
    let ended = Server::builder().env("WEBAI_SERVER_HOST", "192.0.2.1").run();
    assert!(ended.stderr.contains("cannot listen on 192.0.2.1:0"), "{}", ended.stderr);
}

#[test]
fn a_data_folder_of_no_use_is_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    // Nobody, root included, can write to the second.
    for path in [file.path(), std::path::Path::new("/proc/webai2api")] {
        let ended = Server::builder().data_dir(path).run();
        assert_eq!(ended.status.code(), Some(1));
        assert!(ended.stderr.contains("data folder") && ended.stderr.contains("WEBAI_DATA_DIR"), "{}", ended.stderr);
    }
}

#[test]
fn a_data_folder_serves_one_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Server::builder().data_dir(folder.path()).start();
    let ended = Server::builder().data_dir(folder.path()).run();
    assert!(ended.stderr.contains("in use by another webai2api"), "{}", ended.stderr);
}

#[test]
fn the_key_is_shown_once_and_kept_private() {
    let folder = tempfile::tempdir().unwrap();
    let first = Server::builder().data_dir(folder.path()).start();
    let file = folder.path().join("admin-key");
    let key = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    assert!(first.stdout().contains(&key) && first.stdout().lines().count() <= 10, "{}", first.stdout());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(first.terminate().0.success());
    let second = Server::builder().data_dir(folder.path()).start();
    assert!(!second.stdout().contains(&key), "{}", second.stdout());
    let shown = Server::builder().data_dir(folder.path()).arg("key").arg("show").run();
    assert_eq!(shown.stdout.trim(), key);
}

#[test]
fn a_configured_key_is_never_printed() {
    let server = Server::builder().env("AUTH_TOKEN", "sesame-open").start();
    assert!(!server.stdout().contains("sesame-open") && server.key.is_empty());
    let ask = |key: &str| {
        server.raw(
            format!("GET /v1/models HTTP/1.1\r\nHost: a\r\nx-api-key: {key}\r\nConnection: close\r\n\r\n").as_bytes(),
        )
    };
    assert!(!ask("sesame-open").starts_with("HTTP/1.1 401"));
    assert!(ask("sesame").starts_with("HTTP/1.1 401"));
}

#[test]
fn it_listens_at_once_and_ends_in_order() {
    let began = Instant::now();
    let server = Server::builder().start();
    assert!(server.is_alive());
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    // An idle connection does not hold up the end.
    let _idle = server.connect();
    let began = Instant::now();
    let (status, log) = server.terminate();
    assert!(status.success(), "{log}");
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(log.contains("SIGTERM"), "{log}");
}

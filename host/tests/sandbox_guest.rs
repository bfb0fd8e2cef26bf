//! An adapter that misbehaves ends its own call, with a code that says how, and nobody else's.

mod excess;

use std::process::Command;
use std::time::Instant;

use crate::support::Server;
use crate::support::client::{Client, ask, streaming};
use crate::support::guest::{hostile, run};
use crate::support::site::Site;
use tempfile::TempDir;

/// A server whose one adapter is the hostile one. The folder is where that is loaded from.
fn serving(config: &str) -> (TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    hostile(folder.path(), "demo", &[]);
    let server = Server::builder().config(config).env("WEBAI_BUNDLED", folder.path().to_str().unwrap()).start_ready();
    (folder, server)
}

#[tokio::test]
async fn each_kind_of_misbehaviour_ends_its_own_call_alone() {
    // It goes on for longer than a server that cares for itself would let it.
    let (_folder, server) = serving("adapters: {pages: 2, crashes: 0}\nserver: {keepalive: {holdStatus: 60s}}");
    let client = Client::of(&server);
    let mut flow = client.stream(ask("demo/script", "flow")).await;
    let mut expected = 0;
    for (what, code) in [
        ("loop", "adapter_cpu_limit"),
        ("bomb", "adapter_memory_limit"),
        ("recursion", "adapter_crashed"),
        ("trap", "adapter_crashed"),
    ] {
        for (prefix, status) in [("", 502), ("sent ", 424)] {
            let request = ask("demo/script", &format!("{prefix}{what}"));
            let mut asking = tokio::spawn({
                let (client, request) = (client.clone(), request.clone());
                async move { client.ask(&request).await }
            });
            // The other stream goes on all the while: piece after piece, none missing.
            let answer = loop {
                tokio::select! {
                    answer = &mut asking => break answer.unwrap(),
                    piece = flow.next_text() => {
                        assert_eq!(piece.unwrap(), format!("{expected} "));
                        expected += 1;
                    }
                }
            };
            assert_eq!(answer.error(), (status, code), "{prefix}{what}: {answer:?}");
            assert_eq!(answer.header("x-should-retry"), (status == 424).then_some("false"), "{prefix}{what}");
            assert_eq!(flow.next_text().await.unwrap(), format!("{expected} "));
            expected += 1;
        }
    }
    let message = client.ask(&ask("demo/script", "trap")).await.body["error"]["message"].to_string();
    assert!(!message.contains("as it was told") && !message.contains("wasm"), "the log alone says more: {message}");
    assert!(server.log().contains("the adapter ended"), "{}", server.log());

    // More than one call of the host may carry.
    let giant = client.ask(&streaming(ask("demo/script", "giant"))).await;
    assert_eq!(giant.body["error"]["code"], "adapter_crashed", "{giant:?}");
    assert_eq!(flow.next_text().await.unwrap(), format!("{expected} "));
    assert!(server.is_alive());
}

#[tokio::test]
async fn who_crashes_too_often_or_tries_what_was_not_granted_is_out_of_use() {
    let (_folder, server) = serving("adapters: {pages: 2, crashes: 3}");
    let client = Client::of(&server);
    let enable = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_webai2api"));
        command.env("WEBAI_URL", server.url("")).env("WEBAI_KEY", &server.key);
        let shown = run(command.args(["adapter", "enable", "demo"]));
        assert!(shown.contains("serving"), "{shown}");
    };
    let state = async || client.get("/v1/models").await.body["data"][0]["webai"]["adapter"]["state"].clone();
    let mut flow = client.stream(ask("demo/script", "flow")).await;
    for _ in 0..3 {
        assert_eq!(state().await, "ok");
        assert_eq!(client.ask(&ask("demo/script", "trap")).await.error(), (502, "adapter_crashed"));
    }
    let refused = client.ask(&ask("demo/script", "flow")).await;
    assert_eq!(refused.error(), (503, "adapter_quarantined"));
    assert!(refused.header("retry-after").is_some());
    assert!(refused.body["error"]["message"].as_str().unwrap().contains("3 times"), "{refused:?}");
    assert_eq!(state().await, "quarantined");
    assert!(flow.next_text().await.is_some(), "what runs goes on");
    enable();
    for what in ["goto", "listen", "rewrite", "save"] {
        assert_eq!(client.ask(&ask("demo/script", what)).await.status, 200);
        let refused = client.ask(&ask("demo/script", "flow")).await;
        assert_eq!(refused.error(), (503, "adapter_quarantined"), "{what}");
        assert!(!refused.body.to_string().contains("secret"), "{refused:?}");
        assert!(refused.body["error"]["message"].as_str().unwrap().contains(what), "{refused:?}");
        enable();
    }
    assert!(!server.log().contains("elsewhere.example.com/?secret"), "{}", server.log());
    // What it said is in its log, and whence.
    let mut logs = Command::new(env!("CARGO_BIN_EXE_webai2api"));
    logs.env("WEBAI_URL", server.url("")).env("WEBAI_KEY", &server.key);
    let shown = run(logs.args(["adapter", "logs", "demo"]));
    assert!(shown.contains("error 6.6.6") && shown.contains("the adapter ended"), "{shown}");
    assert!(flow.next_text().await.is_some());
}

/// What a guest may do without end has one, and the guest is told.
#[tokio::test]
async fn every_flood_has_its_end() {
    // By its count, not by a deadline that a slow machine meets first.
    let (_folder, server) = serving("adapters: {pages: 2, crashes: 0}\ndeadlines: {submit: 5m}");
    let (client, site) = (Client::of(&server), Site::of(&server));
    let mut flow = client.stream(ask("demo/script", "flow")).await;
    for (what, end) in [
        ("listens", "8 "),
        ("watches", "8 "),
        ("navigations", "60 limit"),
        ("acts", "2000 limit"),
        ("upload", "0 not-granted"),
    ] {
        let answer = client.ask(&ask("demo/script", what)).await;
        assert!(answer.status == 200 && answer.text().starts_with(end), "{what}: {answer:?}");
        assert!(flow.next_text().await.is_some());
    }

    let flood = client.stream(ask("demo/script", "flood")).await.rest().await;
    let told: usize = flood.iter().filter_map(|event| event.delta("content")).map(str::len).sum();
    assert_eq!(told, 16 << 20);
    assert_eq!(flood.last().unwrap().error_code(), Some("adapter_crashed"));

    // A call may write 50 lines in each second that it takes.
    let began = Instant::now();
    assert_eq!(client.ask(&ask("demo/script", "logs")).await.status, 200);
    let most = 50 * (began.elapsed().as_secs() + 1);
    assert!(server.wait_for(|server| server.log().contains("lines suppressed")), "{}", server.log());
    let lines = server.log().lines().filter(|line| line.contains("flooding ")).count() as u64;
    assert!((50..=most).contains(&lines), "{lines} of 20000 lines were kept, and not at most {most}");

    // Twice it is filled in, and once it is sent.
    let answer = client.ask(&ask("demo/script", "twice")).await;
    assert_eq!(answer.text(), "sent-already: 1 sent", "{answer:?}");
    site.until("the prompt is there", |stats| stats["prompts"]["count"] == 1).await;
    assert!(flow.next_text().await.is_some());
}

/// A guest that sleeps past its deadline, or goes on for nobody, gives its page back.
#[tokio::test]
async fn nobody_keeps_a_page_for_ever() {
    let (_folder, server) =
        serving("adapters: {pages: 1, crashes: 0}\ndeadlines: {firstByte: 2s, submit: 2s, cancel: 500ms}");
    let client = Client::of(&server);
    for (what, status) in [("sleep", 504), ("sent sleep", 424)] {
        assert_eq!(client.ask(&ask("demo/script", what)).await.error(), (status, "timeout"), "{what}");
    }
    let mut deaf = client.stream(ask("demo/script", "deaf")).await;
    assert!(deaf.next_text().await.is_some());
    drop(deaf);
    // There is one page: whoever comes next gets it.
    let mut flow = client.stream(ask("demo/script", "flow")).await;
    assert_eq!(flow.next_text().await.unwrap(), "0 ");
}

/// Files that are no adapters: each is refused with its reason, and takes neither memory nor the answer of anybody else.
#[tokio::test]
async fn files_that_are_no_adapters_are_refused() {
    let (folder, server) = serving("");
    let client = Client::of(&server);
    let mut flow = client.stream(ask("demo/script", "flow")).await;
    let own = server.home().join("data/adapters");
    std::fs::create_dir_all(&own).unwrap();
    let before = resident(server.pid());
    let good = std::fs::read(folder.path().join("demo.wasm")).unwrap();
    std::fs::File::create(own.join("huge.wasm")).unwrap().set_len(1 << 30).unwrap();
    std::fs::write(own.join("cut.wasm"), &good[..good.len() / 2]).unwrap();
    std::fs::write(own.join("core.wasm"), b"\0asm\x01\0\0\0").unwrap();
    std::fs::write(own.join("bare.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
    std::fs::write(own.join("text.wasm"), "hello").unwrap();
    std::fs::write(own.join("empty.wasm"), "").unwrap();
    std::fs::create_dir(own.join("folder.wasm")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", own.join("link.wasm")).unwrap();
    let list = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_webai2api"));
        command.env("WEBAI_URL", server.url("")).env("WEBAI_KEY", &server.key);
        run(command.args(["adapter", "list"]))
    };
    for name in ["huge.wasm", "cut.wasm", "core.wasm", "bare.wasm", "text.wasm", "empty.wasm", "link.wasm"] {
        assert!(server.wait_for(|_| list().contains(name)), "{name}: {}", list());
    }
    let shown = list();
    assert!(!shown.contains("root:"), "{shown}");
    let grown = resident(server.pid()).saturating_sub(before);
    assert!(grown < 256 << 20, "it grew by {grown} bytes");
    assert!(flow.next_text().await.is_some() && server.is_alive());
    // The one that serves is the one that served.
    let adapter = client.get("/v1/models").await.body["data"][0]["webai"]["adapter"].clone();
    assert_eq!(
        (&adapter["version"], &adapter["verified"]),
        (&"6.6.6".into(), &"none: it tries the host's limits".into())
    );
}

/// Bytes of memory that a process has.
fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

#[tokio::test]
async fn a_trap_in_any_export_is_an_error_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    hostile(folder.path(), "demo", &[]);
    let bundled = folder.path().to_str().unwrap();
    // Saying which models there are.
    let config = "adapters: {crashes: 2}\nbackend: {adapter: {demo: {act: models trap}}}";
    let server = Server::builder().config(config).env("WEBAI_BUNDLED", bundled).start_ready();
    let client = Client::of(&server);
    let unknown = client.ask(&ask("demo/other", "flow")).await;
    assert_eq!(unknown.error(), (404, "model_not_found"), "it was asked, and trapped: {unknown:?}");
    assert!(server.wait_for(|server| server.log().contains("the adapter cannot say which models there are")));
    let models = client.get("/v1/models").await.body;
    assert_eq!(models["data"][0]["id"], "demo/script", "the manifest's stand: {models}");
    let mut flow = client.stream(ask("demo/script", "flow")).await;
    assert!(flow.next_text().await.is_some());
    drop((flow, server));

    // Saying who is signed in; and no number of crashes that is put up with covers what was not granted.
    let config = "
adapters: {crashes: 0}
backend:
  adapter: {demo: {act: probe goto}}
  pool: {instances: [{name: home, workers: [{name: one, type: demo}]}]}
";
    let server = Server::builder().config(config).env("WEBAI_BUNDLED", bundled).start_ready();
    let client = Client::of(&server);
    assert!(server.wait_for(|server| server.log().contains("goto https://elsewhere.example.com/path")));
    let refused = client.ask(&ask("demo/script", "flow")).await;
    assert_eq!(refused.error(), (503, "adapter_quarantined"), "{refused:?}");
    assert!(!refused.body.to_string().contains("secret"), "{refused:?}");
    drop(server);

    // Before anything is called.
    hostile(folder.path(), "demo", &["initialize"]);
    let server = Server::builder().config("adapters: {crashes: 2}").env("WEBAI_BUNDLED", bundled).start_ready();
    let client = Client::of(&server);
    for _ in 0..2 {
        assert_eq!(client.ask(&ask("demo/script", "flow")).await.error(), (502, "adapter_crashed"));
    }
    assert_eq!(client.ask(&ask("demo/script", "flow")).await.error(), (503, "adapter_quarantined"));
    assert!(server.is_alive());
}

/// A model's bare name goes to the adapter that fares best; who is out of use stays so, and is the last to be taken.
#[tokio::test]
async fn a_healthy_adapter_is_preferred_and_a_restart_forgives_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    hostile(folder.path(), "demo", &[]);
    hostile(folder.path(), "second", &[]);
    // The same site, under the second one's own name.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = format!(
        "adapters: {{crashes: 5, enabled: [second]}}\ndemo: {{listen: \"127.0.0.1:{port}\"}}\n\
         browser: {{hosts: {{second.localhost: \"127.0.0.1:{port}\"}}}}"
    );
    let start = || {
        let builder = Server::builder().config(&config).data_dir(data.path());
        builder.env("WEBAI_BUNDLED", folder.path().to_str().unwrap()).start_ready()
    };
    let key = || std::fs::read_to_string(data.path().join("admin-key")).unwrap().trim().to_owned();
    let who = async |client: &Client| {
        let mut flow = client.stream(ask("script", "flow")).await;
        assert!(flow.next_text().await.is_some());
        flow.headers["x-webai-adapter"].to_str().unwrap().to_owned()
    };
    let server = start();
    let client = Client::at(&server.url(""), &key());
    assert_eq!(who(&client).await, "demo@6.6.6", "of those that fare alike the first");
    for _ in 0..3 {
        assert_eq!(client.ask(&ask("demo/script", "trap")).await.error(), (502, "adapter_crashed"));
    }
    let models = client.get("/v1/models").await.body;
    assert_eq!(models["data"][0]["webai"]["adapter"]["state"], "degraded", "{models}");
    assert_eq!(who(&client).await, "second@6.6.6");
    for _ in 0..2 {
        assert_eq!(client.ask(&ask("demo/script", "trap")).await.error(), (502, "adapter_crashed"));
    }
    assert_eq!(client.ask(&ask("demo/script", "flow")).await.error(), (503, "adapter_quarantined"));
    // It was written down before anybody could ask again.
    assert!(server.wait_for(|_| {
        std::fs::read_to_string(data.path().join("adapters.lock")).is_ok_and(|lock| lock.contains("5 times"))
    }));
    server.terminate();

    let server = start();
    let client = Client::at(&server.url(""), &key());
    assert_eq!(client.ask(&ask("demo/script", "flow")).await.error(), (503, "adapter_quarantined"));
    assert_eq!(who(&client).await, "second@6.6.6");
}

//! Too much of everything else: words of megabytes, forged handles, a prompt sent in every way once more; and exports that nobody asks
//! for by a request.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::serving;
use crate::support::Server;
use crate::support::client::{self, Client, ask};
use crate::support::guest::hostiles;
use crate::support::site::Site;

/// Where a word is expected there may be megabytes; and where more than one call may carry, the call ends.
#[tokio::test]
async fn words_of_megabytes_reach_nobody() {
    let (_folder, server) = serving("adapters: {pages: 2, crashes: 0}");
    let client = Client::of(&server);
    let mut flow = client.stream(ask("demo/script", "flow")).await;
    for (what, status, code) in [
        ("conversation", 200, ""),
        ("model", 200, ""),
        ("message", 400, "invalid_request"),
        ("step", 502, "site_changed"),
    ] {
        let answer = client.ask(&ask("demo/script", &format!("enormous {what} 3"))).await;
        assert_eq!(answer.error(), (status, code), "{what}");
        assert!(answer.body.to_string().len() < 10_000, "{what}: {} bytes", answer.body.to_string().len());
        assert!(flow.next_text().await.is_some());
    }
    // A code of its own is a word, too.
    let answer = client.ask(&ask("demo/script", "enormous code 3")).await;
    let code = answer.error().1.chars().count();
    assert!(answer.status == 502 && (1..1000).contains(&code), "{} {code}", answer.status);
    for what in ["conversation", "model", "message", "code", "step"] {
        let answer = client.ask(&ask("demo/script", &format!("enormous {what} 5"))).await;
        assert_eq!(answer.error(), (502, "adapter_crashed"), "{what}");
        assert!(flow.next_text().await.is_some());
    }
    let log = server.log().len();
    assert!(log < 1 << 20, "{log} bytes of log");
    assert!(server.is_alive());
}

#[tokio::test]
async fn handles_that_were_not_given_and_files_without_end_are_refused() {
    let (_folder, server) = serving("adapters: {pages: 2, crashes: 0}");
    let client = Client::of(&server);
    let mut flow = client.stream(ask("demo/script", "flow")).await;
    assert_eq!(client.ask(&ask("demo/script", "forged")).await.error(), (502, "adapter_crashed"));
    assert!(flow.next_text().await.is_some());
    assert_eq!(client.ask(&ask("demo/script", "files")).await.error(), (502, "adapter_crashed"));
    assert!(server.wait_for(|server| server.log().contains("more than 8 files open at once")), "{}", server.log());
    assert!(flow.next_text().await.is_some() && server.is_alive());
}

/// What the adapter keeps is bounded, and so is how often it writes in one call.
#[tokio::test]
async fn what_an_adapter_keeps_has_its_end() {
    let (_folder, server) = serving("adapters: {pages: 2, crashes: 0}\ndeadlines: {submit: 5m}");
    let client = Client::of(&server);
    let mut flow = client.stream(ask("demo/script", "flow")).await;
    for (what, end) in [
        ("long-key", "0 too-large"),
        ("deletes", "256 unavailable"),
        ("keys", "256 unavailable"),
        // Of 64 KiB each, and there is some room for their names: 1 MiB.
        ("values", "15 too-large"),
    ] {
        let answer = client.ask_within(&ask("demo/script", what), client::PATIENCE * 2).await;
        assert_eq!((answer.status, answer.text()), (200, end), "{what}");
        assert!(flow.next_text().await.is_some());
    }
}

/// The prompt comes to the site once, however the adapter goes about sending it a second time.
#[tokio::test]
async fn a_second_prompt_is_sent_in_no_way() {
    let (_folder, server) = serving("adapters: {pages: 2, crashes: 0}");
    let (client, site) = (Client::of(&server), Site::of(&server));
    let ways = ["click", "press", "double", "wrapped", "halves", "added", "choose", "download", "copy"];
    for (n, way) in (1..).zip(ways) {
        let prompt = format!("twice {way} and with words enough that nobody takes it for another text");
        let answer = client.ask(&ask("demo/script", &prompt)).await;
        let told = answer.text();
        // Its page shows every message in the moment in which it sends it.
        assert!(told.ends_with(": 1 sent"), "{way}: {told}");
        if matches!(way, "click" | "press") {
            assert_eq!(told, "sent-already: 1 sent", "{way}");
        }
        let stats = site.until("the prompt is there", |stats| stats["prompts"]["count"].as_u64() >= Some(n)).await;
        assert_eq!(stats["prompts"]["count"], n, "{way}");
    }
}

/// An adapter that forgets `submitting` causes no second message; one that only looks for a model has sent nothing, and says so.
#[tokio::test]
async fn what_looks_for_a_model_is_not_taken_for_the_prompt() {
    let (_folder, server) = serving("adapters: {pages: 1, crashes: 0}");
    let client = Client::of(&server);
    for (what, status) in [("model", 502), ("prompt", 424), ("part", 424)] {
        let prompt = format!("looks {what} and has enough words to be taken for itself");
        let answer = client.ask(&ask("demo/script", &prompt)).await;
        assert_eq!(answer.error(), (status, "site_changed"), "{what}");
    }
}

/// A server whose hostile adapter has an account, at which it looks unasked, and two pages there. `act`: what it does then.
fn with_an_account(act: &str) -> (tempfile::TempDir, Server) {
    serving(&format!(
        "adapters: {{crashes: 9}}\nbackend:\n  adapter: {{demo: {{act: {act}}}}}\n  pool:\n    instances:\n      \
         - name: home\n        workers: [{{name: one, type: demo}}, {{name: two, type: demo}}]\n"
    ))
}

/// How often an adapter ended otherwise than it should.
fn ended(server: &Server) -> usize {
    server.log().lines().filter(|line| line.contains("the adapter ended")).count()
}

async fn misbehaves_unasked(way: &str, reason: &str) {
    let (_folder, server) = with_an_account(&format!("\"probe {way}, models {way}\""));
    let client = Client::of(&server);
    // Another page answers all the while.
    let mut flow = client.stream(ask("demo/script", "flow")).await;
    let mut expected = 0;
    let mut goes_on = async || {
        assert_eq!(flow.next_text().await.unwrap(), format!("{expected} "));
        expected += 1;
    };
    let deadline = Instant::now() + client::PATIENCE;
    while ended(&server) == 0 {
        goes_on().await;
        assert!(Instant::now() < deadline, "nobody asked who is signed in: {}", server.log());
    }
    assert!(server.log().contains(reason), "{}", server.log());
    let account = client.get("/admin/api/pool").await.body["accounts"][0].clone();
    // What goes out meanwhile says that somebody is; the adapter itself has not said who.
    assert!(account["adapter"] == "demo" && account["as"] == Value::Null, "{account}");
    assert_eq!(account["checked"], Value::Null, "{account}");

    let models = client.get("/v1/models").await.body;
    let cannot = "the adapter cannot say which models there are";
    while !server.log().contains(cannot) {
        goes_on().await;
        assert!(Instant::now() < deadline + client::PATIENCE, "nobody asked for the models: {}", server.log());
    }
    assert_eq!(client.get("/v1/models").await.body, models, "as the manifest has them, before and after");
    assert_eq!((&models["data"][0]["id"], models["data"].as_array().unwrap().len()), (&"demo/script".into(), 1));
    goes_on().await;
    // Whoever asks is answered, and it is not asked again and again.
    let mut other = client.stream(ask("demo/script", "flow")).await;
    assert_eq!(other.next_text().await.unwrap(), "0 ");
    assert!((2..=4).contains(&ended(&server)), "{}", server.log());
    assert!(server.is_alive());
}

#[tokio::test]
async fn a_trap_in_what_nobody_asked_for_is_no_more_than_a_line_in_the_log() {
    misbehaves_unasked("trap", "unreachable").await;
}

#[tokio::test]
async fn a_loop_in_what_nobody_asked_for_is_no_more_than_a_line_in_the_log() {
    misbehaves_unasked("loop", "of processor time").await;
}

#[tokio::test]
async fn a_list_of_models_without_end_is_cut() {
    let (_folder, server) = serving("backend: {adapter: {demo: {act: models many}}}");
    let client = Client::of(&server);
    let deadline = Instant::now() + client::PATIENCE;
    let models = loop {
        let models = client.get("/v1/models").await.body;
        if models["data"].as_array().unwrap().len() > 1 {
            break models;
        }
        assert!(Instant::now() < deadline, "it was not asked: {}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let all = models["data"].as_array().unwrap();
    assert!((200..=256).contains(&all.len()), "{}", all.len());
    let mut ids: Vec<&str> = all.iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids[0], "demo/script");
    assert!(
        ids.iter().all(|id| id.len() > "demo/".len() && id.len() < 300 && !id.contains(char::is_control)),
        "{ids:?}"
    );
    assert!(all.iter().all(|model| model["webai"]["label"].as_str().unwrap().chars().count() <= 200));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all.len(), "no two of a name");
}

/// Damaged copies that wait for nobody's approval: each is refused with its reason, by the compiler where nothing else sees it, or serves;
/// and the one that serves goes on.
#[tokio::test]
async fn damaged_adapters_are_refused_with_a_reason_or_serve() {
    const COPIES: usize = 12;
    let whole = tempfile::tempdir().unwrap();
    let ids: Vec<String> = (0..COPIES).map(|n| format!("damaged{n}")).collect();
    hostiles(whole.path(), &ids.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    let (_folder, server) = serving("adapters: {pages: 1, crashes: 0, allowUnapproved: true}");
    let client = Client::of(&server);
    let mut flow = client.stream(ask("demo/script", "flow")).await;
    let own = server.home().join("data/adapters");
    std::fs::create_dir_all(&own).unwrap();
    for (n, id) in ids.iter().enumerate() {
        let mut bytes = std::fs::read(whole.path().join(format!("{id}.wasm"))).unwrap();
        let at = bytes.len() * n / COPIES;
        // Half of them as a torn write leaves it, half in one bit.
        if n % 2 == 0 {
            let end = (at + 64).min(bytes.len());
            bytes[at..end].fill(0xa5);
        } else {
            bytes[at] ^= 1;
        }
        std::fs::write(own.join("next.part"), bytes).unwrap();
        std::fs::rename(own.join("next.part"), own.join(format!("{id}.wasm"))).unwrap();
    }
    let mut expected = 0;
    let deadline = Instant::now() + client::PATIENCE * 2;
    let fates = loop {
        let shown = client.get("/admin/api/adapters").await.body;
        let fates: Vec<Option<String>> = ids.iter().map(|id| fate(&shown, id)).collect();
        // Whatever the compiler does, the other answer misses nothing.
        assert_eq!(flow.next_text().await.unwrap(), format!("{expected} "));
        expected += 1;
        if fates.iter().all(Option::is_some) {
            break fates.into_iter().flatten().collect::<Vec<_>>();
        }
        assert!(Instant::now() < deadline, "{fates:?} {shown:#}");
    };
    assert!(fates.iter().all(|fate| !fate.is_empty()), "{fates:?}");
    let compiled = fates.iter().filter(|fate| fate.contains("cannot compile") || *fate == "serving").count();
    assert!(compiled >= COPIES / 2, "most of them came to the compiler: {fates:?}");
    assert_eq!(flow.next_text().await.unwrap(), format!("{expected} "));
    let models = client.get("/v1/models").await.body;
    let own = models["data"].as_array().unwrap().iter().find(|model| model["id"] == "demo/script").unwrap();
    assert_eq!(
        (&own["webai"]["adapter"]["version"], &own["webai"]["adapter"]["state"]),
        (&"6.6.6".into(), &"ok".into())
    );
    assert!(server.is_alive());
}

/// That the file of this name serves, or why it does not; none while nobody knows.
fn fate(shown: &Value, name: &str) -> Option<String> {
    let file = format!("/{name}.wasm");
    let of = |list: &str| {
        let list = shown[list].as_array().unwrap();
        list.iter().find(|one| one["file"].as_str().is_some_and(|path| path.ends_with(&file))).cloned()
    };
    let problem = |one: &Value| one["problem"].as_str().map(str::to_owned);
    if let Some(broken) = of("broken") {
        return problem(&broken);
    }
    let adapter = of("adapters")?;
    if adapter["state"] == "serving" { Some("serving".into()) } else { problem(&adapter) }
}

//! A new configuration is taken over while the program runs, by signal or over the API; a bad one changes nothing.

use crate::support::client::{self, Answer, Client, Event, PATIENCE, ask, script};
use crate::support::site::Site;
use crate::support::{Server, process};
use serde_json::Value;

const KEY: &str = "reload-admin-key";

fn config(instances: &str, more: &str) -> String {
    format!("server: {{auth: {KEY}, apiKeys: [{more}]}}\nbackend:\n  pool:\n    instances:\n{instances}")
}

fn instance(name: &str, workers: usize) -> String {
    let worker = |n| format!("{{name: {name}{n}, type: demo}}");
    let workers = (1..=workers).map(worker).collect::<Vec<_>>().join(", ");
    format!("      - {{name: {name}, workers: [{workers}]}}\n")
}

async fn workers(client: &Client) -> Vec<String> {
    let pool = client.get("/admin/api/pool").await.body;
    let names = pool["workers"].as_array().unwrap().iter().map(|worker| worker["name"].as_str().unwrap().to_owned());
    names.collect()
}

fn refused(answer: &Answer) -> (u16, &str, &str) {
    let (status, code) = answer.error();
    (status, code, answer.body["error"]["message"].as_str().unwrap())
}

#[tokio::test]
async fn instances_workers_and_keys_change_beside_a_running_answer() {
    let server = Server::builder().config(&config(&instance("a", 1), "{name: old, key: old-key-0123456789}"));
    let server = server.start_ready();
    let (client, site) = (Client::at(&server.url(""), KEY), Site::of(&server));
    let old = client.with_key("old-key-0123456789");
    let mut running = old.stream(script("tokens=3 rate=0 gate=1 mark=running")).await;
    assert_eq!(running.next_text().await.unwrap(), "t0");

    let next = format!("{}{}", instance("a", 1), instance("b", 2));
    server.reload(&config(&next, "{name: new, key: new-key-0123456789}"));
    let new = client.with_key("new-key-0123456789");
    let taken = tokio::time::timeout(PATIENCE, async { while new.get("/v1/models").await.status != 200 {} }).await;
    assert!(taken.is_ok(), "{}", server.log());
    assert_eq!(old.get("/v1/models").await.status, 401);
    assert_eq!(workers(&client).await, ["a1", "b1", "b2"]);

    // Who was being answered is answered to the end; who comes now goes to the new instance.
    let fresh = new.ask(&ask("demo/echo", "hello")).await;
    assert_eq!((fresh.text(), fresh.header("x-webai-instance")), ("hello", Some("b")));

    // An instance that is no more gets nothing new, and goes when its last answer is whole.
    server.configure(&config(&instance("b", 1), ""));
    let done = client.post("/admin/api/reload").await;
    assert!(done.body["done"].to_string().contains("instance a goes when its requests have ended"), "{done:?}");
    assert_eq!(workers(&client).await, ["b1"]);
    assert_eq!(client.ask(&ask("demo/echo", "again")).await.text(), "again");
    assert_eq!(process::browsers(&server).len(), 2);
    site.let_go("running", 3).await;
    let rest = running.rest().await;
    assert_eq!(client::joined(&rest, "content"), " t1 t2");
    assert!(rest.contains(&Event::Done), "{rest:?}");
    let alone = server.wait_for(|server| process::browsers(server).len() == 1);
    assert!(alone, "{}", server.log());

    // One that needs another browser is started anew. Whoever asks meanwhile waits for it, or is told to come again.
    let abroad = config(&instance("b", 1).replace("name: b, ", "name: b, locale: fr-FR, "), "");
    server.configure(&abroad);
    assert_eq!(client.post("/admin/api/reload").await.status, 200);
    let encore = async || {
        let mut answer = client.ask(&ask("demo/echo", "encore")).await;
        while answer.error() == (503, "starting") {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            answer = client.ask(&ask("demo/echo", "encore")).await;
        }
        answer
    };
    let answered = tokio::time::timeout(PATIENCE, encore()).await.expect("the new browser in time");
    assert_eq!(answered.text(), "encore");
    assert_eq!(client.get("/admin/api/pool").await.body["workers"].as_array().unwrap().len(), 1);
    let anew = server.wait_for(|server| server.log().contains("the instance has gone instance=\"b\" anew=true"));
    assert!(anew, "{}", server.log());
}

#[tokio::test]
async fn a_bad_configuration_is_refused_and_the_old_one_goes_on() {
    let server = Server::builder().config(&config(&instance("a", 1), "")).start_ready();
    let client = Client::at(&server.url(""), KEY);
    server.configure("backend: {pool: {strategy: best}}");
    let answer = client.post("/admin/api/reload").await;
    let (status, code, message) = refused(&answer);
    assert_eq!((status, code), (400, "invalid_configuration"));
    assert!(message.contains("backend.pool.strategy") && message.contains("best"), "{message}");
    server.signal(rustix::process::Signal::HUP);
    let told = |server: &Server| server.log().matches("the old one stays in force").count() == 2;
    assert!(server.wait_for(told), "{}", server.log());
    assert_eq!(workers(&client).await, ["a1"]);
    assert_eq!(client.ask(&ask("demo/echo", "hello")).await.text(), "hello");
    // Not for clients, and not without a key.
    assert_eq!(client.with_key("other").post("/admin/api/reload").await.status, 401);

    // What cannot be changed now is said.
    let later = config(&instance("a", 1), "").replace("server: {", "server: {reasoning: think, ");
    server.configure(&later);
    let done = client.post("/admin/api/reload").await;
    assert!(done.body["done"].to_string().contains("count from the next start: server"), "{done:?}");
}

#[tokio::test]
async fn adapters_are_switched_on_and_get_their_settings() {
    let server = Server::builder().config(&config(&instance("a", 1), "")).start_ready();
    let client = Client::at(&server.url(""), KEY);
    let entry = async || -> Value {
        let list = client.get("/admin/api/adapters").await.body;
        let all = list["adapters"].as_array().unwrap();
        all.iter().find(|entry| entry["id"] == "gemini-enterprise").unwrap().clone()
    };
    assert_eq!(entry().await["state"], "disabled");
    let enabled = format!("adapters: {{enabled: [gemini-enterprise]}}\n{}", config(&instance("a", 1), ""));
    server.configure(&enabled);
    assert_eq!(client.post("/admin/api/reload").await.status, 200);
    let failed = entry().await;
    assert_eq!(failed["state"], "failed");
    assert!(failed["problem"].as_str().unwrap().contains("backend.adapter.gemini-enterprise.cid"), "{failed:#}");
    let setting = |cid: &str| format!("{enabled}  adapter: {{gemini-enterprise: {{cid: {cid}}}}}\n");
    server.configure(&setting("abc"));
    assert_eq!(client.post("/admin/api/reload").await.status, 200);
    assert_eq!(entry().await["state"], "serving");
    // Settings that do not fit leave the adapter as it was.
    server.configure(&setting("17"));
    assert_eq!(client.post("/admin/api/reload").await.status, 200);
    let kept = entry().await;
    assert_eq!(kept["state"], "serving");
    assert!(kept["problem"].as_str().unwrap().contains("cid"), "{kept:#}");
    server.configure(&config(&instance("a", 1), ""));
    assert_eq!(client.post("/admin/api/reload").await.status, 200);
    assert_eq!(entry().await["state"], "disabled");
}

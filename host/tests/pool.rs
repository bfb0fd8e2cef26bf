//! Instances, workers and accounts: who gets which page, chats that go on, and accounts that cannot answer.

use crate::support::client::{self, Answer, Client, ask, script};
use crate::support::site::Site;
use crate::support::{Server, guest};
use base64::Engine as _;
use serde_json::{Value, json};

/// One account, at the demo site, with a sign-in that lasts.
const HOME: &str = "
backend:
  pool:
    instances:
      - name: home
        workers: [{name: one, type: demo}]
";

fn conversation(turns: &[(&str, &str)]) -> Value {
    let messages: Vec<Value> =
        turns.iter().map(|(role, content)| json!({ "role": role, "content": content })).collect();
    json!({ "model": "demo/echo", "messages": messages })
}

/// Conversation and length of the newest prompts at the site.
async fn prompts(site: &Site) -> Vec<(String, u64)> {
    let list = site.stats().await["prompts"]["list"].as_array().unwrap().clone();
    let of = |prompt: &Value| {
        (prompt["conversation"].as_str().unwrap_or_default().to_owned(), prompt["chars"].as_u64().unwrap())
    };
    list.iter().map(of).collect()
}

fn text(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().to_owned()
}

/// The adapter `aaa` traps over the word; `demo` has a model of the same name, and answers.
#[tokio::test]
async fn what_fails_before_the_prompt_is_sent_is_tried_elsewhere_and_nothing_after_it() {
    let folder = tempfile::tempdir().unwrap();
    guest::hostile(folder.path(), "aaa", &[]);
    std::fs::copy(guest::bundled("demo"), folder.path().join("demo.wasm")).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = format!(
        "adapters: {{enabled: [aaa]}}\ndemo: {{listen: \"127.0.0.1:{port}\"}}\n\
         browser: {{hosts: {{aaa.localhost: \"127.0.0.1:{port}\"}}}}"
    );
    let server = Server::builder().config(&config).env("WEBAI_BUNDLED", folder.path().to_str().unwrap()).start_ready();
    let client = Client::of(&server);
    let answer = client.ask(&ask("script", "trap")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.header("x-webai-adapter").unwrap().starts_with("demo@"), "{answer:?}");
    assert_eq!(answer.header("x-webai-attempts"), Some("2"));
    // It may have reached the site: nobody else is asked, and nothing invites to ask again.
    let sent = client.ask(&ask("script", "sent trap")).await;
    assert_eq!(sent.error(), (424, "adapter_crashed"));
    assert_eq!((sent.header("x-webai-attempts"), sent.header("x-should-retry")), (Some("1"), Some("false")));
    // There is no other of that name.
    let alone = client.ask(&ask("aaa/script", "trap")).await;
    assert_eq!(alone.error(), (502, "adapter_crashed"));
    assert_eq!(Site::of(&server).stats().await["prompts"]["count"], 1);
}

#[tokio::test]
async fn a_conversation_goes_on_in_its_chat_and_an_edited_one_begins_anew() {
    let server = Server::builder().config(HOME).start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    assert_eq!(text(&client.ask(&conversation(&[("user", "first question")])).await), "first question");
    let next = [("user", "first question"), ("assistant", "first question"), ("user", "second")];
    assert_eq!(text(&client.ask(&conversation(&next)).await), "second", "only the new turn was typed");
    let further = [next.as_slice(), &[("assistant", "second"), ("user", "third")]].concat();
    assert_eq!(text(&client.ask(&conversation(&further)).await), "third");
    let seen = prompts(&site).await;
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|(chat, _)| *chat == seen[0].0), "{seen:?}");
    assert_eq!(seen.iter().map(|(_, chars)| *chars).collect::<Vec<_>>(), [14, 6, 5], "only the new turn is typed");

    // A regenerated answer, an edited question, and a client that wants none of it: each a new chat with all that was said.
    let regenerated = text(&client.ask(&conversation(&next)).await);
    assert!(regenerated.contains("first question") && regenerated.contains("second"), "{regenerated}");
    let edited = [("user", "first question"), ("assistant", "other words"), ("user", "second")];
    assert!(text(&client.ask(&conversation(&edited)).await).contains("other words"));
    let fresh = [further.as_slice(), &[("assistant", "third"), ("user", "fourth")]].concat();
    let request = conversation(&fresh);
    let answer = client.send_with(&request, &[("x-webai-conversation", "new")]).await;
    assert!(text(&client::answer(answer).await).contains("third"));
    assert!(prompts(&site).await[3..].iter().all(|(chat, _)| *chat != seen[0].0));
}

#[tokio::test]
async fn two_clients_with_one_history_share_no_chat_and_the_switch_gives_everybody_a_new_one() {
    let config = HOME.replace("type: demo}]", "type: demo}, {name: two, type: demo}]");
    let server = Server::builder().config(&config).start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let asked = |new: &'static str| {
        let (client, turns) = (client.clone(), [("user", "begin"), ("assistant", "begin"), ("user", new)]);
        async move { text(&client.ask(&conversation(&turns)).await) }
    };
    assert_eq!(text(&client.ask(&conversation(&[("user", "begin")])).await), "begin");
    let (left, right) = tokio::join!(asked("left"), asked("right"));
    assert!(left.contains("left") && !left.contains("right"), "{left}");
    assert!(right.contains("right") && !right.contains("left"), "{right}");
    let all = [left, right];
    assert_eq!(all.iter().filter(|text| text.contains("begin")).count(), 1, "one went on, one began anew: {all:?}");
    let seen = prompts(&site).await;
    assert_eq!((seen.len(), seen[1].0 != seen[2].0), (3, true), "{seen:?}");

    let yaml = format!("{config}conversations: {{mode: new}}\n");
    std::fs::write(server.home().join("config.yaml"), yaml).unwrap();
    assert_eq!(client.post("/admin/api/reload").await.status, 200);
    let turns = [("user", "begin"), ("assistant", "begin"), ("user", "left"), ("assistant", "left"), ("user", "on")];
    let answer = text(&client.ask(&conversation(&turns)).await);
    assert!(answer.contains("begin") && answer.contains("on"), "{answer}");
    let chat = prompts(&site).await.pop().unwrap().0;
    assert!(seen.iter().all(|(other, _)| *other != chat));
}

#[tokio::test]
async fn chats_are_known_after_a_restart_and_one_that_the_site_has_deleted_begins_anew() {
    let data = tempfile::tempdir().unwrap();
    let key = "key-of-a-test-0123456789";
    let config = format!("{HOME}\nserver: {{auth: {key}}}\n");
    let server = Server::builder().config(&config).data_dir(data.path()).start_ready();
    let client = Client::of(&server).with_key(key);
    assert_eq!(text(&client.ask(&conversation(&[("user", "before")])).await), "before");
    drop(server);
    // The demo site lives in the program: it has forgotten the chat, as a site does that was told to delete it.
    let server = Server::builder().config(&config).data_dir(data.path()).start_ready();
    let (client, site) = (Client::of(&server).with_key(key), Site::of(&server));
    let next = [("user", "before"), ("assistant", "before"), ("user", "after")];
    let answer = text(&client.ask(&conversation(&next)).await);
    assert!(answer.contains("before") && answer.contains("after"), "{answer}");
    assert_eq!(prompts(&site).await.len(), 1, "nothing was sent twice");
    assert!(server.log().contains("the site has this chat no more"), "{}", server.log());
}

#[tokio::test]
async fn an_account_that_is_signed_out_is_not_asked_and_comes_back_by_itself() {
    let server = Server::builder().config(HOME).start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let state = |pool: &Value| pool["accounts"][0]["state"].as_str().unwrap_or_default().to_owned();
    client.until_pool("the account was looked at", |pool| state(pool) == "signed-in").await;

    site.control(json!({ "state": "signed-out" })).await;
    let found = client.post("/admin/api/accounts/home/probe/demo").await;
    assert_eq!((found.status, &found.body["state"]), (200, &json!("signed-out")), "{found:?}");
    // The page that was asked goes back to its entry first.
    client.until_pool("its page is at rest", |pool| pool["workers"][0]["shows"] == "demo").await;
    let loads = site.stats().await["page_loads"].as_u64().unwrap();
    let refused = client.ask(&ask("demo/echo", "anybody there?")).await;
    assert_eq!(refused.error(), (403, "login_required"));
    assert!(refused.body.to_string().contains("home/demo: signed-out"), "{}", refused.body);
    let stats = site.stats().await;
    assert_eq!((stats["prompts"]["count"].as_u64(), stats["page_loads"].as_u64()), (Some(0), Some(loads)));

    // Nobody says that somebody has signed in: it is looked at again by itself.
    site.control(json!({ "state": "ok" })).await;
    client.until_pool("it is seen that somebody is there", |pool| state(pool) == "signed-in").await;
    assert_eq!(text(&client.ask(&ask("demo/echo", "again")).await), "again");
}

#[tokio::test]
async fn an_account_that_is_brought_in_is_the_one_that_answers_at_once() {
    let server = Server::builder().config(HOME).start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let signed_in = |pool: &Value| pool["accounts"][0]["state"] == "signed-in";
    client.until_pool("the account was looked at", signed_in).await;
    // Its page waits at the entry, loaded for whoever was there before.
    client.until_pool("its page is at rest", |pool| pool["workers"][0]["shows"] == "demo").await;
    let session = site.sign_in("ada@example.com").await;
    let file =
        json!([{ "name": "demo_session", "value": session, "domain": "demo.localhost", "path": "/" }]).to_string();
    let file = base64::engine::general_purpose::STANDARD.encode(file);
    let imported = client.post_json("/admin/api/accounts/home/import", &json!({ "file": file })).await;
    assert_eq!((imported.status, &imported.body["cookies"]), (200, &json!(1)), "{imported:?}");
    let is_ada = |pool: &Value| pool["accounts"][0]["as"] == "ada@example.com";
    client.until_pool("the site was asked anew", is_ada).await;
    assert_eq!(text(&client.ask(&ask("demo/echo", "hello")).await), "hello");
}

#[tokio::test]
async fn an_account_that_its_site_limits_is_left_alone_until_its_time() {
    let server = Server::builder().config(HOME).start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    let limited = client.ask(&script("error=rate-limited retry_after=600 mark=limit")).await;
    assert_eq!(limited.error().1, "rate_limited", "{limited:?}");
    let refused = client.ask(&script("mark=after")).await;
    assert_eq!(refused.error(), (429, "rate_limited"), "{refused:?}");
    let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((500..=600).contains(&after), "{after}");
    assert_eq!(site.prompts("after").await, 0);
    assert!(client.pool().await["accounts"][0]["limited_for_ms"].as_u64().unwrap() > 500_000);
}

#[tokio::test]
async fn two_instances_work_side_by_side_and_each_has_its_own_worker() {
    let config = "
backend:
  pool:
    instances:
      - {name: home, workers: [{name: a, type: demo}]}
      - {name: work, locale: zh-CN, timezone: Asia/Shanghai, workers: [{name: b, type: merge, mergeTypes: [demo, kimi], mergeMonitor: demo}]}
";
    let server = Server::builder().config(config).start_ready();
    let (client, site) = (Client::of(&server), Site::of(&server));
    client
        .until_pool("both accounts were looked at", |pool| {
            pool["accounts"].as_array().unwrap().iter().filter(|account| account["state"] == "signed-in").count() == 2
        })
        .await;
    let mut first = client.stream(script("tokens=3 rate=0 gate=1 mark=first")).await;
    assert_eq!(first.next_text().await.unwrap(), "t0");
    let mut second = client.stream(script("tokens=3 rate=0 gate=1 mark=second")).await;
    assert_eq!(second.next_text().await.unwrap(), "t0");
    let instances = [first.headers["x-webai-instance"].clone(), second.headers["x-webai-instance"].clone()];
    assert_ne!(instances[0], instances[1]);
    let busy = client.pool().await;
    assert_eq!(busy["running"].as_array().unwrap().len(), 2, "{busy:#}");
    site.let_go("first", 3).await;
    site.let_go("second", 3).await;
    first.rest().await;
    second.rest().await;
}

#[tokio::test]
async fn the_strategy_says_which_of_two_free_instances_is_asked() {
    let config = |strategy: &str| {
        let instance = |name: &str| format!("      - {{name: {name}, workers: [{{name: {name}, type: demo}}]}}\n");
        let instances = ["a", "b"].map(instance).concat();
        format!("backend:\n  pool:\n    strategy: {strategy}\n    instances:\n{instances}")
    };
    let server = Server::builder().config(&config("round_robin")).start_ready();
    let client = Client::of(&server);
    // A browser that is not up is asked last, whatever the strategy; and a page at work is asked by nobody.
    let at_rest = |pool: &Value| {
        let rests = |worker: &Value| worker["leased"] == false && worker["shows"] == "demo";
        pool["workers"].as_array().unwrap().iter().filter(|worker| rests(worker)).count() == 2
    };
    let who = async |text: &str| {
        client.until_pool("both are free", at_rest).await;
        let answer = client.ask(&ask("demo/echo", text)).await;
        answer.header("x-webai-instance").unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    };
    let turns = [who("1").await, who("2").await, who("3").await, who("4").await];
    assert!(turns[0] != turns[1] && turns[0] == turns[2] && turns[1] == turns[3], "{turns:?}");

    server.reload(&config("sticky"));
    assert!(server.wait_for(|server| server.log().contains("the new configuration is in force")), "{}", server.log());
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..6 {
        let text = format!("conversation {n}");
        let first = who(&text).await;
        assert_eq!(who(&text).await, first, "what begins alike stays together");
        seen.insert(first);
    }
    assert_eq!(seen.len(), 2, "six conversations are spread");
}

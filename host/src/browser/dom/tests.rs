//! The helper in a real Chromium, called as the host calls it, without a `Page` around it.

use std::process::Stdio;
use std::time::Duration;

use chromiumoxide::cdp::browser_protocol::page::{
    AddScriptToEvaluateOnNewDocumentParams, CreateIsolatedWorldParams, GetFrameTreeParams, SetDocumentContentParams,
};
use chromiumoxide::cdp::browser_protocol::target::{AttachToTargetParams, CreateTargetParams};
use chromiumoxide::cdp::js_protocol::runtime::{EvaluateParams, ExecutionContextId};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::HELPER;
use crate::browser::Selector;
use crate::browser::cdp::{self, Session};

mod markdown;
mod roles;
mod selecting;

const DEADLINE: Duration = Duration::from_secs(20);

/// A Chromium with one blank page, ended when dropped.
struct Bench {
    page: Session,
    frame: String,
    _browser: Child,
    _profile: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--remote-debugging-port=0", "--no-first-run", "--disable-gpu"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(browser.stderr.take().unwrap()).lines();
        let url = loop {
            let line = lines.next_line().await.unwrap().expect("Chromium tells its address");
            if let Some((_, url)) = line.split_once("DevTools listening on ") {
                break url.to_owned();
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let socket = cdp::connect(&url, DEADLINE).await.unwrap();
        let target = socket.root.execute(CreateTargetParams::new("about:blank"), DEADLINE).await.unwrap().target_id;
        let attach = AttachToTargetParams::builder().target_id(target).flatten(true).build().unwrap();
        let attached = socket.root.execute(attach, DEADLINE).await.unwrap();
        let page = socket.root.child(attached.session_id.inner());
        let tree = page.execute_value(GetFrameTreeParams::default(), DEADLINE).await.unwrap();
        let frame = tree["frameTree"]["frame"]["id"].as_str().unwrap().to_owned();
        let script = AddScriptToEvaluateOnNewDocumentParams::builder().source(HELPER).world_name("webai");
        page.execute(script.build().unwrap(), DEADLINE).await.unwrap();
        Self { page, frame, _browser: browser, _profile: profile }
    }

    /// Shows a document, and returns a world with the helper in it.
    async fn show(&self, html: &str) -> World<'_> {
        let content = SetDocumentContentParams::new(self.frame.clone(), format!("<!doctype html>{html}"));
        self.page.execute(content, DEADLINE).await.unwrap();
        let world = CreateIsolatedWorldParams::builder().frame_id(self.frame.clone()).world_name("webai");
        let world = self.page.execute(world.build().unwrap(), DEADLINE).await.unwrap();
        let world = World { page: &self.page, context: world.execution_context_id };
        world.evaluate(HELPER).await;
        world
    }
}

struct World<'a> {
    page: &'a Session,
    context: ExecutionContextId,
}

impl World<'_> {
    async fn evaluate(&self, script: &str) -> Value {
        let evaluate = EvaluateParams::builder()
            .expression(script)
            .context_id(self.context)
            .await_promise(true)
            .return_by_value(true)
            .build()
            .unwrap();
        let answer = self.page.execute_value(evaluate, DEADLINE).await.unwrap();
        assert!(answer.get("exceptionDetails").is_none(), "{answer:#}");
        answer["result"]["value"].clone()
    }

    async fn call(&self, function: &str, mut args: Value) -> Value {
        if let Some(selector) = args["selector"].as_str() {
            args["selector"] = serde_json::to_value(selector.parse::<Selector>().unwrap()).unwrap();
        }
        self.evaluate(&format!("webai.{function}({args})")).await
    }

    /// The `id` attributes of what a selector matches, in order.
    async fn ids(&self, selector: &str) -> String {
        let count = self.call("count", json!({ "selector": selector })).await;
        let mut ids = Vec::new();
        for n in 0..count["ok"].as_i64().unwrap_or_else(|| panic!("{selector}: {count}")) {
            let args = json!({ "selector": format!("{selector} >> nth={n}"), "name": "id", "until": 0 });
            ids.push(self.call("attribute", args).await["ok"].as_str().unwrap_or("?").to_owned());
        }
        ids.join(" ")
    }
}

#[tokio::test]
async fn tells_what_the_browser_cannot_read() {
    let bench = Bench::start().await;
    let world = bench.show("<p>text").await;
    let invalid = world.call("count", json!({"selector": "a:nonsense"})).await;
    assert_eq!(invalid["fail"]["code"], "invalid-selector");
    let invalid = world.call("count", json!({"selector": "text=/(/"})).await;
    assert_eq!(invalid["fail"]["code"], "invalid-selector");
}

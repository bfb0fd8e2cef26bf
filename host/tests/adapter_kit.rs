//! The author's kit, as its user has it: commands, and what they print.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::client::Client;
use crate::support::{Server, guest};

/// `webai2api adapter ...` with data and pictures in a folder of the test's own.
fn adapter(home: &TempDir, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_webai2api"));
    command.current_dir(home.path()).env("WEBAI_DATA_DIR", home.path().join("data")).arg("adapter").args(args);
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs the suite; what its report says.
fn suite(home: &TempDir, args: &[&str]) -> (Option<i32>, Value) {
    let pictures = home.path().join("pictures");
    let output = adapter(home, &[&["test", "--json", "--pictures", pictures.to_str().unwrap()], args].concat());
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no report: {}", text(&output)));
    (output.status.code(), report)
}

fn case<'a>(report: &'a Value, name: &str) -> &'a Value {
    let cases = report["cases"].as_array().unwrap();
    cases.iter().find(|case| case["name"] == name).unwrap_or_else(|| panic!("no case {name}: {report:#}"))
}

/// A project from the template, built and packed; its file.
fn scaffolded(home: &TempDir) -> (PathBuf, PathBuf) {
    let sdk = guest::repository().join("adapters-wasm/sdk");
    let made = adapter(home, &["new", "fresh", "--sdk", sdk.to_str().unwrap()]);
    assert!(made.status.success(), "{}", text(&made));
    let folder = home.path().join("fresh");
    // The versions that were tried here.
    std::fs::copy(guest::repository().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let module = guest::build(&folder, "fresh", &[]);
    let (manifest, file) = (folder.join("adapter.toml"), folder.join("fresh.wasm"));
    let pack =
        ["pack", module.to_str().unwrap(), "--manifest", manifest.to_str().unwrap(), "-o", file.to_str().unwrap()];
    let packed = adapter(home, &pack);
    assert!(packed.status.success(), "{}", text(&packed));
    (folder, file)
}

/// What comes with the program and has fixtures.
const WITH_FIXTURES: &[&str] = &["chatgpt", "deepseek", "demo", "gemini", "gemini-enterprise", "kimi"];

fn bundled_passes(id: &str) {
    let home = TempDir::new().unwrap();
    let fixtures = guest::repository().join("adapters-wasm").join(id).join("fixtures");
    let (code, report) =
        suite(&home, &[guest::bundled(id).to_str().unwrap(), "--fixtures", fixtures.to_str().unwrap()]);
    assert_eq!((code, &report["failed"]), (Some(0), &Value::from(0)), "{report:#}");
    for case in report["cases"].as_array().unwrap().iter().filter(|case| case["verdict"] == "skipped") {
        println!("{} is {}", case["name"], case["about"]);
    }
    assert!(report["passed"].as_u64().unwrap() >= 12, "{report:#}");
}

#[test]
fn chatgpt_passes_the_suite() {
    bundled_passes("chatgpt");
}

#[test]
fn deepseek_passes_the_suite() {
    bundled_passes("deepseek");
}

#[test]
fn the_demos_adapter_passes_the_suite() {
    bundled_passes("demo");
}

#[test]
fn gemini_passes_the_suite() {
    bundled_passes("gemini");
}

#[test]
fn gemini_enterprise_passes_the_suite() {
    bundled_passes("gemini-enterprise");
}

#[test]
fn kimi_passes_the_suite() {
    bundled_passes("kimi");
}

#[test]
fn no_adapter_with_fixtures_is_left_out() {
    let folder = guest::repository().join("adapters-wasm");
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut all: Vec<String> = names.filter(|name| folder.join(name).join("fixtures/site.toml").exists()).collect();
    all.sort();
    assert_eq!(all, WITH_FIXTURES);
}

#[test]
fn a_new_project_passes_and_a_broken_one_fails_in_the_right_case() {
    let home = TempDir::new().unwrap();
    let (folder, file) = scaffolded(&home);
    let checked =
        adapter(&home, &["check", file.to_str().unwrap(), "--fixtures", folder.join("fixtures").to_str().unwrap()]);
    assert!(checked.status.success(), "{}", text(&checked));

    let (code, report) = suite(&home, &[file.to_str().unwrap()]);
    assert_eq!((code, &report["failed"]), (Some(0), &Value::from(0)), "{report:#}");

    // The site calls its button otherwise: the adapter does not know it any more.
    let page = folder.join("fixtures/app.js");
    let good = std::fs::read_to_string(&page).unwrap();
    std::fs::write(
        &page,
        good.replace("data-testid=\"send\"", "data-testid=\"send-it\"").replace("find(\"send\")", "find(\"send-it\")"),
    )
    .unwrap();
    let (code, report) = suite(&home, &[file.to_str().unwrap(), "--case", "answers"]);
    let broken = case(&report, "answers");
    assert_eq!((code, &broken["verdict"]), (Some(1), &Value::from("failed")), "{report:#}");
    assert_eq!((&broken["step"], &broken["selector"]), (&Value::from("send"), &Value::from("testid=send")));
    let picture = std::fs::read(broken["picture"].as_str().unwrap()).unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
    assert_a_person_is_told_of_it(&home, &file);
    std::fs::write(&page, &good).unwrap();

    // The stop button is another one: nobody stops the site, and the page is closed over it; but never is a prompt sent twice.
    // The site sends its answer all at once: nothing of it can come while it still sends.
    let site = folder.join("fixtures/site.toml");
    let plan = std::fs::read_to_string(&site).unwrap();
    let whole = plan.replace("cut = 5\npause_ms = 30", "chunk = \"whole\"");
    assert_ne!(plan, whole);
    std::fs::write(&site, &whole).unwrap();
    let (code, report) = suite(&home, &[file.to_str().unwrap(), "--case", "streams"]);
    assert_eq!((code, &case(&report, "streams")["verdict"]), (Some(1), &Value::from("failed")), "{report:#}");
    let why = case(&report, "streams")["problems"].to_string();
    assert!(why.contains("before the site has sent its last piece"), "{why}");

    // A state that nobody described.
    std::fs::write(&site, plan.replace("[states.blocked]\n", "").replace("state = \"blocked\"", "state = \"other\""))
        .unwrap();
    let (code, report) = suite(&home, &[file.to_str().unwrap(), "--case", "blocked"]);
    assert_eq!(code, Some(1));
    assert!(case(&report, "blocked")["problems"].to_string().contains("[states.blocked]"), "{report:#}");
}

/// Of a button that is not found: what was done, what was seen, and what was expected.
fn assert_a_person_is_told_of_it(home: &TempDir, file: &Path) {
    let pictures = home.path().join("for a person");
    let file = file.to_str().unwrap();
    let output = adapter(home, &["test", file, "--case", "answers", "--pictures", pictures.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(told.starts_with("FAILED  answers"), "{told}");
    let line = |begin: &str| {
        let found = told.lines().find_map(|line| line.trim_start().strip_prefix(begin));
        found.unwrap_or_else(|| panic!("no line {begin:?}: {told}")).trim()
    };
    let below = |title: &str| -> Vec<&str> {
        let rest = told.lines().skip_while(|line| line.trim() != title).skip(1);
        rest.take_while(|line| line.starts_with("      ")).map(str::trim).collect()
    };
    assert_eq!(line("expected:"), "an answer");
    assert!(line("seen:").starts_with("failure site-changed"), "{told}");
    assert!(line("the request ended so:").starts_with("failure site-changed"), "{told}");
    assert_eq!((line("at the step:"), line("looking for:")), ("send", "testid=send"));
    let picture = Path::new(line("the page then:"));
    assert!(picture.starts_with(&pictures), "{told}");
    assert!(std::fs::read(picture).unwrap().starts_with(b"\x89PNG"));
    let done = below("what the adapter did:");
    let at = |step: &str| done.iter().position(|line| line.ends_with(step)).unwrap_or_else(|| panic!("{step}: {told}"));
    assert!(at("step: type the prompt") < at("step: send"), "in their order: {told}");
    let asked = below("what the page asked the site:");
    assert!(asked.iter().any(|line| line.contains("200 GET https://chat.example.com/app.js")), "{told}");
    assert!(told.ends_with("fresh@0.1.0: 0 passed, 1 failed, 0 skipped\n"), "{told}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 of 1 cases failed"), "{}", text(&output));
}

/// The template as it is, and as the adapter of a real site that is also written in Rust, with the same fixtures.
#[test]
fn javascript_passes_what_rust_passes() {
    let home = TempDir::new().unwrap();
    let made = adapter(&home, &["new", "deepseek", "--lang", "js"]);
    assert!(made.status.success(), "{}", text(&made));
    let (code, report) = suite(&home, &["deepseek"]);
    assert_eq!((code, &report["failed"]), (Some(0), &Value::from(0)), "{report:#}");

    let (folder, rust) = (home.path().join("deepseek"), guest::repository().join("adapters-wasm/deepseek"));
    std::fs::copy(rust.join("adapter.js"), folder.join("src/adapter.js")).unwrap();
    std::fs::copy(rust.join("adapter.toml"), folder.join("adapter.toml")).unwrap();
    let fixtures = rust.join("fixtures");
    let (code, report) = suite(&home, &["deepseek", "--fixtures", fixtures.to_str().unwrap()]);
    assert_eq!((code, &report["failed"]), (Some(0), &Value::from(0)), "{report:#}");
    assert_eq!(report["skipped"], 0, "{report:#}");
}

/// A script that says which models its account has, through the real program.
#[tokio::test]
async fn javascript_says_which_models_there_are() {
    const SOURCE: &str = r#"
import { adapter, fail, model } from "./webai.js";

function models(page) {
  page.text("testid=composer");
  if (page.title() === "") throw fail("upstream", "the page has no title");
  return [model("script", "Script as shown"), model("new", "New", "image")];
}

function generate(page, reply) {
  throw fail("invalid-request", "not asked for");
}

export const { provider, discovery } = adapter({ generate, models });
"#;
    let home = TempDir::new().unwrap();
    let made = adapter(&home, &["new", "models", "--lang", "js"]);
    assert!(made.status.success(), "{}", text(&made));
    let folder = home.path().join("models");
    let edit = |file: &str, from: &str, to: &str| {
        let before = std::fs::read_to_string(folder.join(file)).unwrap();
        assert!(before.contains(from), "{before}");
        std::fs::write(folder.join(file), before.replace(from, to)).unwrap();
    };
    edit("package.json", "--world adapter ", "--world adapter-with-discovery ");
    std::fs::write(folder.join("src/adapter.js"), SOURCE).unwrap();
    let npm = |args: &[&str]| guest::run(Command::new("npm").args(args).current_dir(&folder));
    npm(&["install", "--no-audit", "--no-fund"]);
    npm(&["run", "--silent", "build"]);
    let manifest = std::fs::read_to_string(guest::source("data").join("adapter.toml")).unwrap();
    guest::pack(&folder.join("dist/component.wasm"), &manifest, &home.path().join("demo.wasm"));
    let checked = adapter(&home, &["check", "demo.wasm"]);
    assert!(checked.status.success(), "{}", text(&checked));

    let builder = Server::builder().config("adapters: {pages: 1}");
    let server = builder.env("WEBAI_BUNDLED", home.path().to_str().unwrap()).start_ready();
    let client = Client::of(&server);
    let models = client.until_models(&["demo/script", "demo/new"]).await;
    assert_eq!(models["data"][0]["webai"]["label"], "Script as shown", "{models:#}");
    assert_eq!(models["data"][1]["webai"]["kind"], "image");
}

#[test]
fn mistakes_are_told_all_at_once() {
    let home = TempDir::new().unwrap();
    let folder = home.path().join("odd");
    let made = adapter(&home, &["new", "odd", "--lang", "js"]);
    assert!(made.status.success(), "{}", text(&made));
    let manifest = folder.join("adapter.toml");
    let good = std::fs::read_to_string(&manifest).unwrap();
    let bad = good.replace("https://accounts.example.com", "https://*.github.io").replace("0.1.0", "one");
    std::fs::write(&manifest, bad).unwrap();
    std::fs::write(
        folder.join("fixtures/site.toml"),
        "[[routes]]\nurl = \"https://a.example/\"\nfile = \"gone.html\"\n",
    )
    .unwrap();
    let checked = adapter(&home, &["check", "odd"]);
    assert_eq!(checked.status.code(), Some(1));
    let told = text(&checked);
    for part in ["origins.pass[0]", "adapter.version", "routes[0]", "gone.html"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let again = adapter(&home, &["new", "odd"]);
    assert!(text(&again).contains("there already"), "{}", text(&again));
    let nothing = adapter(&home, &["test", "nowhere"]);
    assert_eq!(nothing.status.code(), Some(1));
    let core = home.path().join("core.wasm");
    std::fs::write(&core, b"\0asm\x01\0\0\0").unwrap();
    assert!(text(&adapter(&home, &["check", "core.wasm"])).contains("core module"));
}

#[test]
fn what_is_recorded_is_played_again() {
    let home = TempDir::new().unwrap();
    let fixtures = home.path().join("fixtures");
    std::fs::create_dir(&fixtures).unwrap();
    let site = guest::repository().join("adapters-wasm/demo/fixtures/site.toml");
    std::fs::copy(site, fixtures.join("site.toml")).unwrap();
    let file = guest::bundled("demo");
    let file = file.to_str().unwrap();
    let prompt = "tokens=16 rate=20 reasoning=2";
    let args = ["record", file, "--fixtures", "fixtures", "--model", "script", "--prompt", prompt, "--headless"];
    let recorded = adapter(&home, &args);
    assert!(recorded.status.success(), "{}", text(&recorded));
    let read = |name: &str| std::fs::read_to_string(fixtures.join("recorded").join(name)).unwrap();
    let words = (0..16).map(|n| format!("t{n}")).collect::<Vec<_>>().join(" ");
    assert_eq!(read("answer.md"), words);
    let stream = read("stream.jsonl");
    assert!(stream.lines().count() > 10 && stream.contains("http://demo.localhost/api/chat"), "{stream}");
    // Ids of the conversation and the message were random: they are others now, and as long.
    let uuid = regex::Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").unwrap();
    let ids: Vec<&str> = uuid.find_iter(&stream).map(|found| found.as_str()).collect();
    assert!(!ids.is_empty() && ids.iter().all(|id| id[..8].chars().all(|c| "0a".contains(c))), "{ids:?}");
    let pages: Vec<String> = std::fs::read_dir(fixtures.join("recorded"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".html"))
        .collect();
    assert!(pages.iter().any(|name| name.contains("send")), "{pages:?}");
    let page = read(pages.iter().find(|name| name.contains("send")).unwrap());
    assert!(page.contains("data-testid=\"composer\"") && !page.contains("<script"), "{page}");

    // The same once with its times drawn out, and once without any.
    let quick = add_replay(&fixtures, "at-once", prompt, |_| 0);
    let (_, span) = times(&stream);
    let slow = add_replay(&fixtures, "drawn-out", prompt, |at| at * 6000 / span);
    assert!(quick == 0 && slow >= 5900, "{quick} {slow}");
    let (code, report) = suite(&home, &[file, "--fixtures", "fixtures", "--case", "recorded"]);
    assert_eq!((code, &report["failed"], &report["passed"]), (Some(0), &0.into(), &3.into()), "{report:#}");
    let again = adapter(&home, &args);
    assert!(text(&again).contains("is there already: choose another --name"), "{}", text(&again));
    // Nothing comes before its time: what was drawn out takes so much longer, whatever else a case does.
    let took = |name: &str| case(&report, name)["ms"].as_u64().unwrap();
    let (as_it_was, drawn_out, at_once) = (took("recorded"), took("recorded drawn-out"), took("recorded at-once"));
    assert!(as_it_was >= span, "{as_it_was} ms of {span}");
    assert!(drawn_out >= slow && at_once < drawn_out, "{drawn_out} ms of {slow}, and {at_once} without times");
}

/// When a cassette's one stream was opened, and how long its pieces took from then on, in milliseconds.
fn times(cassette: &str) -> (u64, u64) {
    let lines: Vec<Value> = cassette.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let at = |line: &Value| line["at_ms"].as_u64().unwrap();
    let opened: Vec<u64> = lines.iter().filter(|line| line["open"].is_object()).map(at).collect();
    let pieces = lines.iter().filter(|line| line["text"].is_string() || line["base64"].is_string());
    assert_eq!(opened.len(), 1, "{cassette}");
    (opened[0], pieces.map(at).max().unwrap() - opened[0])
}

/// Adds what was recorded once more, with other times: those since the stream was opened, changed so. How long it takes by them.
fn add_replay(fixtures: &Path, name: &str, prompt: &str, time: impl Fn(u64) -> u64) -> u64 {
    let recorded = std::fs::read_to_string(fixtures.join("recorded/stream.jsonl")).unwrap();
    let (opened, _) = times(&recorded);
    let changed = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line["at_ms"] = time(line["at_ms"].as_u64().unwrap() - opened).into();
        format!("{line}\n")
    };
    let cassette: String = recorded.lines().map(changed).collect();
    let file = format!("recorded/{name}.jsonl");
    std::fs::write(fixtures.join(&file), &cassette).unwrap();
    let site = fixtures.join("site.toml");
    let text = std::fs::read_to_string(&site).unwrap();
    let more = format!(
        "\n[[cassettes]]\nstate = {name:?}\nfile = {file:?}\n\n[[cases]]\nname = \"recorded {name}\"\nstate = {name:?}\n\
         model = \"script\"\nprompt = {prompt:?}\n[cases.expect]\ntext_file = \"recorded/answer.md\"\n"
    );
    std::fs::write(&site, text + &more).unwrap();
    times(&cassette).1
}

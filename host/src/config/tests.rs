use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn file(text: &str) -> Sources {
    Sources { file: Some(("config.yaml".into(), text.into())), ..Sources::default() }
}

fn variable(name: &str, value: &str) -> Sources {
    Sources { env: vec![(name.into(), value.into())], ..Sources::default() }
}

fn errors(text: &str) -> String {
    Config::load(&file(text)).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn defaults_are_valid_and_whole() {
    for key in keys().iter().filter(|key| key.used && !key.default.is_empty()) {
        let mut sources = Sources::default();
        sources.flags.push((key.path.into(), key.default.into()));
        assert!(Config::load(&sources).is_ok(), "{}", key.path);
    }
    let config = Config::load(&Sources::default()).unwrap().config;
    assert_eq!((config.server.port, config.queue.image_limit, config.adapters.pages), (3000, 5, 2));
    assert_eq!(config.deadlines.call_max, Duration::from_secs(3600));
    assert!(config.server.auth.is_none() && config.browser.headless && config.browser.fission);
}

#[test]
fn later_layers_win() {
    let mut sources = file("server: {port: 1, auth: from-file}\nqueue: {imageLimit: 1}");
    sources.env = vec![("PORT".into(), "2".into()), ("AUTH_TOKEN".into(), String::new()), ("PATH".into(), "x".into())];
    assert_eq!(Config::load(&sources).unwrap().config.server.port, 2);
    sources.flags = vec![("server.port".into(), "3".into())];
    let config = Config::load(&sources).unwrap().config;
    assert_eq!((config.server.port, config.queue.image_limit), (3, 1));
    assert_eq!(config.server.auth.as_deref(), Some("from-file"), "an empty variable sets nothing");
}

#[test]
fn every_key_has_a_variable() {
    let key = keys().into_iter().find(|key| key.path == "server.keepalive.nonStream").unwrap();
    assert_eq!(key.variable(), "WEBAI_SERVER_KEEPALIVE_NON_STREAM");
    let sources = variable(&key.variable(), "whitespace");
    assert_eq!(Config::load(&sources).unwrap().config.server.non_stream_beat, NonStreamBeat::Whitespace);
}

#[test]
fn a_variable_that_sets_nothing_is_named() {
    let sources = variable("WEBAI_SERVER_PROT", "1");
    let warnings = Config::load(&sources).unwrap().warnings;
    assert_eq!(warnings, ["environment variable WEBAI_SERVER_PROT sets nothing; did you mean WEBAI_SERVER_PORT?"]);
}

/// Mistake in, part of the message out.
const MISTAKES: &[(&str, &str)] = &[
    ("sever: {port: 1}", "sever: unknown key (value: a section); did you mean server?"),
    ("server: {prot: 1}", "server.prot: unknown key (value: 1); did you mean server.port?"),
    (
        "server: {keepalive: {mod: comment}}",
        "server.keepalive.mod: unknown key (value: \"comment\"); did you mean server.keepalive.mode?",
    ),
    ("port: 3000", "port: unknown key (value: 3000); did you mean server.port?"),
    ("server: {port: 70000}", "server.port: expected a whole number from 0 to 65535, found 70000"),
    ("server: {port: eighty}", "server.port: expected a whole number from 0 to 65535, found \"eighty\""),
    ("server: {port: 3.5}", "server.port: expected a whole number from 0 to 65535, found 3.5"),
    ("server: {port: [1]}", "server.port: expected a whole number from 0 to 65535, found a list"),
    ("server: {auth: [secret]}", "server.auth: expected a text"),
    (
        "server: {keepalive: {mode: often}}",
        "server.keepalive.mode: expected one of content, comment, off, found \"often\"",
    ),
    ("server: 3", "server: expected a section with keys of its own, found 3"),
    ("browser: {headless: maybe}", "browser.headless: expected true or false, found \"maybe\""),
    ("browser: {fission: {a: 1}}", "browser.fission: expected true or false, found a section"),
    ("queue: {imageLimit: -1}", "queue.imageLimit: expected a whole number"),
    ("deadlines: {idle: soon}", "deadlines.idle: expected a length of time"),
    ("deadlines: {idle: 9999h}", "deadlines.idle: expected a length of time"),
    ("limits: {body: 1PB}", "limits.body: expected a size"),
    (
        "backend: {pool: {instances: [{wrokers: []}]}}",
        "backend.pool.instances[0].wrokers: unknown key (value: a list); did you mean workers?",
    ),
    (
        "backend: {pool: {instances: [{workers: [{typ: x}]}]}}",
        "backend.pool.instances[0].workers[0].typ: unknown key (value: \"x\"); did you mean type?",
    ),
    ("adapters: {enabled: kimi}", "adapters.enabled: expected a list of texts, such as [a, b], found \"kimi\""),
    ("adapters: {enabled: [3]}", "adapters.enabled: expected a list of texts"),
    ("backend: {pool: {instances: 3}}", "backend.pool.instances: expected a list of sections, found 3"),
    ("backend: {pool: {instances: [3]}}", "backend.pool.instances[0]: expected a section"),
    ("just text", "expected sections such as server and browser, found \"just text\""),
    ("- 1", "expected sections such as server and browser, found a list"),
    ("server: {port: 1", "line"),
    ("server: {port: 1, port: 2}", "duplicate"),
    ("server: !tag {port: 1}", "tag"),
    ("{[1, 2]: 3}", "a key must be a word"),
];

#[test]
fn every_mistake_has_a_message_that_names_it() {
    for (text, expected) in MISTAKES {
        let message = errors(text);
        assert!(message.starts_with("config.yaml: "), "{message}");
        assert!(message.contains(expected), "{text}\n  gave     {message}\n  expected {expected}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    assert_eq!(errors("server: {port: x, prot: 1}\nquue: {}").lines().count(), 3);
}

#[test]
fn a_secret_is_never_in_a_message() {
    for text in ["server: {auth: {k: hunter2}}", "server: {auht: hunter2}", "browser: {proxy: {passwrd: hunter2}}"] {
        assert!(!errors(text).contains("hunter2"), "{text}");
    }
    let config = Config::load(&file(
        "server: {auth: hunter2, apiKeys: [{name: a, key: hunter2}]}\n\
        browser: {proxy: {enable: true, host: h, passwd: hunter2}}",
    ))
    .unwrap()
    .config;
    assert!(!format!("{config:?}").contains("hunter2"));
}

/// A configuration with the keys of WebAI2API, as its users have them.
const EXISTING: &str = r#"
logLevel: info
server:
  port: 3000
  auth: sk-mine
  imageMarkdown: true
  keepalive:
    mode: "comment"
backend:
  pool:
    strategy: round_robin
    waitTimeout: 120000
    failover: {enabled: false, maxRetries: 0}
    instances:
      - name: "one"
        userDataMark: "us_01"
        proxy: {enable: true, type: socks5, host: 192.168.1.10, port: 1080, user: me, passwd: secret}
        workers:
          - {name: "a", type: chatgpt}
          - {name: "b", type: merge, mergeTypes: [x, y], mergeMonitor: x}
      - name: "direct"
        proxy: {enable: false}
        workers: [{name: c, type: gemini}]
      - name: "plain"
        workers: []
  adapter:
    gemini_biz: {entryUrl: "https://business.example.com/"}
queue: {queueBuffer: 2, imageLimit: 5}
browser:
  path: ""
  headless: false
  humanizeCursor: camou
  fission: true
  cssInject: {animation: true}
  proxy: {enable: false, type: http, host: 127.0.0.1, port: 7890}
"#;

#[test]
fn an_existing_configuration_loads_as_it_is() {
    let loaded = Config::load(&file(EXISTING)).unwrap();
    assert_eq!(
        loaded.warnings,
        [
            "config.yaml: these keys mean nothing here and are passed over: server.imageMarkdown, backend.pool.waitTimeout, \
          browser.humanizeCursor, browser.cssInject"
        ]
    );
    let config = loaded.config;
    assert_eq!((config.server.beat, config.backend.strategy), (Beat::Comment, super::Strategy::RoundRobin));
    let [one, direct, plain] = config.backend.instances.as_slice() else { panic!("three instances") };
    let proxy = one.proxy.clone().unwrap().unwrap();
    assert_eq!((proxy.kind, proxy.port, proxy.password.as_deref()), (ProxyKind::Socks5, 1080, Some("secret")));
    assert_eq!(one.workers[1].adapters, ["x", "y"]);
    assert_eq!(one.workers[1].monitor.as_deref(), Some("x"));
    assert_eq!(direct.proxy, Some(None), "forced to connect directly");
    assert_eq!(plain.proxy, None);
    assert_eq!(config.browser.proxy, None);
    assert_eq!(config.backend.adapter["gemini-enterprise"]["entryUrl"], "https://business.example.com/");
}

#[test]
fn adapters_go_by_the_names_that_webai2api_gave_them_too() {
    let text = "
backend:
  pool:
    instances:
      - name: one
        workers:
          - {name: a, type: gemini_biz_text}
          - {name: b, type: merge, mergeTypes: [chatgpt, chatgpt_text, deepseek_text], mergeMonitor: chatgpt_text}
    sites: [{adapter: gemini_text, pages: 1}]
  adapter:
    gemini-enterprise: {entryUrl: here}
    gemini_biz: {entryUrl: there}
";
    let backend = Config::load(&file(text)).unwrap().config.backend;
    let workers = &backend.instances[0].workers;
    assert_eq!(workers[0].adapters, ["gemini-enterprise"]);
    assert_eq!(
        (workers[1].adapters.as_slice(), workers[1].monitor.as_deref()),
        (["chatgpt".to_owned(), "deepseek".to_owned()].as_slice(), Some("chatgpt"))
    );
    assert_eq!(backend.sites["gemini"].pages, Some(1));
    assert_eq!(backend.adapter["gemini-enterprise"]["entryUrl"], "here");
}

#[test]
fn what_is_shown_says_the_same_when_it_is_read_again() {
    let secrets = Config::show(&file(EXISTING), true).unwrap();
    let again = Config::load(&file(&secrets)).unwrap();
    let first = Config::load(&file(EXISTING)).unwrap();
    assert_eq!(format!("{:?}", again.config), format!("{:?}", first.config));
    // What means nothing here is kept, too.
    assert_eq!(again.warnings.len(), 1);
    for name in ["server.imageMarkdown", "backend.pool.waitTimeout", "browser.humanizeCursor", "browser.cssInject"] {
        assert!(again.warnings[0].contains(name), "{:?}", again.warnings);
    }
    let instances = again.config.backend.instances;
    assert_eq!(instances[0].proxy.clone().unwrap().unwrap().password.as_deref(), Some("secret"));
    assert_eq!(instances[1].proxy, Some(None), "forced to connect directly");
    let shown = Config::show(&file(EXISTING), false).unwrap();
    assert!(!shown.contains("sk-mine") && !shown.contains("passwd: secret"), "{shown}");
    assert_eq!(shown.matches("(hidden)").count(), 2, "{shown}");
    let refused = Config::load(&file(&shown)).unwrap_err().to_string();
    assert!(refused.contains("server.auth") && refused.contains("instances[0].proxy.passwd"), "{refused}");
    // From all layers, times with their unit, settings of adapters without their secrets.
    let sources = Sources {
        env: vec![("WEBAI_DEADLINES_QUEUE".into(), "90".into())],
        flags: vec![("backend.adapter".into(), "{a: {apiToken: hunter2, cid: x}}".into())],
        ..Sources::default()
    };
    let shown = Config::show(&sources, false).unwrap();
    assert!(shown.contains("queue: 90000ms") && shown.contains("cid: x") && !shown.contains("hunter2"), "{shown}");
    let again = Config::load(&file(&shown)).unwrap().config;
    assert_eq!(again.deadlines.queue, Duration::from_secs(90));
}

#[test]
fn the_configuration_for_a_space_has_the_values_of_the_guide() {
    let text = include_str!("../../../config.hf.yaml");
    let loaded = Config::load(&file(text)).unwrap();
    let config = loaded.config;
    assert_eq!((config.server.port, config.browser.headless, config.browser.fission), (7860, true, false));
    assert_eq!((config.queue.queue_buffer, config.queue.image_limit), (1, 3));
    assert_eq!(loaded.warnings, [""; 0]);
}

#[test]
fn zero_waiting_requests_means_many_but_never_no_bound() {
    let config = Config::load(&file("queue: {queueBuffer: 0}")).unwrap().config;
    assert_eq!(config.queue.waiting_max(), 256);
}

/// The rows of the table in docs/config.md, one for each key.
fn documented() -> String {
    let mut rows = String::new();
    for key in keys() {
        let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        let also = key.env.map(|name| format!(" (also `{name}`)")).unwrap_or_default();
        let expects = if key.used { key.expects() } else { "accepted, no meaning here".to_owned() };
        rows.push_str(&format!("| `{}` | {expects} | {default} | {}{also} |\n", key.path, key.about));
    }
    rows
}

/// Run with `WRITE_DOCS=1` to write the table anew.
#[test]
fn the_documentation_has_every_key_as_it_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/config.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (begin, end) = ("<!-- keys -->\n", "<!-- /keys -->");
    let (head, rest) = text.split_once(begin).unwrap();
    let (table, tail) = rest.split_once(end).unwrap();
    let expected = format!("| key | value | default | meaning |\n|---|---|---|---|\n{}", documented());
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(path, format!("{head}{begin}{expected}{end}{tail}")).unwrap();
    } else {
        assert_eq!(table, expected, "run this test with WRITE_DOCS=1");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "(?s).{0,200}") {
        let _ = Config::load(&file(&text));
    }

    #[test]
    fn no_yaml_like_text_panics(
        lines in proptest::collection::vec(
            ("[ -]{0,6}", "(server|port|backend|pool|instances|proxy|workers|queue|a|-|'|&a|\\*a|<<|!x)", "[:{}\\[\\], ]{0,3}", "[0-9a-z.'\"]{0,8}"),
            0..12,
        )
    ) {
        let text: String = lines.into_iter().map(|(a, b, c, d)| format!("{a}{b}{c}{d}\n")).collect();
        let _ = Config::load(&file(&text));
    }

    #[test]
    fn no_variable_panics(index in 0usize..60, value in ".{0,40}") {
        let keys = keys();
        let key = &keys[index % keys.len()];
        let _ = Config::load(&variable(&key.variable(), &value));
    }
}

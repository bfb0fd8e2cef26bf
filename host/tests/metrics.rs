//! `/metrics`: what real requests leave there, in a form that Prometheus reads, with bounded labels.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::client::{self, Client, ask, script};
use crate::support::process::{browser, kill};
use crate::support::{Server, instances};
use webai2api::telemetry::metrics::{ALL, Kind};

type Labels = BTreeMap<String, String>;

/// A scrape: every sample by its name and labels.
#[derive(Debug)]
struct Scrape(Vec<(String, Labels, f64)>);

impl Scrape {
    /// The sum of all samples of this name that have these labels.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|(_, _, value)| value).sum()
    }

    fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.matching(name, labels).next().is_some()
    }

    fn matching<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&str, &str)],
    ) -> impl Iterator<Item = &'a (String, Labels, f64)> {
        let fits = |has: &Labels| labels.iter().all(|(label, value)| has.get(*label).is_some_and(|v| v == value));
        self.0.iter().filter(move |(other, has, _)| other == name && fits(has))
    }
}

/// Reads the text format 0.0.4 strictly: every line is help, type or a sample; each metric is declared once and before its samples, and
/// has the labels of the table; histograms are cumulative and end with `+Inf`.
fn parse(text: &str) -> Scrape {
    assert!(text.ends_with('\n'));
    let (mut types, mut samples, mut seen) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, about) = help.split_once(' ').unwrap();
            let known =
                ALL.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("{name} is not in the table"));
            assert_eq!(known.about, about);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is declared twice");
        } else {
            let sample = sample(line);
            assert!(seen.insert((sample.0.clone(), sample.1.clone())), "twice: {line}");
            check(&sample, &types);
            samples.push(sample);
        }
    }
    let scrape = Scrape(samples);
    for metric in ALL.iter().filter(|metric| metric.kind == Kind::Histogram) {
        cumulative(&scrape, metric.name);
    }
    scrape
}

/// `name{label="value",...} value`
fn sample(line: &str) -> (String, Labels, f64) {
    let (head, value) = line.rsplit_once(' ').unwrap();
    let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
    let Some((name, rest)) = head.split_once('{') else { return (head.to_owned(), Labels::new(), value) };
    let mut rest = rest.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
    let mut labels = Labels::new();
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
        let end = after.match_indices('"').map(|(at, _)| at).find(|at| !after[..*at].ends_with('\\')).unwrap();
        assert!(labels.insert(label.to_owned(), after[..end].to_owned()).is_none(), "{line}");
        rest = after[end + 1..].strip_prefix(',').unwrap_or(&after[end + 1..]);
    }
    (name.to_owned(), labels, value)
}

fn check((name, labels, value): &(String, Labels, f64), types: &BTreeMap<String, String>) {
    let ends = ["_bucket", "_sum", "_count"];
    let base =
        ends.iter().find_map(|end| name.strip_suffix(end)).filter(|base| types.contains_key(*base)).unwrap_or(name);
    let metric = ALL.iter().find(|metric| metric.name == base).unwrap_or_else(|| panic!("{name} is not in the table"));
    assert_eq!(types.get(base).map(String::as_str), Some(metric.kind.name()), "{name}");
    let named: BTreeSet<&str> = labels.keys().map(String::as_str).filter(|label| *label != "le").collect();
    assert_eq!(named, metric.labels.iter().copied().collect(), "{name}");
    assert!(value.is_finite() && *value >= 0.0, "{name} {value}");
}

fn cumulative(scrape: &Scrape, name: &str) {
    let mut series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for (_, labels, value) in scrape.matching(&format!("{name}_bucket"), &[]) {
        let mut labels = labels.clone();
        let bound = labels.remove("le").unwrap();
        series.entry(labels).or_default().push((bound.replace("+Inf", "inf").parse().unwrap(), *value));
    }
    for (labels, buckets) in series {
        assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{name} {labels:?} {buckets:?}");
        let given: Vec<(&str, &str)> = labels.iter().map(|(label, value)| (label.as_str(), value.as_str())).collect();
        let (bound, all) = *buckets.last().unwrap();
        assert!(bound.is_infinite() && all == scrape.sum(&format!("{name}_count"), &given), "{name} {labels:?}");
    }
}

async fn get(server: &Server, key: Option<&str>) -> (u16, String, String) {
    let request = reqwest::Client::builder().no_proxy().build().unwrap().get(server.url("/metrics"));
    let request = match key {
        Some(key) => request.bearer_auth(key),
        None => request,
    };
    let response = request.send().await.unwrap();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    (response.status().as_u16(), kind, response.text().await.unwrap())
}

async fn scrape(server: &Server) -> Scrape {
    let (status, kind, text) = get(server, Some(&server.key)).await;
    assert_eq!((status, kind.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    parse(&text)
}

/// Scrapes until it is so: a request is counted when the last of it has gone.
async fn until(server: &Server, so: impl Fn(&Scrape) -> bool) -> Scrape {
    let deadline = tokio::time::Instant::now() + client::PATIENCE;
    loop {
        let scrape = scrape(server).await;
        if so(&scrape) {
            return scrape;
        }
        assert!(tokio::time::Instant::now() < deadline, "{scrape:#?}{}", server.log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

const REQUESTS: &str = "webai_requests_total";

#[tokio::test]
async fn real_requests_are_counted() {
    let server = Server::builder().start_ready();
    let client = Client::of(&server);
    let before = until(&server, |s| s.sum("webai_browser_up", &[]) == 1.0).await;
    assert!(!before.has(REQUESTS, &[]), "nobody has asked for anything yet");
    assert_eq!(before.sum("webai_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    assert_eq!(before.sum("webai_adapter_info", &[("adapter", "demo")]), 1.0);
    assert_eq!(before.sum("webai_adapter_loads_total", &[("adapter", "demo"), ("outcome", "loaded")]), 1.0);

    for _ in 0..3 {
        assert_eq!(client.ask(&ask("demo/echo", "hello there")).await.status, 200);
    }
    let mut stream = client.stream(script("tokens=8 rate=20")).await;
    while stream.next().await.is_some() {}
    // It has reached the site: nothing invites a retry.
    assert_eq!(client.ask(&script("error=rate-limited")).await.error(), (424, "rate_limited"));
    let echo = [("adapter", "demo"), ("model", "demo/echo"), ("outcome", "ok")];
    let after = until(&server, |s| s.sum(REQUESTS, &[]) == 5.0).await;
    assert_eq!(after.sum(REQUESTS, &echo), 3.0);
    assert_eq!(after.sum(REQUESTS, &[("model", "demo/script"), ("outcome", "rate_limited")]), 1.0);
    for histogram in ["webai_request_duration_seconds_count", "webai_queue_wait_seconds_count"] {
        assert_eq!(after.sum(histogram, &[("adapter", "demo")]), 5.0, "{histogram}");
    }
    let first = "webai_time_to_first_token_seconds";
    assert_eq!(after.sum(&format!("{first}_count"), &[("adapter", "demo")]), 4.0);
    assert!(after.sum(&format!("{first}_sum"), &[]) < after.sum("webai_request_duration_seconds_sum", &[]));
    assert_eq!(after.sum("webai_capture_total", &[("adapter", "demo"), ("rung", "network")]), 4.0);
    assert_eq!(after.sum("webai_added_latency_seconds_count", &[("stage", "accept")]), 5.0);
    assert_eq!(after.sum("webai_added_latency_seconds_count", &[("stage", "adapter")]), 5.0);
    assert!(after.sum("webai_added_latency_seconds_count", &[("stage", "page")]) >= 8.0);
    assert!(after.sum("webai_tokens_per_second_count", &[("adapter", "demo")]) >= 1.0);
    assert_eq!(after.sum("webai_attempts_total", &[("adapter", "demo"), ("instance", "default")]), 5.0);
    let demo = [("adapter", "demo"), ("instance", "default")];
    // A page is at rest a moment after its answer, and a look at what is idle comes every few seconds.
    let rest =
        until(&server, |s| s.has("webai_leased_pages", &demo) && s.sum("webai_leased_pages", &demo) == 0.0).await;
    assert_eq!(rest.sum("webai_queue_depth", &[("adapter", "demo")]), 0.0);
    assert!(rest.has("webai_queue_depth", &[("adapter", "demo")]));
    assert_eq!(rest.sum("webai_account_state", &demo), 1.0, "one state, and no other");
    let chat = [("route", "/v1/chat/completions")];
    assert_eq!(after.sum("webai_http_responses_total", &chat), 5.0);
    // Told by a task that looks every few seconds.
    let memory = until(&server, |s| s.sum("webai_memory_bytes", &[("process", "browser")]) > 0.0).await;
    let host = memory.sum("webai_memory_bytes", &[("process", "host")]);
    let browser = memory.sum("webai_memory_bytes", &[("process", "browser"), ("instance", "default")]);
    assert!(host > 5e6 && browser > host, "{host} {browser}");
    assert!(memory.sum("webai_memory_limit_bytes", &[]) > memory.sum("webai_memory_used_bytes", &[]));
    assert_eq!(memory.sum("webai_memory_refusing", &[]), 0.0);
}

#[tokio::test]
async fn an_answer_read_from_the_page_and_a_stuck_client_are_told_apart() {
    let server = Server::builder().start_ready();
    let client = Client::of(&server);
    assert_eq!(client.ask(&ask("demo/list", "tokens=8 rate=50")).await.status, 200);
    let mut stream = client.stream(script("tokens=500 rate=20")).await;
    stream.next_text().await.unwrap();
    drop(stream);
    let after = until(&server, |s| s.sum(REQUESTS, &[]) == 2.0).await;
    assert_eq!(after.sum(REQUESTS, &[("model", "demo/script"), ("outcome", "client_gone")]), 1.0);
    assert_eq!(after.sum("webai_http_responses_total", &[("status", "499")]), 1.0);
    assert_eq!(after.sum("webai_capture_total", &[("rung", "dom")]), 1.0);
}

#[tokio::test]
async fn what_a_client_makes_up_is_no_label() {
    let server = Server::builder().start_ready();
    let client = Client::of(&server);
    for n in 0..20 {
        assert_eq!(client.ask(&ask(&format!("made/up-{n}"), "x")).await.status, 404);
        assert_eq!(client.get(&format!("/nothing/at/{n}")).await.status, 404);
        client.get(&format!("/v1/models/made/up-{n}")).await;
    }
    let after = until(&server, |s| s.sum(REQUESTS, &[]) == 20.0).await;
    let made_up = [("adapter", "unknown"), ("model", "unknown"), ("outcome", "model_not_found")];
    assert_eq!(after.sum(REQUESTS, &made_up), 20.0);
    let values: BTreeSet<&String> = after.0.iter().flat_map(|(_, labels, _)| labels.values()).collect();
    assert!(!values.iter().any(|value| value.contains("up-") || value.contains("nothing")), "{values:?}");
    assert_eq!(after.sum("webai_http_responses_total", &[("route", "other"), ("status", "404")]), 20.0);
    assert_eq!(after.sum("webai_http_responses_total", &[("route", "/v1/models/{*id}")]), 20.0);
}

#[tokio::test]
async fn a_browser_that_dies_is_counted() {
    let server = Server::builder().start_ready();
    until(&server, |s| s.sum("webai_browser_starts_total", &[]) == 1.0).await;
    kill(browser(&server).unwrap());
    let died = [("instance", "default"), ("reason", "died")];
    let after = until(&server, |s| s.sum("webai_browser_starts_total", &[]) == 2.0).await;
    assert_eq!(after.sum("webai_browser_restarts_total", &died), 1.0);
    assert_eq!(after.sum("webai_browser_up", &[("instance", "default")]), 1.0);
}

#[tokio::test]
async fn an_account_is_in_one_state_and_in_none_when_it_is_gone() {
    let server = Server::builder().config(&instances(&["home", "work"], 1, "")).start_ready();
    let state = |s: &Scrape, instance: &str, state: &str| {
        s.sum("webai_account_state", &[("instance", instance), ("adapter", "demo"), ("state", state)])
    };
    until(&server, |s| ["home", "work"].iter().all(|name| state(s, name, "signed_in") == 1.0)).await;
    let limited = Client::of(&server).ask(&script("error=rate-limited retry_after=600")).await;
    assert_eq!(limited.error(), (424, "rate_limited"));
    let counts = |s: &Scrape, name: &str| state(s, "home", name) + state(s, "work", name);
    until(&server, |s| counts(s, "limited") == 1.0 && counts(s, "signed_in") == 1.0).await;
    server.reload(&instances(&["home"], 1, ""));
    let of_work = |s: &Scrape| s.sum("webai_account_state", &[("instance", "work")]);
    let after = until(&server, |s| of_work(s) == 0.0).await;
    assert_eq!(after.sum("webai_account_state", &[("instance", "home")]), 1.0);
    assert_eq!(after.sum("webai_leased_pages", &[("instance", "work")]), 0.0);
}

#[tokio::test]
async fn it_takes_a_key_unless_it_is_open() {
    let server = Server::builder().config("server: {apiKeys: [{name: scraper, key: wa-scrape}]}").start();
    let status = |key: Option<&'static str>| {
        let server = &server;
        async move { get(server, key).await.0 }
    };
    assert_eq!((status(None).await, status(Some("wrong")).await, status(Some("wa-scrape")).await), (401, 401, 200));
    let open = Server::builder().config("server: {metrics: open}").start();
    assert_eq!(get(&open, None).await.0, 200);
}

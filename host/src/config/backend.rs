//! `backend`: accounts and the settings of adapters, with the names that WebAI2API gave them.

use std::collections::BTreeMap;

use super::browser::{PROXY_KINDS, Proxy};
use super::key::Key;
use super::shape::Shape;
use super::values::Values;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "backend.pool.strategy",
        Shape::Choice(&["least_busy", "round_robin", "random"]),
        "least_busy",
        "which of several free pages a request gets",
    ),
    Key::new(
        "backend.pool.failover.enabled",
        Shape::Bool,
        "true",
        "whether a request that was not yet submitted may go to another page",
    ),
    Key::new(
        "backend.pool.failover.maxRetries",
        Shape::Integer { min: 0, max: 100 },
        "2",
        "how many times; 0 means 100",
    ),
    Key::unused("backend.pool.waitTimeout", "see deadlines.queue"),
    Key::new(
        "backend.pool.instances",
        Shape::List(INSTANCES),
        "",
        "the browser profiles, each with cookies and a proxy of its own",
    ),
    Key::new("backend.adapter", Shape::Free, "", "the settings of each adapter by its id, handed on to it"),
];

const INSTANCES: &[Key] = &[
    Key::new("name", Shape::Text, "", "the instance's name"),
    Key::new("userDataMark", Shape::Text, "", "sets its profile folder apart"),
    Key::new("proxy.enable", Shape::Bool, "false", "false: directly, whatever browser.proxy says"),
    Key::new("proxy.type", Shape::Choice(PROXY_KINDS), "http", "what the proxy speaks"),
    Key::new("proxy.host", Shape::Text, "", "its host"),
    Key::new("proxy.port", Shape::Integer { min: 0, max: 65535 }, "0", "its port"),
    Key::new("proxy.user", Shape::Text, "", "its user"),
    Key::new("proxy.passwd", Shape::Text, "", "its password").secret(),
    Key::new("workers", Shape::List(WORKERS), "", "its pages"),
];

const WORKERS: &[Key] = &[
    Key::new("name", Shape::Text, "", "the worker's name"),
    Key::new("type", Shape::Text, "", "the adapter's id, or `merge`"),
    Key::new("mergeTypes", Shape::Free, "", "the adapters of a merged worker"),
    Key::new("mergeMonitor", Shape::Text, "", "the adapter whose page a merged worker shows when idle"),
];

/// Which of several free pages a request gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    LeastBusy,
    RoundRobin,
    Random,
}

/// Going on with another page when one fails before the prompt was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failover {
    pub enabled: bool,
    pub max_retries: u32,
}

/// A page of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerEntry {
    pub name: String,
    /// Adapter ids; several for a merged worker.
    pub adapters: Vec<String>,
    pub monitor: Option<String>,
}

/// How an instance reaches the internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceEntry {
    pub name: String,
    pub user_data_mark: Option<String>,
    /// None: as `browser.proxy` says. `Some(None)`: directly, whatever that says.
    pub proxy: Option<Option<Proxy>>,
    pub workers: Vec<WorkerEntry>,
}

#[derive(Debug, Clone)]
pub struct Backend {
    pub strategy: Strategy,
    pub failover: Failover,
    pub instances: Vec<InstanceEntry>,
    /// Settings by adapter id, unread.
    pub adapter: BTreeMap<String, serde_json::Value>,
}

impl Backend {
    pub(super) fn read(values: &Values) -> Self {
        Self {
            strategy: match values.text("backend.pool.strategy").as_str() {
                "round_robin" => Strategy::RoundRobin,
                "random" => Strategy::Random,
                _ => Strategy::LeastBusy,
            },
            failover: Failover {
                enabled: values.bool("backend.pool.failover.enabled"),
                max_retries: match values.u64("backend.pool.failover.maxRetries") {
                    0 => 100,
                    n => u32::try_from(n).unwrap_or(100),
                },
            },
            instances: values.list("backend.pool.instances", INSTANCES).iter().map(InstanceEntry::read).collect(),
            adapter: values.entries("backend.adapter").iter().map(|(id, node)| (id.clone(), node.to_json())).collect(),
        }
    }
}

impl InstanceEntry {
    fn read(values: &Values) -> Self {
        let mentions_proxy = INSTANCES.iter().any(|key| key.path.starts_with("proxy.") && values.was_given(key.path));
        Self {
            name: values.text("name"),
            user_data_mark: values.optional_text("userDataMark"),
            proxy: mentions_proxy.then(|| Proxy::read(values, "proxy")),
            workers: values.list("workers", WORKERS).iter().map(WorkerEntry::read).collect(),
        }
    }
}

impl WorkerEntry {
    fn read(values: &Values) -> Self {
        let kind = values.text("type");
        let adapters = if kind == "merge" { values.texts("mergeTypes") } else { vec![kind] };
        Self { name: values.text("name"), adapters, monitor: values.optional_text("mergeMonitor") }
    }
}

//! `backend`: accounts and the settings of adapters, with the names that WebAI2API gave them.

use std::collections::BTreeMap;

use super::browser::{PROXY_KINDS, Proxy};
use super::key::Key;
use super::shape::Shape;
use super::values::Values;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "backend.pool.strategy",
        Shape::Choice(&["least_busy", "round_robin", "random", "sticky"]),
        "least_busy",
        "which instance of several with a free page a request gets; sticky: conversations that begin alike, the same one",
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
    Key::new("backend.pool.sites", Shape::List(SITES), "", "how much may be asked of each account at a site"),
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
    Key::new("locale", Shape::Text, "", "the language that its pages are told, such as zh-CN; empty: the system's"),
    Key::new("timezone", Shape::Text, "", "its time zone, such as Asia/Shanghai; empty: the system's"),
    Key::new("limits.pages", Shape::Integer { min: 0, max: 64 }, "0", "its pages in use at once; 0: all"),
    Key::new(
        "limits.perMinute",
        Shape::Integer { min: 0, max: 10_000 },
        "0",
        "its requests in any minute; 0: any number",
    ),
    Key::new("workers", Shape::List(WORKERS), "", "its pages"),
];

const SITES: &[Key] = &[
    Key::new("adapter", Shape::Text, "", "the adapter's id"),
    Key::new("pages", Shape::Integer { min: 0, max: 64 }, "0", "pages of one account in use at once; 0: all"),
    Key::new(
        "perMinute",
        Shape::Integer { min: 0, max: 10_000 },
        "0",
        "requests of one account in any minute; 0: any number",
    ),
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
    Sticky,
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
    pub locale: Option<String>,
    pub timezone: Option<String>,
    pub limits: LimitsEntry,
    pub workers: Vec<WorkerEntry>,
}

/// How much may be asked. None: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LimitsEntry {
    /// In use at once.
    pub pages: Option<usize>,
    /// Requests in any sixty seconds.
    pub per_minute: Option<usize>,
}

impl LimitsEntry {
    fn read(values: &Values, prefix: &str) -> Self {
        let at = |name: &str| Some(values.usize(&format!("{prefix}{name}"))).filter(|most| *most > 0);
        Self { pages: at("pages"), per_minute: at("perMinute") }
    }
}

#[derive(Debug, Clone)]
pub struct Backend {
    pub strategy: Strategy,
    pub failover: Failover,
    pub instances: Vec<InstanceEntry>,
    /// By adapter id.
    pub sites: BTreeMap<String, LimitsEntry>,
    /// Settings by adapter id, unread.
    pub adapter: BTreeMap<String, serde_json::Value>,
}

impl Backend {
    pub(super) fn read(values: &Values) -> Self {
        Self {
            strategy: match values.text("backend.pool.strategy").as_str() {
                "round_robin" => Strategy::RoundRobin,
                "random" => Strategy::Random,
                "sticky" => Strategy::Sticky,
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
            sites: values.list("backend.pool.sites", SITES).iter().map(site).collect(),
            adapter: adapters(values),
        }
    }
}

fn site(values: &Values) -> (String, LimitsEntry) {
    (adapter_id(&values.text("adapter")).to_owned(), LimitsEntry::read(values, ""))
}

/// What is said of an adapter under its own name goes before what WebAI2API calls it.
fn adapters(values: &Values) -> BTreeMap<String, serde_json::Value> {
    let mut adapters = BTreeMap::new();
    for (name, node) in values.entries("backend.adapter") {
        let id = adapter_id(name);
        if id == name || !adapters.contains_key(id) {
            adapters.insert(id.to_owned(), node.to_json());
        }
    }
    adapters
}

impl Backend {
    /// What is wrong with the instances taken together: place and sentence.
    pub(super) fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut wrong = |path: String, message: String| problems.push((path, message));
        for (i, instance) in self.instances.iter().enumerate() {
            let path = format!("backend.pool.instances[{i}]");
            let before = self.instances.iter().take(i);
            if instance.name.is_empty() || instance.name.len() > NAME_MAX || instance.name.contains(char::is_control) {
                wrong(
                    format!("{path}.name"),
                    format!("expected a name of 1 to {NAME_MAX} bytes, found {:?}", instance.name),
                );
            } else if let Some(at) = before.clone().position(|other| other.name == instance.name) {
                let other = format!("backend.pool.instances[{at}]");
                wrong(format!("{path}.name"), format!("{:?} is {other}'s name too; each needs its own", instance.name));
            } else if before.clone().any(|other| other.profile() == instance.profile()) {
                let mark = instance.profile();
                wrong(
                    format!("{path}.userDataMark"),
                    format!("{mark:?} is another instance's profile; each needs its own"),
                );
            }
            for (w, worker) in instance.workers.iter().enumerate() {
                if let Some(message) = worker.problem(instance.workers.iter().take(w)) {
                    wrong(format!("{path}.workers[{w}]"), message);
                }
            }
        }
        problems
    }
}

/// In bytes.
const NAME_MAX: usize = 64;

impl InstanceEntry {
    /// What sets its profile folder apart.
    pub fn profile(&self) -> &str {
        self.user_data_mark.as_deref().unwrap_or(&self.name)
    }

    fn read(values: &Values) -> Self {
        let mentions_proxy = INSTANCES.iter().any(|key| key.path.starts_with("proxy.") && values.was_given(key.path));
        Self {
            name: values.text("name"),
            user_data_mark: values.optional_text("userDataMark"),
            proxy: mentions_proxy.then(|| Proxy::read(values, "proxy")),
            locale: values.optional_text("locale"),
            timezone: values.optional_text("timezone"),
            limits: LimitsEntry::read(values, "limits."),
            workers: values.list("workers", WORKERS).iter().map(WorkerEntry::read).collect(),
        }
    }
}

impl WorkerEntry {
    fn problem<'a>(&self, mut before: impl Iterator<Item = &'a Self>) -> Option<String> {
        if self.name.is_empty() {
            return Some("expected a name".into());
        }
        if before.any(|other| other.name == self.name) {
            return Some(format!("{:?} is the name of another worker of this instance", self.name));
        }
        if self.adapters.iter().all(String::is_empty) {
            return Some("expected an adapter's id as its type, or `merge` and ids in mergeTypes".into());
        }
        let monitor = self.monitor.as_ref().filter(|monitor| !self.adapters.contains(monitor))?;
        Some(format!("mergeMonitor is {monitor:?}, which is none of its mergeTypes"))
    }

    fn read(values: &Values) -> Self {
        let kind = values.text("type");
        let named = if kind == "merge" { values.texts("mergeTypes") } else { vec![kind] };
        let mut adapters: Vec<String> = Vec::new();
        for id in named.iter().map(|name| adapter_id(name)) {
            if !adapters.iter().any(|known| known == id) {
                adapters.push(id.to_owned());
            }
        }
        let monitor = values.optional_text("mergeMonitor").map(|name| adapter_id(&name).to_owned());
        Self { name: values.text("name"), adapters, monitor }
    }
}

/// The adapter here that does what WebAI2API's of this name does: there, a site's texts and pictures are two.
fn adapter_id(name: &str) -> &str {
    match name {
        "chatgpt_text" => "chatgpt",
        "deepseek_text" => "deepseek",
        "gemini_text" => "gemini",
        "gemini_biz" | "gemini_biz_text" => "gemini-enterprise",
        other => other,
    }
}

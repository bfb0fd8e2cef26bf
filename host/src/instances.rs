//! From the configuration to what the dispatcher works with: instances, workers, limits, deadlines.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::browser::guard::{GuardOptions, Mapping, Upstream, UpstreamKind};
use crate::browser::{LaunchOptions, Profile};
use crate::config::{self, Config, InstanceEntry, LimitsEntry, Proxy, ProxyKind, Sandbox};
use crate::dispatch::{DispatchOptions, InstancePlan, Limits, Rules, Strategy, WorkerPlan};
use crate::lab::demo::DemoSite;
use crate::net::DEMO_HOST;
use crate::plugin::Deadlines;
use crate::store::{DataFolder, Database, Kv};

/// The instance that there is when the operator names none.
const DEFAULT: &str = "default";
/// What stands for itself in a folder's name.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// All instances of a configuration.
pub(crate) fn plans(config: &Config, folder: &DataFolder, demo: Option<&DemoSite>) -> Vec<InstancePlan> {
    let entries = &config.backend.instances;
    if entries.is_empty() {
        let guard = guard_options(demo, config, config.browser.proxy.as_ref());
        return vec![plan(config, folder, DEFAULT, DEFAULT, guard)];
    }
    let of = |entry: &InstanceEntry| {
        // Without a word of its own it goes the way that all go; "off" means directly, whatever that way is.
        let proxy = entry.proxy.as_ref().map_or(config.browser.proxy.as_ref(), Option::as_ref);
        let mut plan = plan(config, folder, &entry.name, entry.profile(), guard_options(demo, config, proxy));
        plan.launch.locale.clone_from(&entry.locale);
        plan.launch.timezone.clone_from(&entry.timezone);
        plan.workers = entry.workers.iter().map(worker).collect();
        plan.limits = limits(entry.limits);
        plan
    };
    entries.iter().map(of).collect()
}

fn plan(config: &Config, folder: &DataFolder, name: &str, profile: &str, guard: GuardOptions) -> InstancePlan {
    let profile = utf8_percent_encode(profile, PLAIN).to_string();
    let launch = LaunchOptions {
        executable: config.browser.path.clone(),
        headless: config.browser.headless,
        fission: config.browser.fission,
        sandbox: config.browser.sandbox != Sandbox::Off,
        // Where the guard listens is known when it does.
        ..LaunchOptions::new(std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0)))
    };
    InstancePlan {
        name: name.to_owned(),
        profile: Profile::Dir(folder.path().join("profiles").join(profile)),
        launch,
        guard,
        workers: Vec::new(),
        limits: Limits::default(),
    }
}

fn worker(entry: &config::WorkerEntry) -> WorkerPlan {
    WorkerPlan { name: entry.name.clone(), adapters: entry.adapters.clone(), monitor: entry.monitor.clone() }
}

fn limits(entry: LimitsEntry) -> Limits {
    Limits { pages: entry.pages, per_minute: entry.per_minute }
}

/// Where the configuration lets pages go, by this proxy.
pub fn guard_options(demo: Option<&DemoSite>, config: &Config, proxy: Option<&Proxy>) -> GuardOptions {
    let map = |host: &str, to| Mapping { host: host.to_owned(), port: 80, to };
    let demo = demo.map(|demo| map(DEMO_HOST, demo.addr()));
    let mappings = config.browser.hosts.iter().map(|(host, to)| map(host, *to)).chain(demo).collect();
    GuardOptions { mappings, upstream: proxy.map(upstream), ..GuardOptions::default() }
}

fn upstream(proxy: &Proxy) -> Upstream {
    let kind = match proxy.kind {
        ProxyKind::Http => UpstreamKind::Http,
        ProxyKind::Https => UpstreamKind::Https,
        ProxyKind::Socks5 => UpstreamKind::Socks5,
    };
    let credentials = proxy.user.clone().map(|user| (user, proxy.password.clone().unwrap_or_default()));
    Upstream::new(kind, proxy.host.clone(), proxy.port, credentials)
}

/// How the configuration wants requests to be dispatched.
pub(crate) fn options(config: &Config, kv: &Arc<Kv>, database: &Database) -> DispatchOptions {
    let deadlines = &config.deadlines;
    DispatchOptions {
        rules: rules(config),
        queue_wait: deadlines.queue,
        deadlines: Deadlines {
            navigate: deadlines.navigate,
            submit: deadlines.submit,
            first_byte: deadlines.first_byte,
            idle: deadlines.idle,
            call: deadlines.call,
            call_max: deadlines.call_max,
        },
        cancel: deadlines.cancel,
        conversations: config.conversations.max_age,
        kv: Some(Arc::clone(kv)),
        history: Some(database.clone()),
        media_max: config.limits.media_bytes,
        recorder: None,
        pictures: None,
    }
}

fn rules(config: &Config) -> Rules {
    let backend = &config.backend;
    Rules {
        strategy: match backend.strategy {
            config::Strategy::LeastBusy => Strategy::LeastBusy,
            config::Strategy::RoundRobin => Strategy::RoundRobin,
            config::Strategy::Random => Strategy::Random,
            config::Strategy::Sticky => Strategy::Sticky,
        },
        retries: backend.failover.enabled.then_some(backend.failover.max_retries),
        queue: config.queue.waiting_max(),
        pages: config.adapters.pages,
        sites: backend.sites.iter().map(|(id, entry)| (id.clone(), limits(*entry))).collect(),
    }
}

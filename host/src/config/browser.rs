//! `browser`: which Chromium, and how it is started.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::key::Key;
use super::shape::Shape;
use super::values::Values;

pub(super) const PROXY_KINDS: &[&str] = &["http", "https", "socks5"];

pub(super) const KEYS: &[Key] = &[
    Key::new("browser.path", Shape::Text, "", "the Chromium to start; empty: it is looked for"),
    Key::new(
        "browser.headless",
        Shape::Bool,
        "true",
        "without a window; signing in works through the console's screen",
    ),
    Key::new("browser.fission", Shape::Bool, "true", "false saves memory: no site isolation, one process per site"),
    Key::new(
        "browser.sandbox",
        Shape::Choice(&["auto", "on", "off"]),
        "auto",
        "auto tries with Chromium's sandbox first",
    ),
    Key::new(
        "browser.hosts",
        Shape::Hosts,
        "",
        "where applications on this machine are that adapters know as `<id>.localhost`",
    ),
    Key::new("browser.proxy.enable", Shape::Bool, "false", "whether pages are reached through a proxy of yours"),
    Key::new("browser.proxy.type", Shape::Choice(PROXY_KINDS), "http", "what the proxy speaks"),
    Key::new("browser.proxy.host", Shape::Text, "", "its host"),
    Key::new("browser.proxy.port", Shape::Integer { min: 0, max: 65535 }, "0", "its port"),
    Key::new("browser.proxy.user", Shape::Text, "", "its user, if it wants one"),
    Key::new("browser.proxy.passwd", Shape::Text, "", "its password").secret(),
    Key::unused("browser.humanizeCursor", "no human cursor is faked here"),
    Key::unused("browser.cssInject", "nothing is injected into pages here"),
];

/// What an operator's proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    Http,
    Https,
    Socks5,
}

/// An operator's proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub kind: ProxyKind,
    pub host: String,
    pub port: u16,
    pub user: Option<String>,
    pub password: Option<String>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proxy({:?} {}:{})", self.kind, self.host, self.port)
    }
}

impl Proxy {
    /// Reads the keys below `prefix`; none where it is not enabled or names no host.
    pub(super) fn read(values: &Values, prefix: &str) -> Option<Self> {
        let at = |name: &str| format!("{prefix}.{name}");
        let host = values.optional_text(&at("host"))?;
        values.bool(&at("enable")).then(|| Self {
            kind: match values.text(&at("type")).as_str() {
                "socks5" => ProxyKind::Socks5,
                "https" => ProxyKind::Https,
                _ => ProxyKind::Http,
            },
            host,
            port: values.u16(&at("port")),
            user: values.optional_text(&at("user")),
            password: values.optional_text(&at("passwd")),
        })
    }
}

/// Whether Chromium runs in its own sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    /// Tried first, left off where it cannot be had.
    Auto,
    On,
    Off,
}

#[derive(Debug, Clone)]
pub struct Browser {
    pub path: Option<PathBuf>,
    pub headless: bool,
    pub fission: bool,
    pub sandbox: Sandbox,
    /// Names of applications on this machine, and where they listen.
    pub hosts: Vec<(String, SocketAddr)>,
    pub proxy: Option<Proxy>,
}

impl Browser {
    pub(super) fn read(values: &Values) -> Self {
        Self {
            path: values.optional_text("browser.path").map(PathBuf::from),
            headless: values.bool("browser.headless"),
            fission: values.bool("browser.fission"),
            sandbox: match values.text("browser.sandbox").as_str() {
                "on" => Sandbox::On,
                "off" => Sandbox::Off,
                _ => Sandbox::Auto,
            },
            hosts: values.addresses("browser.hosts"),
            proxy: Proxy::read(values, "browser.proxy"),
        }
    }
}

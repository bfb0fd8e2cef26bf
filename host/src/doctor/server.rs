//! The port, and the server that may be behind it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;

use super::{Check, words};
use crate::config::Config;

/// A server on this machine answers in milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// A webai2api that runs with this configuration.
#[derive(Debug)]
pub(super) struct Running {
    /// As `/healthz` calls it.
    pub(super) state: String,
    pub(super) reason: String,
    /// What `/admin/api/adapters` answers, or why it does not.
    pub(super) adapters: Result<Value, String>,
    /// The same of `/admin/api/pool`.
    pub(super) pool: Result<Value, String>,
}

/// Whether the port can be had, and the server that has it, if that is one of ours.
pub(super) async fn port(config: &Config, key: Option<&str>) -> (Check, Option<Running>) {
    let (host, port) = (config.server.host.as_str(), config.server.port);
    let (name, title, address) = ("port", words::port(), format!("{host}:{port}"));
    if port == 0 {
        return (Check::ok(name, title, words::port_any()), None);
    }
    let error = match tokio::net::TcpListener::bind((host, port)).await {
        Ok(_) => return (Check::ok(name, title, words::port_free(address)), None),
        Err(error) => error,
    };
    if error.kind() != io::ErrorKind::AddrInUse {
        return (Check::problem(name, title, words::port_not_ours(address, error), words::port_not_ours_cure()), None);
    }
    match ask(host, port, key).await {
        Some(running) => (Check::ok(name, title, words::port_ours(address, running.state.as_str())), Some(running)),
        None => (Check::problem(name, title, words::port_taken(address), words::port_taken_cure()), None),
    }
}

async fn ask(host: &str, port: u16, key: Option<&str>) -> Option<Running> {
    let base = format!("http://{}", reachable(host, port));
    // A key is not to go through whatever proxy the environment names on its way to this machine.
    let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().ok()?;
    let response = client.get(format!("{base}/healthz")).send().await.ok()?;
    let ours = response.headers().get("x-request-id").is_some_and(|id| id.as_bytes().starts_with(b"req_"));
    let health: Value = serde_json::from_slice(&response.bytes().await.ok()?).ok()?;
    let text = |name: &str| health.get(name).and_then(Value::as_str).map(str::to_owned);
    let state = text("status").filter(|_| ours)?;
    let adapters = told(&client, format!("{base}/admin/api/adapters"), key).await;
    let pool = told(&client, format!("{base}/admin/api/pool"), key).await;
    Some(Running { state, reason: text("reason").unwrap_or_default(), adapters, pool })
}

async fn told(client: &reqwest::Client, url: String, key: Option<&str>) -> Result<Value, String> {
    let mut request = client.get(url);
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    let response = request.send().await.map_err(|error| error.to_string())?;
    let status = response.status();
    let body = response.bytes().await.map_err(|error| error.to_string())?;
    if !status.is_success() {
        return Err(status.to_string());
    }
    serde_json::from_slice(&body).map_err(|error| error.to_string())
}

/// Where a server that listens on this host is reached from here.
fn reachable(host: &str, port: u16) -> String {
    let here = match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Ok(IpAddr::V6(ip)) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        Ok(ip) => ip,
        Err(_) => return format!("{host}:{port}"),
    };
    SocketAddr::new(here, port).to_string()
}

//! The admin API as the command line uses it.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use super::Server;
use crate::config::Config;
use crate::store::read_admin_key;

/// An order may wait for a compile, which may take a minute.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server that is asked with its admin key.
#[derive(Debug)]
pub(in crate::cli) struct Api {
    client: Client,
    base: String,
    key: String,
}

impl Api {
    /// That of adapters, by flags, environment and configuration.
    pub(in crate::cli) fn of(server: &Server, config: &Config) -> anyhow::Result<Self> {
        Self::at("adapters", server, config)
    }

    /// One part of it.
    pub(in crate::cli) fn at(part: &str, server: &Server, config: &Config) -> anyhow::Result<Self> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let url = server.url.clone().or_else(|| set("WEBAI_URL"));
        let url = url.unwrap_or_else(|| format!("http://127.0.0.1:{}", config.server.port));
        if !url.starts_with("http://") && !url.starts_with("https://") {
            bail!("the server's address {url:?} must begin with http:// or https://");
        }
        let given = server.key.clone().or_else(|| set("WEBAI_KEY")).or_else(|| config.server.auth.clone());
        let key = match given {
            Some(key) => key,
            None => read_admin_key(&config.log.data_dir)?
                .context("there is no admin key in the data folder: give it by --key or WEBAI_KEY")?,
        };
        // A key is not to go through whatever proxy the environment names on its way to this machine.
        let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|start| url.starts_with(start));
        let builder = Client::builder().timeout(PATIENCE);
        let client = if local { builder.no_proxy() } else { builder }.build()?;
        Ok(Self { client, base: format!("{}/admin/api/{part}", url.trim_end_matches('/')), key })
    }

    pub(in crate::cli) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(self.request(Method::GET, path)).await
    }

    pub(in crate::cli) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub(in crate::cli) async fn post(&self, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        self.send(request.body(body.map(|body| body.to_string()).unwrap_or_default())).await
    }

    /// Installs a file.
    pub(in crate::cli) async fn upload(&self, file: Vec<u8>) -> anyhow::Result<Value> {
        let request = self.request(Method::POST, "").header("content-type", "application/wasm");
        self.send(request.body(file)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key)
    }

    /// The answer, or what the server says is wrong.
    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let nobody = || format!("no server answers at {}: start it, or name another by --url", self.base);
        let response = request.send().await.with_context(nobody)?;
        let status = response.status();
        let text = response.text().await.context("the server's answer broke off")?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        match answer.pointer("/error/message").and_then(Value::as_str) {
            Some(message) => bail!("{message}"),
            None => bail!("the server answered {status}: is it a webai2api of this version?"),
        }
    }
}

/// The number after which a path of logs asks for lines.
pub(super) fn after(path: &str) -> u64 {
    path.split(['?', '&']).find_map(|part| part.strip_prefix("after=")?.parse().ok()).unwrap_or(0)
}

//! The edge: connections, keys, routes and API dialects.
//!
//! **Invariant:** a dialect is a pair of pure functions, decode and encode, and a route; a new one touches nothing below this
//! module. Nothing here knows CDP. [`ApiError`] alone decides which status a failure has.

mod admin;
mod auth;
mod body;
mod context;
mod error;
mod fetch;
mod health;
mod language;
mod links;
mod media;
mod media_files;
mod metrics;
mod openai;
mod router;
mod server;
mod status;

use std::sync::Arc;

use axum::http::StatusCode;

use crate::accounts::Accounts;
use crate::config::{Config, Limits, Queue, Server as ServerConfig};
use crate::dispatch::{Dispatcher, Health};
use crate::store::{Database, Media};
use crate::telemetry::memory::MemoryState;
use crate::telemetry::metrics::Exposition;

use error::words;

pub use admin::{Reloaded, Reloads};
pub use auth::{Authenticator, Caller};
pub use error::ApiError;
pub use language::{Language, Text};
pub use server::Server;

/// What every handler may use.
#[derive(Debug)]
pub struct Edge {
    dispatcher: Dispatcher,
    kept: Kept,
    auth: Authenticator,
    server: ServerConfig,
    limits: Limits,
    queue: Queue,
    fetcher: fetch::Fetcher,
    /// Of changes to adapters.
    pace: admin::Pace,
    watched: Watched,
}

/// What outlives the requests.
#[derive(Debug)]
pub struct Kept {
    pub accounts: Accounts,
    pub database: Database,
    pub media: Media,
}

/// What the program knows of itself.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// None: this process records no metrics.
    pub metrics: Option<Exposition>,
    pub memory: MemoryState,
    /// None: the configuration is read at the start alone.
    pub reloads: Option<Reloads>,
}

impl Edge {
    /// `admin_key` is the one in force, configured or made at the first start.
    ///
    /// # Errors
    /// When the client for pictures given by address cannot be built.
    pub fn new(
        config: &Config,
        admin_key: &str,
        dispatcher: Dispatcher,
        kept: Kept,
        watched: Watched,
    ) -> Result<Arc<Self>, fetch::FetchError> {
        Ok(Arc::new(Self {
            dispatcher,
            kept,
            auth: Authenticator::new(admin_key, &config.server.api_keys),
            server: config.server.clone(),
            limits: config.limits,
            queue: config.queue.clone(),
            fetcher: fetch::Fetcher::new(config.limits.fetch_timeout, config.limits.image_bytes)?,
            pace: admin::Pace::default(),
            watched,
        }))
    }

    /// Takes over the keys of a new configuration.
    pub fn set_keys(&self, admin_key: &str, config: &Config) {
        self.auth.set_keys(admin_key, &config.server.api_keys);
    }

    /// Whether new work is taken. To be asked before a request's body is read: that takes memory as well.
    ///
    /// # Errors
    /// 503 while memory is all but used up.
    fn takes_work(&self) -> Result<(), ApiError> {
        let Some(refusal) = self.watched.memory.refusal() else { return Ok(()) };
        let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "low_memory", words::low_memory());
        Err(ApiError { retry_after: Some(refusal.retry_after()), ..error })
    }

    /// The dispatcher's health, unless memory is the worse trouble.
    fn health(&self) -> Health {
        match (self.dispatcher.health(), self.watched.memory.refusal()) {
            (Health::Ready | Health::Degraded(_), Some(refusal)) => Health::Failed(refusal.to_string()),
            (health, _) => health,
        }
    }
}

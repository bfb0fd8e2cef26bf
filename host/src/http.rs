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
mod openai;
mod router;
mod server;
mod status;

use std::sync::Arc;

use crate::accounts::Accounts;
use crate::config::{Config, Limits, Queue, Server as ServerConfig};
use crate::dispatch::Dispatcher;
use crate::store::{Database, Media};

pub use auth::{Authenticator, Caller};
pub use error::ApiError;
pub use language::{Language, Text};
pub use server::Server;

/// What every handler may use.
#[derive(Debug)]
pub struct Edge {
    dispatcher: Dispatcher,
    accounts: Accounts,
    auth: Authenticator,
    server: ServerConfig,
    limits: Limits,
    queue: Queue,
    fetcher: fetch::Fetcher,
    database: Database,
    media: Media,
    /// Of changes to adapters.
    pace: admin::Pace,
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
        accounts: Accounts,
        database: Database,
        media: Media,
    ) -> Result<Arc<Self>, fetch::FetchError> {
        Ok(Arc::new(Self {
            dispatcher,
            accounts,
            auth: Authenticator::new(admin_key, &config.server.api_keys),
            server: config.server.clone(),
            limits: config.limits,
            queue: config.queue.clone(),
            fetcher: fetch::Fetcher::new(config.limits.fetch_timeout, config.limits.image_bytes)?,
            database,
            media,
            pace: admin::Pace::default(),
        }))
    }
}

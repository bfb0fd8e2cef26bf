//! The program as a whole: built from a configuration, and ended in order.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::http::{Edge, Server};
use crate::store::DataFolder;

/// Why the program could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("port {0} is in use by another program; choose another with PORT, server.port or --port")]
    PortInUse(u16),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: String, source: io::Error },
    #[error("the client for linked pictures cannot be built: {0}")]
    Client(String),
}

/// A running webai2api.
#[derive(Debug)]
pub struct App {
    server: Server,
    drain: Duration,
    /// Held until all else has ended.
    folder: DataFolder,
}

impl App {
    /// Listens at once; the browser comes up behind it.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn start(config: &Config, folder: DataFolder, admin_key: &str) -> Result<Self, StartError> {
        let dispatcher = Dispatcher {};
        let edge = Edge::new(config, admin_key, dispatcher).map_err(|error| StartError::Client(error.to_string()))?;
        let (host, port) = (config.server.host.as_str(), config.server.port);
        let server = Server::start(host, port, edge).await.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => StartError::PortInUse(port),
            _ => StartError::Listen { address: format!("{host}:{port}"), source },
        })?;
        Ok(Self { server, drain: config.deadlines.drain, folder })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where it keeps its data.
    pub fn folder(&self) -> &DataFolder {
        &self.folder
    }

    /// Takes no new requests, lets running ones finish within the deadline, then ends. True if none was cut off.
    pub async fn stop(self) -> bool {
        self.server.drain(self.drain).await
    }
}

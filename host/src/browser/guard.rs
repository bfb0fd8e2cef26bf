//! The egress guard: a loopback forward proxy through which all of one Chromium's traffic goes.
//!
//! It resolves each name once, refuses addresses that are not on the public internet, and dials exactly the address that
//! it checked, so that no page reaches this machine or its network, by whatever name. It also maps names to servers on
//! this machine: the demo site, and sites in tests. CDP's `Fetch` cannot do this: it never sees a WebSocket's handshake
//! and knows no address.
//!
//! With an operator's proxy, names are resolved there, and the rule on addresses rests on that proxy; addresses and local
//! names are refused all the same.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

mod forward;
mod route;
mod upstream;

pub use upstream::{Upstream, UpstreamError, UpstreamKind};

use route::Router;

/// More than Chromium opens to one proxy in all its contexts together.
const CONNECTIONS_MAX: usize = 512;
/// Longer than any head that Chromium sends; what is over it is answered 431.
const HEAD_BYTES_MAX: usize = 256 << 10;
const HEAD_DEADLINE: Duration = Duration::from_secs(15);

/// A name that is served on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// A host name, or `*.name` for all names below it.
    pub host: String,
    /// The port in the page's URL.
    pub port: u16,
    /// A loopback address.
    pub to: SocketAddr,
}

/// What becomes of names that no mapping knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unmapped {
    #[default]
    Resolve,
    /// For tests: nothing leaves the machine.
    Refuse,
}

/// How a guard decides.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GuardOptions {
    pub mappings: Vec<Mapping>,
    /// The operator's proxy. Mapped names never go there.
    pub upstream: Option<Upstream>,
    pub unmapped: Unmapped,
}

/// A running guard. Dropping it ends it, with all that goes through it.
pub struct Guard {
    addr: SocketAddr,
    _accepting: AbortOnDropHandle<()>,
    _tunnels: DropGuard,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("addr", &self.addr).finish()
    }
}

impl Guard {
    /// Starts on a free loopback port.
    ///
    /// # Errors
    /// Where no port can be had, or a mapping leads off this machine.
    pub async fn start(options: GuardOptions) -> io::Result<Guard> {
        if let Some(mapping) = options.mappings.iter().find(|mapping| !mapping.to.ip().is_loopback()) {
            let text = format!("the mapping of {} does not lead to a loopback address", mapping.host);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let ended = CancellationToken::new();
        let proxy = forward::Proxy { router: Arc::new(Router::new(options)), ended: ended.clone() };
        let accepting = AbortOnDropHandle::new(tokio::spawn(accept(listener, proxy)));
        Ok(Guard { addr, _accepting: accepting, _tunnels: ended.drop_guard() })
    }

    /// Where Chromium finds it.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// Owns the connections: when it is aborted, they all end.
async fn accept(listener: TcpListener, proxy: forward::Proxy) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
            continue;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(serve(stream, proxy.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "egress guard: no connection could be taken");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, proxy: forward::Proxy) {
    // Tokens are small packets; Nagle's algorithm would hold them back.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = hyper::service::service_fn(move |request| {
        let proxy = proxy.clone();
        async move { Ok::<_, std::convert::Infallible>(proxy.answer(request).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::trace!(%error, "egress guard: a connection ended early");
    }
}

#[cfg(test)]
mod tests;

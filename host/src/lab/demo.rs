//! The demo site: a small chat website whose answers are scripted. `docs/demo.md` is its reference.
//!
//! It is a website like any other to the rest of the program: it knows nothing of adapters, and the browser reaches it
//! over HTTP. What it received it counts, so that tests can hold the program against the site's own figures.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

mod answer;
mod api;
mod control;
mod files;
mod fixture;
mod pages;
mod picture;
mod play;
mod script;
mod session;
mod site;
mod stats;
mod wire;

/// More than any browser opens to one host; a bound for clients that never let go.
const CONNECTIONS_MAX: usize = 512;
const HEADER_DEADLINE: Duration = Duration::from_secs(10);

/// How to serve the demo site.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// A loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether `POST /control` is there, by which tests put the site into a state.
    pub control: bool,
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), control: true }
    }
}

/// A running demo site. Dropping it ends it, open streams included.
pub struct DemoSite {
    addr: SocketAddr,
    _accepting: AbortOnDropHandle<()>,
}

impl fmt::Debug for DemoSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DemoSite").field("addr", &self.addr).finish()
    }
}

impl DemoSite {
    /// Starts to serve.
    ///
    /// # Errors
    /// Where the address cannot be listened on.
    pub async fn start(options: DemoOptions) -> io::Result<DemoSite> {
        let listener = TcpListener::bind(options.listen).await?;
        let addr = listener.local_addr()?;
        let site = Arc::new(site::Site::default());
        let outage = site.outage.subscribe();
        let accepting = accept(listener, routes(site, options.control), outage);
        Ok(DemoSite { addr, _accepting: AbortOnDropHandle::new(tokio::spawn(accepting)) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// The site without a listener of its own.
pub(in crate::lab) fn router() -> Router {
    routes(Arc::default(), true)
}

fn routes(site: Arc<site::Site>, with_control: bool) -> Router {
    let mut router = Router::new().merge(pages::routes()).merge(api::routes()).merge(files::routes());
    router = router.merge(stats::routes());
    if with_control {
        router = router.merge(control::routes());
    }
    router.with_state(site)
}

/// Owns the connections: when it is aborted, they all end.
async fn accept(listener: TcpListener, router: Router, mut outage: watch::Receiver<Option<Instant>>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
            continue;
        }
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Ok(()) = outage.changed() => {
                // Whoever asked for it gets his answer.
                tokio::time::sleep(Duration::from_millis(20)).await;
                connections.abort_all();
                continue;
            }
        };
        match accepted {
            Ok(_) if outage.borrow().is_some_and(|until| Instant::now() < until) => {}
            Ok((stream, _)) => {
                connections.spawn(serve(stream, router.clone()));
            }
            // Out of file descriptors, most likely: others may be closed soon.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn serve(stream: TcpStream, router: Router) {
    // A token is a small packet; Nagle's algorithm would hold it back.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
    if let Err(error) = served {
        tracing::trace!(%error, "demo site: a connection ended early");
    }
}

#[cfg(test)]
mod tests;

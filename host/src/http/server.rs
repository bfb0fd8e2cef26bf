//! Connections: accepted up to a bound, each with its deadlines, all of them drained at the end.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tower::ServiceExt as _;

use super::Edge;
use super::context::Peer;
use super::router::{router, tidy};
use crate::config::Limits;

/// A listening server. Dropping it ends it at once; [`Server::drain`] lets requests finish.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    draining: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Server {
    /// Listens on `host:port` and begins to answer.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn start(host: &str, port: u16, edge: Arc<Edge>) -> io::Result<Self> {
        let listener = TcpListener::bind((host, port)).await?;
        let address = listener.local_addr()?;
        let draining = CancellationToken::new();
        let accepting = accept(listener, edge.limits, router(edge), draining.clone());
        Ok(Self { address, draining, task: AbortOnDropHandle::new(tokio::spawn(accepting)) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new connections, ends idle ones, and lets requests finish until the deadline. True if all did.
    pub async fn drain(self, deadline: Duration) -> bool {
        self.draining.cancel();
        tokio::time::timeout(deadline, self.task).await.is_ok()
    }
}

async fn accept(listener: TcpListener, limits: Limits, router: Router, draining: CancellationToken) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        // With all slots taken, new connections wait in the system's backlog.
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot,
            () = draining.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = draining.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let serving = serve(stream, peer, limits, router.clone(), draining.clone());
                connections.spawn(async move {
                    let _slot = slot;
                    serving.await;
                });
            }
            // Too many open files, or a client that was gone at once: neither ends the server.
            Err(error) => {
                tracing::debug!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve(stream: TcpStream, peer: SocketAddr, limits: Limits, router: Router, draining: CancellationToken) {
    // Each piece of an answer is a small write of its own; waiting to fill a segment would delay it.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        tidy(&mut request);
        request.extensions_mut().insert(Peer(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(limits.headers)
        .max_header_size(limits.header_bytes)
        // A client that closes its sending side has gone, as far as anyone can tell: its request is cancelled.
        .half_close(false);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // What a client did to its own connection is of no interest to an operator.
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}

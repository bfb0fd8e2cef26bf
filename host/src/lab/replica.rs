//! A replica: a small copy of a site, described by `fixtures/site.toml` and served under the site's real host names.
//!
//! Only `adapter test` and the tests serve one. Chromium is led there by the egress guard's mapping and told to take the test
//! certificate's key, and no other server is reachable meanwhile.

mod body;
pub mod cassette;
mod files;
mod plan;
mod script;
mod seen;
mod site;
mod socket;
pub mod spec;
mod stream;
mod tls;

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::header::HOST;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use crate::browser::guard::Mapping;
use crate::lab::demo;
pub use files::{Files, content_type};
use plan::Plan;
pub use seen::Seen;
pub use site::{ELSEWHERE, Twist};
use site::{Incoming, Site, Verdict};
use spec::{RequestSpec, SiteFile};

/// The file that describes a replica.
pub const FILE: &str = "site.toml";
const CONNECTIONS_MAX: usize = 512;
const HANDSHAKE: Duration = Duration::from_secs(15);

/// Why a replica cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    #[error("{path}: {message}")]
    Read { path: String, message: String },
    /// Every mistake, a line each.
    #[error("{path}:\n  {}", .wrong.join("\n  "))]
    Wrong { path: String, wrong: Vec<String> },
    #[error("the replica cannot be served: {0}")]
    Serve(String),
}

/// A running replica. Dropping it ends it, with all that goes through it.
#[derive(Debug)]
pub struct Replica {
    site: Arc<Site>,
    tls: SocketAddr,
    plain: SocketAddr,
    spki: String,
    hosts: BTreeSet<(bool, String, u16)>,
    _accepting: [AbortOnDropHandle<()>; 2],
    _sockets: DropGuard,
}

impl Replica {
    /// Reads `site.toml` in a folder and serves it. `more` are URLs and patterns of hosts that are to lead here too: those of the
    /// manifest, so that nothing that the adapter names is somewhere else.
    ///
    /// # Errors
    /// Every mistake of the file, with its place.
    pub async fn start(folder: &Path, more: &[String]) -> Result<Self, ReplicaError> {
        let plan = read(folder)?;
        let mut hosts = plan.hosts();
        hosts.extend(more.iter().filter_map(|text| plan::host_of(text)));
        hosts.insert((true, ELSEWHERE.to_owned(), 443));
        let names = hosts.iter().map(|(_, host, _)| host.clone()).collect::<BTreeSet<_>>().into_iter().collect();
        let identity = tls::identity(names).map_err(ReplicaError::Serve)?;
        let site = Arc::new(Site::new(plan, demo::router()));
        let ended = CancellationToken::new();
        let listen = async || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let addr = listener.local_addr()?;
            Ok::<_, io::Error>((listener, addr))
        };
        let failed = |error: io::Error| ReplicaError::Serve(error.to_string());
        let (tls_listener, tls) = listen().await.map_err(failed)?;
        let (plain_listener, plain) = listen().await.map_err(failed)?;
        let serve = |listener, acceptor| {
            let door = Door { site: Arc::clone(&site), acceptor, ended: ended.clone() };
            AbortOnDropHandle::new(tokio::spawn(accept(listener, door)))
        };
        let accepting = [serve(tls_listener, Some(identity.acceptor)), serve(plain_listener, None)];
        Ok(Self { site, tls, plain, spki: identity.spki, hosts, _accepting: accepting, _sockets: ended.drop_guard() })
    }

    /// How the egress guard leads here.
    pub fn mappings(&self) -> Vec<Mapping> {
        let map = |(tls, host, port): &(bool, String, u16)| {
            let to = if *tls { self.tls } else { self.plain };
            Mapping { host: host.clone(), port: *port, to }
        };
        self.hosts.iter().map(map).collect()
    }

    /// The flag by which Chromium takes the test certificate.
    pub fn browser_flag(&self) -> String {
        format!("--ignore-certificate-errors-spki-list={}", self.spki)
    }

    pub fn file(&self) -> &SiteFile {
        &self.site.plan.file
    }

    pub fn files(&self) -> &Files {
        &self.site.plan.files
    }

    /// Whether the fixtures say how the site is in this state.
    pub fn knows(&self, state: &str) -> bool {
        self.site.plan.knows(state)
    }

    /// Begins anew in a state: nothing has been seen.
    ///
    /// # Errors
    /// Where the state's own set-up is refused by the site.
    pub async fn enter(&self, state: &str, twist: Twist) -> Result<(), String> {
        self.site.set(state, Twist::None);
        let setup = self.site.plan.file.states.get(state).map(|spec| spec.setup.clone()).unwrap_or_default();
        for step in setup {
            let method = step.method.as_deref().unwrap_or("POST");
            let method = Method::from_bytes(method.as_bytes()).map_err(|_| format!("setup: {method} is no method"))?;
            let mut headers = HeaderMap::new();
            headers.insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
            let body = step.json.as_ref().map(|json| Bytes::from(json.to_string())).unwrap_or_default();
            let verdict = self.site.answer(Incoming { method, url: step.url.clone(), headers, body }).await;
            match verdict {
                Verdict::Answer(response) if response.status().is_success() => {}
                Verdict::Answer(response) => return Err(format!("setup: {} answers {}", step.url, response.status())),
                Verdict::Abort => return Err(format!("setup: {} breaks off", step.url)),
            }
        }
        self.site.set(state, twist);
        Ok(())
    }

    /// What the site has seen since the case began; changes with everything that comes.
    pub fn seen(&self) -> watch::Receiver<Seen> {
        self.site.seen.subscribe()
    }

    /// How many requests of the case were such.
    ///
    /// # Errors
    /// Where the expectation itself is wrong.
    pub fn count(&self, spec: &RequestSpec) -> Result<usize, String> {
        let headers = HeaderMap::new();
        let seen = self.site.seen.borrow();
        let mut count = 0;
        for request in &seen.requests {
            let asked =
                plan::Asked { method: &request.method, url: &request.url, headers: &headers, body: &request.body };
            count += usize::from(plan::request_fits(spec, asked)?);
        }
        Ok(count)
    }
}

/// Reads and checks a replica without serving it.
///
/// # Errors
/// Every mistake of the file.
pub fn check(folder: &Path) -> Result<SiteFile, ReplicaError> {
    read(folder).map(|plan| plan.file)
}

fn read(folder: &Path) -> Result<Plan, ReplicaError> {
    let path = folder.join(FILE);
    let shown = path.display().to_string();
    let failed = |message: String| ReplicaError::Read { path: shown.clone(), message };
    let text = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
    let file: SiteFile = toml::from_str(&text).map_err(|error| failed(error.to_string()))?;
    Plan::read(file, Files::new(folder)).map_err(|wrong| ReplicaError::Wrong { path: shown, wrong })
}

#[derive(Clone)]
struct Door {
    site: Arc<Site>,
    acceptor: Option<TlsAcceptor>,
    ended: CancellationToken,
}

/// Owns the connections: when it is aborted, they all end.
async fn accept(listener: TcpListener, door: Door) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
            continue;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(welcome(stream, door.clone()));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn welcome(stream: TcpStream, door: Door) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    match door.acceptor.clone() {
        None => serve(stream, door, false).await,
        Some(acceptor) => match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => serve(stream, door, true).await,
            Ok(Err(error)) => tracing::debug!(%error, "replica: no TLS connection"),
            Err(_) => {}
        },
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, door: Door, tls: bool) {
    let service = hyper::service::service_fn(move |request| {
        let door = door.clone();
        async move { answer(&door, tls, request).await }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::trace!(%error, "replica: a connection ended early");
    }
}

/// An error breaks the connection off.
async fn answer(door: &Door, tls: bool, mut request: Request<hyper::body::Incoming>) -> io::Result<Response<Body>> {
    let wants_socket = socket::is_wanted(request.headers());
    let scheme = match (tls, wants_socket) {
        (true, false) => "https",
        (false, false) => "http",
        (true, true) => "wss",
        (false, true) => "ws",
    };
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let url = format!("{scheme}://{host}{path}");
    let upgrade = wants_socket.then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let mut incoming = Incoming { method: parts.method, url, headers: parts.headers, body: Bytes::new() };
    if let Some(upgrade) = upgrade {
        let Some(steps) = door.site.socket(&incoming) else {
            door.site.note(&incoming, false, 404, false);
            return Ok(site::empty(StatusCode::NOT_FOUND));
        };
        let Some(response) = socket::accept(&incoming) else { return Ok(site::empty(StatusCode::BAD_REQUEST)) };
        door.site.note(&incoming, false, 101, true);
        let (site, ended) = (Arc::clone(&door.site), door.ended.clone());
        // Ends with the replica at the latest.
        tokio::spawn(async move { ended.run_until_cancelled(socket::serve(site, incoming, upgrade, steps)).await });
        return Ok(response);
    }
    let Some(body) = site::whole(body).await else { return Ok(site::empty(StatusCode::PAYLOAD_TOO_LARGE)) };
    incoming.body = body;
    match door.site.answer(incoming).await {
        Verdict::Answer(response) => Ok(response),
        Verdict::Abort => Err(io::Error::other("the replica breaks off")),
    }
}

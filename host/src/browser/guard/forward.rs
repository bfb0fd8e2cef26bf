//! The proxy's two ways: tunnels (CONNECT) for TLS and WebSockets, and requests with a whole URL for plain HTTP. Bodies
//! pass as they come; nothing is collected.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION, UPGRADE};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio_util::sync::CancellationToken;

use super::route::{Dialled, RouteError, Router};

pub(super) type Body = BoxBody<Bytes, hyper::Error>;

/// Headers that belong to one connection, not to the message (RFC 9110, 7.6.1).
const HOP_BY_HOP: [&str; 6] =
    ["keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer"];

#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) router: Arc<Router>,
    /// Ends what outlives its own connection's task: tunnels, and connections to servers.
    pub(super) ended: CancellationToken,
}

impl Proxy {
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let answered =
            if request.method() == Method::CONNECT { self.tunnel(request).await } else { self.forward(request).await };
        answered.unwrap_or_else(|error| {
            let status = match &error {
                ProxyError::Route(RouteError::Refused { .. }) => StatusCode::FORBIDDEN,
                ProxyError::Route(RouteError::TimedOut { .. }) => StatusCode::GATEWAY_TIMEOUT,
                ProxyError::Route(RouteError::Unreachable { .. }) | ProxyError::Server(_) => StatusCode::BAD_GATEWAY,
                ProxyError::NotForProxies => StatusCode::BAD_REQUEST,
            };
            // Hosts only: paths and queries may hold secrets.
            tracing::debug!(%error, status = status.as_u16(), "egress guard");
            plain(status, format!("webai2api's egress guard: {error}\n"))
        })
    }

    async fn tunnel(&self, request: Request<Incoming>) -> Result<Response<Body>, ProxyError> {
        let (host, port) = target(request.uri()).ok_or(ProxyError::NotForProxies)?;
        let mut dialled = self.router.dial(&host, port, true).await?;
        self.own(async move {
            if let Ok(upgraded) = hyper::upgrade::on(request).await {
                // Either side may break off at any time.
                let _ = copy_bidirectional(&mut TokioIo::new(upgraded), &mut dialled.stream).await;
            }
        });
        Ok(Response::new(empty()))
    }

    async fn forward(&self, mut request: Request<Incoming>) -> Result<Response<Body>, ProxyError> {
        if request.uri().scheme_str() != Some("http") {
            return Err(ProxyError::NotForProxies);
        }
        let (host, port) = target(request.uri()).ok_or(ProxyError::NotForProxies)?;
        let Dialled { stream, to_proxy } = self.router.dial(&host, port, false).await?;
        let wants_upgrade = request.headers().contains_key(UPGRADE);
        self.rewrite(&mut request, to_proxy)?;
        let from_browser = wants_upgrade.then(|| hyper::upgrade::on(&mut request));

        let (mut server, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        self.own(async move {
            let _ = connection.with_upgrades().await;
        });
        let mut response = server.send_request(request).await?;
        if let (StatusCode::SWITCHING_PROTOCOLS, Some(from_browser)) = (response.status(), from_browser) {
            let from_server = hyper::upgrade::on(&mut response);
            self.own(async move {
                if let Ok((browser, server)) = tokio::try_join!(from_browser, from_server) {
                    let _ = copy_bidirectional(&mut TokioIo::new(browser), &mut TokioIo::new(server)).await;
                }
            });
        } else {
            strip(response.headers_mut(), false);
        }
        Ok(response.map(|body| body.boxed()))
    }

    /// Makes the browser's request one for the server: the path alone, and no headers meant for this proxy.
    fn rewrite(&self, request: &mut Request<Incoming>, to_proxy: bool) -> Result<(), ProxyError> {
        let keep_upgrade = request.headers().contains_key(UPGRADE);
        strip(request.headers_mut(), keep_upgrade);
        // RFC 9112, 3.2.2: the URL's host counts, whatever the header says.
        if let Some(host) =
            request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok())
        {
            request.headers_mut().insert(HOST, host);
        }
        if to_proxy {
            let authorization = self.router.upstream().and_then(|upstream| upstream.authorization());
            if let Some(mut value) = authorization.and_then(|value| HeaderValue::from_str(&value).ok()) {
                value.set_sensitive(true);
                request.headers_mut().insert(PROXY_AUTHORIZATION, value);
            }
            return Ok(());
        }
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse::<Uri>().map_err(|_| ProxyError::NotForProxies)?;
        Ok(())
    }

    /// Runs a task that ends with the guard at the latest.
    fn own(&self, task: impl Future<Output = ()> + Send + 'static) {
        let ended = self.ended.clone();
        tokio::spawn(async move { ended.run_until_cancelled(task).await });
    }
}

#[derive(Debug, thiserror::Error)]
enum ProxyError {
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error("the server broke off: {0}")]
    Server(#[from] hyper::Error),
    #[error("a proxy takes CONNECT, and requests with a whole http:// URL")]
    NotForProxies,
}

/// Host and port; brackets of IPv6 are kept, as the host parser wants them.
fn target(uri: &Uri) -> Option<(String, u16)> {
    let authority = uri.authority()?;
    // What Chromium sends has no user info; anything before an `@` could only mislead.
    if authority.as_str().contains('@') {
        return None;
    }
    let port = authority.port_u16().or_else(|| (uri.scheme_str() == Some("http")).then_some(80))?;
    Some((authority.host().to_owned(), port))
}

fn strip(headers: &mut HeaderMap, keep_upgrade: bool) {
    let listed: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let kept = |name: &HeaderName| keep_upgrade && (*name == UPGRADE || *name == CONNECTION);
    for name in listed.into_iter().filter(|name| !kept(name)) {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    if keep_upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    } else {
        headers.remove(CONNECTION);
        headers.remove(UPGRADE);
    }
}

fn empty() -> Body {
    Full::new(Bytes::new()).map_err(|never| match never {}).boxed()
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

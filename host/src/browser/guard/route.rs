//! Where a host and port lead, and whether they may.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::Host;

use super::upstream::{Upstream, UpstreamKind, Wire};
use super::{GuardOptions, Mapping, Unmapped};
use crate::net::not_public;

/// Name lookup and all attempts together.
const CONNECT_DEADLINE: Duration = Duration::from_secs(20);
/// One attempt, so that a dead address of several does not use up the time.
const ATTEMPT_DEADLINE: Duration = Duration::from_secs(6);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum RouteError {
    /// The page may not go there.
    #[error("{host}: {why}")]
    Refused { host: String, why: &'static str },
    #[error("{host} cannot be reached: {source}")]
    Unreachable { host: String, source: io::Error },
    #[error("{host} did not answer in time")]
    TimedOut { host: String },
}

/// A way to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    Mapped(SocketAddr),
    Address(IpAddr),
    Name(String),
}

/// A connection, and whether what speaks at its end is the operator's HTTP proxy.
pub(super) struct Dialled {
    pub(super) stream: Wire,
    pub(super) to_proxy: bool,
}

/// Asks for the addresses of a name.
type Lookup = fn(String, u16) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

pub(super) struct Router {
    options: GuardOptions,
    /// The system's, but in tests: no name leads to this machine everywhere.
    lookup: Lookup,
}

impl Router {
    pub(super) fn new(options: GuardOptions) -> Router {
        Router { options, lookup: |name, port| Box::pin(async move { Ok(lookup_host((name, port)).await?.collect()) }) }
    }

    pub(super) fn upstream(&self) -> Option<&Upstream> {
        self.options.upstream.as_ref()
    }

    /// Connects to a host, or says why not. With `tunnel`, the far end is the host itself, else it may be a proxy that
    /// wants whole URLs.
    pub(super) async fn dial(&self, host: &str, port: u16, tunnel: bool) -> Result<Dialled, RouteError> {
        let way = self.way(host, port)?;
        match timeout(CONNECT_DEADLINE, self.connect(way, host, port, tunnel)).await {
            Ok(dialled) => dialled,
            Err(_) => Err(RouteError::TimedOut { host: host.to_owned() }),
        }
    }

    /// Decides without asking anyone.
    fn way(&self, host: &str, port: u16) -> Result<Way, RouteError> {
        let refused = |why| RouteError::Refused { host: host.to_owned(), why };
        // The same parser as the browser's: `0x7f.1` is an address to both.
        let way = match Host::parse(host).map_err(|_| refused("this is not a host name"))? {
            Host::Domain(name) => Way::Name(name.trim_end_matches('.').to_owned()),
            Host::Ipv4(ip) => Way::Address(ip.into()),
            Host::Ipv6(ip) => Way::Address(ip.into()),
        };
        if let Way::Name(name) = &way
            && let Some(mapping) = self.options.mappings.iter().find(|mapping| covers(mapping, name, port))
        {
            return Ok(Way::Mapped(mapping.to));
        }
        if self.options.unmapped == Unmapped::Refuse {
            return Err(refused("no mapping knows it, and nothing else is allowed here"));
        }
        match &way {
            Way::Address(ip) => not_public(*ip).map_or(Ok(()), |why| Err(refused(why)))?,
            Way::Name(name) if name == "localhost" || name.ends_with(".localhost") => {
                return Err(refused("a name of this machine"));
            }
            Way::Name(_) | Way::Mapped(_) => {}
        }
        Ok(way)
    }

    async fn connect(&self, way: Way, host: &str, port: u16, tunnel: bool) -> Result<Dialled, RouteError> {
        let unreachable = |source| RouteError::Unreachable { host: host.to_owned(), source };
        let direct = |stream| Dialled { stream: Wire::Left(stream), to_proxy: false };
        let through = |stream| Dialled { stream, to_proxy: false };
        let name = match (&way, &self.options.upstream) {
            (Way::Mapped(to), _) => return attempt(*to).await.map(direct).map_err(unreachable),
            (Way::Address(ip), None) => {
                return attempt(SocketAddr::new(*ip, port)).await.map(direct).map_err(unreachable);
            }
            (_, Some(upstream)) if !tunnel && upstream.kind != UpstreamKind::Socks5 => {
                let stream = upstream.dial().await.map_err(unreachable)?;
                return Ok(Dialled { stream, to_proxy: true });
            }
            (Way::Address(ip), Some(upstream)) => {
                return upstream.tunnel(&ip.to_string(), port).await.map(through).map_err(unreachable);
            }
            (Way::Name(name), Some(upstream)) => {
                return upstream.tunnel(name, port).await.map(through).map_err(unreachable);
            }
            (Way::Name(name), None) => name,
        };
        let found = (self.lookup)(name.clone(), port).await.map_err(unreachable)?;
        dial_checked(&found).await.map(direct).map_err(|error| match error {
            NotDialled::Refused(why) => RouteError::Refused { host: host.to_owned(), why },
            NotDialled::Failed(source) => unreachable(source),
        })
    }
}

#[derive(Debug)]
enum NotDialled {
    Refused(&'static str),
    Failed(io::Error),
}

/// Dials the addresses that a lookup gave, and no others: a second lookup could answer otherwise. A name with one address
/// that is not public is refused wholly.
async fn dial_checked(found: &[SocketAddr]) -> Result<TcpStream, NotDialled> {
    if let Some(why) = found.iter().find_map(|addr| not_public(addr.ip())) {
        return Err(NotDialled::Refused(why));
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for addr in found {
        match attempt(*addr).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(NotDialled::Failed(last))
}

async fn attempt(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = timeout(ATTEMPT_DEADLINE, TcpStream::connect(addr)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn covers(mapping: &Mapping, name: &str, port: u16) -> bool {
    let named = match mapping.host.strip_prefix("*.") {
        Some(domain) => name.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => name == mapping.host,
    };
    named && port == mapping.port
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(unmapped: Unmapped) -> Router {
        let to = "127.0.0.1:1".parse().unwrap();
        let mapping = |host: &str| Mapping { host: host.into(), port: 443, to };
        let mappings = vec![mapping("a.example"), mapping("*.b.example")];
        Router::new(GuardOptions { mappings, upstream: None, unmapped })
    }

    #[test]
    fn hosts_in_any_spelling() {
        let router = router(Unmapped::Resolve);
        for host in [
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "0177.0.0.1",
            "2130706433",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "x.localhost",
            "169.254.169.254",
            "10.0.0.1",
            "192.168.0.1",
            "[fc00::1]",
            "[fe80::1]",
            "0",
            "0.0.0.0",
            "%31%32%37.0.0.1",
            "127.0.0.1.",
            "１２７.0.0.1",
            "",
            "a b",
        ] {
            assert!(matches!(router.way(host, 80), Err(RouteError::Refused { .. })), "{host}");
        }
        assert!(matches!(router.way("8.8.8.8", 80), Ok(Way::Address(_))));
        assert!(matches!(router.way("example.com", 80), Ok(Way::Name(_))));
    }

    #[test]
    fn mappings_know_host_and_port() {
        let router = router(Unmapped::Refuse);
        for (host, port, mapped) in [
            ("a.example", 443, true),
            ("A.EXAMPLE.", 443, true),
            ("a.example", 80, false),
            ("x.a.example", 443, false),
            ("x.y.b.example", 443, true),
            ("b.example", 443, false),
            ("xb.example", 443, false),
            ("example.com", 443, false),
        ] {
            assert_eq!(router.way(host, port).is_ok(), mapped, "{host}:{port}");
        }
    }

    /// The way that a request takes, with a server at its end that would have answered.
    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_not_followed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let lookup: Lookup = |name, port| {
            let ips: &[&str] = match name.as_str() {
                "loopback.example" => &["127.0.0.1"],
                "mapped.example" => &["::ffff:127.0.0.1"],
                "any.example" => &["0.0.0.0"],
                "second.example" => &["192.0.2.1", "127.0.0.1"],
                "first.example" => &["127.0.0.1", "192.0.2.1"],
                "private.example" => &["10.0.0.1"],
                _ => &[],
            };
            let found = ips.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).collect();
            Box::pin(std::future::ready(Ok(found)))
        };
        let router = Router { lookup, ..Router::new(GuardOptions::default()) };
        for name in ["loopback", "mapped", "any", "second", "first", "private"] {
            for tunnel in [false, true] {
                let dialled = router.dial(&format!("{name}.example"), port, tunnel).await.map(|_| ());
                assert!(matches!(dialled, Err(RouteError::Refused { .. })), "{name}: {dialled:?}");
            }
        }
        let none = router.dial("none.example", port, true).await.map(|_| ());
        assert!(matches!(none, Err(RouteError::Unreachable { .. })), "{none:?}");
        let came = timeout(Duration::from_millis(1), listener.accept()).await;
        assert!(came.is_err(), "somebody came: {came:?}");
    }

    /// What is asked where nothing else is said.
    #[tokio::test]
    async fn names_are_looked_up_by_the_system() {
        let found = (Router::new(GuardOptions::default()).lookup)("localhost".into(), 7).await.unwrap();
        assert!(!found.is_empty() && found.iter().all(|at| at.ip().is_loopback() && at.port() == 7), "{found:?}");
    }

    #[tokio::test]
    async fn a_name_with_a_private_address_is_refused_wholly() {
        let found = ["8.8.8.8:80".parse().unwrap(), "127.0.0.1:80".parse().unwrap()];
        assert!(matches!(dial_checked(&found).await, Err(NotDialled::Refused(_))));
    }
}

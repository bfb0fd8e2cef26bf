//! The operator's own proxy, behind the guard. Chromium itself could not sign in to a SOCKS proxy, and would ask for an
//! HTTP proxy's password in a window.

use std::fmt;
use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_util::either::Either;
use url::Url;

/// A proxy's answer to CONNECT has no body and few headers.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// Why a proxy's address cannot be used. Never holds the address: there may be a password in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    #[error("a proxy is http://, https:// or socks5://, then [user:password@]host:port")]
    Malformed,
}

/// What a proxy speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UpstreamKind {
    Http,
    /// HTTP over TLS.
    Https,
    Socks5,
}

/// A connection to or through a proxy: plain, or with TLS on the way to it.
pub(super) type Wire = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// The operator's proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Upstream {
    pub(super) kind: UpstreamKind,
    host: String,
    port: u16,
    credentials: Option<(String, String)>,
    /// A certificate that is trusted for the proxy beside those of the public authorities.
    trusted: Option<CertificateDer<'static>>,
}

/// Without the password.
impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} proxy at {}:{}", self.kind, self.host, self.port)
    }
}

impl Upstream {
    /// `credentials`: user and password.
    pub fn new(kind: UpstreamKind, host: String, port: u16, credentials: Option<(String, String)>) -> Upstream {
        Upstream { kind, host, port, credentials, trusted: None }
    }

    /// Trusts this certificate for the proxy, too.
    pub fn trusting(self, certificate: CertificateDer<'static>) -> Upstream {
        Upstream { trusted: Some(certificate), ..self }
    }

    /// Reads `http://user:password@host:port`, `https://...` or `socks5://...`; user and password are percent-encoded where needed.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub fn parse(text: &str) -> Result<Upstream, UpstreamError> {
        let url = Url::parse(text).map_err(|_| UpstreamError::Malformed)?;
        let (kind, port) = match url.scheme() {
            "http" => (UpstreamKind::Http, 80),
            "socks5" | "socks5h" => (UpstreamKind::Socks5, 1080),
            "https" => (UpstreamKind::Https, 443),
            _ => return Err(UpstreamError::Malformed),
        };
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(UpstreamError::Malformed)?;
        let credentials =
            (!url.username().is_empty()).then(|| (decode(url.username()), decode(url.password().unwrap_or_default())));
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Upstream { kind, host, port: url.port().unwrap_or(port), credentials, trusted: None })
    }

    /// `Proxy-Authorization`, if it wants one.
    pub(super) fn authorization(&self) -> Option<String> {
        let (user, password) = self.credentials.as_ref()?;
        Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }

    /// A connection to the proxy itself.
    pub(super) async fn dial(&self) -> io::Result<Wire> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        if self.kind != UpstreamKind::Https {
            return Ok(Either::Left(stream));
        }
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        let tls = TlsConnector::from(Arc::new(self.tls()?)).connect(name, stream).await?;
        Ok(Either::Right(Box::new(tls)))
    }

    fn tls(&self) -> io::Result<ClientConfig> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(certificate) = &self.trusted {
            roots.add(certificate.clone()).map_err(io::Error::other)?;
        }
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }

    /// A connection through the proxy to a host that it resolves.
    pub(super) async fn tunnel(&self, host: &str, port: u16) -> io::Result<Wire> {
        let stream = self.dial().await?;
        match self.kind {
            UpstreamKind::Http | UpstreamKind::Https => self.connect(stream, host, port).await,
            UpstreamKind::Socks5 => self.socks(stream, host, port).await,
        }
    }

    async fn socks(&self, stream: Wire, host: &str, port: u16) -> io::Result<Wire> {
        use tokio_socks::tcp::Socks5Stream;
        let tunnel = match &self.credentials {
            Some((user, password)) => {
                Socks5Stream::connect_with_password_and_socket(stream, (host, port), user, password).await
            }
            None => Socks5Stream::connect_with_socket(stream, (host, port)).await,
        };
        tunnel.map(Socks5Stream::into_inner).map_err(|error| io::Error::other(format!("the proxy said: {error}")))
    }

    /// RFC 9110, 9.3.6.
    async fn connect(&self, mut stream: Wire, host: &str, port: u16) -> io::Result<Wire> {
        let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let mut head = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
        if let Some(authorization) = self.authorization() {
            head.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        // Byte by byte: what follows the head belongs to the tunnel.
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= ANSWER_BYTES_MAX {
                return Err(io::Error::other("the proxy's answer is too long"));
            }
            answer.push(stream.read_u8().await?);
        }
        let status = String::from_utf8_lossy(&answer).split_whitespace().nth(1).map(str::to_owned);
        match status.as_deref() {
            Some(status) if status.starts_with('2') => Ok(stream),
            Some(status) => Err(io::Error::other(format!("the proxy answered {status}"))),
            None => Err(io::Error::other("the proxy's answer is not HTTP")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_proxies() {
        let proxy = Upstream::parse("http://me:p%40ss@proxy.example:8080").unwrap();
        assert_eq!(proxy.authorization().unwrap(), format!("Basic {}", STANDARD.encode("me:p@ss")));
        assert!(!format!("{proxy:?}").contains("p@ss"));
        assert_eq!(Upstream::parse("socks5://h").unwrap().port, 1080);
        let https = Upstream::parse("https://h").unwrap();
        assert_eq!((https.kind, https.port), (UpstreamKind::Https, 443));
        assert_eq!(Upstream::parse("ftp://h"), Err(UpstreamError::Malformed));
        assert_eq!(Upstream::parse("h:1"), Err(UpstreamError::Malformed));
    }
}

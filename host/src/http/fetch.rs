//! Fetches a picture that a client gave by its address.
//!
//! The server must not become a way into its own network: https only, public addresses only. The name is resolved once, by
//! a resolver that drops every address that is not public, and the connection goes to what it returned, so that a name
//! that changes its mind between check and use gains nothing. Each redirect is checked again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use url::{Host, Url};

use super::error::words;
use super::language::Text;
use crate::net::is_public;

/// Why a picture could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{}", self.text().en)]
    NotHttps,
    #[error("{}", self.text().en)]
    Credentials,
    #[error("{}", self.text().en)]
    NotPublic,
    /// The limit in bytes.
    #[error("{}", self.text().en)]
    TooLarge(usize),
    #[error("{}", self.text().en)]
    TooSlow(Duration),
    #[error("{}", self.text().en)]
    Status(u16),
    #[error("{}", self.text().en)]
    Redirects,
    #[error("{}", self.text().en)]
    Failed(#[from] reqwest::Error),
}

impl FetchError {
    /// A part of a sentence for the client.
    pub(super) fn text(&self) -> Text {
        match self {
            Self::NotHttps => words::not_https(),
            Self::Credentials => words::has_credentials(),
            Self::NotPublic => words::not_public(),
            Self::TooLarge(most) => words::fetch_too_large(most),
            Self::TooSlow(most) => words::fetch_too_slow(most.as_secs()),
            Self::Status(status) => words::fetch_status(status),
            Self::Redirects => words::fetch_redirects(),
            Self::Failed(_) => words::fetch_failed(),
        }
    }
}

const REDIRECTS_MAX: usize = 3;

/// A client that reaches public https servers only.
#[derive(Debug)]
pub(super) struct Fetcher {
    client: reqwest::Client,
    deadline: Duration,
    bytes_max: usize,
}

impl Fetcher {
    pub(super) fn new(deadline: Duration, bytes_max: usize) -> Result<Self, FetchError> {
        let client = reqwest::Client::builder()
            .https_only(true)
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .pool_max_idle_per_host(0)
            .connect_timeout(deadline.min(Duration::from_secs(10)))
            .user_agent(concat!("webai2api/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(PublicResolver))
            .build()?;
        Ok(Self { client, deadline, bytes_max })
    }

    /// The bytes at `address`.
    ///
    /// # Errors
    /// When it is not public, too large, too slow, or not there.
    pub(super) async fn fetch(&self, address: &str) -> Result<Bytes, FetchError> {
        let work = self.follow(address);
        tokio::time::timeout(self.deadline, work).await.unwrap_or(Err(FetchError::TooSlow(self.deadline)))
    }

    async fn follow(&self, address: &str) -> Result<Bytes, FetchError> {
        let mut url = check(Url::parse(address).map_err(|_| FetchError::NotHttps)?)?;
        for _ in 0..=REDIRECTS_MAX {
            let response = self.client.get(url.clone()).send().await?;
            let status = response.status();
            if !status.is_redirection() {
                return if status.is_success() {
                    self.read(response).await
                } else {
                    Err(FetchError::Status(status.as_u16()))
                };
            }
            let to = response.headers().get(reqwest::header::LOCATION).and_then(|value| value.to_str().ok());
            let to = to.and_then(|to| url.join(to).ok()).ok_or(FetchError::Status(status.as_u16()))?;
            url = check(to)?;
        }
        Err(FetchError::Redirects)
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Bytes, FetchError> {
        let mut bytes = BytesMut::new();
        while let Some(piece) = response.chunk().await? {
            if bytes.len() + piece.len() > self.bytes_max {
                return Err(FetchError::TooLarge(self.bytes_max));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    }
}

/// What can be told without asking the network. (An IP literal never reaches the resolver.)
fn check(url: Url) -> Result<Url, FetchError> {
    if url.scheme() != "https" {
        return Err(FetchError::NotHttps);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(FetchError::Credentials);
    }
    let public = match url.host() {
        Some(Host::Ipv4(ip)) => is_public(ip.into()),
        Some(Host::Ipv6(ip)) => is_public(ip.into()),
        Some(Host::Domain(name)) => {
            !name.eq_ignore_ascii_case("localhost") && !name.to_ascii_lowercase().ends_with(".localhost")
        }
        None => false,
    };
    if public { Ok(url) } else { Err(FetchError::NotPublic) }
}

#[derive(Debug)]
struct PublicResolver;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(FetchError::NotPublic.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_public_https_addresses_are_asked() {
        let fetcher = Fetcher::new(Duration::from_secs(5), 1000).unwrap();
        for address in [
            "http://example.com/a.png",
            "file:///etc/passwd",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f000001/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://localhost/",
            "https://a.localhost/",
            "https://user:pass@example.com/",
            "not an address",
        ] {
            let error = fetcher.fetch(address).await.unwrap_err();
            assert!(
                matches!(error, FetchError::NotHttps | FetchError::NotPublic | FetchError::Credentials),
                "{address}: {error:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_name_that_points_inside_is_not_dialled() {
        let name: Name = "localhost".parse().unwrap();
        let error = PublicResolver.resolve(name).await.err().unwrap();
        assert_eq!(error.to_string(), FetchError::NotPublic.to_string());
    }
}

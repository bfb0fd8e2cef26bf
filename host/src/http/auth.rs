//! Keys: who may call the API, and what happens to those who guess.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use tokio::time::Instant;

use super::context::Peer;
use super::error::words;
use super::{ApiError, Edge};
use crate::config::ApiKeyEntry;

type Hash = [u8; 32];

/// Who is calling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The key's name in the configuration; `admin` for the admin key.
    pub name: String,
    /// Only the admin key opens the console.
    pub admin: bool,
}

/// Knows the keys by their SHA-256. (A slow hash would cost every request; keys are random and long.)
#[derive(Debug)]
pub struct Authenticator {
    keys: ArcSwap<Vec<(Hash, Caller)>>,
    failures: Failures,
}

impl Authenticator {
    pub fn new(admin_key: &str, api_keys: &[ApiKeyEntry]) -> Self {
        Self { keys: ArcSwap::from_pointee(known(admin_key, api_keys)), failures: Failures::default() }
    }

    /// Takes over other keys. Requests that have been let in stay.
    pub fn set_keys(&self, admin_key: &str, api_keys: &[ApiKeyEntry]) {
        self.keys.store(Arc::new(known(admin_key, api_keys)));
    }

    /// Compares with every key, in the same time wherever a difference is.
    fn check(&self, key: &str) -> Option<Caller> {
        let (given, keys) = (hash(key), self.keys.load());
        let mut found = 0u32;
        for (index, (stored, _)) in (1u32..).zip(keys.iter()) {
            let same: Choice = stored.ct_eq(&given);
            found.conditional_assign(&index, same);
        }
        let index = usize::try_from(found.checked_sub(1)?).ok()?;
        keys.get(index).map(|(_, caller)| caller.clone())
    }

    /// The caller by the request's headers. A wrong key is answered late, and later the more of them come.
    async fn authenticate(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<Caller, ApiError> {
        let mut given = given_keys(headers).peekable();
        if given.peek().is_none() {
            return Err(ApiError::new(StatusCode::UNAUTHORIZED, "missing_api_key", words::missing_api_key()));
        }
        if let Some(caller) = given.find_map(|key| self.check(key)) {
            return Ok(caller);
        }
        if let Some(peer) = peer {
            tokio::time::sleep_until(self.failures.next_slot(peer)).await;
        }
        Err(ApiError::new(StatusCode::UNAUTHORIZED, "invalid_api_key", words::invalid_api_key()))
    }
}

/// All keys by their hashes, with whose they are.
fn known(admin_key: &str, api_keys: &[ApiKeyEntry]) -> Vec<(Hash, Caller)> {
    let admin = (hash(admin_key), Caller { name: "admin".into(), admin: true });
    let others = api_keys.iter().map(|entry| {
        let stored = entry.key.strip_prefix("sha256:").and_then(from_hex).unwrap_or_else(|| hash(&entry.key));
        (stored, Caller { name: entry.name.clone(), admin: false })
    });
    std::iter::once(admin).chain(others).collect()
}

/// A Space's own gateway may use `Authorization` for itself, so a right key in either place counts.
fn given_keys(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(header::AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    });
    text("x-api-key").map(str::trim).into_iter().chain(bearer).filter(|key| !key.is_empty())
}

impl FromRequestParts<Arc<Edge>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, edge: &Arc<Edge>) -> Result<Self, ApiError> {
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0.ip());
        edge.auth.authenticate(&parts.headers, peer).await
    }
}

/// This many wrong keys are free: a typing mistake is no attack.
const FREE: u32 = 10;
/// From then on each address may be wrong this often.
const PACE: Duration = Duration::from_millis(10);
/// No answer waits longer.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// An address is forgotten after this long without a wrong key.
const FORGET: Duration = Duration::from_secs(600);
/// No more addresses are remembered.
const ADDRESSES_MAX: usize = 4096;

/// When each address may next be told that its key is wrong.
#[derive(Debug, Default)]
struct Failures {
    by_address: Mutex<HashMap<IpAddr, Record>>,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    count: u32,
    next: Instant,
}

impl Failures {
    fn next_slot(&self, peer: IpAddr) -> Instant {
        let now = Instant::now();
        let mut records = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() >= ADDRESSES_MAX {
            records.retain(|_, record| record.next + FORGET > now);
        }
        let network = network(peer);
        if records.len() >= ADDRESSES_MAX && !records.contains_key(&network) {
            // Somebody has very many addresses: all new ones wait the longest, and cost nothing.
            return now + WAIT_MAX;
        }
        let record = records.entry(network).or_insert(Record { count: 0, next: now });
        if record.next + FORGET < now {
            record.count = 0;
        }
        record.count = record.count.saturating_add(1);
        if record.count <= FREE {
            record.next = now;
        } else {
            record.next = (record.next.max(now) + PACE).min(now + WAIT_MAX);
        }
        record.next
    }
}

/// One subscriber has a whole /64 of IPv6.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

fn hash(key: &str) -> Hash {
    Sha256::digest(key.as_bytes()).into()
}

fn from_hex(text: &str) -> Option<Hash> {
    let digits: Option<Vec<u8>> =
        text.trim().chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let bytes: Vec<u8> =
        digits?.chunks_exact(2).map(|pair| pair.iter().fold(0, |sum, digit| sum << 4 | digit)).collect();
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn auth() -> Authenticator {
        let hashed: String = hash("hashed").iter().map(|byte| format!("{byte:02x}")).collect();
        let entry = |name: &str, key: &str| ApiKeyEntry { name: name.into(), key: key.into() };
        Authenticator::new("admin-key", &[entry("one", "plain"), entry("two", &format!("sha256:{hashed}"))])
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[tokio::test]
    async fn keys_are_taken_from_either_header() {
        let auth = auth();
        for (pairs, expected) in [
            (vec![("authorization", "Bearer admin-key")], Some(("admin", true))),
            (vec![("authorization", "bearer  plain ")], Some(("one", false))),
            (vec![("x-api-key", "hashed")], Some(("two", false))),
            (vec![("authorization", "Bearer the-gateway's"), ("x-api-key", "plain")], Some(("one", false))),
            (vec![("authorization", "Bearer plain"), ("x-api-key", "wrong")], Some(("one", false))),
            (vec![("authorization", "Basic plain")], None),
            (vec![("authorization", "plain")], None),
            (vec![("authorization", "Bearer ")], None),
            (vec![("x-api-key", "admin-ke")], None),
            (vec![], None),
        ] {
            let found = auth.authenticate(&headers(&pairs), None).await.ok();
            assert_eq!(found.as_ref().map(|c| (c.name.as_str(), c.admin)), expected, "{pairs:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_keys_are_slowed_right_ones_never() {
        let auth = auth();
        let peer = Some(IpAddr::from([192, 0, 2, 1]));
        let wrong = headers(&[("x-api-key", "no")]);
        let began = Instant::now();
        for _ in 0..FREE {
            auth.authenticate(&wrong, peer).await.unwrap_err();
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        for _ in 0..50 {
            auth.authenticate(&wrong, peer).await.unwrap_err();
        }
        assert!(began.elapsed() >= 50 * PACE);
        let before = Instant::now();
        auth.authenticate(&headers(&[("x-api-key", "plain")]), peer).await.unwrap();
        auth.authenticate(&wrong, Some(IpAddr::from([192, 0, 2, 2]))).await.unwrap_err();
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded() {
        let failures = Failures::default();
        for n in 0..10_000u32 {
            failures.next_slot(IpAddr::from(n.to_be_bytes()));
        }
        assert_eq!(failures.by_address.lock().unwrap().len(), ADDRESSES_MAX);
        tokio::time::advance(FORGET * 2).await;
        failures.next_slot(IpAddr::from([255, 1, 1, 1]));
        assert_eq!(failures.by_address.lock().unwrap().len(), 1);
    }
}

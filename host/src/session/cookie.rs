//! A cookie, with all that a browser needs to have it back as it was.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What browsers take, in bytes: a name with its value, and a domain or a path.
const MAX_PAIR: usize = 4096;
const MAX_ATTRIBUTE: usize = 1024;

/// A cookie. Its attributes have CDP's names and values.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cookie {
    pub name: String,
    pub value: String,
    /// With a dot before it: sent to all hosts below, too. Without: to this host alone.
    pub domain: String,
    pub path: String,
    /// In seconds since 1970. None: it ends with the browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<f64>,
    #[serde(default)]
    pub secure: bool,
    #[serde(default)]
    pub http_only: bool,
    /// `Strict`, `Lax` or `None`. Nothing: as the browser treats one without the attribute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_site: Option<String>,
    /// `Low`, `Medium` or `High`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// `Secure` or `NonSecure`: by what scheme it was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_scheme: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_port: Option<i64>,
    /// Whose jar of several it lies in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<PartitionKey>,
}

/// The top-level site under which a partitioned cookie was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionKey {
    pub top_level_site: String,
    #[serde(default)]
    pub has_cross_site_ancestor: bool,
}

/// By what a browser tells cookies apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CookieId {
    pub name: String,
    pub domain: String,
    pub path: String,
    pub partition: Option<String>,
}

impl Cookie {
    pub fn id(&self) -> CookieId {
        let partition = self.partition_key.as_ref();
        CookieId {
            name: self.name.clone(),
            domain: self.domain.clone(),
            path: self.path.clone(),
            partition: partition.map(|key| format!("{} {}", key.top_level_site, key.has_cross_site_ancestor)),
        }
    }

    /// The domain without the dot.
    pub fn host(&self) -> &str {
        self.domain.strip_prefix('.').unwrap_or(&self.domain)
    }

    /// Whether it goes to one host only.
    pub fn is_host_only(&self) -> bool {
        !self.domain.starts_with('.')
    }

    /// Whether it is over at this time, in seconds since 1970.
    pub fn is_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|at| at <= now as f64)
    }

    /// Where it was set, as far as can be told: what a browser is told so that it stays on one host.
    pub fn url(&self) -> String {
        let secure = self.secure && self.source_scheme.as_deref() != Some("NonSecure")
            || self.source_scheme.as_deref() == Some("Secure");
        format!("{}://{}/", if secure { "https" } else { "http" }, self.host())
    }

    /// A hash of all that may change while it stays the same cookie.
    pub(super) fn hash(&self) -> String {
        let expires = self.expires.map(f64::to_bits).unwrap_or_default();
        fingerprint(&[&self.value, &expires.to_string(), if self.secure { "s" } else { "" }])
    }

    /// What no browser would take, in words that tell no value; none if it is a cookie.
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let control = |text: &str| text.chars().any(|c| c.is_control());
        if self.name.is_empty() && self.value.is_empty() {
            return Some(("name", "it is empty, and so is the value"));
        }
        if control(&self.name) || self.name.contains(['=', ';']) {
            return Some(("name", "it has a control character, `=` or `;`"));
        }
        if control(&self.value) || self.value.contains(';') {
            return Some(("value", "it has a control character or `;`"));
        }
        if self.name.len() + self.value.len() > MAX_PAIR {
            return Some(("value", "name and value are longer than 4,096 bytes"));
        }
        let host = self.host();
        let odd = |c: char| c.is_whitespace() || c.is_control() || "/\\?#@:;,%".contains(c);
        if host.is_empty() || host.len() > MAX_ATTRIBUTE || host.contains(odd) || host.starts_with('.') {
            return Some(("domain", "it is not a host's name"));
        }
        if !self.path.starts_with('/') || self.path.len() > MAX_ATTRIBUTE || control(&self.path) {
            return Some(("path", "it does not begin with `/`, or is too long"));
        }
        None
    }
}

/// A short hash: for finding out whether something is what it was, not for keeping it from anybody.
pub(super) fn fingerprint(parts: &[&str]) -> String {
    use base64::Engine as _;
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let hash = hash.finalize();
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(hash.get(..12).unwrap_or_default())
}

/// All but the value.
impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cookie")
            .field("name", &self.name)
            .field("domain", &self.domain)
            .field("path", &self.path)
            .field("expires", &self.expires)
            .field("partition_key", &self.partition_key)
            .finish_non_exhaustive()
    }
}

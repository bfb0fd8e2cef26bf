//! The origins that a manifest may name: `https://host[:port]`, or `https://*.host` for all names below one that somebody
//! has registered; and `http://<id>.localhost` for the application of the adapter of that id, on the operator's own machine.

use std::fmt;

use url::{Host, Url};

use crate::net::{DEMO_HOST, is_label};

/// Why a text is not an origin that can be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    #[error("an origin begins with https://")]
    NotHttps,
    #[error("an origin is https://host, https://host:port or https://*.host, and nothing more")]
    Malformed,
    #[error("an origin names a host, not an address")]
    Address,
    #[error("an origin does not name this machine; an application on it is http://<the adapter's id>.localhost")]
    Local,
    #[error("a wildcard stands for names below a domain that somebody has registered, not below a public suffix")]
    PublicSuffix,
}

/// An origin, or all origins below a domain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: &'static str,
    /// Lower case, in ASCII.
    host: String,
    /// Whether any name below the host is meant, and not the host itself.
    below: bool,
    port: u16,
}

impl Origin {
    /// Reads an origin as manifests write it.
    ///
    /// # Errors
    /// See [`OriginError`].
    pub fn parse(text: &str) -> Result<Origin, OriginError> {
        let rest = text.strip_prefix("https://").ok_or(OriginError::NotHttps)?;
        let (below, rest) = rest.strip_prefix("*.").map_or((false, rest), |rest| (true, rest));
        // The URL parser forgives much: what it would read as another part, or drop, is refused before.
        let foreign = |c: char| c.is_whitespace() || c.is_control() || "/\\?#@*%".contains(c);
        if rest.is_empty() || rest.contains(foreign) {
            return Err(OriginError::Malformed);
        }
        let url = Url::parse(&format!("https://{rest}/")).map_err(|_| OriginError::Malformed)?;
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(OriginError::Malformed)?;
        let host = match url.host() {
            Some(Host::Domain(host)) => host.to_owned(),
            Some(_) => return Err(OriginError::Address),
            None => return Err(OriginError::Malformed),
        };
        check_name(&host)?;
        if below {
            if rest.contains(':') {
                return Err(OriginError::Malformed);
            }
            if psl::domain_str(&host).is_none() {
                return Err(OriginError::PublicSuffix);
            }
        }
        Ok(Origin { scheme: "https", host, below, port })
    }

    /// As [`Origin::parse`], but takes the one origin on the operator's own machine that this adapter may have, too:
    /// `http://<id>.localhost`. It leads nowhere unless the operator says where, by `browser.hosts`.
    ///
    /// # Errors
    /// See [`OriginError`].
    pub fn parse_for(text: &str, id: &str) -> Result<Origin, OriginError> {
        match local_name(text) {
            Some(name) if name == id => Ok(Origin::local(name)),
            Some(_) => Err(OriginError::Local),
            None => Origin::parse(text),
        }
    }

    /// An origin of a manifest that has been read: whose it is was looked at then.
    ///
    /// # Errors
    /// See [`OriginError`].
    pub fn parse_granted(text: &str) -> Result<Origin, OriginError> {
        local_name(text).map_or_else(|| Origin::parse(text), |name| Ok(Origin::local(name)))
    }

    fn local(name: &str) -> Origin {
        Origin { scheme: "http", host: format!("{name}.localhost"), below: false, port: 80 }
    }

    /// The origin of a site that the lab serves on this machine: http and any name below `demo.localhost`. No manifest can name
    /// one.
    ///
    /// # Errors
    /// See [`OriginError`].
    pub fn parse_lab(text: &str) -> Result<Origin, OriginError> {
        let host = text.strip_prefix("http://").ok_or(OriginError::Malformed)?;
        if !is_below(host, DEMO_HOST) || host.contains(['/', ':', '@', '?', '#']) {
            return Err(OriginError::Malformed);
        }
        Ok(Origin { scheme: "http", host: host.to_owned(), below: false, port: 80 })
    }

    /// Whether a URL lies on this origin, or on one of these.
    pub fn matches(&self, url: &Url) -> bool {
        url.scheme() == self.scheme
            && url.port_or_known_default() == Some(self.port)
            && matches!(url.host(), Some(Host::Domain(host)) if self.covers(host))
    }

    /// Whether some URL lies on both.
    pub fn overlaps(&self, other: &Origin) -> bool {
        let hosts = match (self.below, other.below) {
            (true, true) => {
                self.host == other.host || is_below(&self.host, &other.host) || is_below(&other.host, &self.host)
            }
            (true, false) => self.covers(&other.host),
            (false, _) => other.covers(&self.host),
        };
        hosts && self.scheme == other.scheme && self.port == other.port
    }

    /// Whether it stands for all hosts below one.
    pub fn is_wildcard(&self) -> bool {
        self.below
    }

    /// Whether a cookie of this domain (with a dot before it: of the hosts below, too) is sent to some URL here.
    pub fn receives(&self, domain: &str) -> bool {
        let (host, with_below) = domain.strip_prefix('.').map_or((domain, false), |host| (host, true));
        self.covers(host) || (with_below && (host == self.host || is_below(&self.host, host)))
    }

    /// Whether every URL on the other lies on this one, too.
    pub fn contains(&self, other: &Origin) -> bool {
        let host = match (self.below, other.below) {
            (true, true) => self.host == other.host || is_below(&other.host, &self.host),
            (false, true) => false,
            (_, false) => self.covers(&other.host),
        };
        host && self.scheme == other.scheme && self.port == other.port
    }

    fn covers(&self, host: &str) -> bool {
        if self.below { is_below(host, &self.host) } else { host == self.host }
    }

    /// An origin outside the grammar: tests serve plain HTTP under names of their own. Never for a manifest; what is no
    /// origin matches nothing.
    #[doc(hidden)]
    pub fn for_tests(text: &str) -> Origin {
        Origin::parse(text).unwrap_or_else(|_| {
            let url = Url::parse(text).ok();
            let host = url.as_ref().and_then(Url::host_str).unwrap_or_default().to_owned();
            let scheme = if url.as_ref().is_some_and(|url| url.scheme() == "http") { "http" } else { "https" };
            Origin { scheme, host, below: false, port: url.and_then(|url| url.port_or_known_default()).unwrap_or(0) }
        })
    }
}

/// The name in `http://<name>.localhost`, where it is one that can be mapped.
fn local_name(text: &str) -> Option<&str> {
    let name = text.strip_prefix("http://")?.strip_suffix(".localhost")?;
    is_label(name).then_some(name)
}

fn check_name(host: &str) -> Result<(), OriginError> {
    let labels_bad = host.split('.').any(str::is_empty) || host.len() > 253;
    if labels_bad {
        return Err(OriginError::Malformed);
    }
    if host == "localhost" || is_below(host, "localhost") {
        return Err(OriginError::Local);
    }
    Ok(())
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.')).is_some_and(|rest| !rest.is_empty())
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = if self.below { "*." } else { "" };
        write!(f, "{}://{below}{}", self.scheme, self.host)?;
        match (self.scheme, self.port) {
            ("https", 443) | ("http", 80) => Ok(()),
            (_, port) => write!(f, ":{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(origin: &str, url: &str) -> bool {
        Origin::for_tests(origin).matches(&Url::parse(url).unwrap())
    }

    #[test]
    fn what_is_refused() {
        use OriginError::*;
        for (text, error) in [
            ("*", NotHttps),
            ("http://a.example", NotHttps),
            ("http://demo.localhost", NotHttps),
            ("wss://a.example", NotHttps),
            ("https://", Malformed),
            ("https://*", Malformed),
            ("https://*.*.example", Malformed),
            ("https://a.*.example", Malformed),
            ("https://a.example/", Malformed),
            ("https://a.example/path", Malformed),
            ("https://a.example?q", Malformed),
            ("https://me@a.example", Malformed),
            ("https://me:pw@a.example", Malformed),
            ("https://a.example\\b", Malformed),
            ("https://a.example.", Malformed),
            ("https://a..example", Malformed),
            ("https://a.example:0", Malformed),
            ("https://a.example:99999", Malformed),
            ("https://*.a.example:8443", Malformed),
            ("https://a.example ", Malformed),
            ("https://127.0.0.1", Address),
            ("https://0x7f.1", Address),
            ("https://2130706433", Address),
            ("https://127.1:8443", Address),
            ("https://[::1]", Address),
            ("https://localhost", Local),
            ("https://LOCALHOST:8443", Local),
            ("https://demo.localhost", Local),
            ("https://*.localhost", Local),
            ("https://*.com", PublicSuffix),
            ("https://*.co.uk", PublicSuffix),
            ("https://*.github.io", PublicSuffix),
            ("https://*.hf.space", PublicSuffix),
        ] {
            assert_eq!(Origin::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn an_application_on_this_machine_belongs_to_one_adapter() {
        assert_eq!(Origin::parse_for("http://demo.localhost", "demo").unwrap().to_string(), "http://demo.localhost");
        assert_eq!(Origin::parse_for("https://a.example", "demo").unwrap().to_string(), "https://a.example");
        for (text, error) in [
            ("http://other.localhost", OriginError::Local),
            ("http://demo.localhost/", OriginError::NotHttps),
            ("http://demo.localhost:80", OriginError::NotHttps),
            ("http://a.demo.localhost", OriginError::NotHttps),
            ("http://DEMO.localhost", OriginError::NotHttps),
            ("http://.localhost", OriginError::NotHttps),
            ("http://localhost", OriginError::NotHttps),
            ("http://demo.example", OriginError::NotHttps),
            ("https://demo.localhost", OriginError::Local),
        ] {
            assert_eq!(Origin::parse_for(text, "demo"), Err(error), "{text}");
        }
        assert!(Origin::parse_granted("http://other.localhost").is_ok());
        assert!(Origin::parse_granted("http://a.other.localhost").is_err());
    }

    #[test]
    fn what_matches() {
        assert!(matches("https://a.example.com", "https://a.example.com/x?y"));
        assert!(matches("https://A.Example.com:443", "https://a.example.com/"));
        assert!(matches("https://a.example.com:8443", "https://a.example.com:8443/"));
        assert!(matches("https://*.example.com", "https://a.b.example.com/"));
        assert!(matches("https://*.mine.github.io", "https://a.mine.github.io/"));
        assert!(matches("http://demo.localhost", "http://demo.localhost/c/1"));
        for (origin, url) in [
            ("https://a.example.com", "http://a.example.com/"),
            ("https://a.example.com", "https://a.example.com:8443/"),
            ("https://a.example.com", "https://b.a.example.com/"),
            ("https://a.example.com", "https://a.example.com./"),
            ("https://a.example.com", "https://a.example.com@evil.com/"),
            ("https://*.example.com", "https://example.com/"),
            ("https://*.example.com", "https://evilexample.com/"),
            ("https://*.example.com", "https://a.example.com:8443/"),
            ("http://demo.localhost", "http://demo.localhost:8080/"),
            ("http://demo.localhost", "https://demo.localhost/"),
        ] {
            assert!(!matches(origin, url), "{origin} {url}");
        }
    }

    #[test]
    fn what_overlaps() {
        let overlap = |a, b| Origin::for_tests(a).overlaps(&Origin::for_tests(b));
        assert!(overlap("https://*.example.com", "https://a.example.com"));
        assert!(overlap("https://a.example.com", "https://*.example.com"));
        assert!(overlap("https://*.a.example.com", "https://*.example.com"));
        assert!(!overlap("https://*.example.com", "https://example.com"));
        assert!(!overlap("https://a.example.com", "https://a.example.com:444"));
    }

    #[test]
    fn which_cookies_it_receives() {
        let receives = |origin: &str, domain: &str| Origin::for_tests(origin).receives(domain);
        for domain in ["chat.example.com", ".chat.example.com", ".example.com"] {
            assert!(receives("https://chat.example.com", domain), "{domain}");
        }
        for domain in
            ["example.com", "a.chat.example.com", ".a.chat.example.com", "evilchat.example.com", ".other.com", ""]
        {
            assert!(!receives("https://chat.example.com", domain), "{domain}");
        }
        for domain in [".example.com", "a.example.com", ".a.b.example.com"] {
            assert!(receives("https://*.example.com", domain), "{domain}");
        }
        assert!(!receives("https://*.example.com", "example.com"));
    }

    #[test]
    fn what_contains() {
        let contains = |a, b| Origin::for_tests(a).contains(&Origin::for_tests(b));
        assert!(contains("https://*.example.com", "https://a.example.com"));
        assert!(contains("https://*.example.com", "https://*.a.example.com"));
        assert!(contains("https://*.example.com", "https://*.example.com"));
        assert!(!contains("https://a.example.com", "https://*.a.example.com"));
        assert!(!contains("https://*.a.example.com", "https://*.example.com"));
        assert!(!contains("https://*.example.com", "https://example.com"));
        assert!(!contains("https://a.example.com", "https://a.example.com:444"));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_is_taken_is_plain(text in "(https://)?[*.a-z0-9:/@\\[\\]%x-]{0,30}") {
            if let Ok(origin) = Origin::parse(&text) {
                let written = origin.to_string();
                prop_assert_eq!(Origin::parse(&written).unwrap(), origin.clone());
                let url = Url::parse(&written.replace("*.", "sub.")).unwrap();
                prop_assert!(origin.matches(&url));
                prop_assert!(url.path() == "/" && url.username().is_empty() && url.domain().is_some());
            }
        }

        #[test]
        fn a_wildcard_never_reaches_another_domain(host in "[a-z]{1,8}(\\.[a-z]{1,8}){1,3}") {
            if let Ok(origin) = Origin::parse("https://*.example.com") {
                let url = Url::parse(&format!("https://{host}/")).unwrap();
                prop_assert_eq!(origin.matches(&url), host.ends_with(".example.com"));
            }
        }
    }
}

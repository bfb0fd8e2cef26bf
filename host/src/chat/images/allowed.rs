//! Which addresses a picture may have.

use std::sync::Arc;

/// What can be said of an address, or of its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    Denied,
    /// More of it is needed.
    Open,
}

/// Signs of which everyone who reads an address has the same idea: none ends it, escapes anything, or means something in Markdown.
pub(super) fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/?#@&'+,;=%".contains(c)
}

/// Hosts of which pictures may be loaded.
#[derive(Debug, Clone, Default)]
pub struct Allowed(Arc<[Host]>);

#[derive(Debug)]
struct Host {
    scheme: String,
    /// With its port, if one is named.
    name: String,
    /// What lies below it is meant, and not the host itself.
    below: bool,
}

impl Allowed {
    /// From origins or URL patterns as manifests write them: `https://*.example.com`, `https://cdn.example.com/**`. What is no such
    /// thing allows nothing.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Self {
        let hosts = patterns.into_iter().filter_map(|pattern| {
            let (scheme, rest) = pattern.split_once("://")?;
            let host = rest.split('/').next()?.to_ascii_lowercase();
            let (below, name) = host.strip_prefix("*.").map_or((false, host.as_str()), |name| (true, name));
            let is_host = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-:".contains(c));
            is_host.then(|| Host { scheme: scheme.to_ascii_lowercase(), name: name.to_owned(), below })
        });
        Self(hosts.collect())
    }

    /// Judges an address, or as much of it as has come. More of it never changes what is not [`Verdict::Open`].
    pub fn verdict(&self, address: &str, is_whole: bool) -> Verdict {
        let scheme = address.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(address.len());
        let (scheme, rest) = address.split_at(scheme);
        match (scheme.to_ascii_lowercase().as_str(), rest.starts_with(':')) {
            ("data", true) => Verdict::Allowed,
            ("http" | "https", true) => self.host(&scheme.to_ascii_lowercase(), rest, is_whole),
            (_, true) => Verdict::Denied,
            // Without a scheme it is whoever shows the answer that is asked. Two slashes would begin a host, and so would their
            // entities.
            _ if address.contains("//") || !address.chars().all(|c| is_plain(c) && !matches!(c, ':' | '&')) => {
                Verdict::Denied
            }
            _ if is_whole => Verdict::Allowed,
            _ => Verdict::Open,
        }
    }

    fn host(&self, scheme: &str, rest: &str, is_whole: bool) -> Verdict {
        let Some(rest) = rest.strip_prefix("://") else {
            return if !is_whole && "://".starts_with(rest) { Verdict::Open } else { Verdict::Denied };
        };
        let end = rest.find(['/', '?', '#']);
        if end.is_none() && !is_whole {
            return Verdict::Open;
        }
        let host = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default().to_ascii_lowercase();
        let matches = |allowed: &Host| {
            let name = match allowed.below {
                true => host.strip_suffix(allowed.name.as_str()).is_some_and(|sub| sub.len() > 1 && sub.ends_with('.')),
                false => host == allowed.name,
            };
            name && allowed.scheme == scheme
        };
        // A name in front of an `@` is no host.
        let is_host = host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:".contains(c));
        if is_host && self.0.iter().any(matches) { Verdict::Allowed } else { Verdict::Denied }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn allowed() -> Allowed {
        Allowed::new([
            "https://chat.example.com",
            "https://*.cdn.example/**",
            "http://demo.localhost",
            "x",
            "https://**",
        ])
    }

    #[test]
    fn declared_hosts_data_and_addresses_without_a_host() {
        use Verdict::{Allowed as Yes, Denied as No, Open};
        for (address, whole, parts) in [
            ("https://chat.example.com/a.png?q=1", Yes, Yes),
            ("HTTPS://Chat.Example.com", Yes, Open),
            ("https://chat.example.com#a", Yes, Yes),
            ("https://a.b.cdn.example/x", Yes, Yes),
            ("http://demo.localhost/x", Yes, Yes),
            ("data:image/png;base64,AAAA", Yes, Yes),
            ("/media/a.png", Yes, Open),
            ("a.png", Yes, Open),
            ("", Yes, Open),
            ("https://cdn.example/x", No, No),
            ("https://.cdn.example/x", No, No),
            ("https://evilcdn.example/x", No, No),
            ("http://chat.example.com/x", No, No),
            ("https://chat.example.com.evil.example/x", No, No),
            ("https://chat.example.com@evil.example/x", No, No),
            ("https://chat.example.com:8443/x", No, No),
            ("https:/chat.example.com/x", No, No),
            ("https:chat.example.com/x", No, No),
            ("https://chat.example.com\\.evil.example/", No, No),
            ("https://chat.example.com&#46;evil.example/", No, No),
            ("//evil.example/x", No, No),
            ("/\\evil.example/x", No, No),
            ("javascript:alert", No, No),
            ("ftp://chat.example.com/", No, No),
            ("ht\ttps://evil.example/", No, No),
            ("&#104;ttps://evil.example/", No, No),
            ("é.png", No, No),
        ] {
            assert_eq!(
                (allowed().verdict(address, true), allowed().verdict(address, false)),
                (whole, parts),
                "{address}"
            );
        }
    }

    proptest! {
        /// However much of an address has come, what was said of it stands.
        #[test]
        fn more_of_it_changes_nothing(
            address in "(https?://|HTTPS:/|data:|//|/|)(chat\\.example\\.com|a\\.cdn\\.example|evil\\.example|)[/?#:@.a&;\\\\]{0,4}"
        ) {
            let whole = allowed().verdict(&address, true);
            for end in 0..=address.len() {
                let early = allowed().verdict(&address[..end], false);
                prop_assert!(early == Verdict::Open || early == whole, "{} of {}", &address[..end], address);
            }
        }
    }
}

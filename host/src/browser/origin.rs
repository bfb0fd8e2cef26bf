//! Stand-in until the real one (manifest grammar, public suffix list) is merged.

use url::Url;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    pub fn for_tests(origin: &str) -> Self {
        Self(origin.to_owned())
    }

    pub fn parse(origin: &str) -> Result<Self, String> {
        if origin.starts_with("https://") { Ok(Self(origin.to_owned())) } else { Err("must be https".into()) }
    }

    pub fn parse_with_demo(origin: &str) -> Result<Self, String> {
        if origin == "http://demo.localhost" { Ok(Self(origin.to_owned())) } else { Self::parse(origin) }
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    pub fn matches(&self, url: &Url) -> bool {
        match self.0.split_once("://*.") {
            Some((scheme, host)) => {
                url.scheme() == scheme
                    && url.port().is_none()
                    && url.host_str().is_some_and(|h| h.ends_with(&format!(".{host}")))
            }
            None => url.origin().ascii_serialization() == self.0,
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

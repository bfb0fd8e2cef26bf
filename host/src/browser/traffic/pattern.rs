//! URL patterns: `*` stands for any characters but `/` and `?`, `**` for any characters. A pattern without a query matches
//! any query; fragments never count.

/// The longest pattern that is taken, in bytes.
const MAX_LENGTH: usize = 2048;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Byte(u8),
    Star,
    Deep,
}

impl Part {
    /// Whether a wildcard covers one more of `other`; a byte never does.
    fn covers(self, other: Self) -> bool {
        match self {
            Self::Byte(_) => false,
            Self::Star => !matches!(other, Self::Byte(b'/' | b'?') | Self::Deep),
            Self::Deep => true,
        }
    }
}

/// A compiled URL pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlPattern {
    text: String,
    address: Vec<Part>,
    query: Option<Vec<Part>>,
}

impl UrlPattern {
    /// None where the text cannot match any URL of the web.
    pub fn parse(text: &str) -> Option<Self> {
        let known = ["https://", "http://", "wss://", "ws://"].iter().any(|scheme| text.starts_with(scheme));
        if !known || text.len() > MAX_LENGTH || text.contains('#') {
            return None;
        }
        let (address, query) = match text.split_once('?') {
            Some((address, query)) => (address, Some(query)),
            None => (text, None),
        };
        Some(Self { text: text.to_owned(), address: compile(address), query: query.map(compile) })
    }

    pub fn matches(&self, url: &str) -> bool {
        let url = url.split('#').next().unwrap_or_default();
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let literal = |text: &str| text.bytes().map(Part::Byte).collect::<Vec<_>>();
        // A trailing `**` swallows a query too, since a pattern without one matches any.
        within(&self.address, &literal(address))
            && self.query.as_ref().is_none_or(|pattern| within(pattern, &literal(query)))
    }

    /// A pattern for Chromium's `Fetch` that matches all that this one does, and perhaps more: `*` stands for any characters
    /// there.
    pub(in crate::browser) fn for_fetch(&self) -> String {
        let part = |part: &Part| match part {
            Part::Byte(byte @ (b'?' | b'\\' | b'*')) => format!("\\{}", char::from(*byte)),
            Part::Byte(byte) if byte.is_ascii() => char::from(*byte).to_string(),
            Part::Byte(_) | Part::Star | Part::Deep => "*".into(),
        };
        self.address.iter().map(part).chain(["*".into()]).collect()
    }

    /// Whether all that `narrow` matches is surely matched by this pattern too.
    pub fn contains(&self, narrow: &Self) -> bool {
        let query = match (&self.query, &narrow.query) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wide), Some(narrow)) => within(wide, narrow),
        };
        query && within(&self.address, &narrow.address)
    }
}

impl std::fmt::Display for UrlPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

fn compile(text: &str) -> Vec<Part> {
    let mut parts = Vec::with_capacity(text.len());
    let mut stars = 0;
    for byte in text.bytes() {
        match (byte, parts.last_mut()) {
            (b'*', Some(last @ Part::Star)) if stars > 0 => *last = Part::Deep,
            (b'*', Some(Part::Deep)) => {}
            (b'*', _) => parts.push(Part::Star),
            _ => parts.push(Part::Byte(byte)),
        }
        stars = if byte == b'*' { stars + 1 } else { 0 };
    }
    parts
}

/// Whether `pattern` covers all of `text`: every position of the pattern that can be reached is followed at once, so that no
/// pattern costs more than the product of both lengths.
fn within(pattern: &[Part], text: &[Part]) -> bool {
    let mut reached = vec![false; pattern.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    skip_wildcards(pattern, &mut reached);
    for &part in text {
        let mut next = vec![false; pattern.len() + 1];
        let mut alive = false;
        for (i, &own) in pattern.iter().enumerate() {
            if !reached.get(i).copied().unwrap_or_default() {
                continue;
            }
            let to = if own.covers(part) {
                i
            } else if own == part {
                i + 1
            } else {
                continue;
            };
            if let Some(place) = next.get_mut(to) {
                *place = true;
                alive = true;
            }
        }
        if !alive {
            return false;
        }
        skip_wildcards(pattern, &mut next);
        reached = next;
    }
    reached.last().copied().unwrap_or_default()
}

/// A wildcard may also cover nothing.
fn skip_wildcards(pattern: &[Part], reached: &mut [bool]) {
    for (i, part) in pattern.iter().enumerate() {
        if !matches!(part, Part::Byte(_))
            && reached.get(i).copied().unwrap_or_default()
            && let Some(after) = reached.get_mut(i + 1)
        {
            *after = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> UrlPattern {
        UrlPattern::parse(text).unwrap()
    }

    #[test]
    fn matches_as_documented() {
        for (text, url, expected) in [
            ("https://a.test/api/chat", "https://a.test/api/chat", true),
            ("https://a.test/api/chat", "https://a.test/api/chat?x=1#y", true),
            ("https://a.test/api/chat", "https://a.test/api/chat/", false),
            ("https://a.test/api/*", "https://a.test/api/chat", true),
            ("https://a.test/api/*", "https://a.test/api/chat/1", false),
            ("https://a.test/api/*", "https://a.test/api/", true),
            ("https://a.test/*/chat", "https://a.test/v1/chat", true),
            ("https://a.test/**", "https://a.test/v1/chat?q=/x", true),
            ("https://a.test/**", "https://a.test.evil/v1", false),
            ("https://a.test/x?op=go&*", "https://a.test/x?op=go&n=1", true),
            ("https://a.test/x?op=go&*", "https://a.test/x?op=stop&n=1", false),
            ("wss://a.test/ws", "wss://a.test/ws", true),
            ("https://a.test/**", "http://a.test/x", false),
        ] {
            assert_eq!(pattern(text).matches(url), expected, "{text} and {url}");
        }
    }

    #[test]
    fn refuses_what_is_no_web_address() {
        for text in ["", "*", "**", "file:///etc/passwd", "data:x", "https://a.test/#x"] {
            assert!(UrlPattern::parse(text).is_none(), "{text}");
        }
        assert!(UrlPattern::parse(&format!("https://{}", "a".repeat(MAX_LENGTH))).is_none());
    }

    #[test]
    fn knows_what_lies_within() {
        for (wide, narrow, expected) in [
            ("https://a.test/api/**", "https://a.test/api/chat", true),
            ("https://a.test/api/**", "https://a.test/api/*/chat", true),
            ("https://a.test/api/**", "https://a.test/**", false),
            ("https://a.test/api/*", "https://a.test/api/**", false),
            ("https://a.test/api/*", "https://a.test/api/*", true),
            ("https://a.test/api/*", "https://a.test/api/x?y=1", true),
            ("https://a.test/api/*?y=1", "https://a.test/api/x", false),
            ("https://a.test/api/**", "https://b.test/api/x", false),
        ] {
            assert_eq!(pattern(wide).contains(&pattern(narrow)), expected, "{wide} around {narrow}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*", url in ".*") {
            if let Some(pattern) = UrlPattern::parse(&format!("https://{text}")) {
                pattern.matches(&url);
                prop_assert!(pattern.contains(&pattern));
            }
        }

        #[test]
        fn what_lies_within_matches_no_more(
            wide in "https://a/[ab*/?]{0,6}", narrow in "https://a/[ab*/?]{0,6}", url in "https://a/[ab/?]{0,6}",
        ) {
            let (wide, narrow) = (pattern(&wide), pattern(&narrow));
            if wide.contains(&narrow) && narrow.matches(&url) {
                prop_assert!(wide.matches(&url));
            }
        }
    }
}

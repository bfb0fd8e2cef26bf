//! What may be told of an address that a guest named. It goes into the log, into files and to clients, and the guest may have written
//! into it what it read in somebody's account.

/// Enough to see what was tried.
const MAX: usize = 120;

/// Scheme, host and path, cut off where they are long: no query, no fragment, and no name or password before the host. URL patterns are
/// treated alike.
pub(super) fn telling(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        // Of `data:` and the like the rest is content.
        let scheme = address.split_once(':').map(|(scheme, _)| scheme);
        return scheme.map_or_else(|| "no address".to_owned(), |scheme| shortened(&format!("{scheme}:")));
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find(['/', '\\']).unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    shortened(&format!("{scheme}://{host}{path}"))
}

fn shortened(text: &str) -> String {
    let mut chars = text.chars().filter(|c| !c.is_control());
    let short: String = chars.by_ref().take(MAX).collect();
    if chars.next().is_some() { short + "..." } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_not_told() {
        for (address, told) in [
            ("https://a.example.com/chat?token=secret#secret", "https://a.example.com/chat"),
            ("https://a.example.com?secret", "https://a.example.com"),
            ("https://user:secret@a.example.com:8443/x", "https://a.example.com:8443/x"),
            ("https://secret@secret@a.example.com", "https://a.example.com"),
            ("https://*.example.com/api/**?secret=*", "https://*.example.com/api/**"),
            ("data:text/html,secret", "data:"),
            ("javascript:secret", "javascript:"),
            ("secret", "no address"),
            ("https://a.example.com/line\nof a log", "https://a.example.com/lineof a log"),
        ] {
            assert_eq!(telling(address), told);
        }
        let long = telling(&format!("https://a.example.com/{}", "x".repeat(1000)));
        assert!(long.len() == MAX + 3 && long.ends_with("..."), "{long}");
    }
}

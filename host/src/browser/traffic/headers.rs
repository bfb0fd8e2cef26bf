//! The headers that an adapter may see.

use serde_json::Value;

/// An answer's headers with lower-case names. Cookies and credentials are left out: an adapter acts as the operator through
/// the page alone, and what it is never told it cannot leak.
pub(super) fn clean(headers: &Value) -> Vec<(String, String)> {
    let Some(fields) = headers.as_object() else { return Vec::new() };
    let mut cleaned = Vec::new();
    for (name, value) in fields {
        let name = name.trim().to_ascii_lowercase();
        if is_secret(&name) {
            continue;
        }
        // Chromium joins a header's repetitions by line feeds.
        for line in value.as_str().unwrap_or_default().split('\n') {
            cleaned.push((name.clone(), line.trim().to_owned()));
        }
    }
    cleaned
}

fn is_secret(name: &str) -> bool {
    matches!(name, "cookie" | "cookie2" | "set-cookie" | "set-cookie2" | "authorization" | "www-authenticate")
        || ["x-csrf", "x-xsrf", "proxy-"].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn leaves_credentials_out() {
        let cleaned = clean(&json!({
            "Content-Type": "text/plain", "Set-Cookie": "a=b", "cookie": "a", "Authorization": "Bearer x",
            "X-CSRF-Token": "t", "x-csrftoken": "t", "Proxy-Authenticate": "b", " Set-Cookie": "c",
            "Via": "one\ntwo", "Odd": 3,
        }));
        let names: Vec<_> = cleaned.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(names, ["content-type=text/plain", "odd=", "via=one", "via=two"]);
    }

    #[test]
    fn survives_what_is_no_map() {
        for value in [json!(null), json!([1]), json!("a: b")] {
            assert!(clean(&value).is_empty());
        }
    }
}

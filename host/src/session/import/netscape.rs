//! cookies.txt: a cookie a line, seven fields with tabs between.
//!
//! ```text
//! domain  subdomains  path  secure  expiry  name  value
//! ```
//!
//! `#HttpOnly_` before the domain marks what scripts cannot read; any other `#` begins a comment. Expiry is in seconds since
//! 1970, 0 for a cookie that ends with the browser. Where tabs became spaces on the way (a paste), runs of spaces part the fields.

use super::{Cookie, ImportError, Session, add, show, unique};

/// A longer text in the place of a flag or a number may be a secret that slipped.
const SHORT: usize = 12;

const FIELDS: [&str; 7] = ["domain", "subdomains", "path", "secure", "expiry", "name", "value"];

pub(super) fn parse(text: &str) -> Result<Session, ImportError> {
    let mut cookies = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (line, http_only) = line.strip_prefix("#HttpOnly_").map_or((line, false), |line| (line, true));
        if line.trim().is_empty() || (line.starts_with('#') && !http_only) {
            continue;
        }
        let cookie = cookie(line, number, http_only)?;
        add(&mut cookies, cookie, format_args!("line {number}"))?;
    }
    Ok(Session { cookies: unique(cookies), ..Session::default() })
}

fn cookie(line: &str, number: usize, http_only: bool) -> Result<Cookie, ImportError> {
    let fields = fields(line);
    let [domain, subdomains, path, secure, expiry, name, ref value @ ..] = *fields else {
        let what = format!(
            "a cookie has 7 fields with tabs between ({}), found {}: this is no cookies.txt, or the line is cut off",
            FIELDS.join(", "),
            fields.len()
        );
        return Err(ImportError::new(format!("line {number}"), what));
    };
    let field = |at: usize, what: String| {
        let name = FIELDS.get(at - 1).copied().unwrap_or_default();
        ImportError::new(format!("line {number}, field {at} ({name})"), what)
    };
    let flag = |at: usize, text: &str| match text.to_ascii_uppercase().as_str() {
        "TRUE" => Ok(true),
        "FALSE" => Ok(false),
        _ => Err(field(at, format!("expected TRUE or FALSE, found {}", brief(text)))),
    };
    let subdomains = flag(2, subdomains)?;
    let secure = flag(4, secure)?;
    let expires = match expiry.parse::<f64>() {
        Ok(seconds) if seconds == 0.0 || seconds == -1.0 => None,
        Ok(seconds) if seconds.is_finite() => Some(seconds),
        _ => return Err(field(5, format!("expected seconds since 1970, or 0, found {}", brief(expiry)))),
    };
    let host = domain.trim_start_matches('.').to_ascii_lowercase();
    // Tools differ in whether the dot or the second field says it; either is meant.
    let below = subdomains || domain.starts_with('.');
    Ok(Cookie {
        name: name.to_owned(),
        value: value.first().copied().unwrap_or_default().to_owned(),
        domain: if below { format!(".{host}") } else { host },
        path: path.to_owned(),
        expires,
        secure,
        http_only,
        same_site: None,
        priority: None,
        source_scheme: Some(if secure { "Secure" } else { "NonSecure" }.to_owned()).filter(|_| secure),
        source_port: None,
        partition_key: None,
    })
}

fn brief(text: &str) -> String {
    if text.chars().count() > SHORT { format!("a text of {} characters", text.chars().count()) } else { show(text) }
}

/// The fields of a line. A value may hold what parts fields.
fn fields(line: &str) -> Vec<&str> {
    let by_tabs: Vec<&str> = line.splitn(7, '\t').collect();
    if by_tabs.len() >= 6 {
        return by_tabs.into_iter().map(|field| field.trim_matches(' ')).collect();
    }
    let mut rest = line.trim();
    let mut fields = Vec::new();
    while fields.len() < 6 && !rest.is_empty() {
        let (field, after) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        fields.push(field);
        rest = after.trim_start();
    }
    if !rest.is_empty() {
        fields.push(rest);
    }
    fields
}

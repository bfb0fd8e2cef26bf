//! Looking into a request's body: fields of forms, JSON in JSON, envelopes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use url::form_urlencoded;

/// One step into a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Form(String),
    Json(String),
    Query(String),
    Connect,
    Base64,
}

impl Step {
    /// A JSON Pointer by itself is short for `json:` with it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text.split_once(':') {
            Some(("form", name)) => Self::Form(name.to_owned()),
            Some(("json", pointer)) if pointer.is_empty() || pointer.starts_with('/') => Self::Json(pointer.to_owned()),
            Some(("query", name)) => Self::Query(name.to_owned()),
            _ if text.starts_with('/') => Self::Json(text.to_owned()),
            _ if text == "connect" => Self::Connect,
            _ if text == "base64" => Self::Base64,
            _ => return None,
        })
    }
}

/// What the steps lead to; none where they lead nowhere.
pub(super) fn dig(steps: &[Step], url: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut current = body.to_vec();
    for step in steps {
        current = match step {
            Step::Form(name) => field(&current, name)?,
            Step::Query(name) => field(url.split_once('?')?.1.as_bytes(), name)?,
            Step::Json(pointer) => match serde_json::from_slice::<Value>(&current).ok()?.pointer(pointer)? {
                Value::String(text) => text.clone().into_bytes(),
                other => other.to_string().into_bytes(),
            },
            Step::Connect => envelope(&current)?.to_vec(),
            Step::Base64 => STANDARD.decode(&current).ok()?,
        };
    }
    Some(current)
}

fn field(form: &[u8], name: &str) -> Option<Vec<u8>> {
    form_urlencoded::parse(form).find(|(key, _)| key == name).map(|(_, value)| value.into_owned().into_bytes())
}

/// The first message of a Connect stream: a flag byte, four bytes of length, the message.
fn envelope(bytes: &[u8]) -> Option<&[u8]> {
    let length = u32::from_be_bytes(bytes.get(1..5)?.try_into().ok()?);
    bytes.get(5..5 + usize::try_from(length).ok()?)
}

/// Whether a body that is JSON has all these values.
pub(super) fn has_values<'a>(body: &[u8], wanted: impl IntoIterator<Item = (&'a String, &'a Value)>) -> bool {
    let mut wanted = wanted.into_iter().peekable();
    if wanted.peek().is_none() {
        return true;
    }
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
    wanted.all(|(pointer, value)| body.pointer(pointer) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dug(steps: &[&str], url: &str, body: &[u8]) -> Option<String> {
        let steps: Vec<Step> = steps.iter().map(|step| Step::parse(step).unwrap()).collect();
        dig(&steps, url, body).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn every_way_in() {
        assert_eq!(dug(&["/a/0"], "", br#"{"a":["x"]}"#).as_deref(), Some("x"));
        assert_eq!(dug(&["json:"], "", br#""x""#).as_deref(), Some("x"));
        let form = br#"a=1&f.req=%5Bnull%2C%22%5B%5B%5C%22hi%5C%22%5D%5D%22%5D"#;
        assert_eq!(dug(&["form:f.req", "json:/1", "json:/0/0"], "", form).as_deref(), Some("hi"));
        assert_eq!(dug(&["connect", "/m"], "", b"\0\0\0\0\x09{\"m\":\"k\"}").as_deref(), Some("k"));
        assert_eq!(dug(&["query:q"], "https://a/?q=b%20c", b"").as_deref(), Some("b c"));
        assert_eq!(dug(&["base64"], "", b"aGk=").as_deref(), Some("hi"));
        assert_eq!(dug(&[], "", b"whole").as_deref(), Some("whole"));
    }

    #[test]
    fn ways_that_lead_nowhere() {
        assert_eq!(dug(&["/b"], "", br#"{"a":1}"#), None);
        assert_eq!(dug(&["connect"], "", b"\0\0\0\0\x09{}"), None);
        assert_eq!(dug(&["query:q"], "https://a/", b""), None);
        assert!(Step::parse("jsn:/a").is_none() && Step::parse("json:a").is_none());
    }
}

//! The JSON of browser extensions (EditThisCookie, Cookie-Editor), of Playwright's storage state, and of DevTools' protocol.
//!
//! They agree in `name`, `value`, `domain` and `path`, and differ in how they say the rest; each way is understood.

use serde_json::{Map, Value};

use super::{Cookie, Format, Found, ImportError, Session, add, show, unique};
use crate::session::{PartitionKey, Storage};

type Object = Map<String, Value>;

pub(super) fn parse(text: &str) -> Result<Found, ImportError> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        // Its own words may quote the text.
        let what = if error.is_eof() { "the JSON ends early" } else { "this is not JSON" };
        ImportError::new(place, format!("{what}: export again, and save all of it"))
    })?;
    match value {
        Value::Array(items) => {
            let session = Session { cookies: cookies("", &items)?, ..Session::default() };
            Ok(Found { format: Format::Extension, session })
        }
        Value::Object(mut object) => {
            let known = ["cookies", "origins"].iter().any(|name| object.contains_key(*name));
            if !known {
                let what =
                    "expected an array of cookies, or an object with `cookies`: export from a cookie extension as JSON";
                return Err(ImportError::new("the file", what));
            }
            let cookies = match object.remove("cookies") {
                None | Some(Value::Null) => Vec::new(),
                Some(Value::Array(items)) => cookies("cookies", &items)?,
                Some(other) => return Err(expected("cookies", "an array of cookies", &other)),
            };
            let storage = match object.remove("origins") {
                None | Some(Value::Null) => Storage::new(),
                Some(Value::Array(items)) => origins(&items)?,
                Some(other) => return Err(expected("origins", "an array of origins", &other)),
            };
            Ok(Found { format: Format::StorageState, session: Session { cookies, storage } })
        }
        other => Err(expected("the file", "an array of cookies", &other)),
    }
}

fn cookies(within: &str, items: &[Value]) -> Result<Vec<Cookie>, ImportError> {
    let mut cookies = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let place = format!("{within}[{index}]");
        let Value::Object(object) = item else { return Err(expected(&place, "a cookie", item)) };
        let cookie = Reader { object, place: &place }.cookie()?;
        add(&mut cookies, cookie, &place)?;
    }
    Ok(unique(cookies))
}

fn origins(items: &[Value]) -> Result<Storage, ImportError> {
    let mut storage = Storage::new();
    for (index, item) in items.iter().enumerate() {
        let place = format!("origins[{index}]");
        let Value::Object(object) = item else { return Err(expected(&place, "an origin", item)) };
        let reader = Reader { object, place: &place };
        let origin = reader.text("origin")?;
        let parsed = url::Url::parse(&origin).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(parsed) = parsed else {
            let what = format!("expected an origin such as https://a.example, found {}", show(&origin));
            return Err(ImportError::new(format!("{place}.origin"), what));
        };
        let entries = storage.entry(parsed.origin().ascii_serialization()).or_default();
        let items = match object.get("localStorage") {
            None | Some(Value::Null) => continue,
            Some(Value::Array(items)) => items,
            Some(other) => return Err(expected(&format!("{place}.localStorage"), "an array of entries", other)),
        };
        for (index, item) in items.iter().enumerate() {
            let place = format!("{place}.localStorage[{index}]");
            let Value::Object(object) = item else {
                return Err(expected(&place, "an entry with name and value", item));
            };
            let reader = Reader { object, place: &place };
            entries.insert(reader.text("name")?, reader.text("value")?);
        }
    }
    Ok(storage)
}

/// One object of the file.
struct Reader<'a> {
    object: &'a Object,
    place: &'a str,
}

impl Reader<'_> {
    fn cookie(&self) -> Result<Cookie, ImportError> {
        let domain = self.text("domain")?.to_ascii_lowercase();
        let host = domain.trim_start_matches('.');
        // Where it says both, `hostOnly` is the browser's word, and the dot a tool's.
        let host_only = self.flag("hostOnly")?.unwrap_or(!domain.starts_with('.'));
        let secure = self.flag("secure")?.unwrap_or(false);
        Ok(Cookie {
            name: self.text("name")?,
            value: self.text("value")?,
            domain: if host_only { host.to_owned() } else { format!(".{host}") },
            path: self.optional_text("path")?.unwrap_or_else(|| "/".to_owned()),
            expires: self.expires()?,
            secure,
            http_only: self.flag("httpOnly")?.unwrap_or(false),
            same_site: self.same_site()?,
            priority: self.choice("priority", &["Low", "Medium", "High"])?,
            source_scheme: self
                .choice("sourceScheme", &["Secure", "NonSecure"])?
                .or(secure.then(|| "Secure".to_owned())),
            source_port: None,
            partition_key: self.partition_key()?,
        })
    }

    /// `expirationDate` (extensions), `expires` (Playwright, DevTools), in seconds since 1970; none, 0 and -1 end with the browser.
    fn expires(&self) -> Result<Option<f64>, ImportError> {
        if self.flag("session")? == Some(true) {
            return Ok(None);
        }
        for name in ["expirationDate", "expires"] {
            let seconds = match self.object.get(name) {
                None | Some(Value::Null) => continue,
                Some(Value::Number(number)) => number.as_f64(),
                Some(Value::String(text)) if text.is_empty() || text.eq_ignore_ascii_case("session") => {
                    return Ok(None);
                }
                Some(Value::String(text)) => text.parse().ok(),
                Some(_) => None,
            };
            return match seconds {
                Some(seconds) if seconds <= 0.0 => Ok(None),
                Some(seconds) if seconds.is_finite() => Ok(Some(seconds)),
                _ => {
                    let found = self.object.get(name).map(describe).unwrap_or_default();
                    let what = format!("expected seconds since 1970, found {found}: export as JSON, not as a table");
                    Err(self.wrong(name, what))
                }
            };
        }
        Ok(None)
    }

    fn same_site(&self) -> Result<Option<String>, ImportError> {
        let Some(text) = self.optional_text("sameSite")? else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "strict" => Ok(Some("Strict".into())),
            "lax" => Ok(Some("Lax".into())),
            "none" | "no_restriction" => Ok(Some("None".into())),
            "" | "unspecified" => Ok(None),
            _ => Err(self.wrong("sameSite", format!("expected Strict, Lax or None, found {}", show(&text)))),
        }
    }

    /// `partitionKey` as an object (DevTools, extensions' `topLevelSite`), or a text (an older DevTools, Playwright).
    fn partition_key(&self) -> Result<Option<PartitionKey>, ImportError> {
        match self.object.get("partitionKey") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(site)) if site.is_empty() => Ok(None),
            Some(Value::String(site)) => {
                Ok(Some(PartitionKey { top_level_site: site.clone(), has_cross_site_ancestor: false }))
            }
            Some(Value::Object(object)) => {
                let place = format!("{}.partitionKey", self.place);
                let reader = Reader { object, place: &place };
                let Some(site) = reader.optional_text("topLevelSite")? else { return Ok(None) };
                let has_cross_site_ancestor = reader.flag("hasCrossSiteAncestor")?.unwrap_or(false);
                Ok(Some(PartitionKey { top_level_site: site, has_cross_site_ancestor }))
            }
            Some(other) => Err(self.wrong("partitionKey", format!("expected an object, found {}", describe(other)))),
        }
    }

    /// One of these words, or nothing where it is another.
    fn choice(&self, name: &str, all: &[&str]) -> Result<Option<String>, ImportError> {
        let text = self.optional_text(name)?.unwrap_or_default();
        Ok(all.iter().find(|choice| choice.eq_ignore_ascii_case(&text)).map(|choice| (*choice).to_owned()))
    }

    fn text(&self, name: &str) -> Result<String, ImportError> {
        self.optional_text(name)?.ok_or_else(|| self.wrong(name, "it is missing: export with all fields".into()))
    }

    fn optional_text(&self, name: &str) -> Result<Option<String>, ImportError> {
        match self.object.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.wrong(name, format!("expected a text, found {}", describe(other)))),
        }
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, ImportError> {
        match self.object.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.wrong(name, format!("expected true or false, found {}", describe(other)))),
        }
    }

    fn wrong(&self, name: &str, what: String) -> ImportError {
        ImportError::new(format!("{}.{name}", self.place), what)
    }
}

fn expected(place: &str, what: &str, found: &Value) -> ImportError {
    ImportError::new(place, format!("expected {what}, found {}", describe(found)))
}

/// What something is, but not what it says: it may be a secret in the wrong place.
fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("a text of {} characters", text.chars().count()),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(_) => "an object".into(),
    }
}

//! What other tools export: cookies.txt, the browser extensions' JSON, Playwright's storage state, what DevTools shows.
//!
//! One parser for all. It finds out by itself which of them it has, and an error names the line or the field, what stands there
//! and the cure; never a cookie's value.

mod json;
mod netscape;

use std::fmt;

use super::{Cookie, Session};

/// The largest file, in bytes.
pub const MAX_SIZE: usize = 64 << 20;
/// More cookies than any browser holds.
const MAX_COOKIES: usize = 20_000;
/// What is shown of something wrong.
const SHOWN: usize = 60;

/// Which tool's form a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// cookies.txt, as Netscape wrote it.
    Netscape,
    /// An array of cookies, as extensions such as Cookie-Editor export it, or DevTools.
    Extension,
    /// An object with `cookies` and maybe `origins`, as Playwright keeps it.
    StorageState,
}

/// What a file holds.
#[derive(Debug, PartialEq)]
pub struct Found {
    pub format: Format,
    pub session: Session,
}

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct ImportError {
    /// Such as `line 7, field 5 (expiry)` or `[3].expirationDate`.
    pub place: String,
    /// What stands there, and the cure.
    pub what: String,
}

impl ImportError {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }
}

/// Reads a file.
///
/// # Errors
/// At the first thing that is wrong.
pub fn parse(bytes: &[u8]) -> Result<Found, ImportError> {
    if bytes.len() > MAX_SIZE {
        let what = format!("it has {} bytes, at most {MAX_SIZE} are read: export one site's cookies only", bytes.len());
        return Err(ImportError::new("the file", what));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let what = format!("byte {} is not UTF-8 text: export as text or JSON", error.valid_up_to());
        ImportError::new("the file", what)
    })?;
    let found = match text.trim_start().chars().next() {
        None => return Err(ImportError::new("the file", "it is empty: export again while you are signed in")),
        Some('[' | '{') => json::parse(text)?,
        Some(_) => Found { format: Format::Netscape, session: netscape::parse(text)? },
    };
    if found.session.is_empty() {
        return Err(ImportError::new("the file", "there is no cookie in it: export again while you are signed in"));
    }
    Ok(found)
}

/// Checks a cookie and adds it. A later one of the same id takes the place of an earlier.
fn add(cookies: &mut Vec<Cookie>, cookie: Cookie, place: impl fmt::Display) -> Result<(), ImportError> {
    if let Some((field, why)) = cookie.problem() {
        let shown = match field {
            "value" => String::new(),
            "name" => format!(", found {}", show(&cookie.name)),
            "path" => format!(", found {}", show(&cookie.path)),
            _ => format!(", found {}", show(&cookie.domain)),
        };
        return Err(ImportError::new(
            format!("{place} ({field})"),
            format!("{why}{shown}: export again, or remove it"),
        ));
    }
    if cookies.len() >= MAX_COOKIES {
        let what = format!("there are more than {MAX_COOKIES} cookies: export one site's only");
        return Err(ImportError::new(place.to_string(), what));
    }
    cookies.push(cookie);
    Ok(())
}

/// Only the last of each id.
fn unique(cookies: Vec<Cookie>) -> Vec<Cookie> {
    let by_id: std::collections::BTreeMap<_, _> = cookies.into_iter().map(|cookie| (cookie.id(), cookie)).collect();
    by_id.into_values().collect()
}

/// A text in quotation marks, cut short.
fn show(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() { format!("{cut:?}...") } else { format!("{cut:?}") }
}

#[cfg(test)]
mod tests;

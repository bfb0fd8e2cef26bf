//! Asking the document: counts, texts, states. And how every question about an element is put to the helper.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{COMMAND_DEADLINE, DEFAULT_TIMEOUT, Page, Shared};
use crate::browser::error::PageError;
use crate::browser::selectors::Selector;

/// The helper tells by itself what it waited for in vain; the call around it gets a little more time.
const GRACE: Duration = Duration::from_secs(1);

/// When an act must be done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(timeout: Option<Duration>) -> Self {
        Self(Instant::now() + timeout.unwrap_or(DEFAULT_TIMEOUT))
    }

    pub(super) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    pub(super) fn is_over(self) -> bool {
        self.left().is_zero()
    }

    /// In milliseconds of the wall clock, which the browser on this machine shares.
    fn epoch(self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from((now + self.left()).as_millis()).unwrap_or(u64::MAX)
    }
}

/// What each function of the helper returns.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome<T> {
    Ok(T),
    Fail(Fail),
}

impl<T> Outcome<T> {
    fn or_fail(self, selector: &str) -> Result<T, PageError> {
        match self {
            Self::Ok(value) => Ok(value),
            Self::Fail(fail) => Err(fail.into_error(selector)),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Fail {
    code: String,
    message: String,
}

impl Fail {
    fn into_error(self, selector: &str) -> PageError {
        const CODES: [&str; 9] = [
            "too-large",
            "nothing-to-save",
            "invalid-selector",
            "not-a-select",
            "too-many-options",
            "not-a-file-input",
            "too-many-files",
            "not-checkable",
            "helper",
        ];
        match self.code.as_str() {
            "not-found" => PageError::NotFound(selector.to_owned()),
            "timeout" => PageError::Timeout(format!("{selector}: {}", self.message)),
            code => {
                let code = CODES.into_iter().find(|known| *known == code).unwrap_or("helper");
                PageError::Other { code, message: format!("{selector}: {}", self.message) }
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Bounds {
    /// CSS pixels, from the left of the window.
    pub x: f64,
    /// CSS pixels, from the top of the window.
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl Shared {
    /// Has the helper look an element up and do something with it, until `deadline`.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        function: &str,
        selector: &str,
        more: Value,
        deadline: Deadline,
    ) -> Result<T, PageError> {
        let parsed: Selector = selector.parse()?;
        let mut args = match more {
            Value::Object(args) => args,
            _ => Map::new(),
        };
        args.insert("selector".into(), json!(parsed));
        args.insert("until".into(), json!(deadline.epoch()));
        let outcome: Outcome<T> = self.call(function, Value::Object(args), deadline.left() + GRACE).await?;
        outcome.or_fail(selector)
    }

    /// A question that waits for no element.
    async fn ask_now<T: DeserializeOwned>(&self, function: &str, selector: &str) -> Result<T, PageError> {
        self.ask(function, selector, Value::Null, Deadline::after(Some(COMMAND_DEADLINE))).await
    }

    /// Tells the helper something about what it did before.
    pub(super) async fn follow_up<T: DeserializeOwned>(
        &self,
        function: &str,
        args: Value,
        deadline: Duration,
    ) -> Result<T, PageError> {
        self.call::<Outcome<T>>(function, args, deadline).await?.or_fail(function)
    }

    /// The same of the document that is there now; none when that one is going.
    pub(super) async fn follow_up_here<T: DeserializeOwned>(
        &self,
        function: &str,
        args: &Value,
        deadline: Duration,
    ) -> Result<Option<T>, PageError> {
        let outcome: Option<Outcome<T>> = self.call_here(function, args, deadline).await?;
        outcome.map(|outcome| outcome.or_fail(function)).transpose()
    }
}

impl Page {
    /// How many elements match now.
    ///
    /// # Errors
    /// `Other { code: "invalid-selector" }`; as all questions, [`PageError::OriginDenied`] where the document is not granted.
    pub async fn count(&self, selector: &str) -> Result<u32, PageError> {
        self.shared.ask_now("count", selector).await
    }

    /// Whether the first match is visible now; false where nothing matches.
    ///
    /// # Errors
    /// As [`count`](Self::count).
    pub async fn visible(&self, selector: &str) -> Result<bool, PageError> {
        self.shared.ask_now("visible", selector).await
    }

    /// The text of every match now, as a person would see it.
    ///
    /// # Errors
    /// As [`count`](Self::count).
    pub async fn texts(&self, selector: &str) -> Result<Vec<String>, PageError> {
        self.shared.ask_now("texts", selector).await
    }

    /// The first match's text.
    ///
    /// # Errors
    /// [`PageError::NotFound`] when nothing matched in time; as [`count`](Self::count).
    pub async fn text(&self, selector: &str, timeout: Option<Duration>) -> Result<String, PageError> {
        self.shared.ask("text", selector, Value::Null, Deadline::after(timeout)).await
    }

    /// An attribute of the first match; `value` is what a field holds now.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub async fn attribute(
        &self,
        selector: &str,
        name: &str,
        timeout: Option<Duration>,
    ) -> Result<Option<String>, PageError> {
        self.shared.ask("attribute", selector, json!({ "name": name }), Deadline::after(timeout)).await
    }

    /// Where the first match is drawn, relative to the window.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub async fn bounds(&self, selector: &str, timeout: Option<Duration>) -> Result<Bounds, PageError> {
        self.shared.ask("bounds", selector, Value::Null, Deadline::after(timeout)).await
    }

    /// Whether the first match can be used.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub async fn enabled(&self, selector: &str, timeout: Option<Duration>) -> Result<bool, PageError> {
        self.shared.ask("enabled", selector, Value::Null, Deadline::after(timeout)).await
    }

    /// Whether a checkbox, radio, switch or toggle button is on.
    ///
    /// # Errors
    /// `Other { code: "not-checkable" }` for anything else; as [`text`](Self::text).
    pub async fn checked(&self, selector: &str, timeout: Option<Duration>) -> Result<bool, PageError> {
        self.shared.ask("checked", selector, Value::Null, Deadline::after(timeout)).await
    }

    /// The first match, a rendered answer, as Markdown.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub async fn markdown(&self, selector: &str, timeout: Option<Duration>) -> Result<String, PageError> {
        self.shared.ask("markdown", selector, Value::Null, Deadline::after(timeout)).await
    }
}

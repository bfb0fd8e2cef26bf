//! Asking the document: counts, texts, states. And how every question about an element is put to the helper.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::reach::{Path, Reach};
use super::world::World;
use super::{COMMAND_DEADLINE, DEFAULT_TIMEOUT, Page, Shared};
use crate::browser::error::PageError;

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

    pub(super) fn instant(self) -> Instant {
        self.0
    }

    /// In milliseconds of the wall clock, which the browser on this machine shares.
    pub(super) fn epoch(self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from((now + self.left()).as_millis()).unwrap_or(u64::MAX)
    }
}

/// What each function of the helper returns.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome<T> {
    Ok(T),
    Fail(Fail),
}

impl<T> Outcome<T> {
    pub(super) fn or_fail(self, selector: &str) -> Result<T, PageError> {
        match self {
            Self::Ok(value) => Ok(value),
            Self::Fail(fail) => Err(fail.into_error(selector)),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Fail {
    code: String,
    message: String,
}

impl Fail {
    fn into_error(self, selector: &str) -> PageError {
        const CODES: [&str; 10] = [
            "too-large",
            "nothing-to-save",
            "not-a-frame",
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

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// CSS pixels, from the left of the window.
    pub x: f64,
    /// CSS pixels, from the top of the window.
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

#[derive(Debug, Deserialize)]
struct Placed {
    gone: bool,
    #[serde(flatten)]
    bounds: Option<Bounds>,
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
        let path = Path::parse(selector)?;
        self.ask_at(function, &path, &more, deadline).await.map(|(answer, _)| answer)
    }

    /// A question that waits for no element. In a frame that is not there nothing matches.
    async fn ask_now<T: DeserializeOwned + Default>(&self, function: &str, selector: &str) -> Result<T, PageError> {
        let path = Path { waits: false, ..Path::parse(selector)? };
        match self.ask_at(function, &path, &Value::Null, Deadline::after(Some(COMMAND_DEADLINE))).await {
            Err(PageError::NotFound(_)) => Ok(T::default()),
            answer => answer.map(|(answer, _)| answer),
        }
    }

    /// From the frame's own measure to the window's; none when a document on the way is gone.
    async fn placed(&self, reach: &Reach, mut bounds: Bounds) -> Result<Option<Bounds>, PageError> {
        for hop in reach.hops.iter().rev() {
            let args = json!({"token": hop.token, "rect": bounds});
            let placed: Option<Placed> = self.follow_up(&hop.world, "placed", &args, COMMAND_DEADLINE).await?;
            let Some(Placed { gone: false, bounds: Some(outer) }) = placed else { return Ok(None) };
            bounds = outer;
        }
        Ok(Some(bounds))
    }

    /// Tells the helper in one document something about what it did before; none when that one is gone or going.
    pub(super) async fn follow_up<T: DeserializeOwned>(
        &self,
        world: &World,
        function: &str,
        args: &Value,
        deadline: Duration,
    ) -> Result<Option<T>, PageError> {
        let outcome: Option<Outcome<T>> = self.call_here(world, function, args, deadline).await?;
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
        let path = Path::parse(selector)?;
        let deadline = Deadline::after(timeout);
        loop {
            let (bounds, reach): (Bounds, _) = self.shared.ask_at("bounds", &path, &Value::Null, deadline).await?;
            if let Some(bounds) = self.shared.placed(&reach, bounds).await? {
                return Ok(bounds);
            }
            if deadline.is_over() {
                return Err(PageError::Timeout(format!("{selector}: the document keeps changing")));
            }
        }
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

    /// The document as it is now, without what is in frames and shadow roots: at most 4 MiB of it.
    ///
    /// # Errors
    /// As [`count`](Self::count).
    pub async fn html(&self) -> Result<String, PageError> {
        self.shared.ask_now("html", "css=html").await
    }

    /// The first match, a rendered answer, as Markdown.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub async fn markdown(&self, selector: &str, timeout: Option<Duration>) -> Result<String, PageError> {
        self.shared.ask("markdown", selector, Value::Null, Deadline::after(timeout)).await
    }
}

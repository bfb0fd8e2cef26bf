//! Acts: each waits until its target can be acted on, and goes to that target or nowhere.
//!
//! The helper aims and sets a guard in the page; the input itself is the browser's. While it is in flight the gate keeps the
//! document in its place, and the guard stops what lands on anything else. What did not land is tried again until the deadline.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::input::Point;
use super::keys::Chord;
use super::query::Deadline;
use super::{Page, Shared};
use crate::browser::error::PageError;

/// To hear from the helper what became of an input.
const VERDICT: Duration = Duration::from_secs(2);
/// An editor draws what was inserted a moment later; a long text takes a while.
const SETTLE: Duration = Duration::from_secs(2);
/// More is no gesture.
const MAX_CLICKS: u32 = 3;
/// Only short values are set whole (dates, colours), so that only they are sent along.
const MAX_WHOLE: usize = 64;

#[derive(Debug, Deserialize)]
struct Aim {
    x: f64,
    y: f64,
    token: u64,
}

#[derive(Debug, Deserialize)]
struct Guarded {
    token: u64,
}

#[derive(Debug, Deserialize)]
struct Fillable {
    token: u64,
    done: bool,
    empty: bool,
}

/// What the helper saw of an input.
#[derive(Debug, Default, Deserialize)]
struct Verdict {
    /// The document that it was meant for is no longer there.
    gone: bool,
    #[serde(default)]
    hits: u32,
    /// What it would have gone to.
    blocked: Option<String>,
    /// Why it must not be given.
    why: Option<String>,
    /// Whether the field holds the text.
    #[serde(default)]
    ok: bool,
    /// What the field holds, in UTF-16 units.
    #[serde(default)]
    length: u64,
}

/// Whether an input reached its target. If not, nothing happened.
enum Landed {
    Yes,
    No(String),
}

impl Landed {
    fn read(verdict: &Verdict, wants_hit: bool) -> Self {
        match &verdict.blocked {
            // The document went away because of the act: that is how a link or a send button works.
            _ if verdict.gone || verdict.hits > 0 => Self::Yes,
            Some(other) => Self::No(format!("{other} took its place")),
            None if wants_hit => Self::No("the input did not arrive".into()),
            None => Self::Yes,
        }
    }
}

fn missed(selector: &str, why: &str) -> PageError {
    PageError::Timeout(format!("{selector}: {why}"))
}

impl Page {
    /// Clicks the first match, `clicks` times in one gesture.
    ///
    /// # Errors
    /// [`PageError::NotFound`] when nothing matched in time, [`PageError::Timeout`] with the reason when what matched could
    /// not be acted on; all acts alike.
    pub async fn click(&self, selector: &str, clicks: u32, timeout: Option<Duration>) -> Result<(), PageError> {
        if !(1..=MAX_CLICKS).contains(&clicks) {
            let message = format!("{clicks} clicks; one to {MAX_CLICKS} make a gesture");
            return Err(PageError::Other { code: "invalid-clicks", message });
        }
        self.shared.spend_act()?;
        let deadline = Deadline::after(timeout);
        loop {
            let aim: Aim = self.shared.ask("aim", selector, Value::Null, deadline).await?;
            match self.shared.click_aimed(&aim, clicks).await? {
                Landed::Yes => return Ok(()),
                Landed::No(why) if deadline.is_over() => return Err(missed(selector, &why)),
                Landed::No(why) => tracing::debug!(selector, why, "a click is tried again"),
            }
        }
    }

    /// Moves the pointer over the first match.
    ///
    /// # Errors
    /// As [`click`](Self::click).
    pub async fn hover(&self, selector: &str, timeout: Option<Duration>) -> Result<(), PageError> {
        self.shared.spend_act()?;
        let aim: Aim = self.shared.ask("aim", selector, json!({"hover": true}), Deadline::after(timeout)).await?;
        let _gate = self.shared.hold_documents().await?;
        self.shared.move_pointer(Point { x: aim.x, y: aim.y }).await
    }

    /// Gives the first match the focus.
    ///
    /// # Errors
    /// As [`click`](Self::click).
    pub async fn focus(&self, selector: &str, timeout: Option<Duration>) -> Result<(), PageError> {
        self.shared.spend_act()?;
        let _: Guarded = self.shared.ask("focus", selector, Value::Null, Deadline::after(timeout)).await?;
        Ok(())
    }

    /// Replaces all text of a field or an editable element by one insertion, and looks that it is there.
    ///
    /// # Errors
    /// `Other { code: "fill-mismatch" }` when the field then holds something else; as [`click`](Self::click).
    pub async fn fill(&self, selector: &str, text: &str, timeout: Option<Duration>) -> Result<(), PageError> {
        self.shared.spend_act()?;
        let deadline = Deadline::after(timeout);
        let whole = if text.len() <= MAX_WHOLE { text } else { "" };
        let mut tries = 0;
        loop {
            let field: Fillable = self.shared.ask("fillable", selector, json!({ "text": whole }), deadline).await?;
            let verdict = self.shared.replace_all(&field, text, tries > 0).await?;
            if verdict.ok {
                return Ok(());
            }
            let blocked = verdict.gone || (verdict.hits == 0 && verdict.blocked.is_some());
            tries += u32::from(!blocked);
            // An editor that overlooked the selection has the text twice: a second try clears it by keys first.
            if tries > 1 {
                let wanted = text.encode_utf16().count();
                let message = format!("{selector}: holds {} characters after {wanted} were inserted", verdict.length);
                return Err(PageError::Other { code: "fill-mismatch", message });
            }
            if deadline.is_over() {
                let why = verdict.blocked.map_or("the document was replaced".into(), |b| format!("{b} took the focus"));
                return Err(missed(selector, &why));
            }
        }
    }

    /// Inserts text where the caret is.
    ///
    /// # Errors
    /// As [`click`](Self::click).
    pub async fn type_text(&self, selector: &str, text: &str, timeout: Option<Duration>) -> Result<(), PageError> {
        let insert = async || self.shared.insert(text).await;
        self.at_focus(selector, timeout, false, insert).await
    }

    /// Presses a key or a chord at the first match.
    ///
    /// # Errors
    /// `Other { code: "invalid-key" }`; as [`click`](Self::click).
    pub async fn press(&self, selector: &str, key: &str, timeout: Option<Duration>) -> Result<(), PageError> {
        let chord = Chord::parse(key)?;
        let strike = async || self.shared.strike(&chord).await;
        self.at_focus(selector, timeout, true, strike).await
    }

    /// Chooses options of a `<select>` by value or label.
    ///
    /// # Errors
    /// `Other { code: "not-a-select" }`; as [`click`](Self::click).
    pub async fn select(&self, selector: &str, values: &[String], timeout: Option<Duration>) -> Result<(), PageError> {
        self.shared.spend_act()?;
        self.shared.ask("select", selector, json!({ "values": values }), Deadline::after(timeout)).await
    }

    /// Scrolls until the first match can be seen.
    ///
    /// # Errors
    /// As [`click`](Self::click).
    pub async fn scroll_into_view(&self, selector: &str, timeout: Option<Duration>) -> Result<(), PageError> {
        self.shared.spend_act()?;
        self.shared.ask("reveal", selector, Value::Null, Deadline::after(timeout)).await
    }

    async fn at_focus(
        &self,
        selector: &str,
        timeout: Option<Duration>,
        wants_hit: bool,
        input: impl AsyncFn() -> Result<(), PageError>,
    ) -> Result<(), PageError> {
        self.shared.spend_act()?;
        let deadline = Deadline::after(timeout);
        loop {
            let at: Guarded = self.shared.ask("focus", selector, json!({"guard": true}), deadline).await?;
            let gate = self.shared.hold_documents().await?;
            let verdict = match self.shared.still_there(at.token).await? {
                Some(why) => Verdict { blocked: Some(why), ..Verdict::default() },
                None => {
                    input().await?;
                    self.shared.verdict("finish", json!({"token": at.token})).await
                }
            };
            drop(gate);
            match Landed::read(&verdict, wants_hit) {
                Landed::Yes => return Ok(()),
                Landed::No(why) if deadline.is_over() => return Err(missed(selector, &why)),
                Landed::No(why) => tracing::debug!(selector, why, "an input is tried again"),
            }
        }
    }
}

impl Shared {
    async fn click_aimed(&self, aim: &Aim, clicks: u32) -> Result<Landed, PageError> {
        let point = Point { x: aim.x, y: aim.y };
        let _gate = self.hold_documents().await?;
        self.move_pointer(point).await?;
        let args = json!({"token": aim.token, "x": aim.x, "y": aim.y});
        let before: Verdict = self.follow_up("aimed", args, VERDICT).await?;
        if before.gone {
            return Ok(Landed::No("the document was replaced".into()));
        }
        if let Some(why) = before.why {
            self.verdict("finish", json!({"token": aim.token})).await;
            return Ok(Landed::No(why));
        }
        self.click_at(point, clicks).await?;
        eprintln!("clicked");drop(_gate);
        let v = self.verdict("finish", json!({"token": aim.token})).await; eprintln!("{v:?}"); Ok(Landed::read(&v, true))
    }

    /// Says why input for a guarded focus must not be given; none when it may.
    async fn still_there(&self, token: u64) -> Result<Option<String>, PageError> {
        let verdict: Verdict = self.follow_up("focused", json!({ "token": token }), VERDICT).await?;
        Ok(if verdict.gone { Some("another document".into()) } else { verdict.why })
    }

    async fn replace_all(&self, field: &Fillable, text: &str, by_keys: bool) -> Result<Verdict, PageError> {
        let gate = self.hold_documents().await?;
        if self.still_there(field.token).await?.is_some() {
            return Ok(Verdict { gone: true, ..Verdict::default() });
        }
        if !field.done {
            if by_keys {
                self.strike(&Chord::parse("Control+a")?).await?;
            }
            if by_keys || (text.is_empty() && !field.empty) {
                self.strike(&Chord::parse("Delete")?).await?;
            }
            if !text.is_empty() {
                self.insert(text).await?;
            }
        }
        drop(gate);
        let args = json!({"token": field.token, "text": text, "ms": SETTLE.as_millis() as u64});
        self.follow_up("filled", args, SETTLE + VERDICT).await
    }

    /// What became of an input. A document that does not answer any more has gone the way that the input led it.
    async fn verdict(&self, function: &str, args: Value) -> Verdict {
        let gone = Verdict { gone: true, ..Verdict::default() };
        self.follow_up(function, args, VERDICT).await.unwrap_or(gone)
    }
}

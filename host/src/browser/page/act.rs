//! Acts: each waits until its target can be acted on, and goes to that target or nowhere.
//!
//! The helper aims and sets a guard in the page; the input itself is the browser's. While it is in flight the gate keeps the
//! document in its place, and the guard stops what would land on anything else, and tells. What did not land is tried again
//! until the deadline.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::input::Point;
use super::keys::Chord;
use super::query::Deadline;
use super::{Page, Shared};
use crate::browser::error::PageError;

/// For the helper's last look before the input. A document that is about to be replaced does not answer, and cannot be
/// replaced while it is waited for: then the gate is opened again and all begins anew.
const LAST_LOOK: Duration = Duration::from_secs(1);
/// For the helper's news of an input, after Chromium said that the page has handled it.
const NEWS: Duration = Duration::from_secs(2);
/// The same where there may be none: not everything that takes text tells of it before.
const NEWS_OF_TEXT: Duration = Duration::from_millis(200);
/// An editor draws what was inserted a moment later; a long text takes a while.
const SETTLE: Duration = Duration::from_secs(2);
const GRACE: Duration = Duration::from_secs(2);
/// More is no gesture.
const MAX_CLICKS: u32 = 3;
/// Only short values are set whole (dates, colours), so that only they are sent along.
const MAX_WHOLE: usize = 64;

/// Tells one input from another, in any document.
static TOKENS: AtomicU64 = AtomicU64::new(1);

fn new_token() -> u64 {
    TOKENS.fetch_add(1, Ordering::Relaxed)
}

/// What the helper told of an input when it came.
#[derive(Debug, Clone)]
pub(super) struct Landing {
    pub(super) token: u64,
    /// Where it would have gone instead.
    pub(super) blocked: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Aim {
    x: f64,
    y: f64,
}

#[derive(Debug, Deserialize)]
struct Fillable {
    done: bool,
    empty: bool,
}

/// The helper's last look.
#[derive(Debug, Deserialize)]
struct Look {
    /// It was another document that was looked at before.
    gone: bool,
    why: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Filled {
    gone: bool,
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
    /// Ok when it landed; otherwise the reason, when the time is over.
    fn settle(self, selector: &str, deadline: Deadline) -> Result<bool, PageError> {
        match self {
            Self::Yes => Ok(true),
            Self::No(why) if deadline.is_over() => Err(PageError::Timeout(format!("{selector}: {why}"))),
            Self::No(why) => {
                tracing::debug!(selector, why, "an act is tried again");
                Ok(false)
            }
        }
    }
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
            let token = new_token();
            let aim: Aim = self.shared.ask("aim", selector, json!({ "token": token }), deadline).await?;
            if self.shared.click_aimed(token, &aim, clicks).await?.settle(selector, deadline)? {
                return Ok(());
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
        self.shared.ask("focus", selector, Value::Null, Deadline::after(timeout)).await
    }

    /// Replaces all text of a field or an editable element by one insertion, and looks that it is there.
    ///
    /// # Errors
    /// `Other { code: "fill-mismatch" }` when the field then holds something else; as [`click`](Self::click).
    pub async fn fill(&self, selector: &str, text: &str, timeout: Option<Duration>) -> Result<(), PageError> {
        self.shared.spend_act()?;
        let deadline = Deadline::after(timeout);
        let whole = if text.len() <= MAX_WHOLE { text } else { "" };
        let mut by_keys = false;
        loop {
            let token = new_token();
            let args = json!({"token": token, "text": whole});
            let field: Fillable = self.shared.ask("fillable", selector, args, deadline).await?;
            let landed = self.shared.replace_all(token, &field, text, by_keys).await?;
            if !landed.settle(selector, deadline)? {
                continue;
            }
            let args = json!({"token": token, "text": text, "ms": SETTLE.as_millis() as u64});
            let filled: Filled = self.shared.follow_up("filled", args, SETTLE + GRACE).await?;
            if filled.ok {
                return Ok(());
            }
            if filled.gone {
                Landed::No("the document was replaced".into()).settle(selector, deadline)?;
            } else if by_keys {
                let wanted = text.encode_utf16().count();
                let message = format!("{selector}: holds {} characters after {wanted} were inserted", filled.length);
                return Err(PageError::Other { code: "fill-mismatch", message });
            } else {
                // An editor that overlooked the selection has both texts: the second try clears it by keys first.
                by_keys = true;
            }
        }
    }

    /// Inserts text where the caret is.
    ///
    /// # Errors
    /// As [`click`](Self::click).
    pub async fn type_text(&self, selector: &str, text: &str, timeout: Option<Duration>) -> Result<(), PageError> {
        self.at_focus(selector, timeout, &Input::Text(text)).await
    }

    /// Presses a key or a chord at the first match.
    ///
    /// # Errors
    /// `Other { code: "invalid-key" }`; as [`click`](Self::click).
    pub async fn press(&self, selector: &str, key: &str, timeout: Option<Duration>) -> Result<(), PageError> {
        let chord = Chord::parse(key)?;
        self.at_focus(selector, timeout, &Input::Keys(chord)).await
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

    async fn at_focus(&self, selector: &str, timeout: Option<Duration>, input: &Input<'_>) -> Result<(), PageError> {
        self.shared.spend_act()?;
        let deadline = Deadline::after(timeout);
        loop {
            let token = new_token();
            let _: Value = self.shared.ask("focus", selector, json!({ "token": token }), deadline).await?;
            let gate = self.shared.hold_documents().await?;
            let landed = match self.shared.last_look("focused", json!({ "token": token })).await? {
                Some(why) => Landed::No(why),
                None => {
                    match input {
                        Input::Text(text) => self.shared.insert(text).await?,
                        Input::Keys(chord) => self.shared.strike(chord).await?,
                    }
                    self.shared.landed(token, if matches!(input, Input::Keys(_)) { NEWS } else { NEWS_OF_TEXT }).await
                }
            };
            drop(gate);
            if landed.settle(selector, deadline)? {
                return Ok(());
            }
        }
    }
}

/// What goes to the element that has focus.
enum Input<'a> {
    Text(&'a str),
    Keys(Chord),
}

impl Shared {
    async fn click_aimed(&self, token: u64, aim: &Aim, clicks: u32) -> Result<Landed, PageError> {
        let point = Point { x: aim.x, y: aim.y };
        let _gate = self.hold_documents().await?;
        self.move_pointer(point).await?;
        let look = json!({"token": token, "x": aim.x, "y": aim.y});
        if let Some(why) = self.last_look("aimed", look).await? {
            self.disarm(token);
            return Ok(Landed::No(why));
        }
        self.download_clicked();
        self.click_at(point, clicks).await?;
        Ok(self.landed(token, NEWS).await)
    }

    async fn replace_all(&self, token: u64, field: &Fillable, text: &str, by_keys: bool) -> Result<Landed, PageError> {
        let _gate = self.hold_documents().await?;
        if let Some(why) = self.last_look("focused", json!({ "token": token })).await? {
            return Ok(Landed::No(why));
        }
        if field.done {
            return Ok(Landed::Yes);
        }
        if by_keys {
            self.strike(&Chord::parse("Control+a")?).await?;
        }
        if by_keys || (text.is_empty() && !field.empty) {
            self.strike(&Chord::parse("Delete")?).await?;
        }
        if !text.is_empty() {
            self.insert(text).await?;
        }
        // Whether it is there is looked at next; of what was stopped the helper has told by now.
        Ok(match self.landing(token) {
            Some(Landing { blocked: Some(other), .. }) => Landed::No(format!("{other} took the focus")),
            _ => Landed::Yes,
        })
    }

    /// Says why an input must not be given; none when it may.
    async fn last_look(&self, function: &str, args: Value) -> Result<Option<String>, PageError> {
        let look: Option<Look> = self.follow_up_here(function, &args, LAST_LOOK).await?;
        Ok(match look {
            Some(Look { gone: false, why }) => why,
            _ => Some("the document was replaced".into()),
        })
    }

    fn landing(&self, token: u64) -> Option<Landing> {
        self.landed.borrow().clone().filter(|landing| landing.token == token)
    }

    /// Waits for the helper's news of an input. The guard is then taken away.
    async fn landed(&self, token: u64, wait: Duration) -> Landed {
        let mut news = self.landed.subscribe();
        let told = |landing: &Option<Landing>| landing.as_ref().is_some_and(|landing| landing.token == token);
        let in_time = timeout(wait, news.wait_for(told)).await.is_ok();
        self.disarm(token);
        match self.landing(token) {
            Some(Landing { blocked: Some(other), .. }) => Landed::No(format!("{other} took its place")),
            None if wait == NEWS && !in_time => Landed::No("the input did not arrive".into()),
            _ => Landed::Yes,
        }
    }

    /// Takes a guard away. Where this does not arrive, the guard went with its document, or ends by itself.
    fn disarm(&self, token: u64) {
        if let Some(world) = self.worlds.current() {
            self.tell_in(&world, "finish", &json!({ "token": token })).ok();
        }
    }
}

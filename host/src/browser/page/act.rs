//! Acts: each waits until its target can be acted on, and goes to that target or nowhere.
//!
//! The helper aims and sets a guard in the page; the input itself is the browser's. While it is in flight the gate keeps the
//! document in its place, and the guard stops what would land on anything else, and tells. What did not land is tried again
//! until the deadline.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::keys::Chord;
use super::query::Deadline;
use super::reach::{Path, Reach, new_token};
use super::{Page, Shared};
use crate::browser::error::PageError;

/// For the helper's last look before the input. A document that is about to be replaced does not answer, and cannot be
/// replaced while it is waited for: then the gate is opened again and all begins anew.
pub(super) const LAST_LOOK: Duration = Duration::from_secs(1);
/// For the helper's news of an input, after Chromium said that the page has handled it.
pub(super) const NEWS: Duration = Duration::from_secs(2);
/// The same where there may be none: not everything that takes text tells of it before.
const NEWS_OF_TEXT: Duration = Duration::from_millis(200);
/// An editor draws what was inserted a moment later; a long text takes a while.
const SETTLE: Duration = Duration::from_secs(2);
const GRACE: Duration = Duration::from_secs(2);
/// More is no gesture.
pub(super) const MAX_CLICKS: u32 = 3;
/// For the focus to be told to a frame's parent in another process.
const FOCUS_ARRIVES: Duration = Duration::from_millis(500);
const FOCUS_PAUSE: Duration = Duration::from_millis(10);
/// Only short values are set whole (dates, colours), so that only they are sent along.
const MAX_WHOLE: usize = 64;

/// What the helper told of an input when it came.
#[derive(Debug, Clone)]
pub(super) struct Landing {
    pub(super) token: u64,
    /// Where it would have gone instead.
    pub(super) blocked: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Fillable {
    done: bool,
    empty: bool,
}

/// The helper's last look.
#[derive(Debug, Deserialize)]
pub(super) struct Look {
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

/// Why an input must not be given; none when it may.
pub(super) fn look_result(look: Option<Look>) -> Option<String> {
    match look {
        Some(Look { gone: false, why }) => why,
        _ => Some("the document was replaced".into()),
    }
}

/// Whether an input reached its target. If not, nothing happened.
pub(super) enum Landed {
    Yes,
    No(String),
}

impl Landed {
    /// Ok when it landed; otherwise the reason, when the time is over.
    pub(super) fn settle(self, selector: &str, deadline: Deadline) -> Result<bool, PageError> {
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
    /// Gives the first match the focus.
    ///
    /// # Errors
    /// As [`click`](Self::click).
    pub async fn focus(&self, selector: &str, timeout: Option<Duration>) -> Result<(), PageError> {
        let path = Path::parse(selector)?;
        self.shared.spend_act()?;
        let deadline = Deadline::after(timeout);
        loop {
            let args = json!({"framed": !path.frames.is_empty()});
            let (_, reach): (Value, Reach) = self.shared.ask_at("focus", &path, &args, deadline).await?;
            let Some(why) = self.shared.focus_through(&reach, None).await? else { return Ok(()) };
            Landed::No(why).settle(selector, deadline)?;
        }
    }

    /// Replaces all text of a field or an editable element by one insertion, and looks that it is there.
    ///
    /// # Errors
    /// `Other { code: "fill-mismatch" }` when the field then holds something else; as [`click`](Self::click).
    pub async fn fill(&self, selector: &str, text: &str, timeout: Option<Duration>) -> Result<(), PageError> {
        let path = Path::parse(selector)?;
        self.shared.spend_act()?;
        let deadline = Deadline::after(timeout);
        let whole = if text.len() <= MAX_WHOLE { text } else { "" };
        let mut by_keys = false;
        loop {
            let token = new_token();
            let args = json!({"token": token, "text": whole, "framed": !path.frames.is_empty()});
            let (field, reach): (Fillable, Reach) = self.shared.ask_at("fillable", &path, &args, deadline).await?;
            let landed = self.shared.replace_all(token, &reach, &field, text, by_keys).await?;
            if !landed.settle(selector, deadline)? {
                continue;
            }
            let args = json!({"token": token, "text": text, "ms": SETTLE.as_millis() as u64});
            let filled: Option<Filled> = self.shared.follow_up(&reach.world, "filled", &args, SETTLE + GRACE).await?;
            self.shared.disarm(token, &reach);
            let filled = filled.unwrap_or(Filled { gone: true, ..Filled::default() });
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
        let path = Path::parse(selector)?;
        self.shared.spend_act()?;
        let deadline = Deadline::after(timeout);
        loop {
            let token = new_token();
            let args = json!({"token": token, "framed": !path.frames.is_empty()});
            let (_, reach): (Value, Reach) = self.shared.ask_at("focus", &path, &args, deadline).await?;
            let gate = self.shared.hold_documents(&reach).await?;
            let newborn = self.shared.guard_newborn(&reach, token).await?;
            let landed = match self.shared.look_at_focus(&reach, token).await? {
                Some(why) => Landed::No(why),
                None => {
                    match input {
                        Input::Text(text) => self.shared.insert(text).await?,
                        Input::Keys(chord) => self.shared.strike(chord).await?,
                    }
                    let wait = if matches!(input, Input::Keys(_)) { NEWS } else { NEWS_OF_TEXT };
                    self.shared.landed(token, &reach, wait).await
                }
            };
            drop((gate, newborn));
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
    async fn replace_all(
        &self,
        token: u64,
        reach: &Reach,
        field: &Fillable,
        text: &str,
        by_keys: bool,
    ) -> Result<Landed, PageError> {
        let _gate = self.hold_documents(reach).await?;
        let _newborn = self.guard_newborn(reach, token).await?;
        if let Some(why) = self.look_at_focus(reach, token).await? {
            self.disarm(token, reach);
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

    /// Right before a key goes down: why it must not; none when it may.
    async fn look_at_focus(&self, reach: &Reach, token: u64) -> Result<Option<String>, PageError> {
        if let Some(why) = self.focus_through(reach, Some(token)).await? {
            return Ok(Some(why));
        }
        self.look_in(&reach.world, "focused", json!({ "token": token })).await
    }

    /// Whether the focus goes through each frame on the way: a frame of another process learns of it a moment later. With an
    /// act's token, none of what is typed may stay outside from here on.
    async fn focus_through(&self, reach: &Reach, act: Option<u64>) -> Result<Option<String>, PageError> {
        for hop in &reach.hops {
            let args = json!({"token": hop.token, "act": act, "kind": "keys"});
            let until = Instant::now() + FOCUS_ARRIVES;
            while let Some(why) = self.look_in(&hop.world, "through", args.clone()).await? {
                if Instant::now() >= until {
                    return Ok(Some(why));
                }
                sleep(FOCUS_PAUSE).await;
            }
        }
        Ok(None)
    }

    fn landing(&self, token: u64) -> Option<Landing> {
        self.landed.borrow().clone().filter(|landing| landing.token == token)
    }

    /// Waits for the helper's news of an input. The guard is then taken away.
    pub(super) async fn landed(&self, token: u64, reach: &Reach, wait: Duration) -> Landed {
        let mut news = self.landed.subscribe();
        let told = |landing: &Option<Landing>| landing.as_ref().is_some_and(|landing| landing.token == token);
        let in_time = timeout(wait, news.wait_for(told)).await.is_ok();
        self.disarm(token, reach);
        match self.landing(token) {
            Some(Landing { blocked: Some(other), .. }) => Landed::No(format!("{other} took its place")),
            None if wait == NEWS && !in_time => Landed::No("the input did not arrive".into()),
            _ => Landed::Yes,
        }
    }

    /// Takes a guard away. Where this does not arrive, the guard went with its document, or ends by itself.
    pub(super) fn disarm(&self, token: u64, reach: &Reach) {
        for world in reach.worlds() {
            self.tell_in(world, "finish", &json!({ "token": token })).ok();
        }
    }
}

//! `conversations`: whether a conversation goes on in the site's own chat.

use std::time::Duration;

use super::key::Key;
use super::shape::Shape;
use super::values::Values;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "conversations.mode",
        Shape::Choice(&["continue", "new"]),
        "continue",
        "continue: a conversation goes on in the site's chat where it began, and only the new turn is typed, where the adapter can do \
         that; new: each request begins a new chat with the whole history",
    ),
    Key::new("conversations.maxAge", Shape::Duration, "12h", "how long after its last turn a chat can go on"),
];

#[derive(Debug, Clone, Copy)]
pub struct Conversations {
    /// For how long a chat can go on; none: each request begins a new one.
    pub max_age: Option<Duration>,
}

impl Conversations {
    pub(super) fn read(values: &Values) -> Self {
        let goes_on = values.text("conversations.mode") != "new";
        Self { max_age: goes_on.then(|| values.duration("conversations.maxAge")) }
    }
}

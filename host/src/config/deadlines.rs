//! `deadlines`: how long each stage of a request may take.

use std::time::Duration;

use super::key::Key;
use super::shape::Shape;
use super::values::Values;

pub(super) const KEYS: &[Key] = &[
    Key::new("deadlines.queue", Shape::Duration, "120s", "waiting for a page"),
    Key::new("deadlines.navigate", Shape::Duration, "30s", "opening or resetting a page"),
    Key::new("deadlines.submit", Shape::Duration, "15s", "from the page's being there to the prompt's being sent"),
    Key::new("deadlines.firstByte", Shape::Duration, "120s", "from then to the first piece of the answer"),
    Key::new("deadlines.idle", Shape::Duration, "60s", "between two pieces"),
    Key::new("deadlines.call", Shape::Duration, "10m", "the whole call, until the first piece has come"),
    Key::new("deadlines.callMax", Shape::Duration, "60m", "the whole call, while pieces come"),
    Key::new("deadlines.cancel", Shape::Duration, "1s", "for a site to stop; then its page is closed and replaced"),
    Key::new(
        "deadlines.drain",
        Shape::Duration,
        "6s",
        "for running requests at shutdown; 10 s is all that many hosts give",
    ),
];

#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    pub queue: Duration,
    pub navigate: Duration,
    pub submit: Duration,
    pub first_byte: Duration,
    pub idle: Duration,
    pub call: Duration,
    pub call_max: Duration,
    pub cancel: Duration,
    pub drain: Duration,
}

impl Deadlines {
    pub(super) fn read(values: &Values) -> Self {
        let at = |name: &str| values.duration(&format!("deadlines.{name}"));
        Self {
            queue: at("queue"),
            navigate: at("navigate"),
            submit: at("submit"),
            first_byte: at("firstByte"),
            idle: at("idle"),
            call: at("call"),
            call_max: at("callMax"),
            cancel: at("cancel"),
            drain: at("drain"),
        }
    }
}

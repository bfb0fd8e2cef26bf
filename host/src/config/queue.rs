//! `queue`: how many requests may wait, and how many pictures each may bring.

use super::key::Key;
use super::shape::Shape;
use super::values::Values;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "queue.queueBuffer",
        Shape::Integer { min: 0, max: 10_000 },
        "2",
        "how many requests for a model may wait for a page, beside one of each key; 0 means as many as 256",
    ),
    Key::new(
        "queue.imageLimit",
        Shape::Integer { min: 0, max: 100 },
        "5",
        "the most pictures and files that one request may bring",
    ),
];

/// Nothing is without a bound, not even what is configured to be.
const WAITING_MAX: usize = 256;

#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// As configured; see [`Queue::waiting_max`].
    pub queue_buffer: usize,
    pub image_limit: usize,
}

impl Queue {
    pub(super) fn read(values: &Values) -> Self {
        Self { queue_buffer: values.usize("queue.queueBuffer"), image_limit: values.usize("queue.imageLimit") }
    }

    /// How many requests may wait for a page. Zero in the configuration means "no limit" to those who know it from
    /// WebAI2API.
    pub fn waiting_max(&self) -> usize {
        if self.queue_buffer == 0 { WAITING_MAX } else { self.queue_buffer }
    }
}

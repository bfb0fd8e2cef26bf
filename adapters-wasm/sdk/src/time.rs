//! Lengths of time, and the only clock that an adapter has.

use std::time::Duration;

use crate::bindings::webai::adapter::clock;

/// So many seconds: anything that takes a time-out takes this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub u64);

/// So many milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Millis(pub u64);

impl From<Seconds> for Duration {
    fn from(s: Seconds) -> Self {
        Duration::from_secs(s.0)
    }
}

impl From<Millis> for Duration {
    fn from(ms: Millis) -> Self {
        Duration::from_millis(ms.0)
    }
}

pub(crate) fn to_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The time since 1970-01-01T00:00Z.
pub fn now() -> Duration {
    Duration::from_millis(clock::now())
}

/// What is left of this call's deadline.
pub fn remaining() -> Duration {
    Duration::from_millis(clock::remaining())
}

/// Waits. Prefer [`Page::next`](crate::Page::next), which waits for something.
pub fn sleep(duration: impl Into<Duration>) {
    clock::sleep(to_millis(duration.into()));
}

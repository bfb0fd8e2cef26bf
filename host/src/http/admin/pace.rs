//! How often adapters may be changed: enough for a script that installs many, too slow for one that runs wild.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Changes that may be made at once after a pause, and how often one more is allowed.
const BURST: u32 = 30;
const EVERY: Duration = Duration::from_millis(500);
/// Files that are being received at once: each may take 64 MiB of memory.
const UPLOADS: usize = 2;

/// A bucket of permissions.
#[derive(Debug)]
pub(in crate::http) struct Pace {
    state: Mutex<(u32, Instant)>,
    uploads: Semaphore,
}

impl Default for Pace {
    fn default() -> Self {
        Self { state: Mutex::new((BURST, Instant::now())), uploads: Semaphore::new(UPLOADS) }
    }
}

impl Pace {
    /// Takes one permission.
    ///
    /// # Errors
    /// The time after which there is one.
    pub(super) fn take(&self) -> Result<(), Duration> {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = &mut *state;
        let passed = now.saturating_duration_since(*since);
        let gained = u32::try_from(passed.as_millis() / EVERY.as_millis()).unwrap_or(BURST).min(BURST);
        if gained > 0 {
            *since = if *left + gained >= BURST { now } else { *since + EVERY * gained };
            *left = (*left + gained).min(BURST);
        }
        if *left == 0 {
            return Err(EVERY.saturating_sub(now.saturating_duration_since(*since)));
        }
        *left -= 1;
        Ok(())
    }

    /// The right to receive a file; none while others are being received.
    pub(super) fn upload(&self) -> Option<SemaphorePermit<'_>> {
        self.uploads.try_acquire().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_a_steady_pace() {
        let pace = Pace::default();
        let start = Instant::now();
        for _ in 0..BURST {
            pace.take_at(start).unwrap();
        }
        assert!(pace.take_at(start).unwrap_err() <= EVERY);
        pace.take_at(start + EVERY).unwrap();
        pace.take_at(start + EVERY).unwrap_err();
        let later = start + Duration::from_secs(3600);
        for _ in 0..BURST {
            pace.take_at(later).unwrap();
        }
        pace.take_at(later).unwrap_err();
    }
}

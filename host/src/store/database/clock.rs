//! The time that deleting goes by.
//!
//! A clock can be wrong and be set right, in either direction. Whatever is deleted by age must survive that: a time that
//! jumps is believed only once it has stood for an hour; until then the old time goes on.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Smaller steps are the work of time servers.
const SLACK: i64 = 10 * 60 * 1000;
/// How long a new time must stand.
const CONFIRM: Duration = Duration::from_secs(3600);
const DAY: i64 = 24 * 3600 * 1000;

/// A moment, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Now {
    pub(super) ms: i64,
    /// The system's clock agrees.
    pub(super) certain: bool,
}

/// Shared by who writes and who reads.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The last moment that was believed, and when that was since the start.
    base: (i64, Duration),
    /// How far the system's clock is from what is believed, and since when.
    doubt: Option<(i64, Duration)>,
}

impl State {
    fn observe(&mut self, wall: i64, since_start: Duration) -> Now {
        let expected = self.base.0.saturating_add(millis(since_start.saturating_sub(self.base.1)));
        let off = wall.saturating_sub(expected);
        let stands = self.doubt.filter(|(before, _)| off.abs_diff(*before) <= SLACK.unsigned_abs());
        let confirmed = stands.is_some_and(|(_, since)| since_start.saturating_sub(since) >= CONFIRM);
        if off.abs() <= SLACK || confirmed {
            (self.base, self.doubt) = ((wall, since_start), None);
            return Now { ms: wall, certain: true };
        }
        if stands.is_none() {
            self.doubt = Some((off, since_start));
        }
        Now { ms: expected, certain: false }
    }
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), state: Mutex::new(State { base: (wall(), Duration::ZERO), doubt: None }) }
    }

    /// Goes on from the moment that an earlier run believed last.
    pub(super) fn resume(&self, last: i64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { base: (last, self.start.elapsed()), doubt: None };
    }

    pub(super) fn now(&self) -> Now {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).observe(wall(), self.start.elapsed())
    }
}

/// What the system's clock says.
pub(super) fn wall() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, millis)
}

/// The time to write down for something that says it was made at `given`: no earlier than a day before now, since a clock
/// that has fallen far behind tells nothing.
pub(super) fn stamp(given: i64, now: Now) -> i64 {
    if given < now.ms.saturating_sub(DAY) { now.ms } else { given }
}

/// The time to write down for something that is made now: what clients see on their own clocks, unless it is far behind.
pub(super) fn written(now: Now) -> i64 {
    stamp(wall(), now)
}

/// Times after this are a wrong clock's, where the present one is certain.
pub(super) fn future(now: Now) -> i64 {
    if now.certain { now.ms.saturating_add(DAY) } else { i64::MAX }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: i64 = 1_800_000_000_000;

    fn at(state: &mut State, wall: i64, seconds: u64) -> Now {
        state.observe(wall, Duration::from_secs(seconds))
    }

    fn begin() -> State {
        State { base: (START, Duration::ZERO), doubt: None }
    }

    #[test]
    fn a_clock_that_goes_right_is_believed() {
        let mut state = begin();
        for minute in 0..3000 {
            let wall = START + minute * 61_000;
            let now = at(&mut state, wall, u64::try_from(minute).unwrap() * 60);
            assert_eq!(now, Now { ms: wall, certain: true });
        }
    }

    #[test]
    fn a_jump_counts_only_once_it_has_stood_for_an_hour() {
        for jump in [3650 * DAY, -3650 * DAY, 3 * 3_600_000] {
            let mut state = begin();
            for minute in 1..60u64 {
                let passed = i64::try_from(minute).unwrap() * 60_000;
                let now = at(&mut state, START + jump + passed, minute * 60);
                assert_eq!(now, Now { ms: START + passed, certain: false });
            }
            let now = at(&mut state, START + jump + 3_660_000, 3660);
            assert_eq!(now, Now { ms: START + jump + 3_660_000, certain: true });
        }
    }

    #[test]
    fn a_jump_that_is_taken_back_never_was() {
        let mut state = begin();
        assert!(!at(&mut state, START + 3650 * DAY, 60).certain);
        assert_eq!(at(&mut state, START + 120_000, 120), Now { ms: START + 120_000, certain: true });
        assert!(!at(&mut state, START + 3650 * DAY, 3700).certain, "the hour begins anew");
    }

    #[test]
    fn a_record_of_a_clock_far_behind_gets_the_time_that_is_believed() {
        let now = Now { ms: START, certain: false };
        assert_eq!(stamp(0, now), START);
        for (believed, expected) in [(30 * DAY, 30 * DAY), (-30 * DAY, 0)] {
            let off = written(Now { ms: wall() + believed, certain: false }) - wall() - expected;
            assert!(off.abs() < 60_000, "{off}");
        }
        assert_eq!(stamp(START - 3_600_000, now), START - 3_600_000);
        assert_eq!(stamp(START + 30 * DAY, now), START + 30 * DAY, "the program may have been off for a month");
    }

    proptest! {
        #[test]
        fn within_an_hour_no_clock_moves_the_time(walls in proptest::collection::vec(any::<i64>(), 0..59)) {
            let mut state = begin();
            for (minute, wall) in (1i64..).zip(walls) {
                let seconds = u64::try_from(minute).unwrap() * 60;
                let now = at(&mut state, wall, seconds);
                let off = now.ms - (START + minute * 60_000);
                prop_assert!(off.abs() <= SLACK * minute, "{now:?}");
            }
        }
    }
}

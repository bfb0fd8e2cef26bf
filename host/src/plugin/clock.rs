//! The deadlines of one call. Each stage has its own; data stretches the last ones.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::chat::Stage;

/// How long each stage of a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    pub navigate: Duration,
    /// From the page's being there to the prompt's being sent.
    pub submit: Duration,
    pub first_byte: Duration,
    /// Between two bytes of the answer.
    pub idle: Duration,
    /// The whole call, until the first byte.
    pub call: Duration,
    /// The whole call, once data flows.
    pub call_max: Duration,
}

impl Deadlines {
    /// No call lasts longer.
    pub fn longest(&self) -> Duration {
        self.call_max.max(self.call)
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            navigate: Duration::from_secs(30),
            submit: Duration::from_secs(15),
            first_byte: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            call: Duration::from_secs(600),
            call_max: Duration::from_secs(3600),
        }
    }
}

/// Where a call stands. Knows no clock of its own: every question brings the time.
#[derive(Debug, Clone, Copy)]
struct State {
    limits: Deadlines,
    started: Instant,
    stage: Stage,
    /// None while something is waited for that is not the site's to give, such as a slow client.
    until: Option<Instant>,
    call_until: Instant,
}

impl State {
    fn new(limits: Deadlines, now: Instant) -> Self {
        let until = Some(now + limits.submit);
        Self { limits, started: now, stage: Stage::Submit, until, call_until: now + limits.call }
    }

    fn enter(&mut self, stage: Stage, now: Instant) {
        let limit = match stage {
            Stage::Queue | Stage::Call => return,
            Stage::Navigate => self.limits.navigate,
            Stage::Submit => self.limits.submit,
            Stage::FirstByte => self.limits.first_byte,
            Stage::Idle => self.limits.idle,
        };
        self.stage = stage;
        self.until = Some(now + limit);
        if stage == Stage::Idle {
            self.call_until = self.started + self.limits.call_max;
        }
    }

    /// A byte of the answer came.
    fn data(&mut self, now: Instant) {
        if matches!(self.stage, Stage::FirstByte | Stage::Idle) {
            self.enter(Stage::Idle, now);
        }
    }

    /// Whose time was over for a guest that has given up now. Guests count in whole milliseconds, and so give up a little early.
    fn late(&self, now: Instant) -> Stage {
        if now + Duration::from_millis(2) > self.call_until { Stage::Call } else { self.stage }
    }

    /// The next deadline, and whose it is.
    fn due(&self) -> (Instant, Stage) {
        match self.until {
            Some(until) if until < self.call_until => (until, self.stage),
            _ => (self.call_until, Stage::Call),
        }
    }
}

/// The stage that a call is in, and until when.
#[derive(Debug)]
pub(super) struct StageClock {
    state: Mutex<State>,
    changed: Notify,
}

impl StageClock {
    pub(super) fn new(limits: Deadlines) -> Self {
        Self { state: Mutex::new(State::new(limits, Instant::now())), changed: Notify::new() }
    }

    /// What is left for the whole call.
    pub(super) fn remaining(&self) -> Duration {
        self.lock().call_until.saturating_duration_since(Instant::now())
    }

    /// Enters a stage, with its own deadline from now on.
    pub(super) fn enter(&self, stage: Stage) {
        self.lock().enter(stage, Instant::now());
        self.changed.notify_one();
    }

    /// The stage that a guest means which gave up by itself: guests wait for what remains of the whole call, too.
    pub(super) fn late_stage(&self) -> Stage {
        self.lock().late(Instant::now())
    }

    /// A byte of the answer came.
    pub(super) fn data(&self) {
        self.lock().data(Instant::now());
        self.changed.notify_one();
    }

    /// Stops the stage's clock while the guest waits for the client. Data starts it again.
    pub(super) fn pause(&self) {
        self.lock().until = None;
        self.changed.notify_one();
    }

    /// Returns when a deadline has passed, with the stage whose deadline it was.
    pub(super) async fn expired(&self) -> Stage {
        loop {
            let (until, stage) = self.lock().due();
            if Instant::now() >= until {
                return stage;
            }
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: u64, start: Instant) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn each_stage_has_its_own_deadline() {
        let start = Instant::now();
        let mut state = State::new(Deadlines::default(), start);
        assert_eq!(state.due(), (after(15, start), Stage::Submit));
        state.enter(Stage::Navigate, after(10, start));
        assert_eq!(state.due(), (after(40, start), Stage::Navigate));
        state.enter(Stage::FirstByte, after(20, start));
        assert_eq!(state.due(), (after(140, start), Stage::FirstByte));
    }

    #[test]
    fn data_stretches_an_answer_to_the_longest_call_and_no_further() {
        let start = Instant::now();
        let mut state = State::new(Deadlines::default(), start);
        state.enter(Stage::FirstByte, start);
        for second in (0..3600).step_by(30) {
            let now = after(second, start);
            assert!(state.due().0 > now);
            state.data(now);
        }
        assert_eq!(state.due(), (after(3600, start), Stage::Call));
    }

    #[test]
    fn a_guest_that_waited_for_the_whole_call_means_the_call() {
        let start = Instant::now();
        let mut state = State::new(Deadlines { call: Duration::from_secs(2), ..Deadlines::default() }, start);
        state.enter(Stage::FirstByte, start);
        assert_eq!(state.late(start + Duration::from_millis(1000)), Stage::FirstByte);
        assert_eq!(state.late(start + Duration::from_micros(1_999_300)), Stage::Call);
        assert_eq!(state.late(after(3, start)), Stage::Call);
    }

    #[test]
    fn no_data_before_the_prompt_was_sent_counts() {
        let start = Instant::now();
        let mut state = State::new(Deadlines::default(), start);
        state.data(after(5, start));
        assert_eq!(state.due(), (after(15, start), Stage::Submit));
    }

    #[test]
    fn a_slow_client_does_not_count_as_a_silent_site() {
        let start = Instant::now();
        let mut state = State::new(Deadlines::default(), start);
        state.enter(Stage::Idle, start);
        state.until = None;
        assert_eq!(state.due(), (after(3600, start), Stage::Call));
    }
}

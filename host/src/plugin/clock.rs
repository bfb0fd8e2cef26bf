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

#[derive(Debug, Clone, Copy)]
struct State {
    stage: Stage,
    /// None while something is waited for that is not the site's to give, such as a slow client.
    until: Option<Instant>,
    call_until: Instant,
}

/// The stage that a call is in, and until when.
#[derive(Debug)]
pub(super) struct StageClock {
    limits: Deadlines,
    started: Instant,
    state: Mutex<State>,
    changed: Notify,
}

impl StageClock {
    pub(super) fn new(limits: Deadlines) -> Self {
        let started = Instant::now();
        let state =
            State { stage: Stage::Submit, until: Some(started + limits.submit), call_until: started + limits.call };
        Self { limits, started, state: Mutex::new(state), changed: Notify::new() }
    }

    /// What is left for the whole call.
    pub(super) fn remaining(&self) -> Duration {
        self.lock().call_until.saturating_duration_since(Instant::now())
    }

    /// Enters a stage, with its own deadline from now on.
    pub(super) fn enter(&self, stage: Stage) {
        let limit = match stage {
            Stage::Queue | Stage::Call => return,
            Stage::Navigate => self.limits.navigate,
            Stage::Submit => self.limits.submit,
            Stage::FirstByte => self.limits.first_byte,
            Stage::Idle => self.limits.idle,
        };
        let mut state = self.lock();
        state.stage = stage;
        state.until = Some(Instant::now() + limit);
        if stage == Stage::Idle {
            state.call_until = self.started + self.limits.call_max;
        }
        drop(state);
        self.changed.notify_one();
    }

    pub(super) fn stage(&self) -> Stage {
        self.lock().stage
    }

    /// A byte of the answer came.
    pub(super) fn data(&self) {
        if matches!(self.stage(), Stage::FirstByte | Stage::Idle) {
            self.enter(Stage::Idle);
        }
    }

    /// Stops the stage's clock while the guest waits for the client. Data starts it again.
    pub(super) fn pause(&self) {
        self.lock().until = None;
        self.changed.notify_one();
    }

    /// Returns when a deadline has passed, with the stage whose deadline it was.
    pub(super) async fn expired(&self) -> Stage {
        loop {
            let state = *self.lock();
            let until = state.until.map_or(state.call_until, |until| until.min(state.call_until));
            if Instant::now() >= until {
                return if until == state.call_until { Stage::Call } else { state.stage };
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

    #[tokio::test(start_paused = true)]
    async fn each_stage_has_its_own_deadline() {
        let clock = StageClock::new(Deadlines::default());
        assert_eq!(clock.expired().await, Stage::Submit);
        clock.enter(Stage::FirstByte);
        let before = Instant::now();
        assert_eq!(clock.expired().await, Stage::FirstByte);
        assert_eq!(before.elapsed(), Duration::from_secs(120));
    }

    #[tokio::test(start_paused = true)]
    async fn data_stretches_an_answer_to_the_longest_call_and_no_further() {
        let clock = StageClock::new(Deadlines::default());
        clock.enter(Stage::FirstByte);
        let ended = loop {
            tokio::select! {
                biased;
                stage = clock.expired() => break stage,
                () = tokio::time::sleep(Duration::from_secs(30)) => clock.data(),
            }
        };
        assert_eq!(ended, Stage::Call);
        assert_eq!(clock.started.elapsed(), Duration::from_secs(3600));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_does_not_count_as_a_silent_site() {
        let clock = StageClock::new(Deadlines::default());
        clock.enter(Stage::Idle);
        clock.pause();
        assert_eq!(clock.expired().await, Stage::Call);
    }
}

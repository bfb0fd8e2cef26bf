//! How long a guest has computed, and how long it may without a rest. Waiting in a host function, and waiting for its turn, do not
//! count; that it called one counts a little.
//!
//! What computes without end would take a core for each of its calls from the browser and from all other answers until its budget
//! is used up. So a guest computes at full speed for a moment, as long as it usually needs for a whole answer, and after that for a
//! eighth of the time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use wasmtime::{CallHook, Store, UpdateDeadline};

/// What a guest may compute at full speed: the start of a script engine, or some thousand tokens.
const BURST: Duration = Duration::from_millis(150);
/// From then on it rests so many times as long as it computes.
const RESTS: u32 = 7;
/// What a call of the host counts as, beside the guest's own computing: what it takes to send a piece of an answer on to its client. Only
/// for resting, so that who calls without end takes no more of the machine than who computes without end.
const CALL: Duration = Duration::from_micros(20);

/// A guest's CPU clock and its budget.
#[derive(Debug)]
pub(super) struct Meter {
    state: Mutex<State>,
    budget: Duration,
    exceeded: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    used: Duration,
    /// For its calls of the host.
    called: Duration,
    running_since: Option<Instant>,
    /// What of it has been paid for by resting.
    paid: Duration,
    /// Until when it would rest if it had no burst: the generic cell rate algorithm's theoretical arrival time.
    due: Option<Instant>,
}

impl State {
    fn stop(&mut self) {
        if let Some(since) = self.running_since.take() {
            self.used += since.elapsed();
        }
    }

    /// How long the guest is to rest now.
    fn rest(&mut self, now: Instant) -> Duration {
        let all = self.used + self.called;
        let computed = all.saturating_sub(self.paid);
        self.paid = all;
        // The time that it computed has passed already, as the first of its parts.
        let began = now.checked_sub(computed).unwrap_or(now);
        let due = self.due.map_or(began, |due| due.max(began)) + computed * (RESTS + 1);
        self.due = Some(due);
        due.saturating_duration_since(now).saturating_sub(BURST * RESTS)
    }
}

/// Ends a guest that has used up its budget.
#[derive(Debug, thiserror::Error)]
#[error("the adapter used more than {0:?} of processor time")]
pub(super) struct BudgetExceeded(Duration);

impl Meter {
    pub(super) fn new(budget: Duration) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), budget, exceeded: AtomicBool::new(false) })
    }

    /// What the guest has computed so far.
    pub(super) fn used(&self) -> Duration {
        let state = self.lock();
        state.used + state.running_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(super) fn exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }

    fn start(&self) {
        self.lock().running_since = Some(Instant::now());
    }

    fn stop(&self) {
        self.lock().stop();
    }

    fn call(&self) {
        let mut state = self.lock();
        state.stop();
        state.called += CALL;
    }

    fn rest(&self) -> Duration {
        self.lock().rest(Instant::now())
    }

    fn check(&self) -> Result<(), BudgetExceeded> {
        if self.used() <= self.budget {
            return Ok(());
        }
        self.exceeded.store(true, Ordering::Relaxed);
        Err(BudgetExceeded(self.budget))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a store run the clock while its guest computes, give way to other tasks at every tick, rest, and end at the budget.
///
/// To be called before instantiation, which runs guest code too.
pub(super) fn attach<T>(store: &mut Store<T>, meter: &Arc<Meter>) {
    let hook = Arc::clone(meter);
    store.call_hook(move |_, event| {
        match event {
            CallHook::CallingWasm | CallHook::ReturningFromHost => hook.start(),
            CallHook::ReturningFromWasm => hook.stop(),
            CallHook::CallingHost => hook.call(),
        }
        Ok(())
    });
    let ticked = Arc::clone(meter);
    store.epoch_deadline_callback(move |_| {
        ticked.check()?;
        ticked.stop();
        let (rest, resumed) = (ticked.rest(), Arc::clone(&ticked));
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(async move {
                if rest.is_zero() {
                    tokio::task::yield_now().await;
                } else {
                    tokio::time::sleep(rest).await;
                }
                resumed.start();
            }),
        ))
    });
    store.set_epoch_deadline(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(10);

    /// Computes for so long, in ticks; how long it took with its rests.
    fn takes(state: &mut State, now: &mut Instant, computing: Duration) -> Duration {
        let began = *now;
        let until = state.used + computing;
        while state.used < until {
            *now += TICK;
            state.used += TICK;
            *now += state.rest(*now);
        }
        now.duration_since(began)
    }

    #[test]
    fn a_guest_computes_at_full_speed_for_a_moment_and_then_for_an_eighth_of_it() {
        let (mut state, mut now) = (State::default(), Instant::now());
        assert_eq!(takes(&mut state, &mut now, BURST), BURST);
        let long = takes(&mut state, &mut now, Duration::from_secs(1));
        assert_eq!(long, Duration::from_secs(8));
    }

    #[test]
    fn who_calls_the_host_without_end_rests_too() {
        let (mut state, mut now) = (State::default(), Instant::now());
        let began = now;
        for _ in 0..50_000 {
            (state.used, state.called) = (state.used + CALL, state.called + CALL);
            now += CALL * 2;
            now += state.rest(now);
        }
        let computed = CALL * 100_000;
        assert_eq!(now.duration_since(began), (computed - BURST) * (RESTS + 1) + BURST);
    }

    #[test]
    fn waiting_earns_the_burst_anew_and_no_more() {
        let (mut state, mut now) = (State::default(), Instant::now());
        takes(&mut state, &mut now, Duration::from_secs(2));
        now += Duration::from_secs(60);
        assert_eq!(takes(&mut state, &mut now, BURST), BURST);
        assert!(takes(&mut state, &mut now, BURST) > BURST * 3);
    }

    #[test]
    fn what_computes_a_little_again_and_again_never_rests() {
        let (mut state, mut now) = (State::default(), Instant::now());
        for _ in 0..1000 {
            assert_eq!(takes(&mut state, &mut now, TICK), TICK);
            now += TICK * 8;
        }
    }
}

//! How long a guest has computed. Waiting in a host function, and waiting for its turn, do not count.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use wasmtime::{CallHook, Store, UpdateDeadline};

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
    running_since: Option<Instant>,
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
        let mut state = self.lock();
        if let Some(since) = state.running_since.take() {
            state.used += since.elapsed();
        }
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

/// Makes a store run the clock while its guest computes, give way to other tasks at every tick, and end at the budget.
///
/// To be called before instantiation, which runs guest code too.
pub(super) fn attach<T>(store: &mut Store<T>, meter: &Arc<Meter>) {
    let hook = Arc::clone(meter);
    store.call_hook(move |_, event| {
        match event {
            CallHook::CallingWasm | CallHook::ReturningFromHost => hook.start(),
            CallHook::ReturningFromWasm | CallHook::CallingHost => hook.stop(),
        }
        Ok(())
    });
    let ticked = Arc::clone(meter);
    store.epoch_deadline_callback(move |_| {
        ticked.check()?;
        ticked.stop();
        let resumed = Arc::clone(&ticked);
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(async move {
                tokio::task::yield_now().await;
                resumed.start();
            }),
        ))
    });
    store.set_epoch_deadline(1);
}

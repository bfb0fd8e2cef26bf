//! What the guard of the memory asks of the dispatcher: fewer pages, and a browser that is started anew between requests.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Dispatcher, Inner, InstanceState, Member};
use crate::telemetry::memory::Household;

/// For so long no page is opened ahead of requests.
const LEAN: Duration = Duration::from_secs(60);
/// For the requests of an instance to end; one that lasts longer is left alone, and so is its browser. New ones wait meanwhile: for less
/// than they are ready to.
const PATIENCE: Duration = Duration::from_secs(45);
/// For the new browser.
const STARTED: Duration = Duration::from_secs(60);

impl Household for Dispatcher {
    fn browsers(&self) -> Vec<(String, u32)> {
        let running = |(name, state)| match state {
            InstanceState::Ready { pid: Some(pid), .. } => Some((name, pid)),
            _ => None,
        };
        self.0.states().into_iter().filter_map(running).collect()
    }

    fn close_idle_pages(&self) -> usize {
        *self.0.lean_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Instant::now() + LEAN);
        self.0.board.close_idle()
    }

    fn recycle(&self, instance: &str) -> bool {
        let Some(member) = self.0.member(instance) else { return false };
        if !member.is_ready() || member.held().is_some() {
            return false;
        }
        member.hold(Some("its browser is started anew to free memory"));
        let (inner, ended) = (Arc::clone(&self.0), self.0.draining.clone());
        self.0.tasks.spawn(async move { ended.run_until_cancelled(start_anew(&inner, &member)).await });
        true
    }
}

impl Inner {
    /// Whether pages are to be opened only when a request wants one.
    pub(super) fn is_lean(&self) -> bool {
        let until = *self.lean_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        until.is_some_and(|until| until > Instant::now())
    }
}

/// Waits until no request is on the instance, and has its browser closed and started.
async fn start_anew(inner: &Arc<Inner>, member: &Arc<Member>) {
    let until = Instant::now() + PATIENCE;
    if inner.board.until_unused(member, until).await {
        inner.board.close_idle_of(member);
        let mut state = member.instance.state();
        state.mark_unchanged();
        member.instance.recycle();
        let anew = async {
            // It leaves the state, and comes back to it.
            let _ = state.wait_for(|state| !matches!(state, InstanceState::Ready { .. })).await;
            let _ =
                state.wait_for(|state| matches!(state, InstanceState::Ready { .. } | InstanceState::Failed(_))).await;
        };
        let _ = tokio::time::timeout(STARTED, anew).await;
    }
    member.hold(None);
    inner.board.settle();
}

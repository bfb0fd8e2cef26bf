//! The instances that there are: what their states come to together.

use std::sync::Arc;

use super::{Dispatcher, Failure, FailureKind, Health, Inner, InstanceState, Member, RETRY_AFTER};

impl Dispatcher {
    pub fn health(&self) -> Health {
        if self.0.draining.is_cancelled() {
            return Health::Draining;
        }
        let states = self.0.states();
        let is_ready = |state: &InstanceState| matches!(state, InstanceState::Ready { .. });
        if !self.0.registry.loaded() && !states.is_empty() {
            return Health::Starting;
        }
        let any_ready = states.iter().any(|(_, state)| is_ready(state));
        if any_ready && self.0.registry.all().is_empty() {
            return Health::Failed("no adapter is loaded".into());
        }
        let alone = states.len() == 1;
        let mut starting = false;
        let (mut degraded, mut failed) = (None, None);
        for (name, state) in &states {
            let said = |text: String| if alone { text } else { format!("{name}: {text}") };
            match state {
                InstanceState::Ready { .. } => {}
                InstanceState::Starting => starting = true,
                InstanceState::Restarting { attempt, reason } => {
                    degraded = Some(said(format!("the browser is being restarted (attempt {attempt}): {reason}")));
                }
                InstanceState::Failed(reason) => failed = Some(said(reason.clone())),
                InstanceState::Stopped => {}
            }
        }
        match (any_ready, starting, degraded, failed) {
            (true, _, Some(reason), _) | (true, _, None, Some(reason)) => Health::Degraded(reason),
            (true, ..) => Health::Ready,
            (false, true, ..) => Health::Starting,
            (false, false, Some(reason), _) => Health::Degraded(reason),
            (false, false, None, Some(reason)) => Health::Failed(reason),
            (false, false, None, None) if self.0.replacements.is_any() => Health::Starting,
            (false, false, None, None) => Health::Draining,
        }
    }

    /// Closes the browsers so that nothing is lost.
    pub async fn stop_browsers(&self) {
        let members = self.0.all_members().into_iter().chain(self.0.replacements.leaving());
        futures::future::join_all(members.map(|member| async move { member.instance.stop().await })).await;
    }
}

impl Inner {
    pub(super) fn states(&self) -> Vec<(String, InstanceState)> {
        let state = |member: &Arc<Member>| (member.name().to_owned(), member.instance.state().borrow().clone());
        self.all_members().iter().map(state).collect()
    }

    /// Whether a request could be answered now.
    pub(super) fn available(&self) -> Result<(), Failure> {
        if self.draining.is_cancelled() {
            return Err(Failure::new(FailureKind::ShuttingDown, ""));
        }
        let starting = |message: &str| Err(Failure::new(FailureKind::Starting { retry_after: RETRY_AFTER }, message));
        if !self.registry.loaded() {
            return starting("");
        }
        let states = self.states();
        if states.iter().any(|(_, state)| matches!(state, InstanceState::Ready { .. })) {
            return Ok(());
        }
        // Of several, the one that is nearest to being ready tells the state.
        let nearness = |state: &InstanceState| match state {
            InstanceState::Restarting { .. } => 0,
            InstanceState::Starting => 1,
            InstanceState::Failed(_) => 2,
            InstanceState::Ready { .. } | InstanceState::Stopped => 3,
        };
        match states.iter().map(|(_, state)| state).min_by_key(|state| nearness(state)) {
            Some(InstanceState::Starting) => starting(""),
            Some(InstanceState::Restarting { reason, .. }) => {
                starting(&format!("the browser is being restarted: {reason}"))
            }
            Some(InstanceState::Failed(reason)) => Err(Failure::new(FailureKind::BrowserFailed, reason.clone())),
            _ if self.replacements.is_any() => starting("the browser is started anew"),
            _ => Err(Failure::new(FailureKind::ShuttingDown, "")),
        }
    }

    /// Adds an instance, and tells the board of what becomes of its browser.
    pub(super) fn add(self: &Arc<Self>, member: Arc<Member>) {
        self.members().push(Arc::clone(&member));
        let (inner, draining) = (Arc::downgrade(self), self.draining.clone());
        self.tasks.spawn(draining.run_until_cancelled_owned(async move {
            let mut state = member.instance.state();
            drop(member);
            while state.changed().await.is_ok() {
                let Some(inner) = inner.upgrade() else { return };
                inner.board.settle();
                inner.look.notify_one();
            }
        }));
    }
}

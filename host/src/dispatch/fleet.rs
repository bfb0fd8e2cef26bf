//! The instances that there are: their states together, and how a new configuration changes them.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::lease::Opener;
use super::{
    DispatchOptions, Dispatcher, Failure, FailureKind, Health, Inner, InstancePlan, InstanceState, Member, RETRY_AFTER,
};
use crate::browser::Keeping;

/// For the requests of an instance that is taken away or started anew.
const LEAVE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);

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
            (false, false, None, None) => Health::Draining,
        }
    }

    /// Takes over a new configuration. Workers and limits change at once; an instance whose browser must be another one is started
    /// anew when its requests have ended. What was done, a sentence each.
    pub async fn apply(&self, plans: Vec<(InstancePlan, Keeping)>, options: DispatchOptions) -> Vec<String> {
        let _one = self.0.applying.lock().await;
        let mut done = Vec::new();
        let before = self.0.options();
        if before.deadlines.navigate != options.deadlines.navigate {
            self.0.opener.store(Opener::new(options.deadlines.navigate));
        }
        self.0.board.set_rules(options.rules.clone());
        self.0.options.store(Arc::new(options));
        let members = self.0.all_members();
        for member in members.iter().filter(|member| !plans.iter().any(|(plan, _)| plan.name == member.name())) {
            done.push(format!("instance {} was taken away", member.name()));
            self.0.remove(member).await;
        }
        for (plan, keeping) in plans {
            let name = plan.name.clone();
            match members.iter().find(|member| member.name() == name) {
                Some(member) if member.take_over(&plan) => continue,
                Some(member) => {
                    self.0.remove(member).await;
                    done.push(format!("instance {name} was started anew"));
                }
                None => done.push(format!("instance {name} is new")),
            }
            match Member::start(plan, Some(keeping)).await {
                Ok(member) => self.0.add(member),
                Err(error) => done.push(format!("instance {name} cannot be started: {error}")),
            }
        }
        self.0.sync();
        self.0.look.notify_one();
        done
    }

    /// Closes the browsers so that nothing is lost.
    pub async fn stop_browsers(&self) {
        let members = self.0.all_members();
        futures::future::join_all(members.iter().map(|member| member.instance.stop())).await;
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
            _ => Err(Failure::new(FailureKind::ShuttingDown, "")),
        }
    }

    /// Adds an instance, and tells the board of what becomes of its browser.
    pub(super) fn add(self: &Arc<Self>, member: Arc<Member>) {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&member));
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

    /// Takes an instance away: its idle workers at once, the others when their requests have ended, and then its browser.
    async fn remove(self: &Arc<Self>, member: &Arc<Member>) {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| !Arc::ptr_eq(other, member));
        self.sync();
        let until = tokio::time::Instant::now() + LEAVE;
        while self.board.uses(member) && tokio::time::Instant::now() < until {
            tokio::time::sleep(LOOK).await;
        }
        member.instance.stop().await;
    }
}

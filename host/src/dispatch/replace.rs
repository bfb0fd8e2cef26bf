//! How a new configuration changes the instances. A browser that must go goes when its requests have ended, in the background; nobody
//! waits for that, and the next configuration may come meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::lease::Opener;
use super::{DispatchOptions, Dispatcher, Inner, InstancePlan, Member};
use crate::browser::Keeping;

/// An instance as the configuration wants it.
type Wanted = (InstancePlan, Keeping);

/// By the instances' names: whose browser is on its way out, and what comes in its place.
type Leaving = BTreeMap<String, (Arc<Member>, Option<Wanted>)>;

/// Instances that go, or are started anew.
#[derive(Debug, Default)]
pub(super) struct Replacements(Mutex<Leaving>);

impl Replacements {
    fn lock(&self) -> MutexGuard<'_, Leaving> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_any(&self) -> bool {
        !self.lock().is_empty()
    }

    pub(super) fn leaving(&self) -> Vec<Arc<Member>> {
        self.lock().values().map(|(member, _)| Arc::clone(member)).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.lock().contains_key(name)
    }

    /// Says what is to come. True if nobody sees to it yet.
    fn set(&self, member: &Arc<Member>, next: Option<Wanted>) -> bool {
        let mut all = self.lock();
        if let Some((_, coming)) = all.get_mut(member.name()) {
            *coming = next;
            return false;
        }
        all.insert(member.name().to_owned(), (Arc::clone(member), next)).is_none()
    }
}

impl Dispatcher {
    /// Takes over a new configuration. Workers and limits change at once; an instance that is to be no more, or whose browser must be
    /// another one, when its requests have ended. What was done, a sentence each.
    pub async fn apply(&self, plans: Vec<Wanted>, options: DispatchOptions) -> Vec<String> {
        let inner = &self.0;
        let _one = inner.applying.lock().await;
        let mut done = Vec::new();
        if inner.options().deadlines.navigate != options.deadlines.navigate {
            inner.opener.store(Opener::new(options.deadlines.navigate));
        }
        inner.board.set_rules(options.rules.clone());
        // Calls that run began under the old deadlines, and those that begin before an instance is replaced under the new ones.
        let patience = inner.options().deadlines.longest().max(options.deadlines.longest());
        inner.options.store(Arc::new(options));
        let leaving = inner.replacements.leaving();
        let unwanted = |member: &Arc<Member>| !plans.iter().any(|(plan, _)| plan.name == member.name());
        for member in inner.all_members().iter().chain(&leaving).filter(|member| unwanted(member)) {
            inner.members().retain(|other| !Arc::ptr_eq(other, member));
            if inner.replace(member, None, patience) {
                done.push(format!("instance {} goes when its requests have ended", member.name()));
            }
        }
        for wanted in plans {
            let name = wanted.0.name.clone();
            let is_leaving = inner.replacements.has(&name);
            match inner.member(&name).or_else(|| leaving.iter().find(|member| member.name() == name).cloned()) {
                Some(member) if !is_leaving && member.take_over(&wanted.0) => {}
                Some(member) => {
                    member.hold(Some("its browser is started anew with its new settings"));
                    inner.replace(&member, Some(wanted), patience);
                    done.push(format!("instance {name} is started anew when its requests have ended"));
                }
                None => {
                    done.push(format!("instance {name} is new"));
                    inner.begin(wanted).await;
                }
            }
        }
        inner.sync();
        inner.look.notify_one();
        done
    }
}

impl Inner {
    /// Sees to it that an instance goes when its requests have ended, for which it has `patience`, and the next comes. False if somebody
    /// sees to it already.
    fn replace(self: &Arc<Self>, member: &Arc<Member>, next: Option<Wanted>, patience: Duration) -> bool {
        let is_new = self.replacements.set(member, next);
        if is_new {
            let (inner, member, ended) = (Arc::clone(self), Arc::clone(member), self.draining.clone());
            self.tasks.spawn(async move { ended.run_until_cancelled(inner.see_off(&member, patience)).await });
        }
        is_new
    }

    async fn see_off(self: &Arc<Self>, member: &Arc<Member>, patience: Duration) {
        self.board.until_unused(member, Instant::now() + patience).await;
        member.instance.stop().await;
        let _one = self.applying.lock().await;
        self.members().retain(|other| !Arc::ptr_eq(other, member));
        let next = self.replacements.lock().remove(member.name()).and_then(|(_, next)| next);
        tracing::info!(instance = member.name(), anew = next.is_some(), "the instance has gone");
        if let Some(next) = next {
            self.begin(next).await;
        }
        self.sync();
        self.look.notify_one();
    }

    async fn begin(self: &Arc<Self>, (plan, keeping): Wanted) {
        let name = plan.name.clone();
        match Member::start(plan, Some(keeping)).await {
            Ok(member) => self.add(member),
            Err(error) => tracing::error!(instance = name, %error, "the instance cannot be started"),
        }
    }
}

//! An instance that serves: its browser, the guard through which that one goes, and the limits that both share.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::plan::{InstancePlan, Limits, WorkerPlan};
use crate::browser::guard::Guard;
use crate::browser::{Instance, InstanceOptions, InstanceState, Keeping};

/// One of the instances that requests are sent to. Cheap to share.
#[derive(Debug)]
pub struct Member {
    pub(super) instance: Arc<Instance>,
    /// None for an instance that somebody else made.
    plan: Option<InstancePlan>,
    changeable: Mutex<Changeable>,
    _guard: Option<Guard>,
}

/// What a new configuration changes under a running browser.
#[derive(Debug, Clone, Default)]
struct Changeable {
    workers: Vec<WorkerPlan>,
    limits: Limits,
    held: Option<String>,
}

impl Member {
    /// Starts a guard, and behind it the browser's supervisor. `keeping` keeps its session over restarts.
    ///
    /// # Errors
    /// When the guard cannot listen.
    pub async fn start(plan: InstancePlan, keeping: Option<Keeping>) -> io::Result<Arc<Self>> {
        let guard = Guard::start(plan.guard.clone()).await?;
        let mut launch = plan.launch.clone();
        launch.guard = guard.addr();
        let options = InstanceOptions { name: plan.name.clone(), profile: plan.profile.clone(), launch };
        let instance = Arc::new(match keeping {
            Some(keeping) => Instance::spawn_kept(options, keeping),
            None => Instance::spawn(options),
        });
        let changeable = Changeable { workers: plan.workers.clone(), limits: plan.limits, held: None };
        Ok(Arc::new(Self { instance, plan: Some(plan), changeable: Mutex::new(changeable), _guard: Some(guard) }))
    }

    /// Of an instance that runs already, for every adapter there is.
    pub fn of(instance: Arc<Instance>) -> Arc<Self> {
        Arc::new(Self { instance, plan: None, changeable: Mutex::default(), _guard: None })
    }

    pub fn name(&self) -> &str {
        self.instance.name()
    }

    /// Its browser, for what is done to it beside requests.
    pub fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    pub(super) fn workers(&self) -> Vec<WorkerPlan> {
        self.lock().workers.clone()
    }

    pub(super) fn limits(&self) -> Limits {
        self.lock().limits
    }

    /// Why no request may go there now, beside what its browser says.
    pub(super) fn held(&self) -> Option<String> {
        self.lock().held.clone()
    }

    /// Keeps requests away, or lets them in again.
    pub(super) fn hold(&self, reason: Option<&str>) {
        self.lock().held = reason.map(str::to_owned);
    }

    /// Takes over what can be changed while the browser runs. False if that is not all.
    pub(super) fn take_over(&self, plan: &InstancePlan) -> bool {
        if !self.plan.as_ref().is_some_and(|mine| mine.same_browser(plan)) {
            return false;
        }
        let mut changeable = self.lock();
        changeable.workers.clone_from(&plan.workers);
        changeable.limits = plan.limits;
        true
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(&*self.instance.state().borrow(), InstanceState::Ready { .. })
    }

    /// Why it cannot be used, and not only yet.
    pub(super) fn failed(&self) -> Option<String> {
        match &*self.instance.state().borrow() {
            InstanceState::Failed(reason) => Some(reason.clone()),
            InstanceState::Stopped => Some("it was stopped".into()),
            _ => None,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Changeable> {
        self.changeable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What the operator wants: instances, their workers, and how much may be asked of them.

use std::collections::BTreeMap;

use crate::browser::guard::GuardOptions;
use crate::browser::{LaunchOptions, Profile};

/// One browser profile with its own process, cookies and way to the internet.
#[derive(Debug, Clone, PartialEq)]
pub struct InstancePlan {
    pub name: String,
    pub profile: Profile,
    /// Its `guard` is filled in when the instance is started.
    pub launch: LaunchOptions,
    pub guard: GuardOptions,
    pub workers: Vec<WorkerPlan>,
    /// Of all its pages together.
    pub limits: Limits,
}

impl InstancePlan {
    /// Whether the same browser can go on with that plan: workers and limits change under it.
    pub(super) fn same_browser(&self, other: &Self) -> bool {
        let browser = |plan: &Self| (plan.name.clone(), plan.profile.clone(), plan.launch.clone(), plan.guard.clone());
        browser(self) == browser(other)
    }
}

/// A page that can be leased, for one adapter or for several in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerPlan {
    pub name: String,
    /// Ids.
    pub adapters: Vec<String>,
    /// Whose site it shows while it is idle; none: that of the first.
    pub monitor: Option<String>,
}

/// How much may be asked. None: as much as there are pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Pages in use at once.
    pub pages: Option<usize>,
    /// Requests in any sixty seconds.
    pub per_minute: Option<usize>,
}

/// Which of several free workers a request gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Of the instance with the fewest pages in use.
    #[default]
    LeastBusy,
    /// Of the instance that was used longest ago.
    RoundRobin,
    Random,
    /// Requests with the same beginning go to the same instance.
    Sticky,
}

/// All that decides which page a request may have.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    pub strategy: Strategy,
    /// How often a request that was not submitted may go to another page; none: only where its own browser died.
    pub retries: Option<u32>,
    /// Requests for one model that may wait.
    pub queue: usize,
    /// Pages of an adapter that no worker names, on the first instance.
    pub pages: usize,
    /// By adapter: of each account there.
    pub sites: BTreeMap<String, Limits>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { strategy: Strategy::default(), retries: Some(2), queue: 16, pages: 4, sites: BTreeMap::new() }
    }
}

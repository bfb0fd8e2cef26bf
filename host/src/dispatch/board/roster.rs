//! Which workers there are to be.

use std::sync::Arc;

use crate::dispatch::member::Member;
use crate::dispatch::plan::WorkerPlan;

/// A worker's place: its instance, and the adapters that it works for.
#[derive(Debug, Clone)]
pub(in crate::dispatch) struct Post {
    pub(in crate::dispatch) member: Arc<Member>,
    pub(in crate::dispatch) name: String,
    /// Ids, never empty.
    pub(in crate::dispatch) adapters: Vec<String>,
    /// Whose site it shows while it is idle.
    pub(in crate::dispatch) monitor: String,
    /// The operator named it, so that its sign-in is one that lasts, whatever the adapter.
    pub(in crate::dispatch) named: bool,
}

impl PartialEq for Post {
    fn eq(&self, other: &Self) -> bool {
        let of = |post: &Self| (post.name.clone(), post.adapters.clone(), post.monitor.clone(), post.named);
        Arc::ptr_eq(&self.member, &other.member) && of(self) == of(other)
    }
}

/// The workers that the plans name, and on the first instance `pages` for each loaded adapter that none of them names.
pub(super) fn posts(members: &[Arc<Member>], adapters: &[String], pages: usize) -> Vec<Post> {
    let named = |member: &Arc<Member>| {
        let member = Arc::clone(member);
        member.workers().into_iter().filter_map(move |worker| post(&member, worker)).collect::<Vec<_>>()
    };
    let mut posts: Vec<Post> = members.iter().flat_map(named).collect();
    let Some(first) = members.first() else { return posts };
    let free = adapters.iter().filter(|id| !posts.iter().any(|post| post.adapters.contains(id)));
    let free: Vec<&String> = free.collect();
    for id in free {
        posts.extend((1..=pages).map(|n| Post {
            member: Arc::clone(first),
            name: format!("{id}/{n}"),
            adapters: vec![id.clone()],
            monitor: id.clone(),
            named: false,
        }));
    }
    posts
}

fn post(member: &Arc<Member>, worker: WorkerPlan) -> Option<Post> {
    let monitor = worker.monitor.or_else(|| worker.adapters.first().cloned())?;
    Some(Post { member: Arc::clone(member), name: worker.name, adapters: worker.adapters, monitor, named: true })
}

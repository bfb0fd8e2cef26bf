//! The board: which workers are free, who waits for one, and who is given which.
//!
//! A worker is in one place: on the board, or in the [`Claim`] of whoever has it. Everything is decided under one lock that is held
//! for no longer than the decision takes; nothing is awaited there.

mod idle;
mod judge;
mod roster;
mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::account::{self, Account, AccountId, Accounts, SignIn};
use super::lease::Parked;
use super::member::Member;
use super::plan::Rules;
use crate::chat::{Failure, FailureKind};
use crate::plugin::Adapter;
use judge::Verdict;
use roster::Post;
pub use view::{AccountView, QueueView, RunningView, WaitingView, WorkerView};

/// What a client is told to wait when the queue is full.
const BUSY: Duration = Duration::from_secs(5);
/// Keys whose turns are remembered.
const TURNS: usize = 1024;

/// A page that can be leased: at most one at a time, of one of its adapters.
#[derive(Debug)]
pub(super) struct Worker {
    id: u64,
    pub(super) post: Arc<Post>,
    /// Its page, while it is idle and warm.
    pub(super) parked: Option<Parked>,
}

/// What somebody wants a worker for.
#[derive(Debug, Clone)]
pub(super) struct Want {
    /// The request's.
    pub(super) id: String,
    /// Whose request it is: keys take turns.
    pub(super) caller: String,
    /// As the client named it: its queue.
    pub(super) model: String,
    /// Those that have it, best first.
    pub(super) adapters: Arc<[Arc<Adapter>]>,
    /// An instance where it can go on with what was begun.
    pub(super) prefer: Option<String>,
    /// Requests with the same one belong together.
    pub(super) sticky: [u8; 32],
    /// Where it has failed already.
    pub(super) avoid: Vec<AccountId>,
    /// It waits no longer than this.
    pub(super) until: Instant,
    pub(super) rank: Rank,
}

/// How a want stands among others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    /// A client's, for which there must be room in the queue.
    Request,
    /// One that had its turn, and is dispatched anew.
    Again,
    /// The program's own: requests go first.
    Idle,
}

/// A worker that somebody has. Dropping it gives it back, without a page.
#[derive(Debug)]
pub(super) struct Claim {
    board: Arc<Board>,
    worker: Option<Worker>,
    /// Those that were wanted. Shared, so that an adapter is held once by each call: that is how calls of an old version are counted.
    adapters: Arc<[Arc<Adapter>]>,
    /// Which of them it is.
    pub(super) place: usize,
}

impl Claim {
    /// The adapter that it is for.
    pub(super) fn adapter(&self) -> Option<&Arc<Adapter>> {
        self.adapters.get(self.place)
    }

    pub(super) fn member(&self) -> Option<&Arc<Member>> {
        self.worker.as_ref().map(|worker| &worker.post.member)
    }

    pub(super) fn worker(&mut self) -> Option<&mut Worker> {
        self.worker.as_mut()
    }

    pub(super) fn post(&self) -> Option<&Arc<Post>> {
        self.worker.as_ref().map(|worker| &worker.post)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            self.board.put_back(worker);
        }
    }
}

/// A place in the queue. Dropping it leaves the queue.
#[derive(Debug)]
pub(super) struct Ticket {
    number: u64,
    grant: oneshot::Receiver<Result<Claim, Failure>>,
    board: Arc<Board>,
}

impl Ticket {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Waits for the worker. Safe to cancel by dropping the ticket.
    ///
    /// # Errors
    /// When none can be had, or none was free in time.
    pub(super) async fn granted(mut self, until: Instant) -> Result<Claim, Failure> {
        match tokio::time::timeout_at(until, &mut self.grant).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Failure::new(FailureKind::ShuttingDown, "")),
            Err(_) => Err(Failure::new(FailureKind::Timeout(crate::chat::Stage::Queue), "")),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.grant.close();
        self.board.leave(self.number);
    }
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    /// When its key's turn comes, in rounds.
    turn: u64,
    want: Want,
    since: Instant,
    grant: oneshot::Sender<Result<Claim, Failure>>,
}

/// Who has a worker.
#[derive(Debug)]
struct Out {
    post: Arc<Post>,
    adapter: String,
    what: String,
    rank: Rank,
    since: Instant,
}

/// How an instance is used.
#[derive(Debug, Default)]
struct Usage {
    recent: VecDeque<Instant>,
    /// The round in which it was used last.
    last: u64,
}

#[derive(Debug, Default)]
struct State {
    rules: Rules,
    roster: BTreeMap<u64, Arc<Post>>,
    idle: Vec<Worker>,
    out: BTreeMap<u64, Out>,
    /// In the order of their turns.
    waiting: Vec<Waiting>,
    accounts: Accounts,
    usage: BTreeMap<String, Usage>,
    /// The last turn that each key was given.
    turns: HashMap<String, u64>,
    turn: u64,
    count: u64,
    /// Adapters and instances that the metrics name.
    published: BTreeSet<(String, String)>,
    /// When a decision may fall out otherwise without anything else happening.
    wake: Option<Instant>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Board {
    state: Mutex<State>,
    /// Told when `wake` has changed.
    alarm: Notify,
    /// Told whenever a worker has come back.
    returned: Notify,
}

impl Board {
    pub(super) fn new(rules: Rules) -> Arc<Self> {
        let state = State { rules, ..State::default() };
        Arc::new(Self { state: Mutex::new(state), ..Self::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_rules(self: &Arc<Self>, rules: Rules) {
        self.lock().rules = rules;
        self.settle();
    }

    pub(super) fn rules(&self) -> Rules {
        self.lock().rules.clone()
    }

    /// Puts the workers up that there are to be, and takes down those that are not; one that is leased goes when it comes back.
    pub(super) fn sync(self: &Arc<Self>, members: &[Arc<Member>], adapters: &[String]) {
        let gone = {
            let mut state = self.lock();
            let posts = roster::posts(members, adapters, state.rules.pages);
            state.staff(posts)
        };
        // Their pages close here, without the lock.
        drop(gone);
        self.settle();
    }

    /// Takes a place in the queue.
    ///
    /// # Errors
    /// When the queue is full.
    pub(super) fn queue(self: &Arc<Self>, want: Want) -> Result<Ticket, Failure> {
        let (model, caller, rank) = (want.model.clone(), want.caller.clone(), want.rank);
        let (grant, receiver) = oneshot::channel();
        let number = self.lock().enter(want, grant);
        let ticket = Ticket { number, grant: receiver, board: Arc::clone(self) };
        self.settle();
        let state = self.lock();
        let waits = |waiting: &&Waiting| waiting.want.model == model && waiting.want.rank == Rank::Request;
        let is_here = state.waiting.iter().any(|waiting| waiting.number == number);
        let is_own = |waiting: &&Waiting| waits(waiting) && waiting.want.caller == caller;
        // A key that fills the queue keeps no other one out: whoever has nothing there yet gets a place.
        let (most, own) = (state.rules.queue, state.waiting.iter().filter(is_own).count());
        let is_full = is_here && state.waiting.iter().filter(waits).count() > most && own > 1;
        drop(state);
        if rank == Rank::Request && is_full {
            return Err(Failure::new(FailureKind::ServerBusy { retry_after: BUSY }, ""));
        }
        Ok(ticket)
    }

    /// A free worker for this account, whatever its state, if nobody waits for one. One at a time: looking after an account must not
    /// take its last page from requests.
    pub(super) fn try_claim(self: &Arc<Self>, instance: &str, adapter: &Arc<Adapter>, what: &str) -> Option<Claim> {
        let mut state = self.lock();
        let id = &adapter.manifest.id;
        let fits = |worker: &Worker| worker.post.member.name() == instance && worker.post.adapters.contains(id);
        let index = state.idle.iter().position(fits)?;
        let is_wanted = |waiting: &Waiting| waiting.want.adapters.iter().any(|wanted| wanted.manifest.id == *id);
        if state.waiting.iter().any(is_wanted) || state.is_looked_after(instance, id) {
            return None;
        }
        let worker = state.take(index, id, what, Rank::Idle);
        drop(state);
        Some(Claim {
            board: Arc::clone(self),
            worker: Some(worker),
            adapters: Arc::from([Arc::clone(adapter)]),
            place: 0,
        })
    }

    /// The same, once there is one. None if there was none in time.
    pub(super) async fn claim(
        self: &Arc<Self>,
        instance: &str,
        adapter: &Arc<Adapter>,
        what: &str,
        until: Instant,
    ) -> Option<Claim> {
        self.once(until, || self.try_claim(instance, adapter, what)).await
    }

    /// Waits until nobody has a worker of this instance. False if somebody still has one then.
    pub(super) async fn until_unused(&self, member: &Arc<Member>, until: Instant) -> bool {
        self.once(until, || (!self.uses(member)).then_some(())).await.is_some()
    }

    /// Looks again whenever a worker has come back.
    async fn once<T>(&self, until: Instant, look: impl Fn() -> Option<T>) -> Option<T> {
        loop {
            let mut returned = std::pin::pin!(self.returned.notified());
            // From here on no return is missed.
            returned.as_mut().enable();
            if let Some(found) = look() {
                return Some(found);
            }
            tokio::time::timeout_at(until, returned).await.ok()?;
        }
    }

    /// What is known of an account, to look at and to change.
    pub(super) fn account<T>(self: &Arc<Self>, id: &AccountId, with: impl FnOnce(&mut Account) -> T) -> T {
        let result = with(self.lock().accounts.entry(id.clone()).or_default());
        self.settle();
        result
    }

    /// Whether somebody has a worker of this instance.
    pub(super) fn uses(&self, member: &Arc<Member>) -> bool {
        self.lock().out.values().any(|out| Arc::ptr_eq(&out.post.member, member))
    }

    /// Takes the warm pages of idle workers away, so that they close. How many there were.
    pub(super) fn close_idle(&self) -> usize {
        let parked: Vec<Parked> = self.lock().idle.iter_mut().filter_map(|worker| worker.parked.take()).collect();
        parked.len()
    }

    /// The same on one instance.
    pub(super) fn close_idle_of(&self, member: &Arc<Member>) {
        let here =
            |worker: &mut Worker| Arc::ptr_eq(&worker.post.member, member).then(|| worker.parked.take()).flatten();
        let parked: Vec<Parked> = self.lock().idle.iter_mut().filter_map(here).collect();
        drop(parked);
    }

    /// Gives everybody who can have it now what he waits for, and sends away whoever can never have it.
    pub(super) fn settle(self: &Arc<Self>) {
        let mut results = Vec::new();
        let mut state = self.lock();
        let (now, before) = (Instant::now(), state.wake);
        state.wake = None;
        let mut index = 0;
        while let Some(waiting) = state.waiting.get(index) {
            let verdict = state.judge(&waiting.want, now);
            match verdict {
                Verdict::Wait(until) => {
                    state.wake = earlier(state.wake, until);
                    index += 1;
                }
                Verdict::Never(failure) => results.push((state.waiting.remove(index).grant, Err(failure))),
                Verdict::Take { idle, place } => {
                    let waiting = state.waiting.remove(index);
                    if waiting.want.rank == Rank::Request {
                        state.turn = state.turn.max(waiting.turn);
                    }
                    let adapters = Arc::clone(&waiting.want.adapters);
                    let id = adapters.get(place).map(|adapter| adapter.manifest.id.clone()).unwrap_or_default();
                    let worker = state.take(idle, &id, &waiting.want.id, waiting.want.rank);
                    state.begin(&worker, &id, now);
                    results.push((
                        waiting.grant,
                        Ok(Claim { board: Arc::clone(self), worker: Some(worker), adapters, place }),
                    ));
                }
            }
        }
        let rings = state.wake != before;
        drop(state);
        if rings {
            self.alarm.notify_one();
        }
        for (grant, result) in results {
            // Whoever has left meanwhile gives the worker back by this.
            drop(grant.send(result));
        }
    }

    /// Decides anew when only time has passed. Runs until it is dropped.
    pub(super) async fn watch_the_clock(self: Arc<Self>) {
        loop {
            let wake = self.lock().wake;
            tokio::select! {
                () = self.alarm.notified() => {}
                () = sleep_until(wake) => self.settle(),
            }
        }
    }

    fn leave(&self, number: u64) {
        self.lock().waiting.retain(|waiting| waiting.number != number);
    }

    fn put_back(self: &Arc<Self>, worker: Worker) {
        let mut state = self.lock();
        state.out.remove(&worker.id);
        let retired = if state.roster.contains_key(&worker.id) {
            state.idle.push(worker);
            None
        } else {
            Some(worker)
        };
        drop(state);
        drop(retired);
        self.settle();
        self.returned.notify_waiters();
    }
}

impl State {
    fn enter(&mut self, want: Want, grant: oneshot::Sender<Result<Claim, Failure>>) -> u64 {
        self.count += 1;
        let last = self.turns.get(&want.caller).copied().unwrap_or(0);
        let turn = match want.rank {
            Rank::Request => (last + 1).max(self.turn),
            // It had its turn.
            Rank::Again => 0,
            Rank::Idle => u64::MAX,
        };
        if want.rank == Rank::Request {
            if self.turns.len() >= TURNS {
                let now = self.turn;
                self.turns.retain(|_, last| *last >= now);
            }
            self.turns.insert(want.caller.clone(), turn);
        }
        let place = self.waiting.partition_point(|other| other.turn <= turn);
        let waiting = Waiting { number: self.count, turn, want, since: Instant::now(), grant };
        self.waiting.insert(place, waiting);
        self.count
    }

    fn take(&mut self, index: usize, adapter: &str, what: &str, rank: Rank) -> Worker {
        let worker = self.idle.remove(index);
        let out = Out {
            post: Arc::clone(&worker.post),
            adapter: adapter.to_owned(),
            what: what.to_owned(),
            rank,
            since: Instant::now(),
        };
        self.out.insert(worker.id, out);
        worker
    }

    fn begin(&mut self, worker: &Worker, adapter: &str, now: Instant) {
        self.count += 1;
        let count = self.count;
        let usage = self.usage.entry(worker.post.member.name().to_owned()).or_default();
        usage.last = count;
        account::note(&mut usage.recent, now);
        self.accounts.entry((worker.post.member.name().to_owned(), adapter.to_owned())).or_default().began(now);
    }

    fn staff(&mut self, posts: Vec<Post>) -> Vec<Worker> {
        let mut roster = BTreeMap::new();
        for post in posts {
            let known = self.roster.iter().find(|(id, known)| !roster.contains_key(*id) && known.as_ref() == &post);
            match known {
                Some((id, post)) => roster.insert(*id, Arc::clone(post)),
                None => {
                    self.count += 1;
                    let (id, post) = (self.count, Arc::new(post));
                    self.idle.push(Worker { id, post: Arc::clone(&post), parked: None });
                    roster.insert(id, post)
                }
            };
        }
        self.roster = roster;
        let (stay, gone) = std::mem::take(&mut self.idle).into_iter().partition(|w| self.roster.contains_key(&w.id));
        self.idle = stay;
        gone
    }

    /// Whether the program itself has a page of this account.
    fn is_looked_after(&self, instance: &str, adapter: &str) -> bool {
        self.out
            .values()
            .any(|out| out.rank == Rank::Idle && out.adapter == adapter && out.post.member.name() == instance)
    }

    /// Of an account whose sign-in counts.
    fn sign_in(&self, id: &AccountId) -> SignIn {
        self.accounts.get(id).map(|account| account.sign_in().clone()).unwrap_or_default()
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

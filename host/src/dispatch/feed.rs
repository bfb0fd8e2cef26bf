//! The events of a job, for all who listen: the client that asked, and whoever repeats its request.
//!
//! Whoever wants the next event fetches it from the job and leaves it for the others. What was said is kept, within a bound, so that a
//! repetition hears it from the beginning. When nobody listens any more, the job is cancelled.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::board::Board;
use crate::chat::{Delta, Failure, FailureKind, JobEvent};

/// The longest answer that is kept for repetitions, in bytes.
const KEPT_MAX: usize = 1 << 20;
/// What an event costs beside its text.
const EVENT: usize = size_of::<JobEvent>();

/// A request under way. Dropping it cancels it, unless somebody else listens too.
#[derive(Debug)]
pub struct Job {
    feed: Arc<Feed>,
    heard: usize,
    /// It fell so far behind that what comes next is not kept any more.
    lost: bool,
    place: QueuePlace,
    _listens: Arc<DropGuard>,
}

/// Where a job waits.
#[derive(Debug, Clone, Default)]
pub struct QueuePlace(Option<(Arc<Board>, u64)>);

impl QueuePlace {
    pub(super) fn new(board: &Arc<Board>, number: u64) -> Self {
        Self(Some((Arc::clone(board), number)))
    }

    /// How many requests for the same model get a page before this one, itself included; none if it does not wait for one.
    pub fn position(&self) -> Option<usize> {
        let (board, number) = self.0.as_ref()?;
        board.position(*number)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Feed {
    /// None when it is over: its channel takes more memory than most answers.
    source: tokio::sync::Mutex<Option<mpsc::Receiver<JobEvent>>>,
    said: Mutex<Said>,
    grown: Notify,
}

#[derive(Debug, Default)]
struct Said {
    /// What was said since `dropped`.
    events: Vec<JobEvent>,
    /// Events from the beginning that are not kept any more.
    dropped: usize,
    bytes: usize,
    /// Nothing is kept: too much was said.
    overflows: bool,
    ended: bool,
    /// While somebody listens.
    listening: std::sync::Weak<DropGuard>,
}

impl Feed {
    pub(super) fn new(source: mpsc::Receiver<JobEvent>) -> Arc<Self> {
        Arc::new(Self { source: tokio::sync::Mutex::new(Some(source)), said: Mutex::default(), grown: Notify::new() })
    }

    /// The first who listens; `cancel` is cancelled when nobody does any more.
    pub(super) fn lead(self: &Arc<Self>, cancel: CancellationToken, place: QueuePlace) -> Job {
        let listens = Arc::new(cancel.drop_guard());
        self.lock().listening = Arc::downgrade(&listens);
        Job { feed: Arc::clone(self), heard: 0, lost: false, place, _listens: listens }
    }

    /// Listens from the beginning. None if that is not to be had any more.
    pub(super) fn join(self: &Arc<Self>) -> Option<Job> {
        let said = self.lock();
        if said.overflows {
            return None;
        }
        let listens = match said.listening.upgrade() {
            Some(listens) => listens,
            // It is over, and nobody is left to be cancelled.
            None if said.ended => Arc::new(CancellationToken::new().drop_guard()),
            None => return None,
        };
        Some(Job { feed: Arc::clone(self), heard: 0, lost: false, place: QueuePlace::default(), _listens: listens })
    }

    /// What is kept, in bytes.
    pub(super) fn size(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn said(&self, place: usize) -> Next {
        let said = self.lock();
        match place.checked_sub(said.dropped).and_then(|index| said.events.get(index)) {
            Some(event) => Next::Event(event.clone()),
            None if place < said.dropped => Next::Lost,
            None if said.ended => Next::Over,
            None => Next::Later,
        }
    }

    /// True if that was the last.
    fn keep(&self, event: Option<JobEvent>) -> bool {
        let mut said = self.lock();
        match event {
            Some(event) => {
                said.bytes += EVENT + size(&event);
                said.ended = matches!(event, JobEvent::Done(_) | JobEvent::Failed(_));
                said.events.push(event);
            }
            None => said.ended = true,
        }
        let ended = said.ended;
        if ended {
            said.events.shrink_to_fit();
        }
        drop(said);
        self.grown.notify_waiters();
        ended
    }

    /// Lets go of what this listener has heard, where it is too much to keep.
    fn trim(&self, heard: usize) {
        let mut said = self.lock();
        if !said.overflows && said.bytes <= KEPT_MAX {
            return;
        }
        said.overflows = true;
        said.bytes = 0;
        let gone = heard.saturating_sub(said.dropped).min(said.events.len());
        said.events.drain(..gone);
        said.dropped += gone;
    }
}

enum Next {
    Event(JobEvent),
    Later,
    Over,
    /// It was said too long ago.
    Lost,
}

impl Job {
    /// Where it waits for a page, to be asked later.
    pub fn place(&self) -> QueuePlace {
        self.place.clone()
    }

    /// The next event; none after `Done` or `Failed`. Safe to cancel.
    pub async fn next(&mut self) -> Option<JobEvent> {
        if self.lost {
            return None;
        }
        loop {
            let grown = self.feed.grown.notified();
            match self.feed.said(self.heard) {
                Next::Event(event) => {
                    self.heard += 1;
                    self.feed.trim(self.heard);
                    return Some(event);
                }
                Next::Over => return None,
                Next::Lost => {
                    self.lost = true;
                    return Some(JobEvent::Failed(too_long()));
                }
                Next::Later => {}
            }
            tokio::select! {
                biased;
                mut source = self.feed.source.lock() => {
                    // Somebody else may have fetched it while this one waited for its turn.
                    if matches!(self.feed.said(self.heard), Next::Later) {
                        let event = match source.as_mut() {
                            Some(source) => source.recv().await,
                            None => None,
                        };
                        if self.feed.keep(event) {
                            *source = None;
                        }
                    }
                }
                () = grown => {}
            }
        }
    }
}

/// For whoever repeats a request whose answer is too long to be told twice.
fn too_long() -> Failure {
    Failure { submitted: true, ..Failure::new(FailureKind::AlreadySubmitted, "") }
}

fn size(event: &JobEvent) -> usize {
    match event {
        JobEvent::Delta(Delta::Text(text) | Delta::Reasoning(text) | Delta::Progress(text)) => text.len(),
        JobEvent::Delta(Delta::Citation(citation)) => citation.url.len() + citation.title.len(),
        JobEvent::Delta(Delta::Media { mime_type, bytes }) => mime_type.len() + bytes.len(),
        JobEvent::Delta(Delta::Link { mime_type, url }) => mime_type.len() + url.len(),
        JobEvent::Failed(failure) => failure.message.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Finish, Outcome};

    fn text(text: &str) -> JobEvent {
        JobEvent::Delta(Delta::Text(text.into()))
    }

    fn done() -> JobEvent {
        JobEvent::Done(Outcome { finish: Finish::Stop, conversation: None, model: None })
    }

    async fn rest(job: &mut Job) -> String {
        let mut all = String::new();
        while let Some(event) = job.next().await {
            match event {
                JobEvent::Delta(Delta::Text(text)) => all.push_str(&text),
                JobEvent::Failed(failure) => all.push_str(failure.kind.code()),
                _ => {}
            }
        }
        all
    }

    #[tokio::test]
    async fn who_joins_hears_it_from_the_beginning_and_to_the_end() {
        let (sender, receiver) = mpsc::channel(1);
        let feed = Feed::new(receiver);
        let mut first = feed.lead(CancellationToken::new(), QueuePlace::default());
        let saying = tokio::spawn(async move {
            for n in 0..20 {
                sender.send(text(&n.to_string())).await.unwrap();
            }
            sender.send(done()).await.unwrap();
        });
        assert!(matches!(first.next().await, Some(JobEvent::Delta(_))));
        let mut second = feed.join().unwrap();
        let (a, b) = tokio::join!(rest(&mut first), rest(&mut second));
        assert_eq!(format!("0{a}"), b);
        assert!(b.ends_with("171819"));
        saying.await.unwrap();
        // After the end as well, whoever has left.
        drop((first, second));
        assert_eq!(rest(&mut feed.join().unwrap()).await, b);
    }

    #[tokio::test]
    async fn it_is_cancelled_when_the_last_one_leaves_and_not_before() {
        let (_sender, receiver) = mpsc::channel(1);
        let (feed, cancel) = (Feed::new(receiver), CancellationToken::new());
        let first = feed.lead(cancel.clone(), QueuePlace::default());
        let second = feed.join().unwrap();
        drop(first);
        assert!(!cancel.is_cancelled());
        drop(second);
        assert!(cancel.is_cancelled());
        assert!(feed.join().is_none(), "it ended without a word");
    }

    #[test]
    fn all_that_an_event_holds_is_counted() {
        let mime_type = "image/png".to_owned();
        let file = Delta::Media { mime_type: mime_type.clone(), bytes: vec![0; 100].into() };
        assert_eq!(size(&JobEvent::Delta(file)), 109);
        assert_eq!(size(&JobEvent::Delta(Delta::Link { mime_type, url: "https://a/b".into() })), 20);
        assert_eq!(size(&JobEvent::Failed(Failure::new(FailureKind::Upstream, "busy"))), 4);
    }

    #[tokio::test]
    async fn what_is_too_long_is_told_once() {
        let (sender, receiver) = mpsc::channel(4);
        let feed = Feed::new(receiver);
        let mut first = feed.lead(CancellationToken::new(), QueuePlace::default());
        let mut slow = feed.join().unwrap();
        let saying = tokio::spawn(async move {
            for _ in 0..40 {
                sender.send(text(&"x".repeat(64 << 10))).await.unwrap();
            }
            sender.send(done()).await.unwrap();
        });
        assert_eq!(rest(&mut first).await.len(), 40 << 16);
        assert!(feed.join().is_none() && feed.size() == 0);
        assert!(rest(&mut slow).await.ends_with("already_submitted"));
        saying.await.unwrap();
    }
}

//! One request on its way: wait for a worker, call the adapter, give the page back, and try elsewhere where that is safe.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::account::AccountId;
use super::board::{Claim, Rank, Ticket, Want};
use super::continuity::{self, Chats};
use super::failover::Tries;
use super::lease::{Lease, NoPage};
use super::ledger::Record;
use super::{DispatchOptions, Inner};
use crate::browser::{Page, PageError};
use crate::chat::prompt::Rendered;
use crate::chat::{self, Failure, FailureKind, JobEvent, Kind, Outcome, Request, Stage, Transcript};
use crate::plugin::{Adapter, AdapterRequest, Call, Continues, Model, Report, Timing};
use crate::store::ConversationKey;
use crate::telemetry::metrics;

/// For pressing the stop button of a page that nobody waits for.
const STOP_LATER: Duration = Duration::from_secs(10);
/// By which an adapter says that the site has no such chat any more. Before it has sent anything.
const CHAT_GONE: &str = "conversation-gone";

/// A job and all that it needs.
pub(super) struct Running {
    pub(super) inner: Arc<Inner>,
    /// As they stood when it came.
    pub(super) options: Arc<DispatchOptions>,
    pub(super) want: Want,
    /// The model at each adapter that is wanted.
    pub(super) models: Vec<Model>,
    pub(super) request: Request,
    pub(super) events: mpsc::Sender<JobEvent>,
    pub(super) cancel: CancellationToken,
    pub(super) record: Record,
    pub(super) started: Instant,
}

/// One try of a request.
#[derive(Debug, Clone)]
pub struct Try {
    /// `id@version`.
    pub adapter: String,
    pub instance: String,
    pub worker: String,
    /// The error's code; none where it was answered.
    pub code: Option<String>,
    pub submitted: bool,
    pub total: Duration,
}

/// All that is known of a request when it is over.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) tries: Vec<Try>,
    pub(super) queued: Duration,
    pub(super) timing: Timing,
    /// What the last call had before it: the wait, and earlier tries.
    pub(super) before: Duration,
    pub(super) transcript: Transcript,
    pub(super) request: Option<Arc<AdapterRequest>>,
}

/// An adapter, and the wanted model there.
#[derive(Clone, Copy)]
struct Offer<'a> {
    adapter: &'a Adapter,
    model: &'a Model,
}

/// How a try ended, and with whom.
struct Tried {
    result: Result<Outcome, Failure>,
    account: AccountId,
    submitted: bool,
}

impl Running {
    /// Ends with the answer, the failure, or the caller's leaving.
    pub(super) async fn run(self, ticket: Ticket) {
        let mut trace = Trace::default();
        let result = self.attempts(ticket, &mut trace).await;
        let submitted = trace.tries.last().is_some_and(|last| last.submitted);
        self.record.close(submitted, result.as_ref().err());
        self.log(&trace, &result);
        self.note_history(&trace, &result);
        let last = match result {
            Ok(outcome) => JobEvent::Done(outcome),
            Err(failure) => JobEvent::Failed(failure),
        };
        // A caller that has gone needs no last word; one that does not read has its own deadline.
        let _ = self.events.send_timeout(last, Duration::from_secs(30)).await;
    }

    async fn attempts(&self, ticket: Ticket, trace: &mut Trace) -> Result<Outcome, Failure> {
        let mut tries = Tries::new(self.inner.board.rules().retries);
        let mut claim = self.claim(ticket, self.want.until).await?;
        loop {
            trace.queued = self.started.elapsed();
            let tried = self.attempt(claim, trace).await;
            let failure = match tried.result {
                Err(failure) if !tried.submitted => failure,
                result => return result,
            };
            if !tries.again(&failure.kind, &tried.account, &self.inner.instances()) {
                return Err(failure);
            }
            let until = Instant::now() + self.options.queue_wait;
            let want = Want { avoid: tries.avoid().to_vec(), until, rank: Rank::Again, ..self.want.clone() };
            let Ok(ticket) = self.inner.board.queue(want) else { return Err(failure) };
            tracing::info!(%failure, "dispatched again");
            claim = match self.claim(ticket, until).await {
                Ok(claim) => claim,
                Err(gone) if gone.kind == FailureKind::ClientGone => return Err(gone),
                // There is nobody else. What went wrong here says more than that.
                Err(_) => return Err(failure),
            };
        }
    }

    async fn claim(&self, ticket: Ticket, until: Instant) -> Result<Claim, Failure> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Failure::new(FailureKind::ClientGone, "")),
            claim = ticket.granted(until) => claim,
        }
    }

    /// One worker, one page, one call.
    async fn attempt(&self, claim: Claim, trace: &mut Trace) -> Tried {
        let began = Instant::now();
        let instance = claim.member().map(|member| member.name().to_owned()).unwrap_or_default();
        let worker = claim.post().map(|post| post.name.clone()).unwrap_or_default();
        let Some(offer) = self.offer(claim.place) else {
            let failure = Failure::new(FailureKind::ModelUnavailable, "");
            return Tried { result: Err(failure), account: AccountId::default(), submitted: false };
        };
        let account = (instance.clone(), offer.adapter.manifest.id.clone());
        let called = self.call_on(claim, offer, trace).await;
        let (result, submitted) = match called {
            Ok(report) => {
                trace.transcript = report.transcript;
                (report.result, report.submitted)
            }
            Err(failure) => (Err(failure), false),
        };
        let outcome = result.as_ref().err().map_or("ok", |failure| failure.kind.code());
        metrics::attempt_ended(&account.1, &instance, outcome);
        trace.tries.push(Try {
            adapter: offer.adapter.label(),
            instance,
            worker,
            code: result.as_ref().err().map(|failure| failure.kind.code().to_owned()),
            submitted,
            total: began.elapsed(),
        });
        Tried { result, account, submitted }
    }

    fn offer(&self, place: usize) -> Option<Offer<'_>> {
        Some(Offer { adapter: self.want.adapters.get(place)?, model: self.models.get(place)? })
    }

    async fn call_on(&self, claim: Claim, offer: Offer<'_>, trace: &mut Trace) -> Result<Report, Failure> {
        let limit = offer.adapter.manifest.prompt_limit();
        let rendered = chat::prompt::render_within(&self.request, offer.model.kind, limit)?;
        let lease = self.lease(claim).await?;
        self.tell_start(&lease, offer, trace).await;
        trace.before = self.started.elapsed();
        let mut chat = self.chat(&lease, offer).await;
        let asked =
            self.adapter_request((offer, lease.has_account()), &rendered, chat.as_ref().map(|chat| &chat.conversation));
        let mut report = self.call(&lease, offer, asked, trace).await;
        if chat.is_some() && has_no_chat(&report) {
            tracing::info!("the site has this chat no more: a new one begins");
            chat = None;
            if let Err(error) = lease.page().back_to_entry(Some(self.options.deadlines.navigate)).await {
                return Err(no_page(NoPage::Failed(error)));
            }
            report = self
                .call(&lease, offer, self.adapter_request((offer, lease.has_account()), &rendered, None), trace)
                .await;
        }
        self.remember(&lease, offer, &report, chat).await;
        self.note(&lease, offer, &report);
        self.keep_picture(&lease, &report).await;
        if let Some(lease) = self.end(lease, &report).await {
            lease.give_back(&self.inner.opener(), &self.inner.tasks);
        }
        Ok(report)
    }

    async fn lease(&self, claim: Claim) -> Result<Lease, Failure> {
        let until = Instant::now() + self.options.queue_wait;
        let opener = self.inner.opener();
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Failure::new(FailureKind::ClientGone, "")),
            lease = opener.lease(claim, until) => lease.map_err(no_page),
        }
    }

    async fn tell_start(&self, lease: &Lease, offer: Offer<'_>, trace: &Trace) {
        let event = JobEvent::Started {
            adapter: offer.adapter.label(),
            instance: lease.instance().to_owned(),
            queued: trace.queued,
            attempts: u32::try_from(trace.tries.len() + 1).unwrap_or(u32::MAX),
        };
        // The channel is empty here; a closed one means that the cancel token follows.
        let _ = self.events.send(event).await;
    }

    fn chats(&self) -> Chats<'_> {
        Chats(self.options.history.as_ref())
    }

    /// The chat of this account's that the request goes on with. It is taken out of the index.
    async fn chat(&self, lease: &Lease, offer: Offer<'_>) -> Option<Taken> {
        let max_age = self.goes_on(offer, lease.has_account())?;
        let (known, _) = continuity::split(&self.request.turns)?;
        let key = key(lease.instance(), offer, continuity::hash(known));
        let (conversation, turns) = self.chats().take(&key, max_age).await?;
        Some(Taken { key, conversation, turns })
    }

    /// For how long a chat can go on; none where none does.
    fn goes_on(&self, offer: Offer<'_>, has_account: bool) -> Option<Duration> {
        let can = offer.adapter.manifest.features.conversations && offer.model.kind == Kind::Text;
        self.options.conversations.filter(|_| can && self.request.temporary.is_none() && has_account)
    }

    /// Keeps the chat for the next request of this conversation.
    async fn remember(&self, lease: &Lease, offer: Offer<'_>, report: &Report, chat: Option<Taken>) {
        match &report.result {
            Ok(outcome) if self.goes_on(offer, lease.has_account()).is_some() => {
                let answer = report.transcript.as_history();
                if let Some((answer, conversation)) = answer.zip(outcome.conversation.as_ref()) {
                    let said = continuity::hash_with_answer(&self.request.turns, answer);
                    let turns = self.request.turns.len() as u64 + 1;
                    self.chats().put(&key(lease.instance(), offer, said), conversation, turns).await;
                }
            }
            // Nothing was said there: it is as it was.
            Err(_) if !report.submitted => {
                if let Some(chat) = chat {
                    self.chats().put(&chat.key, &chat.conversation, chat.turns).await;
                }
            }
            _ => {}
        }
    }

    async fn call(&self, lease: &Lease, offer: Offer<'_>, request: AdapterRequest, trace: &mut Trace) -> Report {
        let request = Arc::new(request);
        trace.request = Some(Arc::clone(&request));
        lease.page().begin_call();
        let call = Call {
            page: Arc::clone(lease.page()),
            request,
            events: self.events.clone(),
            deadlines: self.options.deadlines,
            cancel: self.cancel.clone(),
            means: self.inner.means(offer.adapter, lease.instance()),
        };
        let report = offer.adapter.generate(call).await;
        lease.page().end_call();
        self.inner.registry.report(offer.adapter, &report);
        trace.timing = report.timing;
        report
    }

    fn adapter_request(
        &self,
        (offer, has_account): (Offer<'_>, bool),
        rendered: &Rendered,
        conversation: Option<&String>,
    ) -> AdapterRequest {
        let request = &self.request;
        let continues = conversation.zip(continuity::split(&request.turns));
        let continues = continues.map(|(conversation, (_, new))| (conversation, chat::prompt::render_turns(new)));
        let (continues, attachments) = match continues {
            Some((conversation, new)) => {
                (Some(Continues { conversation: conversation.clone(), new_turn: new.text }), new.attachments)
            }
            None => (None, rendered.attachments.clone()),
        };
        AdapterRequest {
            id: request.id.clone(),
            kind: offer.model.kind,
            model: offer.model.id.clone(),
            prompt: rendered.text.clone(),
            attachments,
            continues,
            temporary: request.temporary.unwrap_or_else(|| self.goes_on(offer, has_account).is_none()),
            options: request.options.clone(),
        }
    }

    /// What the call's end says of the account.
    fn note(&self, lease: &Lease, offer: Offer<'_>, report: &Report) {
        if !lease.has_account() {
            return;
        }
        let id = (lease.instance().to_owned(), offer.adapter.manifest.id.clone());
        let failure = report.result.as_ref().err().map(|failure| failure.kind.clone());
        let asks_for_somebody = matches!(failure, Some(FailureKind::LoginRequired | FailureKind::ChallengeRequired));
        self.inner.board.account(&id, |account| {
            account.ended(failure.as_ref(), Instant::now());
            if asks_for_somebody {
                account.make_due();
            }
        });
        if asks_for_somebody {
            self.inner.look.notify_one();
        }
    }

    /// What the page looks like on which an adapter did not get on. Only where somebody wants it.
    async fn keep_picture(&self, lease: &Lease, report: &Report) {
        let Some(folder) = &self.options.pictures else { return };
        let Err(failure) = &report.result else { return };
        if failure.kind == FailureKind::ClientGone {
            return;
        }
        let Ok(picture) = lease.page().screenshot().await else { return };
        let path = folder.join(format!("{}.png", self.request.id));
        if let Err(error) = tokio::fs::write(&path, picture).await {
            tracing::debug!(%error, path = %path.display(), "the picture of a page was not kept");
        }
    }

    /// Leaves the site in peace. The lease, if its page can be made fit for the next request; else it is closed.
    async fn end(&self, lease: Lease, report: &Report) -> Option<Lease> {
        let keep = match &report.result {
            Err(failure) => match failure.kind {
                // Nobody listens to the answer any more.
                FailureKind::ClientGone
                | FailureKind::AdapterCrashed
                | FailureKind::AdapterCpuLimit
                | FailureKind::AdapterMemoryLimit
                    if report.submitted =>
                {
                    let stopped = stop(lease.page(), self.options.cancel).await;
                    if !stopped {
                        let (page, ended) = (Arc::clone(lease.page()), self.inner.draining.clone());
                        self.inner.tasks.spawn(ended.run_until_cancelled_owned(stop_later(page)).in_current_span());
                    }
                    stopped
                }
                // A page that did not answer in time may be in any state.
                FailureKind::Timeout(_) | FailureKind::BrowserFailed => false,
                _ => true,
            },
            Ok(_) => true,
        };
        (keep && !self.inner.draining.is_cancelled()).then_some(lease)
    }

    fn log(&self, trace: &Trace, result: &Result<Outcome, Failure>) {
        let outcome = match result {
            Ok(outcome) => format!("{:?}", outcome.finish).to_lowercase(),
            Err(failure) => failure.kind.code().to_owned(),
        };
        let ms = |d: Option<Duration>| d.map(|d| d.as_millis());
        for (n, tried) in trace.tries.iter().enumerate() {
            tracing::debug!(
                attempt = n + 1,
                adapter = tried.adapter,
                instance = tried.instance,
                worker = tried.worker,
                submitted = tried.submitted,
                outcome = tried.code.as_deref().unwrap_or("ok"),
                ms = tried.total.as_millis(),
                "try"
            );
        }
        tracing::debug!(
            model = self.request.model,
            attempts = trace.tries.len(),
            queue_ms = trace.queued.as_millis(),
            submit_ms = ms(trace.timing.submitted),
            first_ms = ms(trace.timing.first_piece),
            total_ms = self.started.elapsed().as_millis(),
            instantiate_us = trace.timing.instantiated.as_micros(),
            guest_cpu_us = trace.timing.cpu.as_micros(),
            guest_memory_kib = trace.timing.memory / 1024,
            outcome,
            "job"
        );
    }
}

/// The site has deleted the chat, and the adapter has sent nothing.
fn has_no_chat(report: &Report) -> bool {
    let code = report.result.as_ref().err().map(|failure| failure.kind.code());
    !report.submitted && code == Some(CHAT_GONE)
}

/// A chat that was taken out of the index.
struct Taken {
    key: ConversationKey,
    conversation: String,
    turns: u64,
}

fn key(instance: &str, offer: Offer<'_>, prefix: continuity::Hash) -> ConversationKey {
    continuity::key(instance, &offer.adapter.manifest.id, &offer.model.id, prefix)
}

/// Presses the site's stop button. False if the page did not come to rest in time.
async fn stop(page: &Page, within: Duration) -> bool {
    matches!(tokio::time::timeout(within, page.press_stop()).await, Ok(Ok(())))
}

/// The next request does not wait for this page any longer. But some sites go on answering until their button was pressed, even when
/// the page is closed, and use up the account's allowance.
async fn stop_later(page: Arc<Page>) {
    if !stop(&page, STOP_LATER).await {
        tracing::debug!("a page's answer was not stopped; the page is closed");
    }
}

fn no_page(why: NoPage) -> Failure {
    match why {
        NoPage::Late => Failure::new(FailureKind::Timeout(Stage::Queue), ""),
        NoPage::Failed(PageError::Timeout(what)) => {
            Failure::new(FailureKind::Timeout(Stage::Navigate), format!("the site's entry did not open: {what}"))
        }
        NoPage::Failed(error) => Failure::new(FailureKind::BrowserFailed, format!("no page could be opened: {error}")),
    }
}

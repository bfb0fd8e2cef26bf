//! One request on its way: wait for a page, call the adapter, give the page back, and try again where that is safe.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Inner;
use super::ledger::Record;
use super::pool::{Lease, NoPage, Place};
use crate::browser::{Page, PageError};
use crate::chat::{self, Failure, FailureKind, JobEvent, Outcome, Request, Stage};
use crate::plugin::{Adapter, AdapterRequest, Call, Model, Report, Timing};

/// For pressing the stop button of a page that nobody waits for.
const STOP_LATER: Duration = Duration::from_secs(10);

/// How often a request is dispatched at the most.
const MAX_ATTEMPTS: u32 = 3;

/// A job and all that it needs.
pub(super) struct Running {
    inner: Arc<Inner>,
    adapter: Arc<Adapter>,
    request: Arc<AdapterRequest>,
    model: String,
    events: mpsc::Sender<JobEvent>,
    cancel: CancellationToken,
    record: Record,
    started: Instant,
}

impl Running {
    pub(super) fn new(
        inner: Arc<Inner>,
        adapter: Arc<Adapter>,
        model: Model,
        request: Request,
        events: mpsc::Sender<JobEvent>,
        cancel: CancellationToken,
    ) -> Result<Self, Failure> {
        let (public, fingerprint) = (request.model.clone(), request.fingerprint);
        let request = Arc::new(render(&adapter, model, request)?);
        let record = inner.ledger.open(fingerprint);
        Ok(Self { inner, adapter, request, model: public, events, cancel, record, started: Instant::now() })
    }

    /// Ends with the answer, the failure, or the caller's leaving.
    pub(super) async fn run(self, place: Place) {
        let mut trace = Trace::default();
        let (result, submitted) = match self.may_be_sent().await {
            Ok(()) => {
                let result = self.attempts(&mut trace).await;
                (result, trace.timing.submitted.is_some())
            }
            Err(failure) => (Err(failure), true),
        };
        self.record.close(submitted, result.as_ref().err());
        drop(place);
        self.log(&trace, &result);
        let last = match result {
            Ok(outcome) => JobEvent::Done(outcome),
            Err(failure) => JobEvent::Failed(failure),
        };
        // A caller that has gone needs no last word; one that does not read has its own deadline.
        let _ = self.events.send_timeout(last, Duration::from_secs(30)).await;
    }

    async fn attempts(&self, trace: &mut Trace) -> Result<Outcome, Failure> {
        loop {
            trace.attempts += 1;
            let lease = self.wait_for_page().await?;
            trace.queued = self.started.elapsed();
            self.tell_start(trace.queued).await;
            let report = self.call(&lease).await;
            trace.timing = report.timing;
            self.keep_picture(&lease, &report).await;
            let again = !report.submitted && retryable(&report) && trace.attempts < MAX_ATTEMPTS;
            self.end(lease, &report).await;
            match report.result {
                Err(failure) if again => tracing::info!(id = self.request.id, %failure, "dispatched again"),
                result => return result,
            }
        }
    }

    async fn may_be_sent(&self) -> Result<(), Failure> {
        tokio::select! {
            biased;
            verdict = self.record.may_be_sent() => verdict,
            () = self.cancel.cancelled() => Err(Failure::new(FailureKind::ClientGone, "")),
        }
    }

    async fn wait_for_page(&self) -> Result<Lease, Failure> {
        let pool = self.inner.pool(&self.adapter.manifest.id);
        let until = tokio::time::Instant::now() + self.inner.options.queue_wait;
        let lease = pool.lease(&self.inner.instance, &self.adapter.manifest, until);
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Failure::new(FailureKind::ClientGone, "")),
            lease = lease => lease.map_err(no_page),
        }
    }

    async fn tell_start(&self, queued: Duration) {
        let event = JobEvent::Started {
            adapter: self.adapter.label(),
            instance: self.inner.instance.name().to_owned(),
            queued,
        };
        // The channel is empty here; a closed one means that the cancel token follows.
        let _ = self.events.send(event).await;
    }

    async fn call(&self, lease: &Lease) -> Report {
        lease.page().begin_call();
        let call = Call {
            page: Arc::clone(lease.page()),
            request: Arc::clone(&self.request),
            events: self.events.clone(),
            deadlines: self.inner.options.deadlines,
            cancel: self.cancel.clone(),
            means: self.inner.means(&self.adapter),
        };
        let report = self.adapter.generate(call).await;
        lease.page().end_call();
        self.inner.registry.report(&self.adapter, &report);
        report
    }

    /// What the page looks like on which an adapter did not get on. Only where somebody wants it.
    async fn keep_picture(&self, lease: &Lease, report: &Report) {
        let Some(folder) = &self.inner.options.pictures else { return };
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

    /// Leaves the site in peace and the page fit for the next request, or closes it.
    async fn end(&self, lease: Lease, report: &Report) {
        let keep = match &report.result {
            Err(failure) => match failure.kind {
                FailureKind::ClientGone if report.submitted => {
                    let stopped = stop(lease.page(), self.inner.options.cancel).await;
                    if !stopped {
                        let (page, ended) = (Arc::clone(lease.page()), self.inner.draining.clone());
                        self.inner.tasks.spawn(ended.run_until_cancelled_owned(stop_later(page)));
                    }
                    stopped
                }
                // A page that did not answer in time, or whose adapter died over it, may be in any state.
                FailureKind::Timeout(_)
                | FailureKind::BrowserFailed
                | FailureKind::AdapterCrashed
                | FailureKind::AdapterCpuLimit
                | FailureKind::AdapterMemoryLimit => false,
                _ => true,
            },
            Ok(_) => true,
        };
        if keep && !self.inner.draining.is_cancelled() {
            lease.give_back(&self.inner.pool(&self.adapter.manifest.id), &self.inner.tasks);
        }
    }

    fn log(&self, trace: &Trace, result: &Result<Outcome, Failure>) {
        let outcome = match result {
            Ok(outcome) => format!("{:?}", outcome.finish).to_lowercase(),
            Err(failure) => format!("{:?}", failure.kind),
        };
        let ms = |d: Option<Duration>| d.map(|d| d.as_millis());
        tracing::debug!(
            id = self.request.id,
            model = self.model,
            adapter = self.adapter.label(),
            attempts = trace.attempts,
            queue_ms = trace.queued.as_millis(),
            submit_ms = ms(trace.timing.submitted),
            first_ms = ms(trace.timing.first_piece),
            total_ms = self.started.elapsed().as_millis(),
            instantiate_us = trace.timing.instantiated.as_micros(),
            guest_cpu_us = trace.timing.cpu.as_micros(),
            outcome,
            "job"
        );
    }
}

#[derive(Debug, Default)]
struct Trace {
    attempts: u32,
    queued: Duration,
    timing: Timing,
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

/// What was the browser's fault and not the site's or the request's.
fn retryable(report: &Report) -> bool {
    matches!(&report.result, Err(failure) if failure.kind == FailureKind::BrowserFailed)
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

fn render(adapter: &Adapter, model: Model, request: Request) -> Result<AdapterRequest, Failure> {
    let kind = model.kind;
    let rendered = chat::prompt::render_within(&request, kind, adapter.manifest.prompt_limit())?;
    Ok(AdapterRequest {
        id: request.id,
        kind,
        model: model.id,
        prompt: rendered.text,
        attachments: rendered.attachments,
        temporary: request.temporary,
        options: request.options,
    })
}

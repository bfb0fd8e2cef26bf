//! `page`: the lent tab. Every function here is one call of `browser::page`, plus what the stages of a request need to know.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Resource;

use crate::browser::{self, PageError};
use crate::browser::{Brought, Page, UploadFile};
use crate::chat::Stage;
use crate::plugin::bindings::webai::adapter::page as wit;
use crate::plugin::bindings::webai::adapter::types::Fault;
use crate::plugin::handles::{HostState, Job, PageHandle};
use crate::plugin::imports::{address::telling, files};
use crate::plugin::manifest::Rung;
use crate::plugin::recorder::Heard;

/// The result of a host function: the outer one ends the guest, the inner one is the guest's to handle.
type Answer<T> = wasmtime::Result<Result<T, wit::PageError>>;

/// An act or a query that names no time-out waits this long.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Opening a page may take longer.
const DEFAULT_NAVIGATION: Duration = Duration::from_secs(30);

impl wit::Host for HostState {}

impl HostState {
    /// Runs an operation on the page until it is done or the caller has gone.
    async fn on_page<T, F>(&mut self, operation: impl FnOnce(Arc<Page>) -> F) -> Answer<T>
    where
        F: Future<Output = Result<T, PageError>>,
    {
        let cancelled = self.progress.cancel.clone();
        let operation = operation(Arc::clone(&self.page));
        let result = tokio::select! {
            biased;
            () = cancelled.cancelled() => Err(PageError::Cancelled),
            result = operation => result,
        };
        Ok(result.map_err(to_wit))
    }

    /// A navigation has a stage of its own, and the time for what follows begins anew after it.
    async fn navigate<F>(&mut self, operation: impl FnOnce(Arc<Page>) -> F) -> Answer<()>
    where
        F: Future<Output = Result<(), PageError>>,
    {
        let submitting = self.progress.submitted().is_none();
        if submitting {
            self.progress.clock.enter(Stage::Navigate);
        }
        let answer = self.on_page(operation).await;
        if submitting {
            self.progress.clock.enter(Stage::Submit);
        }
        answer
    }

    /// An act that clicks or presses, and so may send what was filled in.
    async fn send<T, F>(&mut self, operation: impl FnOnce(Arc<Page>) -> F) -> Answer<T>
    where
        F: Future<Output = Result<T, PageError>>,
    {
        if let Err(error) = self.allowance.may_send() {
            return Ok(Err(to_wit(error)));
        }
        if self.allowance.armed() {
            self.submit().await;
        }
        let before = self.page.strokes();
        let answer = self.on_page(operation).await;
        // Not by its result: what clicks and then waits for something may fail after the click.
        if self.page.strokes() != before {
            self.allowance.sent();
        }
        answer
    }

    /// Text is filled in, and may be the prompt.
    fn typed(&mut self, text: &str) {
        if let Some(job) = &self.job {
            self.allowance.typed(text, prompts(job));
        }
    }

    /// A key may be text, too.
    fn struck(&mut self, brought: Brought) {
        match brought {
            Brought::Nothing => {}
            Brought::Text(text) => self.typed(&text),
            Brought::Anything => {
                if self.job.is_some() {
                    self.allowance.pasted();
                }
            }
        }
    }

    /// Only the request's own attachments can be uploaded.
    fn own_attachments(&self, indices: Vec<u32>) -> Result<Vec<UploadFile>, wit::PageError> {
        let all = self.job.as_ref().map_or(&[][..], |job| &job.request.attachments);
        let own = |index: u32| {
            let own = usize::try_from(index).ok().and_then(|index| all.get(index));
            let own =
                own.ok_or_else(|| wit::PageError::NotGranted(format!("this request has no attachment {index}")))?;
            Ok(UploadFile { name: own.name.clone(), mime: own.mime_type.clone(), bytes: own.bytes.clone() })
        };
        indices.into_iter().map(own).collect()
    }

    /// What goes up takes its time: what follows has the whole of its own. And it may be sent by the next click.
    fn uploaded(&mut self) {
        if let Some(job) = &self.job {
            self.allowance.uploaded(prompts(job));
        }
        if self.progress.submitted().is_none() {
            self.progress.clock.enter(Stage::Submit);
        }
    }

    /// How long an act or a query may take: never longer than the call.
    fn wait(&self, timeout: Option<u64>) -> Option<Duration> {
        Some(timeout.map_or(DEFAULT_TIMEOUT, Duration::from_millis).min(self.progress.clock.remaining()))
    }

    fn wait_for_load(&self, timeout: Option<u64>) -> Option<Duration> {
        Some(timeout.map_or(DEFAULT_NAVIGATION, Duration::from_millis).min(self.progress.clock.remaining()))
    }
}

impl wit::HostPage for HostState {
    async fn step(&mut self, _: Resource<PageHandle>, name: String) -> wasmtime::Result<()> {
        tracing::debug!(step = name, "step");
        if let Some(recorder) = self.means.recorder.clone() {
            // Where it may not read, there is nothing to be kept.
            let html = self.page.html().await.unwrap_or_default();
            recorder.keep(Heard::Step { name: name.clone(), html });
        }
        self.step = name;
        Ok(())
    }

    async fn goto(&mut self, _: Resource<PageHandle>, url: String, timeout: Option<u64>) -> Answer<()> {
        let granted = |url: &url::Url| self.page.spec().page.iter().any(|origin| origin.matches(url));
        if url::Url::parse(&url).is_ok_and(|url| !granted(&url)) {
            // Here, and not by the page's answer: where a page leads is no fault of the guest's.
            self.progress.deny(format!("goto {}", telling(&url)));
        }
        let wait = self.wait_for_load(timeout);
        self.navigate(|page| async move { page.goto(&url, wait).await }).await
    }

    async fn reload(&mut self, _: Resource<PageHandle>, timeout: Option<u64>) -> Answer<()> {
        let wait = self.wait_for_load(timeout);
        self.navigate(|page| async move { page.reload(wait).await }).await
    }

    async fn back_to_entry(&mut self, _: Resource<PageHandle>, timeout: Option<u64>) -> Answer<()> {
        let wait = self.wait_for_load(timeout);
        self.navigate(|page| async move { page.back_to_entry(wait).await }).await
    }

    async fn url(&mut self, _: Resource<PageHandle>) -> Answer<String> {
        self.on_page(|page| async move { page.url().await }).await
    }

    async fn title(&mut self, _: Resource<PageHandle>) -> Answer<String> {
        self.on_page(|page| async move { page.title().await }).await
    }

    async fn count(&mut self, _: Resource<PageHandle>, selector: String) -> Answer<u32> {
        self.on_page(|page| async move { page.count(&selector).await }).await
    }

    async fn visible(&mut self, _: Resource<PageHandle>, selector: String) -> Answer<bool> {
        self.on_page(|page| async move { page.visible(&selector).await }).await
    }

    async fn texts(&mut self, _: Resource<PageHandle>, selector: String) -> Answer<Vec<String>> {
        self.progress.heard(Rung::Dom);
        self.on_page(|page| async move { page.texts(&selector).await }).await
    }

    async fn text(&mut self, _: Resource<PageHandle>, selector: String, timeout: Option<u64>) -> Answer<String> {
        let wait = self.wait(timeout);
        self.progress.heard(Rung::Dom);
        self.on_page(|page| async move { page.text(&selector, wait).await }).await
    }

    async fn attribute(
        &mut self,
        _: Resource<PageHandle>,
        selector: String,
        name: String,
        timeout: Option<u64>,
    ) -> Answer<Option<String>> {
        let wait = self.wait(timeout);
        self.on_page(|page| async move { page.attribute(&selector, &name, wait).await }).await
    }

    async fn box_(&mut self, _: Resource<PageHandle>, selector: String, timeout: Option<u64>) -> Answer<wit::Rect> {
        let wait = self.wait(timeout);
        let answer = self.on_page(|page| async move { page.bounds(&selector, wait).await }).await?;
        Ok(answer.map(|r| wit::Rect { x: r.x, y: r.y, width: r.width, height: r.height }))
    }

    async fn enabled(&mut self, _: Resource<PageHandle>, selector: String, timeout: Option<u64>) -> Answer<bool> {
        let wait = self.wait(timeout);
        self.on_page(|page| async move { page.enabled(&selector, wait).await }).await
    }

    async fn checked(&mut self, _: Resource<PageHandle>, selector: String, timeout: Option<u64>) -> Answer<bool> {
        let wait = self.wait(timeout);
        self.on_page(|page| async move { page.checked(&selector, wait).await }).await
    }

    async fn markdown(&mut self, _: Resource<PageHandle>, selector: String, timeout: Option<u64>) -> Answer<String> {
        let wait = self.wait(timeout);
        self.progress.heard(Rung::Dom);
        self.on_page(|page| async move { page.markdown(&selector, wait).await }).await
    }

    async fn click(
        &mut self,
        _: Resource<PageHandle>,
        selector: String,
        clicks: u32,
        timeout: Option<u64>,
    ) -> Answer<()> {
        let wait = self.wait(timeout);
        self.send(|page| async move { page.click(&selector, clicks, wait).await }).await
    }

    async fn hover(&mut self, _: Resource<PageHandle>, selector: String, timeout: Option<u64>) -> Answer<()> {
        let wait = self.wait(timeout);
        self.on_page(|page| async move { page.hover(&selector, wait).await }).await
    }

    async fn focus(&mut self, _: Resource<PageHandle>, selector: String, timeout: Option<u64>) -> Answer<()> {
        let wait = self.wait(timeout);
        self.on_page(|page| async move { page.focus(&selector, wait).await }).await
    }

    async fn fill(
        &mut self,
        _: Resource<PageHandle>,
        selector: String,
        text: String,
        timeout: Option<u64>,
    ) -> Answer<()> {
        self.typed(&text);
        let wait = self.wait(timeout);
        self.on_page(|page| async move { page.fill(&selector, &text, wait).await }).await
    }

    async fn type_text(
        &mut self,
        _: Resource<PageHandle>,
        selector: String,
        text: String,
        timeout: Option<u64>,
    ) -> Answer<()> {
        self.typed(&text);
        let wait = self.wait(timeout);
        self.on_page(|page| async move { page.type_text(&selector, &text, wait).await }).await
    }

    async fn press(
        &mut self,
        _: Resource<PageHandle>,
        selector: String,
        key: String,
        timeout: Option<u64>,
    ) -> Answer<()> {
        let wait = self.wait(timeout);
        let (before, brought) = (self.page.strokes(), browser::brought_by(&key));
        let answer = self.send(|page| async move { page.press(&selector, &key, wait).await }).await;
        if self.page.strokes() != before {
            self.struck(brought);
        }
        answer
    }

    async fn select(
        &mut self,
        _: Resource<PageHandle>,
        selector: String,
        values: Vec<String>,
        timeout: Option<u64>,
    ) -> Answer<()> {
        let wait = self.wait(timeout);
        self.on_page(|page| async move { page.select(&selector, &values, wait).await }).await
    }

    async fn scroll_into_view(
        &mut self,
        _: Resource<PageHandle>,
        selector: String,
        timeout: Option<u64>,
    ) -> Answer<()> {
        let wait = self.wait(timeout);
        self.on_page(|page| async move { page.scroll_into_view(&selector, wait).await }).await
    }

    async fn attach(
        &mut self,
        _: Resource<PageHandle>,
        selector: String,
        attachments: Vec<u32>,
        timeout: Option<u64>,
    ) -> Answer<()> {
        let wait = self.wait(timeout);
        let files = match self.own_attachments(attachments) {
            Ok(files) => files,
            Err(error) => return Ok(Err(error)),
        };
        let answer = self.on_page(|page| async move { page.attach(&selector, files, wait).await }).await;
        self.uploaded();
        answer
    }

    async fn choose_files(
        &mut self,
        _: Resource<PageHandle>,
        selector: String,
        attachments: Vec<u32>,
        timeout: Option<u64>,
    ) -> Answer<()> {
        let wait = self.wait(timeout);
        let files = match self.own_attachments(attachments) {
            Ok(files) => files,
            Err(error) => return Ok(Err(error)),
        };
        let answer = self.send(|page| async move { page.choose_files(&selector, files, wait).await }).await;
        self.uploaded();
        answer
    }

    async fn copy(&mut self, _: Resource<PageHandle>, selector: String, timeout: Option<u64>) -> Answer<String> {
        let wait = self.wait(timeout);
        self.send(|page| async move { page.copy(&selector, wait).await }).await
    }

    async fn save(&mut self, _: Resource<PageHandle>, source: wit::Source, timeout: Option<u64>) -> Answer<wit::Saved> {
        let source = match files::source(source) {
            Ok(source) => source,
            Err(error) => return Ok(Err(to_wit(error))),
        };
        if let browser::Source::Url(url) = &source
            && !self.page.spec().save.iter().any(|pattern| pattern.matches(url))
        {
            // What an element of the page leads to is no fault of the guest's.
            self.progress.deny(format!("save {}", telling(url)));
        }
        let (wait, room) = (self.wait_for_file(timeout), self.room());
        let clicks = matches!(source, browser::Source::Download(_));
        let save = |page: Arc<Page>| async move { page.save(source, room, wait).await };
        let answer = if clicks { self.send(save).await? } else { self.on_page(save).await? };
        Ok(answer.and_then(|file| self.keep(file).map_err(to_wit)))
    }

    async fn rewrite(&mut self, _: Resource<PageHandle>, rewriting: wit::Rewriting) -> Answer<u32> {
        match files::rewriting(rewriting) {
            Ok(rewriting) => {
                let url = rewriting.url.clone();
                let answer = self.on_page(|page| async move { page.rewrite(rewriting).await }).await?;
                if matches!(answer, Err(wit::PageError::NotGranted(_))) {
                    self.progress.deny(format!("rewrite {}", telling(&url)));
                }
                self.allowance.rewrites();
                Ok(answer)
            }
            Err(error) => Ok(Err(to_wit(error))),
        }
    }

    async fn listen(&mut self, _: Resource<PageHandle>, filter: wit::Filter) -> Answer<u32> {
        let filter = browser::Filter {
            url: filter.url,
            method: filter.method,
            statuses: filter.statuses,
            content_types: filter.content_types,
        };
        let url = filter.url.clone();
        let answer = self.on_page(|page| async move { page.listen(filter) }).await?;
        if matches!(answer, Err(wit::PageError::NotGranted(_))) {
            self.progress.deny(format!("listen {}", telling(&url)));
        }
        Ok(answer)
    }

    async fn watch(&mut self, _: Resource<PageHandle>, selector: String) -> Answer<u32> {
        self.on_page(|page| async move { page.watch(&selector).await }).await
    }

    async fn expect(&mut self, _: Resource<PageHandle>, condition: wit::Condition) -> Answer<u32> {
        use browser::Condition;
        let condition = match condition {
            wit::Condition::Attached(s) => Condition::Attached(s),
            wit::Condition::Detached(s) => Condition::Detached(s),
            wit::Condition::Visible(s) => Condition::Visible(s),
            wit::Condition::Hidden(s) => Condition::Hidden(s),
            wit::Condition::Enabled(s) => Condition::Enabled(s),
            wit::Condition::Disabled(s) => Condition::Disabled(s),
            wit::Condition::Url(s) => Condition::Url(s),
        };
        self.on_page(|page| async move { page.expect(condition).await }).await
    }

    async fn stop_listening(&mut self, _: Resource<PageHandle>, id: u32) -> wasmtime::Result<()> {
        self.page.stop_listening(id);
        Ok(())
    }

    async fn next(&mut self, _: Resource<PageHandle>, timeout: u64) -> Answer<Option<wit::Event>> {
        let wait = Duration::from_millis(timeout).min(self.progress.clock.remaining());
        let answer = self.on_page(|page| async move { page.next(wait).await }).await?;
        if let Err(wit::PageError::Other(fault)) = &answer
            && fault.code == browser::CLIENT_TOO_SLOW
        {
            self.progress.set_client_too_slow();
        }
        if let Ok(Some(event)) = &answer
            && let Some(rung) = rung(&event.body)
        {
            self.progress.heard(rung);
        }
        if let (Some(recorder), Ok(Some(event))) = (&self.means.recorder, &answer) {
            recorder.keep(Heard::Event(event.clone()));
        }
        Ok(answer.map(|event| event.map(|event| self.event(event))))
    }

    async fn drop(&mut self, handle: Resource<PageHandle>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}

impl HostState {
    fn event(&mut self, event: browser::PageEvent) -> wit::Event {
        use browser::EventBody;
        let body = match event.body {
            EventBody::Response(head) => wit::EventBody::Response(wit::ResponseHead {
                url: head.url,
                method: head.method,
                status: head.status,
                headers: head.headers,
            }),
            EventBody::Bytes(bytes) => {
                self.progress.clock.data();
                wit::EventBody::Bytes(bytes.to_vec())
            }
            EventBody::Text(text) => {
                self.progress.clock.data();
                wit::EventBody::Message(wit::Message::Text(text))
            }
            EventBody::Binary(bytes) => {
                self.progress.clock.data();
                wit::EventBody::Message(wit::Message::Binary(bytes.to_vec()))
            }
            EventBody::End(browser::Ending::Complete) => wit::EventBody::End(wit::Ending::Complete),
            EventBody::End(browser::Ending::Aborted) => wit::EventBody::End(wit::Ending::Aborted),
            EventBody::Failed(why) => wit::EventBody::Failed(why),
            EventBody::Watched(text) => {
                self.progress.clock.data();
                wit::EventBody::Text(text)
            }
            EventBody::Reached => wit::EventBody::Reached,
            EventBody::Dialog(d) => wit::EventBody::Dialog(wit::DialogInfo { kind: d.kind, message: d.message }),
            EventBody::Navigated(url) => wit::EventBody::Navigated(url),
        };
        wit::Event { source: event.source, stream: event.stream, body }
    }
}

/// What may be filled in to be sent: all that was said, or what is new in a chat that goes on.
fn prompts(job: &Job) -> impl Iterator<Item = &str> {
    let new_turn = job.request.continues.as_ref().map(|continues| continues.new_turn.as_str());
    [job.request.prompt.as_str()].into_iter().chain(new_turn)
}

fn to_wit(error: PageError) -> wit::PageError {
    match error {
        PageError::Timeout(what) => wit::PageError::Timeout(what),
        PageError::NotFound(selector) => wit::PageError::NotFound(selector),
        PageError::OriginDenied(what) => wit::PageError::OriginDenied(what),
        PageError::NotGranted(what) => wit::PageError::NotGranted(what),
        PageError::Cancelled => wit::PageError::Cancelled,
        PageError::Closed => wit::PageError::Closed,
        PageError::Other { code, message } => wit::PageError::Other(Fault { code: code.to_owned(), message }),
    }
}

/// Which rung of the capture ladder an event is of, if it carries anything of an answer.
fn rung(body: &browser::EventBody) -> Option<Rung> {
    use browser::EventBody;
    match body {
        EventBody::Bytes(_) | EventBody::Text(_) | EventBody::Binary(_) => Some(Rung::Network),
        EventBody::Watched(_) => Some(Rung::Dom),
        _ => None,
    }
}

//! What each session is told before its target runs.
//!
//! Everything is written at once, `runIfWaitingForDebugger` last: to wait for an answer first would deadlock, because a target
//! that waits for the debugger does not answer some of these.

use std::time::Duration;

use chromiumoxide::Command;
use chromiumoxide::cdp::browser_protocol::emulation::SetFocusEmulationEnabledParams;
use chromiumoxide::cdp::browser_protocol::fetch::{EnableParams as FetchEnable, RequestPattern, RequestStage};
use chromiumoxide::cdp::browser_protocol::inspector::EnableParams as InspectorEnable;
use chromiumoxide::cdp::browser_protocol::network::{EnableParams as NetworkEnable, ResourceType};
use chromiumoxide::cdp::browser_protocol::page::{
    AddScriptToEvaluateOnNewDocumentParams, EnableParams as PageEnable, SetLifecycleEventsEnabledParams,
    SetPrerenderingAllowedParams,
};
use chromiumoxide::cdp::browser_protocol::target::SetAutoAttachParams;
use chromiumoxide::cdp::js_protocol::runtime::{
    AddBindingParams, EnableParams as RuntimeEnable, RunIfWaitingForDebuggerParams,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::world::{self, BINDING, WORLD};
use crate::browser::cdp::{CdpError, Session};

const DEADLINE: Duration = Duration::from_secs(15);
/// What Chromium keeps of one answer's body, and of all, for a listen that is armed after the first bytes.
const RESOURCE_BUFFER: i64 = 4 << 20;
const TOTAL_BUFFER: i64 = 16 << 20;

/// Commands that go out together.
struct Pipeline<'a> {
    session: &'a Session,
    answers: Vec<BoxFuture<'static, Result<Value, CdpError>>>,
}

impl Pipeline<'_> {
    fn put<C: Command>(&mut self, command: C) -> Result<(), CdpError> {
        self.answers.push(self.session.start(command, DEADLINE)?.boxed());
        Ok(())
    }

    async fn done(self) -> Result<(), CdpError> {
        for answer in self.answers {
            answer.await?;
        }
        Ok(())
    }
}

/// Sets a page's own session up and lets it run. Everything must succeed: without one of these the fence has a hole.
pub(super) async fn page(session: &Session) -> Result<(), CdpError> {
    let mut pipeline = Pipeline { session, answers: Vec::new() };
    pipeline.put(auto_attach())?;
    pipeline.put(pausing(Vec::new()))?;
    pipeline.put(network())?;
    pipeline.put(PageEnable::default())?;
    pipeline.put(SetLifecycleEventsEnabledParams::new(true))?;
    pipeline.put(SetPrerenderingAllowedParams::new(false))?;
    pipeline.put(InspectorEnable::default())?;
    pipeline.put(binding())?;
    pipeline.put(helper())?;
    pipeline.put(RuntimeEnable::default())?;
    // A page that Chromium thinks unwatched is frozen after a while, and its streams with it.
    pipeline.put(SetFocusEmulationEnabledParams::new(true))?;
    pipeline.put(RunIfWaitingForDebuggerParams::default())?;
    pipeline.done().await
}

/// Sets up what attached below a page and lets it run. Nothing here is waited for; what does not apply to a kind of target is
/// refused and does no harm.
pub(super) fn child(session: &Session, kind: &str, rewritten: Vec<RequestPattern>) -> Result<(), CdpError> {
    session.tell(auto_attach())?;
    session.tell(network())?;
    if kind == "iframe" {
        session.tell(pausing(rewritten))?;
        session.tell(PageEnable::default())?;
        session.tell(binding())?;
        session.tell(helper())?;
        session.tell(RuntimeEnable::default())?;
        session.tell(SetFocusEmulationEnabledParams::new(true))?;
    }
    session.tell(RunIfWaitingForDebuggerParams::default())
}

fn auto_attach() -> SetAutoAttachParams {
    let mut attach = SetAutoAttachParams::new(true, true);
    attach.flatten = Some(true);
    attach
}

/// Document requests, before they are sent and again before their answer is used: the second is what keeps a document from
/// being replaced while an input command is in flight. And what a call rewrites. One `Fetch.enable` replaces another's patterns
/// at once, so that there is no moment without the fence.
pub(super) fn pausing(rewritten: Vec<RequestPattern>) -> FetchEnable {
    let pattern = |stage| RequestPattern {
        url_pattern: None,
        resource_type: Some(ResourceType::Document),
        request_stage: Some(stage),
    };
    FetchEnable {
        patterns: Some(
            [pattern(RequestStage::Request), pattern(RequestStage::Response)].into_iter().chain(rewritten).collect(),
        ),
        handle_auth_requests: None,
    }
}

fn network() -> NetworkEnable {
    NetworkEnable {
        max_resource_buffer_size: Some(RESOURCE_BUFFER),
        max_total_buffer_size: Some(TOTAL_BUFFER),
        // Nobody reads bodies there; an upload must not fill the page's queue.
        max_post_data_size: Some(1),
        ..Default::default()
    }
}

/// By which the helper tells what it observes; only its own world sees it.
fn binding() -> AddBindingParams {
    let mut binding = AddBindingParams::new(BINDING);
    binding.execution_context_name = Some(WORLD.into());
    binding
}

fn helper() -> AddScriptToEvaluateOnNewDocumentParams {
    let mut helper = AddScriptToEvaluateOnNewDocumentParams::new(world::helper());
    helper.world_name = Some(WORLD.into());
    helper.run_immediately = Some(true);
    helper
}

//! What a Copy button gives to the clipboard, without the clipboard: that is one for the whole browser, and is neither written
//! nor read.
//!
//! Two ways lead there. `navigator.clipboard` is told by the debugger: a breakpoint on the browser's own function whose condition
//! hands its argument to a binding and never holds. So no function of the page is replaced, not even one that it kept from
//! before, and nothing is left to be seen; what the browser then does is refused, because no page has the permission. The other
//! way, `document.execCommand('copy')`, is an event, which the helper takes before the page and carries out in the browser's
//! place (`dom/copy.js`).

use std::sync::PoisonError;
use std::time::Duration;

use chromiumoxide::cdp::js_protocol::debugger::{
    DisableParams, EnableParams, ResumeParams, SetBreakpointOnFunctionCallParams, SetSkipAllPausesParams,
};
use chromiumoxide::cdp::js_protocol::runtime::{EvaluateParams, ReleaseObjectGroupParams, RemoveBindingParams};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::query::Deadline;
use super::reach::{Path, Reach, new_token};
use super::world::{Lenient, World};
use super::{COMMAND_DEADLINE, Page, Shared};
use crate::browser::cdp::{CdpError, Event, Session};
use crate::browser::error::PageError;

/// The functions, found without a name of the page's own where possible, and the one that a page may have put in their place.
const WRITES_TEXT: [&str; 2] = ["Clipboard.prototype.writeText", "navigator.clipboard.writeText"];
const WRITES: [&str; 2] = ["Clipboard.prototype.write", "navigator.clipboard.write"];

/// What is awaited of one click.
#[derive(Debug)]
pub(super) struct Copying {
    token: u64,
    /// Of the binding; nobody can guess it.
    name: String,
    own: World,
    sender: oneshot::Sender<String>,
}

/// `Runtime.addBinding` for one world only; the crate at hand does not have it.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct AddBinding {
    name: String,
    execution_context_id: i64,
}

impl chromiumoxide::Method for AddBinding {
    fn identifier(&self) -> chromiumoxide::types::MethodId {
        "Runtime.addBinding".into()
    }
}

impl chromiumoxide::Command for AddBinding {
    type Response = Value;
}

/// As long as it lives, what the page copies is told.
struct Hook<'a> {
    shared: &'a Shared,
    session: Session,
    reach: Reach,
    own: World,
    token: u64,
    name: String,
}

impl Page {
    /// Clicks the first match, a Copy button, and returns what the page then gives to the clipboard: its plain text, or where
    /// there is none its HTML.
    ///
    /// # Errors
    /// [`PageError::Timeout`] when nothing is copied; as [`click`](Self::click).
    pub async fn copy(&self, selector: &str, timeout: Option<Duration>) -> Result<String, PageError> {
        let path = Path::parse(selector)?;
        self.shared.spend_act()?;
        let deadline = Deadline::after(timeout);
        loop {
            let aimed = self.shared.aim(&path, false, deadline).await?;
            let (hook, copied) = self.shared.hook_copies(&aimed.reach).await?;
            if !self.shared.click_aimed(&aimed, 1).await?.settle(selector, deadline)? {
                continue;
            }
            let copied = tokio::select! {
                biased;
                () = self.shared.cancel.cancelled() => return Err(PageError::Closed),
                copied = timeout_at(deadline.instant(), copied) => copied,
            };
            drop(hook);
            return match copied {
                Ok(Ok(text)) => Ok(text),
                _ => Err(PageError::Timeout(format!("{selector}: nothing was copied"))),
            };
        }
    }
}

impl Shared {
    async fn hook_copies(&self, reach: &Reach) -> Result<(Hook<'_>, oneshot::Receiver<String>), PageError> {
        let own = self.worlds.own_of_frame(&reach.world.frame).ok_or(PageError::Timeout("the document".into()))?;
        let (token, name) = (new_token(), format!("k{}", uuid::Uuid::new_v4().simple()));
        let (sender, receiver) = oneshot::channel();
        let copying = Copying { token, name: name.clone(), own: own.clone(), sender };
        *self.copying.lock().unwrap_or_else(PoisonError::into_inner) = Some(copying);
        let session = self.session_of(&own);
        // From here on it is taken away again, whatever happens.
        let hook = Hook { shared: self, session, reach: reach.clone(), own, token, name };
        self.follow_up::<Value>(&reach.world, "copyStart", &json!({ "token": token }), COMMAND_DEADLINE).await?;
        hook.arm().await?;
        Ok((hook, receiver))
    }

    /// A binding was called that is not the helper's.
    pub(super) fn on_foreign_binding(&self, event: &Event) {
        let field = |name: &str| event.params.get(name);
        let mut copying = self.copying.lock().unwrap_or_else(PoisonError::into_inner);
        let meant = copying.as_ref().is_some_and(|copying| {
            field("name").and_then(Value::as_str) == Some(&copying.name)
                && field("executionContextId").and_then(Value::as_i64) == Some(copying.own.number)
                && event.session == copying.own.session
        });
        if meant && let Some(copying) = copying.take() {
            let text = field("payload").and_then(Value::as_str).unwrap_or_default();
            copying.sender.send(text.to_owned()).ok();
        }
    }

    /// The helper has carried out a copy.
    pub(super) fn on_copied(&self, token: u64, text: String) {
        let mut copying = self.copying.lock().unwrap_or_else(PoisonError::into_inner);
        if copying.as_ref().is_some_and(|copying| copying.token == token)
            && let Some(copying) = copying.take()
        {
            copying.sender.send(text).ok();
        }
    }

    /// Nothing may stop a page, not even a `debugger` statement of its own.
    pub(super) fn resume(&self, session: &str) {
        self.session.child(session).tell(ResumeParams::default()).ok();
    }
}

impl Hook<'_> {
    async fn arm(&self) -> Result<(), CdpError> {
        let session = &self.session;
        session.tell(SetSkipAllPausesParams::new(true))?;
        let enabled = session.start(Lenient(EnableParams::default()), COMMAND_DEADLINE)?;
        session.tell(SetSkipAllPausesParams::new(true))?;
        let binding = AddBinding { name: self.name.clone(), execution_context_id: self.own.number };
        let bound = session.start(binding, COMMAND_DEADLINE)?;
        let text = format!("{}('' + arguments[0]), false", self.name);
        let items = format!(
            "((items, tell) => {{ for (const item of items) {{
                const type = ['text/plain', 'text/html'].find((type) => item.types.includes(type));
                if (type) return void item.getType(type).then((blob) => blob.text()).then(tell, () => {{}});
            }} }})(arguments[0], {}), false",
            self.name
        );
        for (functions, condition) in [(WRITES_TEXT, text), (WRITES, items)] {
            for function in functions {
                self.break_on(function, &condition).await?;
            }
        }
        enabled.await?;
        bound.await?;
        Ok(())
    }

    /// A page may not have the function: a document that is not secure has no clipboard.
    async fn break_on(&self, function: &str, condition: &str) -> Result<(), CdpError> {
        let mut evaluate = EvaluateParams::new(function);
        evaluate.unique_context_id = Some(self.own.id.clone());
        evaluate.object_group = Some(self.name.clone());
        evaluate.silent = Some(true);
        let found = self.session.execute_value(Lenient(evaluate), COMMAND_DEADLINE).await;
        let found = match found {
            Err(CdpError::Refused { .. }) => return Ok(()),
            found => found?,
        };
        let is_function = found.pointer("/result/type").and_then(Value::as_str) == Some("function");
        if let Some(object) = found.pointer("/result/objectId").and_then(Value::as_str).filter(|_| is_function) {
            let mut breakpoint = SetBreakpointOnFunctionCallParams::new(object.to_owned());
            breakpoint.condition = Some(condition.to_owned());
            // Refused where it is the same function again.
            self.session.execute_value(Lenient(breakpoint), COMMAND_DEADLINE).await.ok();
        }
        Ok(())
    }
}

impl Drop for Hook<'_> {
    fn drop(&mut self) {
        let Self { shared, session, reach, own, token, name } = self;
        {
            let mut copying = shared.copying.lock().unwrap_or_else(PoisonError::into_inner);
            if copying.as_ref().is_some_and(|copying| copying.token == *token) {
                *copying = None;
            }
        }
        shared.tell_in(&reach.world, "copyEnd", &json!({ "token": token })).ok();
        session.tell(DisableParams::default()).ok();
        session.tell(RemoveBindingParams::new(name.clone())).ok();
        session.tell(ReleaseObjectGroupParams::new(name.clone())).ok();
        let mut remove = EvaluateParams::new(format!("delete globalThis.{name}"));
        remove.unique_context_id = Some(own.id.clone());
        remove.silent = Some(true);
        session.tell(Lenient(remove)).ok();
    }
}

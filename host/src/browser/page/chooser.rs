//! Answering the browser's file chooser: the click that opens it, and what it is given.
//!
//! The chooser is intercepted for that one click. The page may have made its `<input type=file>` on the fly and never put it
//! into the document, so the element comes from Chromium and not from a selector.

use std::time::Duration;

use chromiumoxide::cdp::browser_protocol::dom::{BackendNodeId, ResolveNodeParams};
use chromiumoxide::cdp::browser_protocol::page::SetInterceptFileChooserDialogParams;
use chromiumoxide::cdp::js_protocol::runtime::{ExecutionContextId, ReleaseObjectParams};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout_at;

use super::call::{Called, decode};
use super::query::{Deadline, Outcome};
use super::reach::{Path, new_token};
use super::world::Lenient;
use super::{COMMAND_DEADLINE, Page, Shared, UploadFile};
use crate::browser::cdp::{Event, Session};
use crate::browser::error::PageError;

/// `Page.fileChooserOpened`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Chooser {
    frame_id: String,
    mode: String,
    /// None where it is not an `<input>` that opened it.
    backend_node_id: Option<i64>,
}

/// As long as it lives, choosers are told and not shown.
struct Intercepting(Vec<Session>);

impl Drop for Intercepting {
    fn drop(&mut self) {
        for session in &self.0 {
            session.tell(SetInterceptFileChooserDialogParams::new(false)).ok();
        }
    }
}

impl Page {
    /// Clicks the first match and gives files to the file chooser that this opens. They replace what its input had.
    ///
    /// # Errors
    /// [`PageError::Timeout`] when no chooser opens, `Other { code: "too-many-files" }` when it takes one,
    /// `Other { code: "unsupported-chooser" }` when no `<input type=file>` opened it; as [`click`](Self::click).
    pub async fn choose_files(
        &self,
        selector: &str,
        files: Vec<UploadFile>,
        timeout: Option<Duration>,
    ) -> Result<(), PageError> {
        let path = Path::parse(selector)?;
        self.shared.spend_act()?;
        let deadline = Deadline::after(timeout);
        let intercepting = self.shared.intercept_choosers().await?;
        self.shared.chooser.send_replace(None);
        let mut opened = self.shared.chooser.subscribe();
        self.shared.click_path(&path, 1, deadline).await?;
        let opened = tokio::select! {
            biased;
            () = self.shared.cancel.cancelled() => return Err(PageError::Closed),
            opened = timeout_at(deadline.instant(), opened.wait_for(Option::is_some)) => match opened {
                Ok(Ok(opened)) => opened.clone().ok_or(PageError::Closed)?,
                Ok(Err(_)) => return Err(PageError::Closed),
                Err(_) => return Err(PageError::Timeout(format!("{selector}: no file chooser opened"))),
            },
        };
        drop(intercepting);
        self.shared.answer_chooser(&path, &opened, &files, deadline).await
    }
}

impl Shared {
    async fn intercept_choosers(&self) -> Result<Intercepting, PageError> {
        // From here on it is switched off again, whatever happens.
        let intercepting = Intercepting(self.worlds.sessions().iter().map(|id| self.session.child(id)).collect());
        for session in &intercepting.0 {
            let asked =
                self.command_on(session, SetInterceptFileChooserDialogParams::new(true), COMMAND_DEADLINE).await;
            match asked {
                // A frame's process may have gone in between.
                Err(error) if session.id() == self.session.id() => return Err(error),
                _ => {}
            }
        }
        Ok(intercepting)
    }

    /// The actor has seen a chooser open. The first one counts.
    pub(super) fn chooser_opened(&self, event: &Event) {
        if let Ok(opened) = Chooser::deserialize(&event.params) {
            self.chooser.send_if_modified(|chooser| {
                let first = chooser.is_none();
                chooser.get_or_insert(opened);
                first
            });
        }
    }

    async fn answer_chooser(
        &self,
        path: &Path,
        chooser: &Chooser,
        files: &[UploadFile],
        deadline: Deadline,
    ) -> Result<(), PageError> {
        let other = |code, what: &str| PageError::Other { code, message: format!("{}: {what}", path.source) };
        let gone = || PageError::Timeout(format!("{}: the document of the file chooser was replaced", path.source));
        let Some(node) = chooser.backend_node_id else {
            return Err(other("unsupported-chooser", "no <input type=file> opened the chooser"));
        };
        if files.len() > 1 && chooser.mode != "selectMultiple" {
            return Err(other("too-many-files", "the chooser takes one file"));
        }
        let world = self.worlds.of_frame(&chooser.frame_id).ok_or_else(gone)?;
        let token = new_token();
        if !self.stage(&world, token, files).await? {
            return Err(gone());
        }
        let resolve = Lenient(ResolveNodeParams {
            backend_node_id: Some(BackendNodeId::new(node)),
            execution_context_id: Some(ExecutionContextId::new(world.number)),
            ..Default::default()
        });
        let session = self.session_of(&world);
        let resolved = self.raw_command(&session, resolve, COMMAND_DEADLINE).await.map_err(|_| gone())?;
        let Some(input) = resolved.pointer("/object/objectId").and_then(Value::as_str) else { return Err(gone()) };
        let args = json!({"token": token, "count": files.len()});
        let given = self.call_with(&world, "receive", &args, input, deadline.instant() + COMMAND_DEADLINE).await;
        session.tell(ReleaseObjectParams::new(input.to_owned())).ok();
        match given.map_err(|error| self.denied_in(&world, path, error))? {
            Called::Gone => Err(gone()),
            Called::Value(value) => decode::<Outcome<Value>>("receive", value)?.or_fail(&path.source).map(drop),
        }
    }
}

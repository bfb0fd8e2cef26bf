//! Documents that come into being while an input is in flight take none of it.
//!
//! The gate holds what comes over the network. A `srcdoc`, a blob or `about:blank` asks no one: a frame can show another document
//! between the last look and the click. So for the time of an input into a frame each new document, of whatever origin, begins
//! with a guard.

use chromiumoxide::cdp::browser_protocol::page::{
    AddScriptToEvaluateOnNewDocumentParams, RemoveScriptToEvaluateOnNewDocumentParams,
};
use futures::future::try_join_all;
use serde_json::{Value, json};

use super::reach::Reach;
use super::world::{Lenient, WORLD};
use super::{COMMAND_DEADLINE, Shared};
use crate::browser::cdp::Session;
use crate::browser::error::PageError;

/// While this lives, new documents are guarded.
pub(super) struct Newborn(Vec<(Session, String)>);

impl Drop for Newborn {
    fn drop(&mut self) {
        for (session, script) in &self.0 {
            session.tell(RemoveScriptToEvaluateOnNewDocumentParams::new(script.clone())).ok();
        }
    }
}

impl Shared {
    /// Guards the new documents of all processes on the way to an input's target. An input into the page's own document needs
    /// none: the next one there is let in by the gate or is of no address.
    pub(super) async fn guard_newborn(&self, reach: &Reach, act: u64) -> Result<Newborn, PageError> {
        if reach.hops.is_empty() {
            return Ok(Newborn(Vec::new()));
        }
        let mut sessions: Vec<&str> = reach.worlds().map(|world| world.session.as_str()).collect();
        sessions.dedup();
        let added = sessions.into_iter().map(async |id| {
            let session = self.session.child(id);
            // It runs after the helper, which was there first.
            let mut script =
                AddScriptToEvaluateOnNewDocumentParams::new(format!("webai.born({})", json!({ "act": act })));
            script.world_name = Some(WORLD.into());
            let added = self.command_on(&session, Lenient(script), COMMAND_DEADLINE).await?;
            let id = added.get("identifier").and_then(Value::as_str).unwrap_or_default().to_owned();
            Ok::<_, PageError>((session, id))
        });
        try_join_all(added).await.map(Newborn)
    }
}

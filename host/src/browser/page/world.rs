//! The host's isolated worlds: scripts of a page neither see nor change what runs there.
//!
//! Every frame has a world named [`WORLD`] with the helper script in it. A world is addressed by its `uniqueContextId`, so that
//! a call can never reach a document other than the one that it was meant for.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::Shared;
use crate::browser::cdp::Event;
use crate::browser::dom::HELPER;
use crate::browser::error::PageError;

/// The name of the host's world in each frame.
pub(super) const WORLD: &str = "webai";
/// The function by which a helper tells what it observes.
pub(super) const BINDING: &str = "webaiTell";
/// What the navigation part needs. `document.title` itself would be what an image named `title` says it is.
const BASE: &str = "{
    const title = Object.getOwnPropertyDescriptor(Document.prototype, 'title').get;
    globalThis.webai.title = () => title.call(document);
}";

/// The whole script for the host's world. It runs before any script of the page.
pub(super) fn helper() -> String {
    format!("{HELPER}\n{BASE}")
}

/// How long to wait for the news that a context is gone, after a call failed because of it.
const NEWS_OF_THE_END: Duration = Duration::from_millis(500);

/// The worlds of a page's frames, as the actor learns of them.
#[derive(Debug)]
pub(super) struct Worlds {
    state: Mutex<State>,
    /// The `uniqueId` of the main frame's.
    main: watch::Sender<Option<String>>,
    /// Counts the news.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// The host's, by `uniqueId`.
    known: HashMap<String, World>,
    /// The `uniqueId` of each frame's newest.
    newest: HashMap<String, String>,
    /// The pages' own, by `uniqueId`.
    own: HashMap<String, World>,
}

/// A world: one document's, in one frame, and only as long as that document is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct World {
    /// `uniqueId`.
    pub(super) id: String,
    pub(super) session: String,
    pub(super) frame: String,
    /// What commands that know no `uniqueId` call it by, within its session.
    pub(super) number: i64,
}

impl Default for Worlds {
    fn default() -> Self {
        Self { state: Mutex::default(), main: watch::Sender::new(None), changes: watch::Sender::new(0) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    id: i64,
    unique_id: String,
    #[serde(default)]
    name: String,
    aux_data: AuxData,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuxData {
    frame_id: String,
    #[serde(default)]
    is_default: bool,
}

impl Worlds {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a `Runtime.executionContext...` event.
    pub(super) fn on_event(&self, event: &Event, main_frame: &str) {
        match event.method.as_str() {
            "Runtime.executionContextCreated" => {
                // Contexts without a frame are workers'.
                if let Some(Ok(context)) = event.params.get("context").map(Context::deserialize) {
                    self.created(context, &event.session, main_frame);
                }
            }
            "Runtime.executionContextDestroyed" => {
                if let Some(id) = event.params.get("executionContextUniqueId").and_then(Value::as_str) {
                    self.retain(|world| world.id != id);
                }
            }
            "Runtime.executionContextsCleared" => self.gone(&event.session),
            _ => {}
        }
    }

    fn created(&self, context: Context, session: &str, main_frame: &str) {
        let Context { id: number, unique_id: id, name, aux_data: AuxData { frame_id: frame, is_default } } = context;
        let world = World { id: id.clone(), session: session.to_owned(), frame: frame.clone(), number };
        if name == WORLD && !is_default {
            let mut state = self.state();
            state.known.insert(id.clone(), world);
            state.newest.insert(frame.clone(), id.clone());
            drop(state);
            if frame == main_frame {
                self.main.send_replace(Some(id));
            }
        } else if is_default {
            self.state().own.insert(id, world);
        } else {
            return;
        }
        self.changes.send_modify(|n| *n += 1);
    }

    /// A session is gone, and all worlds in it.
    pub(super) fn gone(&self, session: &str) {
        self.retain(|world| world.session != session);
    }

    fn retain(&self, keep: impl Fn(&World) -> bool) {
        let mut state = self.state();
        let State { known, newest, own } = &mut *state;
        known.retain(|_, world| keep(world));
        own.retain(|_, world| keep(world));
        newest.retain(|_, id| known.contains_key(id));
        self.main.send_if_modified(|main| {
            let lost = main.as_ref().is_some_and(|id| !known.contains_key(id));
            if lost {
                *main = None;
            }
            lost
        });
        drop(state);
        self.changes.send_modify(|n| *n += 1);
    }

    /// Tells that worlds came or went.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The main frame's world, if it has one now.
    pub(super) fn current(&self) -> Option<World> {
        let id = self.main.borrow().clone()?;
        self.state().known.get(&id).cloned()
    }

    /// A frame's world, if it has one now.
    pub(super) fn of_frame(&self, frame: &str) -> Option<World> {
        let state = self.state();
        state.newest.get(frame).and_then(|id| state.known.get(id)).cloned()
    }

    /// The world of the page's own scripts in a frame.
    pub(super) fn own_of_frame(&self, frame: &str) -> Option<World> {
        let state = self.state();
        // A document that is being replaced has its world for a moment beside the next one's.
        state.own.values().filter(|world| world.frame == frame).max_by_key(|world| world.number).cloned()
    }

    /// The sessions that have a world.
    pub(super) fn sessions(&self) -> HashSet<String> {
        self.state().known.values().map(|world| world.session.clone()).collect()
    }

    pub(super) fn is_there(&self, world: &World) -> bool {
        self.state().known.contains_key(&world.id)
    }

    /// The main frame's world; waits until it has one.
    pub(super) async fn main(&self, shared: &Shared, until: Instant) -> Result<World, PageError> {
        match self.find(shared, until, || self.current()).await? {
            Some(world) => Ok(world),
            None => Err(PageError::Timeout("the document".into())),
        }
    }

    /// Waits until there is such a world; none when the time is over.
    pub(super) async fn find(
        &self,
        shared: &Shared,
        until: Instant,
        look: impl Fn() -> Option<World>,
    ) -> Result<Option<World>, PageError> {
        let mut changes = self.changes();
        loop {
            changes.borrow_and_update();
            if let Some(world) = look() {
                return Ok(Some(world));
            }
            tokio::select! {
                biased;
                () = shared.cancel.cancelled() => return Err(PageError::Closed),
                changed = timeout_at(until, changes.changed()) => match changed {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Err(PageError::Closed),
                    Err(_) => return Ok(None),
                },
            }
        }
    }

    /// Waits for the news that a world is gone, after a call failed because of it.
    pub(super) async fn gone_from(&self, world: &World, until: Instant) {
        let mut changes = self.changes();
        let gone = async { while self.is_there(world) && changes.changed().await.is_ok() {} };
        // Without news it is tried again as it is.
        timeout_at(until.min(Instant::now() + NEWS_OF_THE_END), gone).await.ok();
    }
}

/// A typed command whose answer is read here: the crate's type demands fields that Chromium may leave out.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub(in crate::browser) struct Lenient<C>(pub(in crate::browser) C);

impl<C: chromiumoxide::Method> chromiumoxide::Method for Lenient<C> {
    fn identifier(&self) -> chromiumoxide::types::MethodId {
        self.0.identifier()
    }
}

impl<C: chromiumoxide::Command> chromiumoxide::Command for Lenient<C> {
    type Response = Value;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(method: &str, params: Value) -> Event {
        Event { method: method.into(), session: "S".into(), params }
    }

    fn created(id: &str, frame: &str, name: &str) -> Event {
        let context = json!({"id": 7, "uniqueId": id, "name": name, "origin": "https://a",
            "auxData": {"frameId": frame, "isDefault": name.is_empty(), "new": 1}});
        event("Runtime.executionContextCreated", json!({"context": context}))
    }

    #[test]
    fn keeps_the_main_frames_world_and_no_other() {
        let worlds = Worlds::default();
        worlds.on_event(&created("page", "F", ""), "F");
        assert_eq!(*worlds.main.borrow(), None);
        worlds.on_event(&created("child", "G", WORLD), "F");
        assert_eq!(*worlds.main.borrow(), None);
        assert_eq!(worlds.of_frame("G").map(|world| world.id).as_deref(), Some("child"));
        assert_eq!(worlds.own_of_frame("F").map(|world| world.id).as_deref(), Some("page"));
        worlds.on_event(&created("one", "F", WORLD), "F");
        worlds.on_event(&created("two", "F", WORLD), "F");
        worlds.on_event(&event("Runtime.executionContextDestroyed", json!({"executionContextUniqueId": "one"})), "F");
        assert_eq!(worlds.main.borrow().as_deref(), Some("two"), "the end of an old world leaves the new one");
        worlds.on_event(&event("Runtime.executionContextsCleared", json!({})), "F");
        assert_eq!((worlds.current(), worlds.of_frame("G"), worlds.own_of_frame("F")), (None, None, None));
    }
}

//! Watching texts and awaiting conditions. The helper observes and tells through the binding; a new document is told anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::act::Landing;
use super::framed::Framed;
use super::query::Outcome;
use super::reach::Path;
use super::world::World;
use super::{COMMAND_DEADLINE, Page, Shared};
use crate::browser::cdp::Event;
use crate::browser::error::PageError;
use crate::browser::event::{Condition, EventBody, PageEvent};
use crate::browser::traffic::UrlPattern;

/// Per call: each costs the page an observer.
const MAX_WATCHES: usize = 8;

#[derive(Debug)]
enum Watch {
    /// The argument of the helper's `watch`.
    InPage(Value),
    Url(UrlPattern),
    InFrame {
        framed: Arc<Framed>,
        _keeper: AbortOnDropHandle<()>,
    },
}

#[derive(Debug, Default)]
struct State {
    active: HashMap<u32, Watch>,
    /// The world that was told of them.
    told: Option<String>,
}

/// What a call watches and expects.
#[derive(Debug, Default)]
pub(super) struct Watches(Mutex<State>);

impl Watches {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, id: u32, watch: Watch) -> Result<(), PageError> {
        let mut state = self.lock();
        if state.active.len() >= MAX_WATCHES {
            let message = format!("more than {MAX_WATCHES} watches and expectations at once");
            return Err(PageError::Other { code: "too-many-watches", message });
        }
        state.active.insert(id, watch);
        Ok(())
    }

    fn remove(&self, id: u32) -> Option<Watch> {
        self.lock().active.remove(&id)
    }
}

/// What the helper tells.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum News {
    Text { id: u32, text: String },
    Reached { id: u32 },
    Moved { id: u32 },
    Copied { token: u64, text: String },
    Input { token: u64, blocked: Option<String> },
}

impl Page {
    /// Delivers the first match's text, now and at each change. Returns the number that its events carry.
    ///
    /// # Errors
    /// `Other { code: "too-many-watches" }`, `Other { code: "invalid-selector" }`, [`PageError::OriginDenied`].
    pub async fn watch(&self, selector: &str) -> Result<u32, PageError> {
        self.watch_for(selector, None).await
    }

    /// Delivers `Reached` once, as soon as the condition holds. Returns the number that the event carries.
    ///
    /// # Errors
    /// As [`watch`](Self::watch).
    pub async fn expect(&self, condition: Condition) -> Result<u32, PageError> {
        let (kind, selector) = match &condition {
            Condition::Attached(selector) => ("attached", selector),
            Condition::Detached(selector) => ("detached", selector),
            Condition::Visible(selector) => ("visible", selector),
            Condition::Hidden(selector) => ("hidden", selector),
            Condition::Enabled(selector) => ("enabled", selector),
            Condition::Disabled(selector) => ("disabled", selector),
            Condition::Url(pattern) => return self.shared.expect_url(pattern),
        };
        self.watch_for(selector, Some(kind)).await
    }

    async fn watch_for(&self, selector: &str, condition: Option<&str>) -> Result<u32, PageError> {
        let path = Path::parse(selector)?;
        if path.frames.is_empty() {
            self.shared.watch_in_page(&path, condition).await
        } else {
            self.watch_in_frame(path, condition).await
        }
    }

    async fn watch_in_frame(&self, path: Path, condition: Option<&str>) -> Result<u32, PageError> {
        let id = self.shared.inbox.new_source();
        let framed = Arc::new(Framed::new(id, path, condition));
        let keeper = tokio::spawn(Arc::clone(&self.shared).keep_watch(Arc::clone(&framed)).in_current_span());
        let watch = Watch::InFrame { framed: Arc::clone(&framed), _keeper: AbortOnDropHandle::new(keeper) };
        self.shared.watches.add(id, watch)?;
        // The keeper does the same; that nothing can be seen there is told to who asks.
        let armed = self.shared.arm_framed(&framed).await;
        if armed.is_err() {
            self.shared.stop_watch(id);
        }
        armed.map(|()| id)
    }
}

impl Shared {
    async fn watch_in_page(&self, path: &Path, condition: Option<&str>) -> Result<u32, PageError> {
        let id = self.inbox.new_source();
        let args = json!({"id": id, "selector": path.last, "condition": condition});
        self.watches.add(id, Watch::InPage(args.clone()))?;
        let armed = self.call::<Outcome<Value>>("watch", args, COMMAND_DEADLINE).await;
        let armed = armed.and_then(|outcome| outcome.or_fail(&path.source));
        if let Err(error) = armed {
            self.watches.remove(id);
            return Err(error);
        }
        Ok(id)
    }

    fn expect_url(&self, pattern: &str) -> Result<u32, PageError> {
        let Some(pattern) = UrlPattern::parse(pattern) else {
            return Err(PageError::Other { code: "invalid-pattern", message: format!("{pattern} is no URL pattern") });
        };
        let id = self.inbox.new_source();
        self.watches.add(id, Watch::Url(pattern))?;
        // What comes from here on is seen by the actor; what is there already, here. The removal decides who tells.
        self.watch_url(&self.shown_url());
        Ok(id)
    }

    /// The page shows another address.
    pub(super) fn watch_url(&self, url: &str) {
        let reached: Vec<u32> = {
            let mut state = self.watches.lock();
            let matching = |watch: &Watch| matches!(watch, Watch::Url(pattern) if pattern.matches(url));
            let ids = state.active.iter().filter(|(_, watch)| matching(watch)).map(|(id, _)| *id).collect::<Vec<_>>();
            state.active.retain(|id, _| !ids.contains(id));
            ids
        };
        for id in reached {
            self.deliver(id, EventBody::Reached);
        }
    }

    /// There may be a new document: it is told what is watched.
    pub(super) fn rearm_watches(&self) {
        let Some(world) = self.worlds.current() else { return };
        let mut state = self.watches.lock();
        if state.told.as_ref() == Some(&world.id) {
            return;
        }
        for watch in state.active.values() {
            if let Watch::InPage(args) = watch {
                // Where it does not arrive, the document is gone again, and the next one will be told.
                self.tell_in(&world, "watch", args).ok();
            }
        }
        state.told = Some(world.id);
    }

    /// The helper tells what it saw.
    pub(super) fn on_binding(&self, event: &Event) {
        let payload = event.params.get("payload").and_then(Value::as_str).unwrap_or_default();
        match serde_json::from_str(payload) {
            Ok(News::Text { id, text }) => {
                if self.watches.lock().active.contains_key(&id) {
                    self.deliver(id, EventBody::Watched(text));
                }
            }
            Ok(News::Reached { id }) => self.reached(id),
            Ok(News::Moved { id }) => {
                if let Some(Watch::InFrame { framed, .. }) = self.watches.lock().active.get(&id) {
                    framed.moved.notify_one();
                }
            }
            Ok(News::Copied { token, text }) => self.on_copied(token, text),
            Ok(News::Input { token, blocked }) => drop(self.landed.send_replace(Some(Landing { token, blocked }))),
            Err(error) => tracing::debug!(%error, "unreadable news of the helper"),
        }
    }

    fn deliver(&self, source: u32, body: EventBody) {
        self.inbox.push(PageEvent { source, stream: 0, body });
    }

    /// What an expectation waited for has come; told once.
    pub(super) fn reached(&self, id: u32) {
        if self.stop_watch(id) {
            self.deliver(id, EventBody::Reached);
        }
    }

    pub(super) fn unwatch_in(&self, world: &World, id: u32) {
        self.tell_in(world, "unwatch", &json!({ "id": id })).ok();
    }

    /// Ends a watch or an expectation. Says whether it was one.
    pub(super) fn stop_watch(&self, id: u32) -> bool {
        let found = self.watches.remove(id);
        match &found {
            Some(Watch::InFrame { framed, .. }) => self.disarm_framed(framed),
            Some(Watch::InPage(_)) => {
                if let Some(world) = self.worlds.current() {
                    self.unwatch_in(&world, id);
                }
            }
            Some(Watch::Url(_)) | None => {}
        }
        found.is_some()
    }

    /// Ends all of a call.
    pub(super) fn stop_watches(&self) {
        let ids: Vec<u32> = self.watches.lock().active.keys().copied().collect();
        for id in ids {
            self.stop_watch(id);
        }
    }
}

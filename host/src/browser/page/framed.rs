//! Watches and expectations within frames. A frame comes, goes and is replaced; a keeper follows the way to it and tells the
//! helper of each document on it what to look for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Shared;
use super::call::{Called, decode};
use super::query::Outcome;
use super::reach::{Path, new_token};
use super::world::World;
use crate::browser::error::PageError;

/// For one step of the way; nothing is waited for in the page.
const STEP: Duration = Duration::from_secs(5);

/// A watch within a frame.
#[derive(Debug)]
pub(super) struct Framed {
    pub(super) id: u32,
    path: Path,
    condition: Option<String>,
    /// One for each frame on the way.
    tokens: Vec<u64>,
    /// Another element is now the first match for a frame on the way.
    pub(super) moved: Notify,
    /// The documents that were told of it.
    told: Mutex<Vec<World>>,
}

/// How far the way goes now.
enum Way {
    /// To the document in which it is looked.
    Whole,
    /// A frame is not there, so that nothing in it is.
    NoFrame,
    /// A document is not there yet.
    NotYet,
}

impl Framed {
    pub(super) fn new(id: u32, path: Path, condition: Option<&str>) -> Self {
        let tokens = path.frames.iter().map(|_| new_token()).collect();
        let (moved, told) = (Notify::new(), Mutex::default());
        Self { id, path, condition: condition.map(str::to_owned), tokens, moved, told }
    }

    fn replace_told(&self, now: Vec<World>) -> Vec<World> {
        std::mem::replace(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner), now)
    }
}

impl Shared {
    /// Follows the frames of a watch until the page is closed or this is dropped.
    pub(super) async fn keep_watch(self: Arc<Self>, framed: Arc<Framed>) {
        let mut changes = self.worlds.changes();
        loop {
            changes.borrow_and_update();
            if let Err(error) = self.arm_framed(&framed).await {
                tracing::debug!(%error, "a watch in a frame rests");
            }
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return,
                changed = changes.changed() => if changed.is_err() { return },
                () = framed.moved.notified() => {}
            }
        }
    }

    /// Tells every document on the way, and takes the watch away from those that are not on it any more.
    pub(super) async fn arm_framed(&self, framed: &Framed) -> Result<(), PageError> {
        let mut told = Vec::new();
        let way = self.walk(framed, &mut told).await;
        for world in framed.replace_told(told.clone()) {
            if !told.contains(&world) {
                self.unwatch_in(&world, framed.id);
            }
        }
        let met_by_absence = matches!(framed.condition.as_deref(), Some("detached" | "hidden"));
        if matches!(way?, Way::NoFrame) && met_by_absence {
            self.reached(framed.id);
        }
        Ok(())
    }

    /// Takes a watch away from every document that was told of it.
    pub(super) fn disarm_framed(&self, framed: &Framed) {
        for world in framed.replace_told(Vec::new()) {
            self.unwatch_in(&world, framed.id);
        }
    }

    async fn walk(&self, framed: &Framed, told: &mut Vec<World>) -> Result<Way, PageError> {
        let Some(mut world) = self.worlds.current() else { return Ok(Way::NotYet) };
        for (leg, token) in framed.path.frames.iter().zip(&framed.tokens) {
            let watch = json!({"id": framed.id, "selector": leg, "condition": "frame"});
            if self.step(framed, &world, "watch", &watch, told).await?.is_none() {
                return Ok(Way::NotYet);
            }
            let enter = json!({"selector": leg, "token": token, "until": 0});
            match self.step(framed, &world, "enter", &enter, told).await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(Way::NotYet),
                Err(PageError::NotFound(_)) => return Ok(Way::NoFrame),
                Err(error) => return Err(error),
            }
            let frame = self.frame_behind(&world, *token, Instant::now() + STEP).await?;
            let Some(inner) = frame.and_then(|frame| self.worlds.of_frame(&frame)) else { return Ok(Way::NotYet) };
            world = inner;
        }
        let watch = json!({"id": framed.id, "selector": framed.path.last, "condition": framed.condition});
        let told = self.step(framed, &world, "watch", &watch, told).await?;
        Ok(if told.is_some() { Way::Whole } else { Way::NotYet })
    }

    async fn step(
        &self,
        framed: &Framed,
        world: &World,
        function: &str,
        args: &Value,
        told: &mut Vec<World>,
    ) -> Result<Option<Value>, PageError> {
        let called = self.call_in(world, function, args, Instant::now() + STEP).await;
        match called.map_err(|error| self.denied_in(world, &framed.path, error))? {
            Called::Gone => Ok(None),
            Called::Value(value) => {
                if !told.contains(world) {
                    told.push(world.clone());
                }
                decode::<Outcome<Value>>(function, value)?.or_fail(&framed.path.source).map(Some)
            }
        }
    }
}

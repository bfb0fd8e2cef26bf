//! The way to an element: through which frames, and into which document.
//!
//! Each frame on the way is an element of the document around it, looked up there and kept by the helper under a token, so that
//! an act can ask that document later whether the pointer or the focus still goes into the frame. The frame's own document is
//! known by its world, and so is looked into only where its own origin is granted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::Shared;
use super::call::{Called, decode};
use super::query::{Deadline, Outcome};
use super::world::World;
use crate::browser::error::PageError;
use crate::browser::selectors::Selector;

/// The helper tells by itself what it waited for in vain; the call around it gets a little more time.
const GRACE: Duration = Duration::from_secs(1);
/// For the document of a frame that is there, where nothing is waited for.
const DOCUMENT: Duration = Duration::from_secs(2);

/// Tells one act from another, in any document.
static TOKENS: AtomicU64 = AtomicU64::new(1);

pub(super) fn new_token() -> u64 {
    TOKENS.fetch_add(1, Ordering::Relaxed)
}

/// A selector, cut at its `in-frame` steps.
#[derive(Debug, Clone)]
pub(super) struct Path {
    /// As the adapter wrote it, for messages.
    pub(super) source: String,
    /// What chooses the frames, from the outermost on.
    pub(super) frames: Vec<Selector>,
    pub(super) last: Selector,
    /// Whether a frame that is not there is waited for.
    pub(super) waits: bool,
}

impl Path {
    pub(super) fn parse(source: &str) -> Result<Self, PageError> {
        let (frames, last) = source.parse::<Selector>()?.into_legs();
        Ok(Self { source: source.to_owned(), frames, last, waits: true })
    }
}

/// A frame on the way.
#[derive(Debug, Clone)]
pub(super) struct Hop {
    /// The document around it.
    pub(super) world: World,
    /// Under which the helper there keeps its element.
    pub(super) token: u64,
}

/// The document in which the last leg of a selector is looked up, and the way there.
#[derive(Debug, Clone)]
pub(super) struct Reach {
    /// From the outermost on; empty for the page's own document.
    pub(super) hops: Vec<Hop>,
    pub(super) world: World,
}

impl Reach {
    /// All documents on the way, the last included.
    pub(super) fn worlds(&self) -> impl Iterator<Item = &World> {
        self.hops.iter().map(|hop| &hop.world).chain([&self.world])
    }
}

impl Shared {
    /// Walks to the document of a selector, waiting until `deadline` for each frame. None when a document was replaced on the
    /// way: then all begins anew.
    ///
    /// # Errors
    /// [`PageError::NotFound`] where a frame does not come, `Other { code: "not-a-frame" }`.
    pub(super) async fn reach(&self, path: &Path, deadline: Deadline) -> Result<Option<Reach>, PageError> {
        let until = deadline.instant() + GRACE;
        let mut world = self.worlds.main(self, until).await?;
        let mut hops = Vec::new();
        for leg in &path.frames {
            let token = new_token();
            let args = json!({"selector": leg, "token": token, "until": if path.waits { deadline.epoch() } else { 0 }});
            let Some(outcome) = self.ask_world::<Outcome<Value>>(&world, path, "enter", &args, until).await? else {
                return Ok(None);
            };
            outcome.or_fail(&path.source)?;
            let Some(frame) = self.frame_behind(&world, token, until).await? else { return Ok(None) };
            hops.push(Hop { world, token });
            let wait = if path.waits { deadline.instant() } else { Instant::now() + DOCUMENT };
            let found = self.worlds.find(self, wait, || self.worlds.of_frame(&frame)).await?;
            world = found.ok_or_else(|| PageError::Timeout(format!("{}: the frame has no document", path.source)))?;
        }
        Ok(Some(Reach { hops, world }))
    }

    /// Calls the helper in one world; none when that document is gone.
    async fn ask_world<T: DeserializeOwned>(
        &self,
        world: &World,
        path: &Path,
        function: &str,
        args: &Value,
        until: Instant,
    ) -> Result<Option<T>, PageError> {
        match self.call_in(world, function, args, until).await {
            Ok(Called::Value(value)) => decode(function, value).map(Some),
            Ok(Called::Gone) => Ok(None),
            Err(error) => Err(self.denied_in(world, path, error)),
        }
    }

    /// Of a frame that is denied the selector is told too.
    pub(super) fn denied_in(&self, world: &World, path: &Path, error: PageError) -> PageError {
        match error {
            PageError::OriginDenied(origin) if world.frame != self.target => {
                PageError::OriginDenied(format!("{origin} (the frame of {})", path.source))
            }
            error => error,
        }
    }

    /// Has the helper look an element up and do something with it, until `deadline`. Says where that was.
    pub(super) async fn ask_at<T: DeserializeOwned>(
        &self,
        function: &str,
        path: &Path,
        more: &Value,
        deadline: Deadline,
    ) -> Result<(T, Reach), PageError> {
        loop {
            let reach = self.reach(path, deadline).await?;
            if let Some(reach) = reach {
                if let Some(answer) = self.ask_in(&reach, function, path, more, deadline).await? {
                    return Ok((answer, reach));
                }
                self.worlds.gone_from(&reach.world, deadline.instant() + GRACE).await;
            }
            if deadline.is_over() {
                return Err(PageError::Timeout(format!("{}: the document keeps changing", path.source)));
            }
        }
    }

    /// The same in a document that was reached before; none when that one is gone.
    pub(super) async fn ask_in<T: DeserializeOwned>(
        &self,
        reach: &Reach,
        function: &str,
        path: &Path,
        more: &Value,
        deadline: Deadline,
    ) -> Result<Option<T>, PageError> {
        let mut args = more.as_object().cloned().unwrap_or_else(Map::new);
        args.insert("selector".into(), json!(path.last));
        args.insert("until".into(), json!(deadline.epoch()));
        let until = deadline.instant() + GRACE;
        let outcome: Option<Outcome<T>> =
            self.ask_world(&reach.world, path, function, &Value::Object(args), until).await?;
        outcome.map(|outcome| outcome.or_fail(&path.source)).transpose()
    }
}

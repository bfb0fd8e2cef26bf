//! The pointer: aimed at an element, through the frames around it, and pressed when it is certain to hit.

use std::time::Duration;

use futures::future::try_join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use super::act::{LAST_LOOK, Landed, Look, MAX_CLICKS, NEWS, look_result};
use super::input::Point;
use super::query::Deadline;
use super::reach::{Path, Reach, new_token};
use super::{Page, Shared};
use crate::browser::error::PageError;

/// Between two looks at a frame that is in the way of itself.
const PAUSE: Duration = Duration::from_millis(30);
/// For where a frame stands: it must be still for two frames of the screen.
const STILL: Duration = Duration::from_secs(2);

/// Where a pointer must be to hit an element.
#[derive(Debug)]
pub(super) struct Aimed {
    pub(super) reach: Reach,
    token: u64,
    /// In the element's own document, then in each document around it, outwards; the last is the window's.
    points: Vec<Point>,
}

/// Where a point of a frame lies in the document around it.
#[derive(Debug, Deserialize)]
struct Outward {
    gone: bool,
    why: Option<String>,
    #[serde(flatten)]
    point: Option<Point>,
}

impl Page {
    /// Clicks the first match, `clicks` times in one gesture.
    ///
    /// # Errors
    /// [`PageError::NotFound`] when nothing matched in time, [`PageError::Timeout`] with the reason when what matched could
    /// not be acted on; all acts alike.
    pub async fn click(&self, selector: &str, clicks: u32, timeout: Option<Duration>) -> Result<(), PageError> {
        if !(1..=MAX_CLICKS).contains(&clicks) {
            let message = format!("{clicks} clicks; one to {MAX_CLICKS} make a gesture");
            return Err(PageError::Other { code: "invalid-clicks", message });
        }
        let path = Path::parse(selector)?;
        self.shared.spend_act()?;
        self.shared.click_path(&path, clicks, Deadline::after(timeout)).await
    }

    /// Moves the pointer over the first match.
    ///
    /// # Errors
    /// As [`click`](Self::click).
    pub async fn hover(&self, selector: &str, timeout: Option<Duration>) -> Result<(), PageError> {
        let path = Path::parse(selector)?;
        self.shared.spend_act()?;
        let aimed = self.shared.aim(&path, true, Deadline::after(timeout)).await?;
        let _gate = self.shared.hold_documents(&aimed.reach).await?;
        self.shared.move_pointer(aimed.window()?).await
    }
}

impl Aimed {
    fn window(&self) -> Result<Point, PageError> {
        self.points.last().copied().ok_or(PageError::Closed)
    }
}

impl Shared {
    pub(super) async fn click_path(&self, path: &Path, clicks: u32, deadline: Deadline) -> Result<(), PageError> {
        loop {
            let aimed = self.aim(path, false, deadline).await?;
            if self.click_aimed(&aimed, clicks).await?.settle(&path.source, deadline)? {
                return Ok(());
            }
        }
    }

    /// Waits until a pointer would hit the first match, and guards that spot (for a press; not for a hover).
    pub(super) async fn aim(&self, path: &Path, hover: bool, deadline: Deadline) -> Result<Aimed, PageError> {
        loop {
            let token = new_token();
            let args = json!({"token": token, "hover": hover, "framed": !path.frames.is_empty()});
            let (point, reach): (Point, Reach) = self.ask_at("aim", path, &args, deadline).await?;
            let mut aimed = Aimed { reach, token, points: vec![point] };
            let Some(why) = self.aim_through(&mut aimed, point).await? else { return Ok(aimed) };
            self.disarm(token, &aimed.reach);
            Landed::No(why).settle(&path.source, deadline)?;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Carries the point out of the frames. Says why it cannot be hit.
    async fn aim_through(&self, aimed: &mut Aimed, mut point: Point) -> Result<Option<String>, PageError> {
        for hop in aimed.reach.hops.iter().rev() {
            let args = json!({"token": hop.token, "at": point});
            let outward: Option<Outward> = self.follow_up(&hop.world, "outward", &args, STILL).await?;
            point = match outward {
                Some(Outward { gone: false, why: None, point: Some(outer) }) => outer,
                Some(Outward { gone: false, why: Some(why), .. }) => return Ok(Some(why)),
                _ => return Ok(Some("the document was replaced".into())),
            };
            aimed.points.push(point);
        }
        Ok(None)
    }

    /// Presses and releases the button, if the last look finds everything in its place.
    pub(super) async fn click_aimed(&self, aimed: &Aimed, clicks: u32) -> Result<Landed, PageError> {
        let window = aimed.window()?;
        let _gate = self.hold_documents(&aimed.reach).await?;
        let _newborn = self.guard_newborn(&aimed.reach, aimed.token).await?;
        self.move_pointer(window).await?;
        if let Some(why) = self.look_along(aimed).await? {
            self.disarm(aimed.token, &aimed.reach);
            return Ok(Landed::No(why));
        }
        self.download_clicked();
        self.click_at(window, clicks).await?;
        Ok(self.landed(aimed.token, &aimed.reach, NEWS).await)
    }

    /// The last look, in each document on the way. Says why the button must not go down.
    async fn look_along(&self, aimed: &Aimed) -> Result<Option<String>, PageError> {
        let points = aimed.points.windows(2).rev();
        let frames = aimed.reach.hops.iter().zip(points).map(|(hop, points)| {
            let args = json!({"token": hop.token, "act": aimed.token, "kind": "pointer",
                "at": points.first(), "out": points.last()});
            self.look_in(&hop.world, "through", args)
        });
        if let Some(why) = try_join_all(frames).await?.into_iter().flatten().next() {
            return Ok(Some(why));
        }
        let Some(point) = aimed.points.first() else { return Ok(None) };
        let args = json!({"token": aimed.token, "x": point.x, "y": point.y});
        self.look_in(&aimed.reach.world, "aimed", args).await
    }

    /// One document's last look. Says why an input must not be given; none when it may.
    pub(super) async fn look_in(
        &self,
        world: &super::world::World,
        function: &str,
        args: Value,
    ) -> Result<Option<String>, PageError> {
        let look: Option<Look> = self.follow_up(world, function, &args, LAST_LOOK).await?;
        Ok(look_result(look))
    }
}

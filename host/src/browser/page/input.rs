//! Input through the browser's own pipeline: to the page it is a person's.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chromiumoxide::cdp::browser_protocol::input::{
    DispatchKeyEventParams, DispatchKeyEventType, DispatchMouseEventParams, DispatchMouseEventType, InsertTextParams,
    MouseButton,
};

use super::Shared;
use super::keys::{Chord, Key};
use crate::browser::error::PageError;

/// For one piece of input: the page's own listeners run within it.
const INPUT_DEADLINE: Duration = Duration::from_secs(15);
/// For a text to be put in: the page lays it out at once, which takes a busy machine longer than that for some ten thousand characters. A
/// call's own deadline comes first.
const TEXT_DEADLINE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

fn mouse(kind: DispatchMouseEventType, at: Point) -> DispatchMouseEventParams {
    DispatchMouseEventParams::new(kind, at.x, at.y)
}

fn key_event(kind: DispatchKeyEventType, key: &Key, modifiers: i64) -> DispatchKeyEventParams {
    let mut event = DispatchKeyEventParams::new(kind);
    event.key = Some(key.key.clone());
    event.code = Some(key.code.clone());
    event.windows_virtual_key_code = Some(key.virtual_code);
    event.modifiers = Some(modifiers);
    event
}

impl Shared {
    pub(super) async fn move_pointer(&self, at: Point) -> Result<(), PageError> {
        self.command(mouse(DispatchMouseEventType::MouseMoved, at), INPUT_DEADLINE).await?;
        Ok(())
    }

    /// Presses and releases the left button `clicks` times. All is written at once, so that no button stays down when the
    /// caller gives up in between.
    pub(super) async fn click_at(&self, at: Point, clicks: u32) -> Result<(), PageError> {
        self.strokes.fetch_add(1, Ordering::Relaxed);
        let mut answers = Vec::new();
        for n in 1..=i64::from(clicks) {
            for kind in [DispatchMouseEventType::MousePressed, DispatchMouseEventType::MouseReleased] {
                let mut event = mouse(kind, at);
                event.button = Some(MouseButton::Left);
                event.click_count = Some(n);
                answers.push(self.session.start(event, INPUT_DEADLINE)?);
            }
        }
        self.all(answers).await
    }

    /// Presses and releases a chord.
    pub(super) async fn strike(&self, chord: &Chord) -> Result<(), PageError> {
        self.strokes.fetch_add(1, Ordering::Relaxed);
        let mut events = Vec::new();
        let mut held = 0;
        for modifier in &chord.modifiers {
            held |= modifier.modifier;
            events.push(key_event(DispatchKeyEventType::RawKeyDown, modifier, held));
        }
        let mut down = key_event(DispatchKeyEventType::RawKeyDown, &chord.key, held | chord.key.modifier);
        if !chord.key.text.is_empty() {
            down.r#type = DispatchKeyEventType::KeyDown;
            down.text = Some(chord.key.text.clone());
            down.unmodified_text = Some(chord.key.text.clone());
        }
        events.push(down);
        events.push(key_event(DispatchKeyEventType::KeyUp, &chord.key, held));
        for modifier in chord.modifiers.iter().rev() {
            held &= !modifier.modifier;
            events.push(key_event(DispatchKeyEventType::KeyUp, modifier, held));
        }
        let answers: Result<Vec<_>, _> =
            events.into_iter().map(|event| self.session.start(event, INPUT_DEADLINE)).collect();
        self.all(answers?).await
    }

    /// Inserts text where the caret is, as one paste-like input.
    pub(super) async fn insert(&self, text: &str) -> Result<(), PageError> {
        self.command(InsertTextParams::new(text), TEXT_DEADLINE).await?;
        Ok(())
    }

    async fn all<F>(&self, answers: Vec<F>) -> Result<(), PageError>
    where
        F: Future<Output = Result<serde_json::Value, crate::browser::cdp::CdpError>>,
    {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Err(PageError::Closed),
            result = futures::future::try_join_all(answers) => result?,
        };
        Ok(())
    }
}

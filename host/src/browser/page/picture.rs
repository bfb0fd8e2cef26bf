//! What a page looks like.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chromiumoxide::cdp::browser_protocol::browser::{
    Bounds, GetWindowForTargetParams, SetWindowBoundsParams, WindowId, WindowState,
};
use chromiumoxide::cdp::browser_protocol::page::{CaptureScreenshotFormat, CaptureScreenshotParams};
use chromiumoxide::cdp::browser_protocol::target::TargetId;

use super::{COMMAND_DEADLINE, Page};
use crate::browser::error::PageError;

/// A page that does not draw by then will not.
const DRAWN: Duration = Duration::from_secs(4);

impl Page {
    /// A picture (PNG) of what the page shows. Of a page where the holder may not read none is taken.
    ///
    /// # Errors
    /// [`PageError::OriginDenied`] where the page is not on one of `spec.page`; [`PageError::Closed`].
    pub async fn screenshot(&self) -> Result<Vec<u8>, PageError> {
        // Refused where the adapter may not read either.
        self.title().await?;
        let target = TargetId::new(self.shared.target.clone());
        let window = GetWindowForTargetParams { target_id: Some(target) };
        let window = self.shared.root.execute(window, COMMAND_DEADLINE).await?;
        let hidden = window.bounds.window_state == Some(WindowState::Minimized);
        // A minimised window draws nothing, and the picture would never come.
        if hidden {
            self.show(window.window_id, WindowState::Normal).await?;
        }
        let params = CaptureScreenshotParams::builder().format(CaptureScreenshotFormat::Png).build();
        let answer = self.shared.session.execute(params, DRAWN).await;
        if hidden {
            self.show(window.window_id, WindowState::Minimized).await?;
        }
        let data = answer?.data;
        let text: &[u8] = data.as_ref();
        let unreadable = || PageError::Other { code: "no-picture", message: "the browser's picture is damaged".into() };
        STANDARD.decode(text).map_err(|_| unreadable())
    }

    async fn show(&self, window: WindowId, state: WindowState) -> Result<(), PageError> {
        let bounds = Bounds { window_state: Some(state), ..Bounds::default() };
        self.shared.root.execute(SetWindowBoundsParams::new(window, bounds), COMMAND_DEADLINE).await?;
        Ok(())
    }
}

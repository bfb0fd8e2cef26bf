//! A browser that runs: its root session, and the opening of pages in it.

use std::sync::Arc;
use std::time::Duration;

use chromiumoxide::cdp::browser_protocol::browser::{
    BrowserContextId, CloseParams, GetVersionParams, SetDownloadBehaviorBehavior, SetDownloadBehaviorParams,
};
use chromiumoxide::cdp::browser_protocol::target::{
    CreateBrowserContextParams, CreateTargetParams, DisposeBrowserContextParams, SetAutoAttachParams, WindowState,
};
use chromiumoxide::cdp::js_protocol::runtime::RunIfWaitingForDebuggerParams;
use serde::Deserialize;

use super::targets::{Opener, Targets};
use crate::browser::cdp::{CdpError, Session, Socket};
use crate::browser::error::PageError;
use crate::browser::page::{Page, PageSpec, Tab};

pub(super) const DEADLINE: Duration = Duration::from_secs(15);
/// How often a browser is asked whether it still answers, and how long it may take: long, because a machine may be busy.
const ASK_EVERY: Duration = Duration::from_secs(20);
const ANSWER_WITHIN: Duration = Duration::from_secs(40);

#[derive(Debug)]
pub(super) struct Live {
    pub(super) root: Session,
    pub(super) version: String,
    pub(super) opener: Opener,
    downloads: Arc<tokio::sync::Mutex<()>>,
}

impl Live {
    /// Sets the browser up: what it attaches to, what it denies.
    pub(super) async fn prepare(socket: Socket) -> Result<(Arc<Self>, Targets), CdpError> {
        #[derive(Deserialize)]
        struct Version {
            product: String,
        }
        let Socket { root, events, task } = socket;
        let (opener, requests) = Opener::new();
        let targets = Targets::new(root.clone(), events, requests, task);
        let mut attach = SetAutoAttachParams::new(true, true);
        attach.flatten = Some(true);
        // On the root: on a page's session alone, `window.open` attached nothing.
        let attached = root.start(attach, DEADLINE)?;
        let version = root.start(GetVersionParams::default(), DEADLINE)?;
        deny(&root, None).await?;
        attached.await?;
        let version = serde_json::from_value::<Version>(version.await?)
            .map_err(|e| CdpError::Decode { method: "Browser.getVersion".into(), message: e.to_string() })?;
        Ok((Arc::new(Self { root, version: version.product, opener, downloads: Arc::default() }), targets))
    }

    pub(super) async fn open_page(&self, spec: PageSpec) -> Result<Page, PageError> {
        let context = if spec.throwaway { Some(self.new_context().await?) } else { None };
        let mut target = CreateTargetParams::new("about:blank");
        // One window for each page: every tab but the last of a window is `hidden`, and all but stops.
        target.new_window = Some(true);
        target.width = Some(1280);
        target.height = Some(900);
        target.browser_context_id = context.clone();
        let opened = match self.opener.open(target).await {
            Ok((target, session)) => {
                let (root, opener, downloads) = (self.root.clone(), self.opener.clone(), Arc::clone(&self.downloads));
                let tab = Tab { root, target, session, context: context.clone(), opener, downloads };
                return Page::open(tab, spec).await;
            }
            Err(error) => error,
        };
        if let Some(context) = context {
            // If the browser is gone, so is the context.
            self.root.tell(DisposeBrowserContextParams::new(context)).ok();
        }
        Err(opened)
    }

    /// Opens an empty window that stays. With the last window of a profile Chromium forgets the cookies that have no expiry.
    pub(super) async fn hold(&self) -> Result<(), PageError> {
        let (_, session) = self.opener.open(aside()).await?;
        self.root.child(&session).tell(RunIfWaitingForDebuggerParams::default())?;
        Ok(())
    }

    async fn new_context(&self) -> Result<BrowserContextId, PageError> {
        let params = CreateBrowserContextParams { dispose_on_detach: Some(true), ..Default::default() };
        let context = self.root.execute(params, DEADLINE).await?.browser_context_id;
        deny(&self.root, Some(context.clone())).await?;
        Ok(context)
    }

    /// Returns when the browser no longer answers.
    pub(super) async fn hang(&self) {
        loop {
            tokio::time::sleep(ASK_EVERY).await;
            let asked = self.root.execute_value(GetVersionParams::default(), ANSWER_WITHIN).await;
            if matches!(asked, Err(CdpError::Timeout { .. })) {
                return;
            }
        }
    }

    /// Asks it to close, which flushes cookies to disk.
    pub(super) async fn close(&self) {
        // The socket may break before the answer: the process's end is what counts.
        if let Err(error) = self.root.execute_value(CloseParams::default(), Duration::from_secs(3)).await {
            tracing::debug!(%error, "closing the browser");
        }
    }
}

/// A window of the default context that is in nobody's way.
pub(super) fn aside() -> CreateTargetParams {
    let mut target = CreateTargetParams::new("about:blank");
    target.new_window = Some(true);
    target.background = Some(true);
    target.window_state = Some(WindowState::Minimized);
    target
}

/// No downloads to the operator's disk, and no permission (clipboard, camera, place, notifications) without a question.
async fn deny(root: &Session, context: Option<BrowserContextId>) -> Result<(), CdpError> {
    let mut downloads = SetDownloadBehaviorParams::new(SetDownloadBehaviorBehavior::Deny);
    downloads.browser_context_id = context.clone();
    let downloads = root.start(downloads, DEADLINE)?;
    let permissions = root.start(NoPermissions { permissions: [], browser_context_id: context }, DEADLINE)?;
    downloads.await?;
    permissions.await?;
    Ok(())
}

/// `Browser.grantPermissions`: grants what is listed and rejects all others; the crate at hand lacks it.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct NoPermissions {
    permissions: [String; 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    browser_context_id: Option<BrowserContextId>,
}

impl chromiumoxide::Method for NoPermissions {
    fn identifier(&self) -> chromiumoxide::types::MethodId {
        "Browser.grantPermissions".into()
    }
}

impl chromiumoxide::Command for NoPermissions {
    type Response = serde_json::Value;
}

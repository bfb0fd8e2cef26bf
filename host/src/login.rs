//! Signing in by hand: a window with the instance's own profile, open until the adapter sees that somebody is signed in.
//!
//! For sites that refuse a browser without a window, and for whoever has a desktop at hand. The person acts; nothing here fills
//! in a form.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::accounts::{AccountError, Accounts, Exported, Holder};
use crate::browser::{Instance, InstanceState, Page, PageError, PageSpec};
use crate::chat::{Failure, FailureKind};
use crate::plugin::{Account, Adapter, Deadlines, Manifest, Means};
use crate::session::Secret;

const BROWSER: Duration = Duration::from_secs(60);
/// How often the adapter looks at the page.
const LOOK: Duration = Duration::from_secs(2);
/// For one look: a page that is being loaded is looked at again.
const PROBE: Duration = Duration::from_secs(20);
/// Crashes in a row after which an adapter is not asked again.
const CRASHES: u32 = 3;

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    #[error("the browser does not start: {0}")]
    Browser(String),
    #[error("the page cannot be opened: {0}")]
    Page(#[from] PageError),
    #[error("the window was closed before the adapter saw anybody signed in; the profile has what was done in it")]
    Closed,
    #[error("nobody signed in within {0:?}")]
    Late(Duration),
    #[error("stopped before anybody was signed in")]
    Stopped,
    #[error("the adapter cannot say who is signed in: {0}")]
    Adapter(Failure),
    #[error(transparent)]
    Export(#[from] AccountError),
}

/// Whose window it is.
#[derive(Debug)]
pub struct Login {
    /// With a window, and with its session kept.
    pub instance: Arc<Instance>,
    pub adapter: Arc<Adapter>,
    pub means: Means,
    /// How long it may take.
    pub patience: Duration,
    pub cancel: CancellationToken,
    /// Makes an archive at the end.
    pub export: Option<Secret>,
}

/// Somebody is signed in.
#[derive(Debug)]
pub struct SignedIn {
    /// As the site shows them, if it does.
    pub who: Option<String>,
    pub exported: Option<Exported>,
}

impl Login {
    /// Opens the window, waits until somebody is signed in, and keeps the session. The instance is still running at the return:
    /// stop it, so that the profile has all.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn run(self, tell: impl Fn(&str)) -> Result<SignedIn, LoginError> {
        let manifest = &self.adapter.manifest;
        ready(&self.instance).await?;
        let page = Arc::new(self.instance.open_page(spec(manifest)).await?);
        let first = manifest.sign_in.as_ref().filter(|url| manifest.page.iter().any(|origin| origin.matches(url)));
        match first {
            Some(url) => page.goto(url.as_str(), None).await?,
            None => page.back_to_entry(None).await?,
        }
        tell(&format!("Sign in to {} in the window that is open. It closes by itself.", manifest.name));
        let who = tokio::select! {
            () = self.cancel.cancelled() => return Err(LoginError::Stopped),
            who = timeout(self.patience, self.watch(&page)) => who.map_err(|_| LoginError::Late(self.patience))??,
        };
        self.instance.keep_session().await?;
        let exported = match self.export.clone() {
            Some(passphrase) => Some(self.export(passphrase).await?),
            None => None,
        };
        Ok(SignedIn { who, exported })
    }

    /// Until the adapter sees somebody.
    async fn watch(&self, page: &Arc<Page>) -> Result<Option<String>, LoginError> {
        let mut crashes = 0;
        let mut next = Instant::now();
        loop {
            if page.closed().borrow().is_some() {
                return Err(LoginError::Closed);
            }
            if self.shows_the_site(page).await {
                // While an adapter looks, the fence is the adapter's.
                page.by_hand(false);
                page.begin_call();
                let deadlines = Deadlines { call: PROBE, ..Deadlines::default() };
                let seen = self.adapter.probe(Arc::clone(page), deadlines, self.means.clone()).await;
                page.end_call();
                match seen.result {
                    Ok(Account::SignedIn(who)) => return Ok(who),
                    Ok(_) => crashes = 0,
                    Err(failure) => {
                        tracing::debug!(%failure, "the adapter could not look at the page");
                        crashes = if is_crash(&failure) { crashes + 1 } else { 0 };
                        if crashes >= CRASHES {
                            return Err(LoginError::Adapter(failure));
                        }
                    }
                }
            }
            page.by_hand(true);
            next = (next + LOOK).max(Instant::now());
            let mut closed = page.closed();
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                // Its reason is looked at above.
                _ = closed.wait_for(Option::is_some) => {}
            }
        }
    }

    /// Whether the window is where the adapter may look, and not on a sign-in page.
    async fn shows_the_site(&self, page: &Page) -> bool {
        let url = page.url().await.ok().and_then(|url| url::Url::parse(&url).ok());
        url.is_some_and(|url| self.adapter.manifest.page.iter().any(|origin| origin.matches(&url)))
    }

    async fn export(&self, passphrase: Secret) -> Result<Exported, LoginError> {
        let manifest = &self.adapter.manifest;
        let holder = Holder {
            instance: Arc::clone(&self.instance),
            adapters: vec![manifest.id.clone()],
            origins: manifest.page.iter().chain(&manifest.pass).cloned().collect(),
        };
        let accounts = Accounts::new(Box::new(move || vec![holder.clone()]));
        Ok(accounts.export(self.instance.name(), passphrase).await?)
    }
}

fn is_crash(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::AdapterCrashed | FailureKind::AdapterCpuLimit | FailureKind::AdapterMemoryLimit)
}

async fn ready(instance: &Instance) -> Result<(), LoginError> {
    let mut state = instance.state();
    let settled = state.wait_for(|s| !matches!(s, InstanceState::Starting));
    match timeout(BROWSER, settled).await.map(|state| state.map(|state| state.clone())) {
        Ok(Ok(InstanceState::Ready { .. })) => Ok(()),
        Ok(Ok(InstanceState::Failed(why) | InstanceState::Restarting { reason: why, .. })) => {
            Err(LoginError::Browser(why))
        }
        _ => Err(LoginError::Browser("it is not ready after a minute".into())),
    }
}

/// A page for a person, and for looking: nothing is listened to, changed or saved.
fn spec(manifest: &Manifest) -> PageSpec {
    PageSpec {
        entry: manifest.entry.clone(),
        page: manifest.page.clone(),
        pass: manifest.pass.clone(),
        listen: Vec::new(),
        rewrite: Vec::new(),
        save: Vec::new(),
        stop_button: None,
        throwaway: false,
    }
}

//! What the tests with a real Chromium share: sites of their own, and instances that see nothing else.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use tokio_util::task::AbortOnDropHandle;
use url::Url;
use webai2api::browser::guard::{Guard, GuardOptions, Mapping, Unmapped};
use webai2api::browser::{
    Instance, InstanceOptions, InstanceState, LaunchOptions, Origin, Page, PageError, PageSpec, Profile,
};

/// Long, because the machine may be busy. Nothing waits for it when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where the pages under test live.
pub(crate) const CHAT: &str = "http://chat.demo.localhost";
/// Their sign-in pages.
pub(crate) const ACCOUNTS: &str = "http://accounts.demo.localhost";
/// Where they must never go.
pub(crate) const EVIL: &str = "http://evil.demo.localhost";

type Pages = Arc<dyn Fn(&str) -> Response + Send + Sync>;

/// A server for every host name.
pub(crate) struct Site {
    pub(crate) addr: SocketAddr,
    /// The egress guard that leads there, and nowhere else.
    guard: Guard,
    hits: Arc<Mutex<Vec<String>>>,
    _server: AbortOnDropHandle<()>,
}

impl Site {
    /// `pages` gets `host/path?query`.
    pub(crate) async fn start(pages: impl Fn(&str) -> Response + Send + Sync + 'static) -> Self {
        let hits = Arc::<Mutex<Vec<String>>>::default();
        let state = (Arc::new(pages) as Pages, Arc::clone(&hits));
        let app = Router::new().fallback(answer).with_state(state);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let mapping = Mapping { host: "*.demo.localhost".into(), port: 80, to: addr };
        let options = GuardOptions { mappings: vec![mapping], unmapped: Unmapped::Refuse, ..GuardOptions::default() };
        let guard = Guard::start(options).await.unwrap();
        Self { addr, guard, hits, _server: AbortOnDropHandle::new(server) }
    }

    /// The way there, for [`options`].
    pub(crate) fn guard(&self) -> SocketAddr {
        self.guard.addr()
    }

    /// How many requests came for addresses that begin so (`host/path`).
    pub(crate) fn hits(&self, begin: &str) -> usize {
        self.asked(begin).len()
    }

    /// The addresses that begin so, as they were asked for.
    pub(crate) fn asked(&self, begin: &str) -> Vec<String> {
        self.hits.lock().unwrap().iter().filter(|hit| hit.starts_with(begin)).cloned().collect()
    }
}

async fn answer(
    State((pages, hits)): State<(Pages, Arc<Mutex<Vec<String>>>)>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let asked = format!("{host}{}", uri.path_and_query().map_or("/", |p| p.as_str()));
    hits.lock().unwrap().push(asked.clone());
    pages(&asked)
}

pub(crate) fn html(body: &str) -> Response {
    Html(format!("<!doctype html><title>a page</title><link rel=icon href=data:,>{body}")).into_response()
}

pub(crate) fn redirect(to: &str) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, to)]).into_response()
}

pub(crate) fn missing() -> Response {
    // With a body: without one Chromium shows an error page of its own.
    (StatusCode::NOT_FOUND, Html("<title>a page</title>nothing here")).into_response()
}

/// Options for a Chromium that reaches nothing but what this guard leads to.
pub(crate) fn options(name: &str, profile: Profile, guard: Option<SocketAddr>) -> InstanceOptions {
    let mut launch = LaunchOptions::new(guard.unwrap_or_else(|| "127.0.0.1:1".parse().unwrap()));
    launch.start_timeout = PATIENCE;
    InstanceOptions { name: name.into(), profile, launch }
}

/// An instance that is ready.
pub(crate) async fn instance(site: &Site) -> Instance {
    let instance = Instance::spawn(options("test", Profile::Throwaway, Some(site.guard())));
    ready(&instance).await;
    instance
}

pub(crate) async fn until(instance: &Instance, wanted: impl Fn(&InstanceState) -> bool) -> InstanceState {
    let mut state = instance.state();
    let mut seen = Vec::new();
    let wait = async {
        loop {
            let now = state.borrow_and_update().clone();
            if wanted(&now) {
                return now;
            }
            seen.push(now);
            state.changed().await.unwrap();
        }
    };
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(state) => state,
        Err(_) => panic!("the state wanted did not come; seen {seen:?}"),
    }
}

/// Waits until it is ready; its version and process.
pub(crate) async fn ready(instance: &Instance) -> (String, u32) {
    match until(instance, |state| matches!(state, InstanceState::Ready { .. })).await {
        InstanceState::Ready { version, pid } => (version, pid.unwrap()),
        state => panic!("{state:?}"),
    }
}

pub(crate) fn spec() -> PageSpec {
    PageSpec {
        entry: Url::parse(&format!("{CHAT}/")).unwrap(),
        page: vec![Origin::parse_lab(CHAT).unwrap()],
        pass: vec![Origin::parse_lab(ACCOUNTS).unwrap()],
        listen: Vec::new(),
        rewrite: Vec::new(),
        save: Vec::new(),
        stop_button: None,
        throwaway: true,
    }
}

/// A page at its entry.
pub(crate) async fn page(instance: &Instance) -> Page {
    let page = instance.open_page(spec()).await.unwrap();
    page.back_to_entry(Some(PATIENCE)).await.unwrap();
    page
}

/// Asks again and again, at short intervals, until it is so.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let asked = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, asked).await.is_ok(), "not so in {PATIENCE:?}: {what}");
}

pub(crate) fn is_code(result: &Result<(), PageError>, wanted: &str) -> bool {
    matches!(result, Err(PageError::Other { code, .. }) if *code == wanted)
}

/// Whether a process is there and no zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

pub(crate) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// The processes below one.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children: Vec<u32> = children.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    children.iter().copied().chain(children.iter().flat_map(|pid| descendants(*pid))).collect()
}

//! One Chromium for all tests of this file, and what a test does with a page of it.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Runtime;
use webai2api::browser::{
    Ending, EventBody, Filter, Instance, InstanceOptions, InstanceState, LaunchOptions, Origin, Page, PageEvent,
    PageSpec, Profile, ResponseHead, UrlPattern,
};

use super::site::Site;

/// Long, because the machine may be busy. Nothing waits for it when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const HOST: &str = "http://chat.demo.localhost";
pub(crate) const OTHER: &str = "http://other.demo.localhost";

/// The browser that the tests share: kept as long as one of them uses it.
static SHARED: Mutex<Weak<Lab>> = Mutex::new(Weak::new());

pub(crate) struct Lab {
    instance: Instance,
    site: Arc<Site>,
    runtime: Runtime,
}

impl Lab {
    fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lab) = shared.upgrade() {
            return lab;
        }
        let lab = Arc::new(Self::start(true));
        *shared = Arc::downgrade(&lab);
        lab
    }

    fn start(fission: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (instance, site) = runtime.block_on(async {
            let site = Site::start().await;
            let mut launch = LaunchOptions::new(site.addr);
            launch.start_timeout = PATIENCE;
            launch.fission = fission;
            let options = InstanceOptions { name: "capture".into(), profile: Profile::Throwaway, launch };
            let instance = Instance::spawn(options);
            let mut state = instance.state();
            let ready = state.wait_for(|state| matches!(state, InstanceState::Ready { .. }));
            tokio::time::timeout(PATIENCE, ready).await.expect("Chromium starts").unwrap();
            (instance, site)
        });
        Self { instance, site, runtime }
    }

    pub(crate) async fn page(&self) -> Page {
        self.page_of(spec()).await
    }

    pub(crate) async fn page_of(&self, spec: PageSpec) -> Page {
        let page = self.instance.open_page(spec).await.unwrap();
        page.begin_call();
        page
    }
}

/// What a page of these tests may do.
pub(crate) fn spec() -> PageSpec {
    PageSpec {
        entry: format!("{HOST}/").parse().unwrap(),
        page: vec![Origin::parse_lab(HOST).unwrap()],
        pass: Vec::new(),
        listen: [HOST, "ws://chat.demo.localhost", "http://s1.demo.localhost", "http://s2.demo.localhost"]
            .map(|host| UrlPattern::parse(&format!("{host}/api/**")).unwrap())
            .into(),
        rewrite: Vec::new(),
        save: Vec::new(),
        stop_button: None,
        throwaway: false,
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.runtime.block_on(self.instance.stop());
    }
}

/// Runs a test against a browser of its own, in which frames of all origins share a process and a session.
pub(crate) fn test_without_fission<F: Future<Output = ()>>(body: impl FnOnce(Arc<Lab>, Arc<Site>) -> F) {
    let lab = Arc::new(Lab::start(false));
    let site = Arc::clone(&lab.site);
    lab.runtime.block_on(body(Arc::clone(&lab), site));
}

/// Runs a test against the shared browser.
pub(crate) fn test<F: Future<Output = ()>>(body: impl FnOnce(Arc<Lab>, Arc<Site>) -> F) {
    let lab = Lab::shared();
    let site = Arc::clone(&lab.site);
    lab.runtime.block_on(body(Arc::clone(&lab), site));
}

/// Everything under `/api`.
pub(crate) fn everything() -> Filter {
    Filter { url: format!("{HOST}/api/**"), ..Filter::default() }
}

/// Every WebSocket under `/api`.
pub(crate) fn sockets() -> Filter {
    Filter { url: "ws://chat.demo.localhost/api/**".into(), ..Filter::default() }
}

/// Opens a document with this script, under a path of its own.
pub(crate) async fn run(site: &Site, page: &Page, script: &str) {
    static LAST: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let path = format!("/page/{}", LAST.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    run_at(site, page, &path, script).await;
}

/// The same under a path that matters.
pub(crate) async fn run_at(site: &Site, page: &Page, path: &str, script: &str) {
    let html = format!("<!doctype html><link rel=icon href=data:,><script>{script}</script>");
    site.put(path, "text/html; charset=utf-8", &html);
    page.goto(&format!("{HOST}{path}"), Some(PATIENCE)).await.unwrap();
}

/// One stream, as it was told.
#[derive(Debug, Default, Clone)]
pub(crate) struct Heard {
    pub(crate) head: Option<ResponseHead>,
    pub(crate) pieces: usize,
    pub(crate) bytes: Vec<u8>,
    pub(crate) messages: Vec<EventBody>,
    pub(crate) end: Option<Result<Ending, String>>,
}

impl Heard {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }

    fn take(&mut self, body: EventBody) {
        assert!(self.end.is_none(), "nothing comes after an end: {body:?}");
        match body {
            EventBody::Response(head) => {
                assert!(self.head.is_none() && self.bytes.is_empty(), "a head comes once, and first");
                self.head = Some(head);
            }
            EventBody::Bytes(bytes) => {
                assert!(self.head.is_some() && !bytes.is_empty() && bytes.len() <= 256 << 10);
                self.pieces += 1;
                self.bytes.extend_from_slice(&bytes);
            }
            EventBody::Text(_) | EventBody::Binary(_) => self.messages.push(body),
            EventBody::End(ending) => self.end = Some(Ok(ending)),
            EventBody::Failed(why) => self.end = Some(Err(why)),
            other => panic!("not an event of a stream: {other:?}"),
        }
    }
}

/// Reads until this many streams have ended; by their number. Fails when none comes for a long time.
pub(crate) async fn hear(page: &Page, streams: usize) -> BTreeMap<u32, Heard> {
    hear_until(page, |heard| heard.values().filter(|stream| stream.end.is_some()).count() >= streams).await
}

pub(crate) async fn hear_until(page: &Page, enough: impl Fn(&BTreeMap<u32, Heard>) -> bool) -> BTreeMap<u32, Heard> {
    let mut heard = BTreeMap::<u32, Heard>::new();
    while !enough(&heard) {
        match page.next(PATIENCE).await {
            Ok(Some(PageEvent { source: 0, .. })) => {}
            Ok(Some(event)) => heard.entry(event.stream).or_default().take(event.body),
            other => panic!("{other:?} after {heard:?}"),
        }
    }
    heard
}

/// Reads the only stream to its end.
pub(crate) async fn hear_one(page: &Page) -> Heard {
    let heard = hear(page, 1).await;
    assert_eq!(heard.len(), 1, "{heard:?}");
    heard.into_values().next().unwrap()
}

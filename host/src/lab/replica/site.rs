//! A replica at work: its state, and how it answers a request.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use hyper::{HeaderMap, Method, Response, StatusCode};
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::files::content_type;
use super::plan::{self, Answer, Asked, Plan, Route};
use super::seen::{Prompt, Request, Seen, Stream};
use super::stream::{self, Tap};

/// An origin that no manifest names. Whatever lies on the replica's hosts is found here too, below `/<scheme>/<host>`.
pub const ELSEWHERE: &str = "elsewhere.webai2api.example";

const BODY_MAX: usize = 64 << 20;
/// The longest that an answer of the built-in site may be whose page is changed on its way.
const PAGE_MAX: usize = 4 << 20;
/// What the state `slow` makes of every pause.
const SLOW: Duration = Duration::from_secs(1);

/// What is done to the site from outside, beside its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Twist {
    #[default]
    None,
    /// Every pause of a stream is at least a second long.
    Slow,
    /// Prompts are taken and never answered.
    Hang,
    /// Every document is found on another origin.
    ForeignPage,
    /// Prompts are redirected to another origin, which answers them.
    ForeignAnswer,
}

#[derive(Debug, Clone)]
struct Mode {
    state: String,
    twist: Twist,
}

/// One replica.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) plan: Plan,
    mode: Mutex<Mode>,
    pub(super) seen: watch::Sender<Seen>,
    demo: Router,
}

/// A request that came whole.
#[derive(Debug, Clone)]
pub(super) struct Incoming {
    pub(super) method: Method,
    /// With scheme and host.
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What becomes of a request.
pub(super) enum Verdict {
    Answer(Response<Body>),
    /// The connection is broken off.
    Abort,
}

impl Site {
    pub(super) fn new(plan: Plan, demo: Router) -> Self {
        let mode = Mutex::new(Mode { state: "ok".into(), twist: Twist::None });
        Self { plan, mode, seen: watch::Sender::new(Seen::default()), demo }
    }

    pub(super) fn set(&self, state: &str, twist: Twist) {
        let mode = Mode { state: state.to_owned(), twist };
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
        self.seen.send_replace(Seen::default());
    }

    fn mode(&self) -> Mode {
        self.mode.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts in what placeholders stand for.
    pub(super) fn fill(&self, text: &str) -> String {
        if !text.contains("{{") {
            return text.to_owned();
        }
        let state = self.mode().state;
        let mut out = text.replace("{{state}}", &state);
        if out.contains("{{prompt") {
            let prompt = self.seen.borrow().prompts.last().map(|prompt| prompt.text.clone()).unwrap_or_default();
            let once = escaped(&prompt);
            out = out.replace("{{prompt2}}", &escaped(&once)).replace("{{prompt}}", &once);
        }
        let of_state = self.plan.file.states.get(&state);
        for name in &self.plan.var_names {
            let value = of_state.and_then(|spec| spec.vars.get(name)).or_else(|| self.plan.file.vars.get(name));
            out = out.replace(&format!("{{{{{name}}}}}"), value.map_or("", String::as_str));
        }
        out
    }

    /// Answers one request.
    pub(super) async fn answer(self: &Arc<Self>, mut incoming: Incoming) -> Verdict {
        let foreign = self.come_home(&mut incoming);
        let asked = asked(&incoming);
        let mode = self.mode();
        let preflight =
            incoming.method == Method::OPTIONS && incoming.headers.contains_key("access-control-request-method");
        if preflight {
            return Verdict::Answer(allow(&incoming.headers, empty(StatusCode::NO_CONTENT)));
        }
        if mode.twist == Twist::ForeignPage && !foreign && is_document(&incoming.headers) {
            self.note(&incoming, foreign, 302, true);
            return Verdict::Answer(redirect(&elsewhere(&incoming.url), 302));
        }
        let prompt = self.plan.prompt(asked);
        if let Some(text) = &prompt
            && !(foreign && mode.twist == Twist::ForeignAnswer)
        {
            let seen = Prompt { at: Instant::now(), url: incoming.url.clone(), text: text.clone() };
            self.seen.send_modify(|all| all.prompts.push(seen));
        }
        match mode.twist {
            Twist::Hang if prompt.is_some() => {
                self.note(&incoming, foreign, 0, true);
                std::future::pending().await
            }
            Twist::ForeignAnswer if prompt.is_some() && !foreign => {
                self.note(&incoming, foreign, 307, true);
                Verdict::Answer(allow(&incoming.headers, redirect(&elsewhere(&incoming.url), 307)))
            }
            _ => self.by_route(&incoming, &mode, foreign, prompt.is_some()).await,
        }
    }

    async fn by_route(self: &Arc<Self>, incoming: &Incoming, mode: &Mode, foreign: bool, of_prompt: bool) -> Verdict {
        let asked = asked(incoming);
        let spent = |n: usize| self.seen.borrow().spent.get(&n).copied().unwrap_or(0);
        let Some((n, route)) = self.plan.find(&mode.state, asked, spent) else {
            let icon = incoming.url.ends_with("/favicon.ico");
            self.note(incoming, foreign, if icon { 204 } else { 404 }, icon);
            if icon {
                return Verdict::Answer(empty(StatusCode::NO_CONTENT));
            }
            let body = format!("no route of site.toml answers {} {}\n", incoming.method, incoming.url);
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::NOT_FOUND;
            return Verdict::Answer(allow(&incoming.headers, response));
        };
        self.seen.send_modify(|seen| {
            *seen.spent.entry(n).or_default() += 1;
            seen.signals.extend(route.signal.clone());
        });
        tokio::time::sleep(route.delay).await;
        let Some(response) = self.made(route, incoming, mode, of_prompt).await else {
            self.note(incoming, foreign, 0, true);
            return Verdict::Abort;
        };
        let mut response = self.dressed(route, response, &mode.state).await;
        self.note(incoming, foreign, response.status().as_u16(), true);
        if of_prompt && !matches!(route.answer, Answer::Steps(_)) {
            let tap = self.tap(&incoming.url, true);
            response = response.map(|body| stream::tapped(body, tap));
        }
        Verdict::Answer(allow(&incoming.headers, response))
    }

    /// None where the connection is to be broken off.
    async fn made(
        self: &Arc<Self>,
        route: &Route,
        incoming: &Incoming,
        mode: &Mode,
        of_prompt: bool,
    ) -> Option<Response<Body>> {
        Some(match &route.answer {
            Answer::Text(text) => Response::new(Body::from(self.fill(text))),
            Answer::Bytes(bytes) => Response::new(Body::from(bytes.clone())),
            Answer::Redirect(to) => redirect(to, route.status.unwrap_or(302)),
            Answer::Folder(folder) => self.in_folder(folder, route.rest(&incoming.url)),
            Answer::Abort => return None,
            Answer::Demo => self.demo(incoming).await,
            Answer::Steps(steps) => {
                let least = if mode.twist == Twist::Slow { SLOW } else { Duration::ZERO };
                let tap = self.tap(&incoming.url, of_prompt);
                Response::new(stream::body(Arc::clone(self), steps.clone(), least, tap))
            }
        })
    }

    /// Status, headers and what a state takes out of its pages.
    async fn dressed(&self, route: &Route, mut response: Response<Body>, state: &str) -> Response<Body> {
        if let Some(status) = route.status.and_then(|status| StatusCode::from_u16(status).ok()) {
            *response.status_mut() = status;
        }
        if let Some(value) = route.content_type.as_ref().and_then(|kind| HeaderValue::from_str(kind).ok()) {
            response.headers_mut().insert(CONTENT_TYPE, value);
        }
        for (name, value) in &route.headers {
            let value = self.fill(value);
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
                response.headers_mut().append(name, value);
            }
        }
        // A page of a state must not be there in the next one.
        response.headers_mut().entry("cache-control").or_insert(HeaderValue::from_static("no-store"));
        let is_page =
            response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        let removed = self.plan.file.states.get(state).and_then(|spec| spec.remove.as_deref());
        match removed {
            Some(selector) if is_page => without(response, selector).await,
            _ => response,
        }
    }

    fn in_folder(&self, folder: &str, rest: &str) -> Response<Body> {
        let path = Path::new(folder).join(rest.trim_start_matches('/'));
        let name = path.to_string_lossy();
        let kind = content_type(&name);
        let mut response = match plan::file(&self.plan.files, &name, kind) {
            Ok(Answer::Text(text)) => Response::new(Body::from(self.fill(&text))),
            Ok(Answer::Bytes(bytes)) => Response::new(Body::from(bytes)),
            _ => return empty(StatusCode::NOT_FOUND),
        };
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }

    async fn demo(&self, incoming: &Incoming) -> Response<Body> {
        let path = incoming.url.splitn(4, '/').nth(3).unwrap_or_default();
        let mut request = hyper::Request::new(Body::from(incoming.body.clone()));
        *request.method_mut() = incoming.method.clone();
        *request.headers_mut() = incoming.headers.clone();
        match format!("/{path}").parse() {
            Ok(uri) => *request.uri_mut() = uri,
            Err(_) => return empty(StatusCode::BAD_REQUEST),
        }
        match self.demo.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// Notes the beginning of an answer; what is returned notes the rest.
    pub(super) fn tap(self: &Arc<Self>, url: &str, of_prompt: bool) -> Tap {
        let stream = Stream {
            url: url.to_owned(),
            of_prompt,
            opened: Instant::now(),
            last_sent: None,
            ended: None,
            complete: false,
            bytes: 0,
        };
        let mut index = 0;
        self.seen.send_modify(|seen| {
            index = seen.streams.len();
            seen.streams.push(stream.clone());
        });
        Tap::new(Arc::clone(self), index, stream.opened)
    }

    pub(super) fn note(&self, incoming: &Incoming, foreign: bool, status: u16, served: bool) {
        let request = Request {
            at: Instant::now(),
            method: incoming.method.to_string(),
            url: incoming.url.clone(),
            body: incoming.body.slice(..incoming.body.len().min(1 << 20)),
            status,
            served,
            foreign,
        };
        self.seen.send_modify(|seen| seen.request(request));
    }

    /// The steps of a WebSocket, if there is one here.
    pub(super) fn socket(&self, incoming: &Incoming) -> Option<Vec<super::script::Step>> {
        let (n, route) = self.plan.find(&self.mode().state, asked(incoming), |_| 0)?;
        self.seen.send_modify(|seen| {
            *seen.spent.entry(n).or_default() += 1;
            seen.signals.extend(route.signal.clone());
        });
        match &route.answer {
            Answer::Steps(steps) => Some(steps.clone()),
            _ => None,
        }
    }

    /// A message of the page's on a WebSocket: perhaps a prompt.
    pub(super) fn message(&self, url: &str, headers: &HeaderMap, body: &[u8]) {
        let asked = Asked { method: "GET", url, headers, body };
        let prompt = self.plan.prompt(asked);
        self.seen.send_modify(|seen| {
            seen.request(Request {
                at: Instant::now(),
                method: "MESSAGE".into(),
                url: url.to_owned(),
                body: Bytes::copy_from_slice(body.get(..body.len().min(1 << 20)).unwrap_or_default()),
                status: 101,
                served: true,
                foreign: false,
            });
            seen.prompts.extend(prompt.map(|text| Prompt { at: Instant::now(), url: url.to_owned(), text }));
        });
    }

    pub(super) fn least_pause(&self) -> Duration {
        if self.mode().twist == Twist::Slow { SLOW } else { Duration::ZERO }
    }

    /// Whether this is the other origin; then the URL is changed to the one that it stands for.
    fn come_home(&self, incoming: &mut Incoming) -> bool {
        let Some(rest) = incoming.url.strip_prefix("https://").and_then(|rest| rest.strip_prefix(ELSEWHERE)) else {
            return false;
        };
        if let Some((scheme, rest)) = rest.trim_start_matches('/').split_once('/') {
            incoming.url = format!("{scheme}://{rest}");
        }
        true
    }
}

pub(super) fn asked(incoming: &Incoming) -> Asked<'_> {
    Asked { method: incoming.method.as_str(), url: &incoming.url, headers: &incoming.headers, body: &incoming.body }
}

/// Reads a body whole.
pub(super) async fn whole(body: hyper::body::Incoming) -> Option<Bytes> {
    let limited = http_body_util::Limited::new(body, BODY_MAX);
    limited.collect().await.ok().map(http_body_util::Collected::to_bytes)
}

fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned()
}

fn elsewhere(url: &str) -> String {
    format!("https://{ELSEWHERE}/{}", url.replacen("://", "/", 1))
}

fn is_document(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-dest").is_some_and(|dest| dest == "document")
        || headers.get("accept").is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"))
}

pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn redirect(to: &str, status: u16) -> Response<Body> {
    let mut response = empty(StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND));
    if let Ok(value) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, value);
    }
    response
}

/// Lets the page that asks read the answer (the Fetch standard's CORS protocol).
fn allow(asked: &HeaderMap, mut response: Response<Body>) -> Response<Body> {
    let Some(origin) = asked.get("origin") else { return response };
    let headers = response.headers_mut();
    headers.entry("access-control-allow-origin").or_insert(origin.clone());
    headers.entry("access-control-allow-credentials").or_insert(HeaderValue::from_static("true"));
    headers.entry("access-control-expose-headers").or_insert(HeaderValue::from_static("*"));
    for (wanted, allowed) in [
        ("access-control-request-method", "access-control-allow-methods"),
        ("access-control-request-headers", "access-control-allow-headers"),
    ] {
        if let Some(value) = asked.get(wanted) {
            headers.insert(allowed, value.clone());
        }
    }
    response
}

/// Puts a script before a page that takes out what fits a selector, whenever it appears.
async fn without(response: Response<Body>, selector: &str) -> Response<Body> {
    const SWEEP: &str = "(s=>{const seen=new WeakSet();const sweep=r=>{r.querySelectorAll(s).forEach(e=>e.remove());\
        r.querySelectorAll('*').forEach(e=>e.shadowRoot&&look(e.shadowRoot))};const look=r=>{if(!seen.has(r)){seen.add(r);\
        new MutationObserver(()=>sweep(r)).observe(r,{childList:true,subtree:true,attributes:true})}sweep(r)};\
        look(document);setInterval(()=>sweep(document),50)})";
    let (mut parts, body) = response.into_parts();
    let limited = http_body_util::Limited::new(body, PAGE_MAX);
    let Ok(page) = limited.collect().await else { return empty(StatusCode::INTERNAL_SERVER_ERROR) };
    let page = String::from_utf8_lossy(&page.to_bytes()).into_owned();
    // In base64, so that no selector can end the script.
    let selector = base64::engine::general_purpose::STANDARD.encode(selector);
    let script = format!(
        "<script>{SWEEP}(new TextDecoder().decode(Uint8Array.from(atob('{selector}'),c=>c.charCodeAt(0))))</script>"
    );
    let at = page.to_ascii_lowercase().find("<head>").map_or(0, |at| at + "<head>".len());
    let at = if at == 0 { page.to_ascii_lowercase().find("<html").map_or(0, |_| after_tag(&page)) } else { at };
    let (before, after) = page.split_at_checked(at).unwrap_or(("", &page));
    parts.headers.remove("content-length");
    parts.headers.remove("content-security-policy");
    Response::from_parts(parts, Body::from(format!("{before}{script}{after}")))
}

/// The place after the `<html ...>` tag.
fn after_tag(page: &str) -> usize {
    let lower = page.to_ascii_lowercase();
    lower.find("<html").and_then(|start| lower.get(start..)?.find('>').map(|end| start + end + 1)).unwrap_or(0)
}

//! `site.toml`, checked and ready to be served.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use super::body;
use super::cassette::{self, Piece, Tape};
use super::files::{Files, content_type};
use super::script;
use super::spec::{CassetteSpec, PromptSpec, RouteSpec, SiteFile, StepSpec, When};
use crate::browser::UrlPattern;

/// A replica's file, as it is served.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) file: SiteFile,
    pub(super) files: Files,
    pub(super) prompts: Vec<PromptRule>,
    pub(super) routes: Vec<Route>,
    /// Names that any state gives a value; elsewhere they are empty.
    pub(super) var_names: BTreeSet<String>,
}

#[derive(Debug)]
pub(super) struct PromptRule {
    pub(super) url: UrlPattern,
    pub(super) method: Option<String>,
    pub(super) text: Vec<body::Step>,
    pub(super) when: Conditions,
}

#[derive(Debug)]
pub(super) struct Conditions {
    json: BTreeMap<String, Value>,
    contains: Vec<String>,
    query: BTreeMap<String, String>,
    header: BTreeMap<String, String>,
    text: Vec<body::Step>,
    pub(super) times: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Route {
    patterns: Vec<(UrlPattern, String)>,
    method: Option<String>,
    states: Vec<String>,
    pub(super) when: Conditions,
    pub(super) answer: Answer,
    pub(super) status: Option<u16>,
    pub(super) content_type: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) delay: Duration,
    pub(super) signal: Option<String>,
}

#[derive(Debug)]
pub(super) enum Answer {
    /// With placeholders in it.
    Text(String),
    Bytes(Bytes),
    /// Files below a folder.
    Folder(String),
    Redirect(String),
    Steps(Vec<script::Step>),
    Abort,
    Demo,
}

/// A request, as far as conditions look at it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    pub(super) headers: &'a hyper::HeaderMap,
    pub(super) body: &'a [u8],
}

impl Plan {
    /// # Errors
    /// Every mistake of the file, a line each.
    pub(super) fn read(file: SiteFile, files: Files) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let mut note = |place: String, result: Result<(), String>| {
            if let Err(message) = result {
                wrong.push(format!("{place}: {message}"));
            }
        };
        let mut prompts = Vec::new();
        for (n, spec) in file.prompts.iter().enumerate() {
            note(format!("prompts[{n}]"), prompt_rule(spec).map(|rule| prompts.push(rule)));
        }
        let mut routes = Vec::new();
        for (n, spec) in file.routes.iter().enumerate() {
            note(format!("routes[{n}]"), route(spec, &files).map(|route| routes.push(route)));
        }
        for (n, spec) in file.cassettes.iter().enumerate() {
            note(format!("cassettes[{n}]"), played(spec, &files).map(|played| routes.extend(played)));
        }
        let known: BTreeSet<&str> = known_states(&file);
        for (n, case) in file.cases.iter().enumerate() {
            let place = format!("cases[{n}]");
            if case.name.is_empty() {
                note(place.clone(), Err("a case has a name".into()));
            }
            if let Some(state) = case.state.as_deref().filter(|state| !known.contains(state)) {
                note(place.clone(), Err(format!("no route and no [states.{state}] knows the state {state:?}")));
            }
            if case.first.is_some() && case.temporary {
                note(place.clone(), Err("a chat that goes on (first) is not temporary".into()));
            }
            for name in &case.attachments {
                note(place.clone(), files.bytes(name).map(drop));
            }
        }
        let var_names = file.states.values().flat_map(|state| state.vars.keys()).chain(file.vars.keys()).cloned();
        let var_names = var_names.collect();
        if wrong.is_empty() { Ok(Self { file, files, prompts, routes, var_names }) } else { Err(wrong) }
    }

    /// Whether a state is named anywhere.
    pub(super) fn knows(&self, state: &str) -> bool {
        known_states(&self.file).contains(state)
    }

    /// The first route that answers: those of this state before those of none.
    pub(super) fn find(&self, state: &str, asked: Asked<'_>, spent: impl Fn(usize) -> u32) -> Option<(usize, &Route)> {
        let fits = |(n, route): &(usize, &Route)| {
            let left = route.when.times.is_none_or(|times| spent(*n) < times);
            left && route.fits(asked)
        };
        let of_state = self.routes.iter().enumerate().filter(|(_, route)| route.states.iter().any(|s| s == state));
        let of_none = self.routes.iter().enumerate().filter(|(_, route)| route.states.is_empty());
        of_state.chain(of_none).find(fits)
    }

    /// The prompt's text, if this request sends one.
    pub(super) fn prompt(&self, asked: Asked<'_>) -> Option<String> {
        let rule = self.prompts.iter().find(|rule| rule.fits(asked))?;
        let text = body::dig(&rule.text, asked.url, asked.body)?;
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    /// Every host that some route or prompt names: scheme, host (perhaps `*.name`), port.
    pub(super) fn hosts(&self) -> BTreeSet<(bool, String, u16)> {
        let routes = self.routes.iter().flat_map(|route| route.patterns.iter().map(|(_, text)| text.as_str()));
        let prompts = self.file.prompts.iter().map(|prompt| prompt.url.as_str());
        routes.chain(prompts).filter_map(host_of).collect()
    }
}

fn known_states(file: &SiteFile) -> BTreeSet<&str> {
    let routes = file.routes.iter().flat_map(|route| route.state.as_slice());
    let states = routes.chain(file.cassettes.iter().map(|cassette| &cassette.state));
    states.map(String::as_str).chain(file.states.keys().map(String::as_str)).chain(["ok"]).collect()
}

/// Whether TLS is spoken, the host and the port of a URL pattern.
pub(super) fn host_of(pattern: &str) -> Option<(bool, String, u16)> {
    let (scheme, rest) = pattern.split_once("://")?;
    let tls = matches!(scheme, "https" | "wss");
    let authority = rest.split(['/', '?']).next()?;
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, if tls { 443 } else { 80 }),
    };
    (!host.is_empty()).then(|| (tls, host.to_ascii_lowercase(), port))
}

fn pattern(text: &str) -> Result<UrlPattern, String> {
    let wrong = || format!("{text:?} is no URL pattern, such as https://chat.example.com/api/**");
    let parsed = UrlPattern::parse(text).ok_or_else(wrong)?;
    let (_, host, _) = host_of(text).ok_or_else(wrong)?;
    let name = host.strip_prefix("*.").unwrap_or(&host);
    if name.contains('*') || name.is_empty() {
        return Err(format!("{text:?}: write the host whole, or as *.name"));
    }
    Ok(parsed)
}

fn steps(texts: &[String]) -> Result<Vec<body::Step>, String> {
    let step = |text: &String| {
        body::Step::parse(text).ok_or_else(|| {
            format!(
                "{text:?} is no step: use a JSON Pointer, form:<name>, json:<pointer>, query:<name>, connect, base64"
            )
        })
    };
    texts.iter().map(step).collect()
}

fn prompt_rule(spec: &PromptSpec) -> Result<PromptRule, String> {
    let socket = spec.url.starts_with("ws");
    let method = if socket { None } else { Some(spec.method.clone().unwrap_or_else(|| "POST".into())) };
    Ok(PromptRule {
        url: pattern(&spec.url)?,
        method,
        text: steps(spec.text.as_slice())?,
        when: conditions(&spec.when)?,
    })
}

fn conditions(spec: &When) -> Result<Conditions, String> {
    Ok(Conditions {
        json: spec.json.clone(),
        contains: spec.contains.as_slice().to_vec(),
        query: spec.query.clone(),
        header: spec.header.clone(),
        text: steps(spec.text.as_slice())?,
        times: spec.times,
    })
}

fn route(spec: &RouteSpec, files: &Files) -> Result<Route, String> {
    if spec.url.is_empty() {
        return Err("a route has a url".into());
    }
    let patterns =
        spec.url.as_slice().iter().map(|text| Ok((pattern(text)?, text.clone()))).collect::<Result<_, String>>()?;
    let socket = spec.url.as_slice().iter().any(|url| url.starts_with("ws"));
    let (answer, implied) = answer(spec, files, socket)?;
    if socket && !matches!(answer, Answer::Steps(_)) {
        return Err("a WebSocket (wss://) has steps".into());
    }
    if spec.status.is_some_and(|status| hyper::StatusCode::from_u16(status).is_err()) {
        return Err(format!("{} is no status", spec.status.unwrap_or_default()));
    }
    let headers = spec.headers.iter().flat_map(|(name, values)| {
        values.as_slice().iter().map(|value| (name.clone(), value.clone())).collect::<Vec<_>>()
    });
    Ok(Route {
        patterns,
        method: spec.method.clone(),
        states: spec.state.as_slice().to_vec(),
        when: conditions(&spec.when)?,
        answer,
        status: spec.status,
        content_type: spec.content_type.clone().or(implied),
        headers: headers.collect(),
        delay: Duration::from_millis(spec.delay_ms),
        signal: spec.signal.clone(),
    })
}

/// A recording as routes: each of its streams answers once, in the order in which they were opened.
fn played(spec: &CassetteSpec, files: &Files) -> Result<Vec<Route>, String> {
    let tapes = cassette::read(&files.text(&spec.file)?).map_err(|why| format!("{}: {why}", spec.file))?;
    let signal = |n: usize| format!("{} {n}", spec.file);
    let asked: Vec<(Duration, String)> =
        (0..).zip(&tapes).filter(|(_, tape)| !tape.is_socket()).map(|(n, tape)| (tape.opened, signal(n))).collect();
    let route = |(n, tape): (usize, &Tape)| {
        let address = cassette::pattern(&tape.url);
        Ok(Route {
            patterns: vec![(pattern(&address)?, address)],
            method: (!tape.is_socket()).then(|| tape.method.clone()),
            states: vec![spec.state.clone()],
            when: conditions(&When { times: Some(1), ..When::default() })?,
            answer: Answer::Steps(steps_of(tape, &asked)),
            status: (!tape.is_socket()).then_some(tape.status),
            content_type: tape.content_type.clone(),
            headers: Vec::new(),
            delay: Duration::ZERO,
            signal: (!tape.is_socket()).then(|| signal(n)),
        })
    };
    tapes.iter().enumerate().map(route).collect()
}

/// What came on a stream, with its pauses. A WebSocket is there long before it is of use: its messages keep their distance from the
/// request before them, and not from its beginning.
fn steps_of(tape: &Tape, asked: &[(Duration, String)]) -> Vec<script::Step> {
    let mut steps = Vec::new();
    let mut before = tape.opened;
    let mut waited = None;
    for (at, piece) in &tape.pieces {
        let latest = asked.iter().rfind(|(opened, _)| tape.is_socket() && opened <= at);
        if let Some((opened, name)) = latest.filter(|(_, name)| waited != Some(name)) {
            steps.push(script::Step::WaitSignal(name.clone()));
            (waited, before) = (Some(name), before.max(*opened));
        }
        steps.push(script::Step::WaitFor(at.saturating_sub(before)));
        before = *at;
        steps.push(match piece {
            Piece::Text(text) if tape.is_socket() => script::Step::text(text.clone()),
            Piece::Text(text) => script::Step::bytes(text.clone().into_bytes()),
            Piece::Bytes(bytes) => script::Step::bytes(bytes.clone()),
            Piece::Abort => script::Step::Abort,
        });
    }
    steps
}

/// The answer, and the content type that it has by itself.
fn answer(spec: &RouteSpec, files: &Files, socket: bool) -> Result<(Answer, Option<String>), String> {
    let kinds = [
        spec.file.is_some(),
        spec.folder.is_some(),
        spec.body.is_some(),
        spec.json.is_some(),
        spec.redirect.is_some(),
        spec.base64.is_some(),
        spec.steps.is_some(),
        spec.stream.is_some(),
        spec.abort,
        spec.app.is_some(),
    ];
    match kinds.iter().filter(|kind| **kind).count() {
        1 => {}
        // An answer that is only a status.
        0 if spec.status.is_some() => return Ok((Answer::Bytes(Bytes::new()), None)),
        _ => {
            return Err("a route has exactly one answer: file, folder, body, json, redirect, base64, steps, stream, \
                        abort or app"
                .into());
        }
    }
    let typed = |text: &str| Some(text.to_owned());
    Ok(if let Some(name) = &spec.file {
        let kind = content_type(name);
        (file(files, name, kind)?, typed(kind))
    } else if let Some(name) = &spec.folder {
        if !files.folder().join(name).is_dir() {
            return Err(format!("the folder {name} is not there"));
        }
        (Answer::Folder(name.clone()), None)
    } else if let Some(text) = &spec.body {
        (Answer::Text(text.clone()), typed("text/plain; charset=utf-8"))
    } else if let Some(json) = &spec.json {
        (Answer::Text(json.to_string()), typed("application/json"))
    } else if let Some(to) = &spec.redirect {
        (Answer::Redirect(to.clone()), None)
    } else if let Some(text) = &spec.base64 {
        let bytes = STANDARD.decode(text).map_err(|error| format!("base64: {error}"))?;
        (Answer::Bytes(bytes.into()), typed("application/octet-stream"))
    } else if let Some(list) = &spec.steps {
        (Answer::Steps(read_steps(list, files, socket)?), typed("text/event-stream; charset=utf-8"))
    } else if let Some(name) = &spec.stream {
        let step = StepSpec {
            file: Some(name.clone()),
            chunk: spec.chunk,
            frame: spec.frame,
            cut: spec.cut,
            pause_ms: spec.pause_ms,
            prefix: spec.prefix.clone(),
            suffix: spec.suffix.clone(),
            ..StepSpec::default()
        };
        (Answer::Steps(read_steps(&[step], files, socket)?), typed("text/event-stream; charset=utf-8"))
    } else if let Some(app) = &spec.app {
        if app != "demo" {
            return Err(format!("there is no built-in site {app:?}: only demo"));
        }
        (Answer::Demo, None)
    } else {
        (Answer::Abort, None)
    })
}

fn read_steps(list: &[StepSpec], files: &Files, socket: bool) -> Result<Vec<script::Step>, String> {
    let read = |(n, step)| script::Step::read(step, files, socket).map_err(|error| format!("steps[{n}]: {error}"));
    list.iter().enumerate().map(read).collect()
}

/// A file of text has placeholders.
pub(super) fn file(files: &Files, name: &str, kind: &str) -> Result<Answer, String> {
    let text = ["text/", "application/json"].iter().any(|start| kind.starts_with(start));
    Ok(if text { Answer::Text(files.text(name)?) } else { Answer::Bytes(files.bytes(name)?.into()) })
}

impl PromptRule {
    fn fits(&self, asked: Asked<'_>) -> bool {
        self.url.matches(asked.url)
            && self.method.as_deref().is_none_or(|method| method == asked.method)
            && self.when.hold(asked)
    }
}

impl Route {
    fn fits(&self, asked: Asked<'_>) -> bool {
        self.patterns.iter().any(|(pattern, _)| pattern.matches(asked.url))
            && self.method.as_deref().is_none_or(|method| method == asked.method)
            && self.when.hold(asked)
    }

    /// What the first wildcard of the pattern that matches stands for, and all after it: a path below a folder.
    pub(super) fn rest<'u>(&self, url: &'u str) -> &'u str {
        let matching = self.patterns.iter().find(|(pattern, _)| pattern.matches(url));
        let before = matching.and_then(|(_, text)| text.split('*').next()).unwrap_or_default();
        url.strip_prefix(before).unwrap_or_default().split(['?', '#']).next().unwrap_or_default()
    }
}

impl Conditions {
    fn hold(&self, asked: Asked<'_>) -> bool {
        let query = asked.url.split_once('?').map_or("", |(_, query)| query);
        let query_holds = |(name, value): (&String, &String)| {
            url::form_urlencoded::parse(query.as_bytes()).any(|(n, v)| n == name.as_str() && v == value.as_str())
        };
        let header_holds = |(name, value): (&String, &String)| {
            asked.headers.get(name).and_then(|found| found.to_str().ok()).is_some_and(|found| found == value)
        };
        self.query.iter().all(query_holds) && self.header.iter().all(header_holds) && self.body_holds(asked)
    }

    fn body_holds(&self, asked: Asked<'_>) -> bool {
        if self.json.is_empty() && self.contains.is_empty() {
            return true;
        }
        let Some(body) = body::dig(&self.text, asked.url, asked.body) else { return false };
        let text = String::from_utf8_lossy(&body);
        self.contains.iter().all(|part| text.contains(part.as_str())) && body::has_values(&body, &self.json)
    }
}

/// Whether a request is what an expectation names.
pub(super) fn request_fits(spec: &super::spec::RequestSpec, asked: Asked<'_>) -> Result<bool, String> {
    let when =
        When { json: spec.json.clone(), contains: spec.contains.clone(), text: spec.text.clone(), ..When::default() };
    let method = spec.method.as_deref().is_none_or(|method| method == asked.method);
    Ok(pattern(&spec.url)?.matches(asked.url) && method && conditions(&when)?.hold(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_that_goes_on_is_not_temporary() {
        let read = |temporary: bool| {
            let text = format!("[[cases]]\nname = \"next\"\nfirst = \"Hello\"\ntemporary = {temporary}");
            Plan::read(toml::from_str(&text).unwrap(), Files::new(std::path::Path::new(".")))
        };
        assert!(read(false).is_ok());
        let wrong = read(true).unwrap_err();
        assert!(wrong.len() == 1 && wrong[0].starts_with("cases[0]: ") && wrong[0].contains("first"), "{wrong:?}");
    }
}

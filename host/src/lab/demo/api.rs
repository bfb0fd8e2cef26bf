//! What the page calls: who am I, chat, stop, history.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::play::{Player, Target};
use super::script::{Fault, Script, mark_of};
use super::session::{self, Person};
use super::site::{File, LIST, Message, Mood, Site};
use super::stats::Arrival;

const PROMPT_BYTES_MAX: usize = 8 << 20;

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/api/me", get(me))
        .route("/api/chat", post(chat).layer(DefaultBodyLimit::max(PROMPT_BYTES_MAX)))
        .route("/api/stop", post(stop))
        .route("/api/conversations", get(conversations))
        .route("/api/conversations/{id}", get(conversation))
        .merge(session::routes())
}

#[derive(Debug, Deserialize)]
struct Ask {
    conversation: Option<String>,
    model: String,
    #[serde(default)]
    thinking: bool,
    prompt: String,
    #[serde(default)]
    attachments: Vec<String>,
}

async fn me(State(site): State<Arc<Site>>, headers: HeaderMap) -> Json<Value> {
    let memory = site.memory();
    let person = session::person(&memory, &headers);
    let limited = (memory.mood == Mood::Limit).then_some(memory.retry_after);
    Json(json!({ "user": person.email, "admitted": person.admitted, "models": memory.models(), "limited": limited }))
}

async fn conversations(State(site): State<Arc<Site>>, headers: HeaderMap) -> Json<Value> {
    let memory = site.memory();
    let person = session::person(&memory, &headers);
    Json(json!(memory.titles(&person.owner)))
}

async fn conversation(State(site): State<Arc<Site>>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    let memory = site.memory();
    let person = session::person(&memory, &headers);
    match memory.conversation(&id, &person.owner) {
        Some(conversation) => Json(conversation).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[derive(Debug, Deserialize)]
struct Stop {
    stream: u64,
}

async fn stop(State(site): State<Arc<Site>>, Json(stop): Json<Stop>) -> StatusCode {
    site.stats.stop_pressed(stop.stream);
    StatusCode::NO_CONTENT
}

async fn chat(State(site): State<Arc<Site>>, headers: HeaderMap, Json(ask): Json<Ask>) -> Response {
    let (person, mood, files) = {
        let memory = site.memory();
        let files: Vec<File> = ask.attachments.iter().filter_map(|id| memory.file(id)).collect();
        (session::person(&memory, &headers), memory.mood, files)
    };
    let conversation = own_conversation(&site, &person, ask.conversation.as_deref());
    let stream = site.stats.arrived(Arrival {
        model: &ask.model,
        prompt: &ask.prompt,
        mark: mark_of(&ask.prompt),
        attachments: files.len(),
        thinking: ask.thinking,
        conversation: &conversation,
    });
    let script = match ask.model.as_str() {
        "script" | LIST => Script::parse(&ask.prompt),
        _ => Ok(Script::default()),
    };
    let script = match script {
        Ok(script) => in_its_place(script),
        Err(message) => return refuse(&site, stream, StatusCode::BAD_REQUEST, None, bad(&message)),
    };
    if let Some(refusal) = refusal(&site, stream, &person, mood, &script).await {
        return refusal;
    }
    let Some(mut answer) = answer_of(&ask, &script, &files) else {
        let error = json!({ "code": "no_such_model", "message": "This model is not there." });
        return refuse(&site, stream, StatusCode::NOT_FOUND, None, error);
    };
    answer.changed |= mood == Mood::SiteChanged;
    let title = site.memory().remember(&conversation, &person.owner, question(&ask, &files));
    let target = Target { stream, conversation, owner: person.owner, title, model: ask.model };
    let headers = [(CONTENT_TYPE, "text/event-stream; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (headers, Player::body(site, target, answer)).into_response()
}

/// A conversation that is not theirs is a new one, as after a restart of the site.
fn own_conversation(site: &Site, person: &Person, asked: Option<&str>) -> String {
    let known = asked.filter(|id| site.memory().owns(id, &person.owner));
    known.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

fn question(ask: &Ask, files: &[File]) -> Message {
    Message {
        id: uuid::Uuid::new_v4().to_string(),
        role: "user",
        model: ask.model.clone(),
        status: "done",
        text: ask.prompt.clone(),
        attachments: files.iter().map(|file| file.about.clone()).collect(),
        ..Message::default()
    }
}

fn answer_of(ask: &Ask, script: &Script, files: &[File]) -> Option<Answer> {
    let lines: Vec<String> = (1..).zip(files).map(|(n, file)| format!("{n}. {}", file.line)).collect();
    Some(match ask.model.as_str() {
        "echo" => answer::echo(&ask.prompt, &lines, ask.thinking),
        "reasoner" => answer::reasoner(&ask.prompt, ask.thinking),
        "image" => answer::picture(&ask.prompt),
        "script" | LIST => answer::scripted(script, &ask.prompt, ask.thinking),
        _ => return None,
    })
}

/// An error inside the stream has a place in it, said or not.
fn in_its_place(mut script: Script) -> Script {
    if script.error == Some(Fault::InStream) {
        script.after.get_or_insert(script.tokens / 2);
    }
    script
}

/// The errors that come instead of an answer.
async fn refusal(site: &Site, stream: u64, person: &Person, mood: Mood, script: &Script) -> Option<Response> {
    let retry_after = script.retry_after.unwrap_or(site.memory().retry_after);
    let by_mood = match mood {
        Mood::Challenge => Some(Fault::Challenge),
        Mood::Limit => Some(Fault::RateLimited),
        _ if !person.admitted => Some(Fault::SignedOut),
        _ => None,
    };
    let by_script = script.error.filter(|error| script.after.is_none() && *error != Fault::SiteChanged);
    if by_mood.is_none() && (by_script.is_some() || script.status.is_some()) {
        tokio::time::sleep(script.delay.min(Duration::from_secs(3_600))).await;
    }
    match by_mood.or(by_script) {
        Some(Fault::Disconnect) => {
            site.stats.refused(stream, 0);
            let cut = futures::stream::iter([Err::<bytes::Bytes, _>(std::io::Error::other("cut off"))]);
            Some(Body::from_stream(cut).into_response())
        }
        Some(fault) => {
            let (status, error) = problem(fault, retry_after);
            let status = script.status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(status);
            Some(refuse(site, stream, status, Some(retry_after), error))
        }
        None => {
            let status = StatusCode::from_u16(script.status?).ok()?;
            let error =
                json!({ "code": "status", "message": format!("The script asked for status {}.", status.as_u16()) });
            Some(refuse(site, stream, status, Some(retry_after), error))
        }
    }
}

fn refuse(site: &Site, stream: u64, status: StatusCode, retry_after: Option<u64>, error: Value) -> Response {
    site.stats.refused(stream, status.as_u16());
    let mut response = (status, Json(json!({ "error": error }))).into_response();
    let limited = status == StatusCode::TOO_MANY_REQUESTS;
    if let Some(seconds) = retry_after.filter(|_| limited || status == StatusCode::SERVICE_UNAVAILABLE) {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn bad(message: &str) -> Value {
    json!({ "code": "bad_directive", "message": message })
}

/// An error as the page's API says it.
pub(super) fn problem(fault: Fault, retry_after: u64) -> (StatusCode, Value) {
    let (status, code, message) = match fault {
        Fault::RateLimited => (429, "rate_limited", "You are sending messages too fast."),
        Fault::Quota => (429, "quota_exhausted", "You have used up your messages for today."),
        Fault::ContentBlocked => (400, "content_blocked", "This prompt was blocked by the content rules."),
        Fault::SignedOut => (401, "signed_out", "Sign in to go on."),
        Fault::Challenge => (403, "challenge", "Show that you are a person."),
        Fault::ServerError | Fault::SiteChanged | Fault::Disconnect => (500, "server_error", "Something went wrong."),
        Fault::InStream => (500, "overloaded", "The model is overloaded."),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut error = json!({ "code": code, "message": message });
    if let (Fault::RateLimited | Fault::Quota, Some(fields)) = (fault, error.as_object_mut()) {
        fields.insert("retry_after".to_owned(), retry_after.into());
    }
    (status, error)
}

//! Who is asking: cookies, signing in and out, and the challenge.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing::post};
use serde::Deserialize;
use serde_json::json;

use super::site::{Memory, Mood, SESSIONS_MAX, Site};

/// The demo's only password. The sign-in form says so.
const PASSWORD: &str = "demo";
const SESSION: &str = "demo_session";
const VISITOR: &str = "demo_visitor";
const SIGNED_OUT: &str = "demo_signed_out";

/// A person as the site sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    /// The address they signed in with.
    pub(super) email: Option<String>,
    /// Whose conversations are theirs.
    pub(super) owner: String,
    /// Whether they may chat.
    pub(super) admitted: bool,
    /// A cookie to set, for a browser that is new here.
    pub(super) cookie: Option<String>,
}

pub(super) fn person(memory: &Memory, headers: &HeaderMap) -> Person {
    if let Some(token) = cookie(headers, SESSION)
        && let Some((_, email)) = memory.sessions.iter().find(|(known, _)| *known == token)
    {
        return Person { email: Some(email.clone()), owner: email.clone(), admitted: true, cookie: None };
    }
    let admitted = memory.mood != Mood::SignedOut && cookie(headers, SIGNED_OUT).is_none();
    match cookie(headers, VISITOR).filter(|id| uuid::Uuid::parse_str(id).is_ok()) {
        Some(id) => Person { email: None, owner: id, admitted, cookie: None },
        None => {
            let owner = uuid::Uuid::new_v4().to_string();
            let cookie = Some(set(VISITOR, &owner, 31_536_000));
            Person { email: None, owner, admitted, cookie }
        }
    }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

fn set(name: &str, value: &str, seconds: u32) -> String {
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}")
}

#[derive(Debug, Deserialize)]
struct SignIn {
    email: String,
    password: String,
}

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/api/login", post(sign_in))
        .route("/api/logout", post(sign_out))
        .route("/api/challenge", post(pass_challenge))
}

async fn sign_in(State(site): State<Arc<Site>>, Json(form): Json<SignIn>) -> Response {
    if form.password != PASSWORD || !form.email.contains('@') {
        let error = json!({ "error": { "code": "wrong_password", "message": "Any email address, and the password \"demo\"." } });
        return (StatusCode::UNAUTHORIZED, Json(error)).into_response();
    }
    let token = uuid::Uuid::new_v4().to_string();
    let mut memory = site.memory();
    if memory.sessions.len() >= SESSIONS_MAX {
        memory.sessions.pop_front();
    }
    memory.sessions.push_back((token.clone(), form.email.chars().take(200).collect()));
    let cookies = [(SET_COOKIE, set(SESSION, &token, 2_592_000)), (SET_COOKIE, set(SIGNED_OUT, "", 0))];
    with_cookies(cookies)
}

async fn sign_out(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    if let Some(token) = cookie(&headers, SESSION) {
        site.memory().sessions.retain(|(known, _)| *known != token);
    }
    with_cookies([(SET_COOKIE, set(SESSION, "", 0)), (SET_COOKIE, set(SIGNED_OUT, "1", 2_592_000))])
}

fn with_cookies(cookies: [(axum::http::HeaderName, String); 2]) -> Response {
    (StatusCode::NO_CONTENT, axum::response::AppendHeaders(cookies)).into_response()
}

/// A person has ticked the box.
async fn pass_challenge(State(site): State<Arc<Site>>) -> StatusCode {
    let mut memory = site.memory();
    if memory.mood == Mood::Challenge {
        memory.mood = Mood::Ok;
    }
    StatusCode::NO_CONTENT
}

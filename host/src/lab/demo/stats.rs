//! What the site received and sent: the figures that tests and benchmarks hold the program against.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::site::Site;
use super::wire::now_ms;

/// Records kept of each kind; counters go on counting.
const RECORDS_MAX: usize = 10_000;
/// Send times kept, of all streams together.
const SENDS_MAX: usize = 100_000;

/// A prompt that reached the site, whatever became of it.
#[derive(Debug, Clone, Serialize)]
struct Prompt {
    id: u64,
    model: String,
    sha256: String,
    mark: Option<String>,
    chars: usize,
    attachments: usize,
    thinking: bool,
    conversation: String,
    /// Milliseconds since 1970.
    time: f64,
    /// The HTTP status of the answer; 0 is a connection that was cut.
    status: u16,
}

/// An answer that was streamed. Its number is its prompt's.
#[derive(Debug, Clone, Serialize)]
struct Stream {
    id: u64,
    mark: Option<String>,
    opened: f64,
    first_sent: Option<f64>,
    last_sent: Option<f64>,
    events: u64,
    bytes: u64,
    /// `open`, `complete`, or `aborted`: the page closed it.
    state: &'static str,
    stopped: bool,
    /// When the stop button was heard of.
    stopped_at: Option<f64>,
    ended: Option<f64>,
}

#[derive(Debug, Default)]
struct Counts {
    next_id: u64,
    prompts_total: u64,
    prompts: VecDeque<Prompt>,
    opened: u64,
    open: u64,
    completed: u64,
    aborted: u64,
    streams: VecDeque<Stream>,
    sends: VecDeque<(u64, f64, usize)>,
    stops: u64,
    bytes: u64,
    uploads_total: u64,
    uploads: VecDeque<Value>,
    page_loads: u64,
}

/// What is known of a prompt when it arrives.
#[derive(Debug)]
pub(super) struct Arrival<'a> {
    pub(super) model: &'a str,
    pub(super) prompt: &'a str,
    pub(super) mark: Option<String>,
    pub(super) attachments: usize,
    pub(super) thinking: bool,
    pub(super) conversation: &'a str,
}

/// All figures of one site.
#[derive(Debug, Default)]
pub(super) struct Stats {
    counts: Mutex<Counts>,
}

impl Stats {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a prompt and numbers it.
    pub(super) fn arrived(&self, arrival: Arrival<'_>) -> u64 {
        let digest: [u8; 32] = Sha256::digest(arrival.prompt.as_bytes()).into();
        let mut counts = self.counts();
        counts.next_id += 1;
        counts.prompts_total += 1;
        let prompt = Prompt {
            id: counts.next_id,
            model: arrival.model.to_owned(),
            sha256: hex(&digest),
            mark: arrival.mark,
            chars: arrival.prompt.chars().count(),
            attachments: arrival.attachments,
            thinking: arrival.thinking,
            conversation: arrival.conversation.to_owned(),
            time: now_ms(),
            status: 200,
        };
        let id = prompt.id;
        keep(&mut counts.prompts, prompt, RECORDS_MAX);
        id
    }

    pub(super) fn refused(&self, id: u64, status: u16) {
        if let Some(prompt) = self.counts().prompts.iter_mut().rfind(|prompt| prompt.id == id) {
            prompt.status = status;
        }
    }

    pub(super) fn opened(&self, id: u64) {
        let mut counts = self.counts();
        counts.opened += 1;
        counts.open += 1;
        let mark = counts.prompts.iter().rfind(|prompt| prompt.id == id).and_then(|prompt| prompt.mark.clone());
        let stream = Stream {
            id,
            mark,
            opened: now_ms(),
            first_sent: None,
            last_sent: None,
            events: 0,
            bytes: 0,
            state: "open",
            stopped: false,
            stopped_at: None,
            ended: None,
        };
        keep(&mut counts.streams, stream, RECORDS_MAX);
    }

    pub(super) fn sent(&self, id: u64, bytes: usize) {
        let now = now_ms();
        let mut counts = self.counts();
        counts.bytes += bytes as u64;
        keep(&mut counts.sends, (id, now, bytes), SENDS_MAX);
        if let Some(stream) = counts.streams.iter_mut().rfind(|stream| stream.id == id) {
            stream.first_sent.get_or_insert(now);
            stream.last_sent = Some(now);
            stream.events += 1;
            stream.bytes += bytes as u64;
        }
    }

    pub(super) fn closed(&self, id: u64, complete: bool) {
        let mut counts = self.counts();
        // A reset in mid-stream has set the counters to 0 already.
        counts.open = counts.open.saturating_sub(1);
        if complete {
            counts.completed += 1;
        } else {
            counts.aborted += 1;
        }
        if let Some(stream) = counts.streams.iter_mut().rfind(|stream| stream.id == id) {
            stream.state = if complete { "complete" } else { "aborted" };
            stream.ended = Some(now_ms());
        }
    }

    pub(super) fn stop_pressed(&self, id: u64) {
        let mut counts = self.counts();
        counts.stops += 1;
        if let Some(stream) = counts.streams.iter_mut().rfind(|stream| stream.id == id) {
            stream.stopped = true;
            stream.stopped_at.get_or_insert_with(now_ms);
        }
    }

    pub(super) fn uploaded(&self, description: &Value) {
        let mut counts = self.counts();
        counts.uploads_total += 1;
        keep(&mut counts.uploads, description.clone(), RECORDS_MAX);
    }

    pub(super) fn page_loaded(&self) {
        self.counts().page_loads += 1;
    }

    fn reset(&self) {
        let mut counts = self.counts();
        // Numbers go on, so that a stream of before is not taken for one of after.
        *counts = Counts { next_id: counts.next_id, ..Counts::default() };
    }

    fn report(&self) -> Value {
        let counts = self.counts();
        json!({
            "time": now_ms(),
            "prompts": { "count": counts.prompts_total, "list": counts.prompts },
            "streams": {
                "open": counts.open, "opened": counts.opened,
                "completed": counts.completed, "aborted": counts.aborted, "list": counts.streams,
            },
            "stops": counts.stops,
            "bytes": counts.bytes,
            "uploads": { "count": counts.uploads_total, "list": counts.uploads },
            "page_loads": counts.page_loads,
        })
    }
}

fn keep<T>(list: &mut VecDeque<T>, item: T, max: usize) {
    if list.len() >= max {
        list.pop_front();
    }
    list.push_back(item);
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Debug, Deserialize)]
struct Which {
    stream: Option<u64>,
}

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/stats", get(async |State(site): State<Arc<Site>>| Json(site.stats.report())))
        .route("/stats/sends", get(sends))
        .route("/stats/reset", post(reset))
}

async fn reset(State(site): State<Arc<Site>>) -> StatusCode {
    site.stats.reset();
    StatusCode::NO_CONTENT
}

/// Every send: the stream's number, the time, the bytes.
async fn sends(State(site): State<Arc<Site>>, Query(which): Query<Which>) -> Json<Value> {
    let counts = site.stats.counts();
    let wanted = counts.sends.iter().filter(|(id, _, _)| which.stream.is_none_or(|stream| stream == *id));
    Json(json!(wanted.collect::<Vec<_>>()))
}

//! `POST /control`: tests put the site into a state. It shows at the next load of a page, and to the next prompt.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::{Json, Router, routing::get};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::site::{MODELS, Memory, Mood, Site};

/// What is left out stays as it is. Only `application/json` is taken, so that no foreign page can post here.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Change {
    state: Option<Mood>,
    /// Ids of the models in the menu, from the site's own.
    models: Option<Vec<String>>,
    retry_after: Option<u64>,
    /// How many more events go out of the answer with this mark, if its script has `gate=1`.
    let_go: BTreeMap<String, u16>,
    /// For so long every connection is cut, this one too.
    outage_ms: Option<u32>,
}

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/control", get(read).post(change))
}

async fn read(State(site): State<Arc<Site>>) -> Json<Value> {
    Json(report(&site.memory()))
}

async fn change(State(site): State<Arc<Site>>, Json(change): Json<Change>) -> Json<Value> {
    let mut memory = site.memory();
    if let Some(mood) = change.state {
        memory.mood = mood;
        if mood == Mood::SignedOut {
            memory.sessions.clear();
        }
    }
    if let Some(wanted) = change.models {
        let ids = MODELS.iter().map(|model| model.id);
        memory.models = ids.filter(|id| wanted.iter().any(|wanted| wanted == id)).collect();
    }
    if let Some(seconds) = change.retry_after {
        memory.retry_after = seconds;
    }
    for (mark, events) in change.let_go {
        memory.gate(&mark).add_permits(events.into());
    }
    if let Some(ms) = change.outage_ms {
        site.outage.send_replace(Some(Instant::now() + Duration::from_millis(ms.into())));
    }
    Json(report(&memory))
}

fn report(memory: &Memory) -> Value {
    json!({ "state": memory.mood, "models": memory.models, "retry_after": memory.retry_after })
}

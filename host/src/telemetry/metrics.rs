//! Every metric that the program tells, by name, and the functions that set them: nobody else holds a name or a label.
//!
//! Labels are bounded: adapters, models, instances and outcomes that the program knows, never a text that a client, a site or an
//! adapter made up. Without a recorder (tests, the kit) each of these functions does nothing.

mod exposition;
mod metric;

use std::time::Duration;

pub use exposition::Exposition;
pub use metric::{Kind, Metric};

/// For a label whose value is not known, or not one of those that may be a label.
const OTHER: &str = "other";
const UNKNOWN: &str = "unknown";

/// Seconds, from a warm page's reaction to the longest answer.
const SECONDS: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];
/// Seconds of what should take none.
const FINE: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];
const SPEEDS: &[f64] = &[1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0];

const BUILD: Metric = Metric::gauge("webai_build_info", &["version"], "1, with the program's version");
const HTTP: Metric = Metric::counter(
    "webai_http_responses_total",
    &["route", "status"],
    "responses by route, as the router knows it, and status; 499 is a client that went away first",
);
const REQUESTS: Metric = Metric::counter(
    "webai_requests_total",
    &["adapter", "model", "outcome"],
    "requests for an answer; the outcome is `ok`, `length`, `content_filter`, `client_gone` or an error's code",
);
const DURATION: Metric = Metric::histogram(
    "webai_request_duration_seconds",
    &["adapter"],
    SECONDS,
    "from a request's arrival to the end of its answer",
);
const QUEUE_DEPTH: Metric = Metric::gauge("webai_queue_depth", &["adapter"], "requests that wait for a page");
const QUEUE_WAIT: Metric = Metric::histogram(
    "webai_queue_wait_seconds",
    &["adapter"],
    SECONDS,
    "from a request's place in the queue to its page, of those that got one",
);
const ATTEMPTS: Metric = Metric::counter(
    "webai_attempts_total",
    &["adapter", "instance", "outcome"],
    "tries to answer a request; a request has several where one failed before its prompt was sent",
);
const LEASES: Metric = Metric::gauge("webai_leased_pages", &["adapter", "instance"], "pages that are answering now");
const ACCOUNTS: Metric = Metric::gauge(
    "webai_account_state",
    &["instance", "adapter", "state"],
    "1 for the state that an account is in, 0 for the others",
);
const FIRST_TOKEN: Metric = Metric::histogram(
    "webai_time_to_first_token_seconds",
    &["adapter"],
    SECONDS,
    "from a request's arrival to the first piece of its answer",
);
const SPEED: Metric = Metric::histogram(
    "webai_tokens_per_second",
    &["adapter"],
    SPEEDS,
    "estimated tokens of an answer, from its first piece to its end",
);
const ADDED: Metric = Metric::histogram(
    "webai_added_latency_seconds",
    &["stage"],
    FINE,
    "what the program itself adds: `accept` from a request's arrival to the queue, `adapter` from the page to the adapter's \
     first instruction, `page` from the arrival of what the page tells to the adapter's taking it",
);
const RUNGS: Metric = Metric::counter(
    "webai_capture_total",
    &["adapter", "rung"],
    "answers by the rung of the capture ladder that their first piece came from: `network`, `dom`, or `none` where the \
     adapter read neither",
);
const ADAPTERS: Metric = Metric::gauge(
    "webai_adapter_info",
    &["adapter", "version"],
    "1 for the version of an adapter that serves, 0 for those that did before",
);
const SWAPS: Metric = Metric::counter(
    "webai_adapter_loads_total",
    &["adapter", "outcome"],
    "versions of an adapter that were put in (`loaded`, the first; `swapped`, one in the place of another) or could not be \
     (`failed`)",
);
const TRAPS: Metric = Metric::counter(
    "webai_adapter_traps_total",
    &["adapter", "cause"],
    "calls of an adapter that the host ended: `crash`, `cpu`, `memory`",
);
const QUARANTINES: Metric =
    Metric::counter("webai_adapter_quarantines_total", &["adapter"], "times that an adapter was put out of use");
const BROWSER_UP: Metric = Metric::gauge("webai_browser_up", &["instance"], "1 while the instance's browser is ready");
const BROWSER_STARTS: Metric =
    Metric::counter("webai_browser_starts_total", &["instance"], "browsers that became ready");
const BROWSER_RESTARTS: Metric = Metric::counter(
    "webai_browser_restarts_total",
    &["instance", "reason"],
    "browsers that are started again: they `died`, did not start (`start`), or were `recycled` to free memory",
);
const MEMORY: Metric = Metric::gauge(
    "webai_memory_bytes",
    &["process", "instance"],
    "proportional set size of the `host` and of each `browser` with all its processes",
);
const MEMORY_USED: Metric =
    Metric::gauge("webai_memory_used_bytes", &[], "what the memory guard holds against its limit");
const MEMORY_LIMIT: Metric = Metric::gauge("webai_memory_limit_bytes", &[], "the memory guard's limit");
const MEMORY_REFUSING: Metric =
    Metric::gauge("webai_memory_refusing", &[], "1 while new work is refused because memory is short");
const MEMORY_STEPS: Metric = Metric::counter(
    "webai_memory_steps_total",
    &["step"],
    "what the memory guard did: `close_idle_pages`, `recycle_browser`, `refuse_work`",
);

/// All of them, in the order of the documentation.
pub const ALL: &[&Metric] = &[
    &BUILD,
    &HTTP,
    &REQUESTS,
    &DURATION,
    &QUEUE_DEPTH,
    &QUEUE_WAIT,
    &ATTEMPTS,
    &LEASES,
    &ACCOUNTS,
    &FIRST_TOKEN,
    &SPEED,
    &ADDED,
    &RUNGS,
    &ADAPTERS,
    &SWAPS,
    &TRAPS,
    &QUARANTINES,
    &BROWSER_UP,
    &BROWSER_STARTS,
    &BROWSER_RESTARTS,
    &MEMORY,
    &MEMORY_USED,
    &MEMORY_LIMIT,
    &MEMORY_REFUSING,
    &MEMORY_STEPS,
];

/// What part of the program adds latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    Accept,
    Adapter,
    Page,
}

/// Why the host ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trap {
    Crash,
    Cpu,
    Memory,
}

/// How a version of an adapter was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    Loaded,
    Swapped,
    Failed,
}

/// Why a browser is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    Died,
    Start,
    Recycled,
}

/// The states of an account, as `probe` and the dispatcher know them.
pub const ACCOUNT_STATES: [&str; 5] = ["signed_in", "signed_out", "challenge", "limited", "unknown"];

/// The codes of outcomes that may be a label; an adapter's own codes are counted together.
const OUTCOMES: &[&str] = &[
    "ok",
    "length",
    "content_filter",
    "client_gone",
    "login_required",
    "challenge_required",
    "rate_limited",
    "insufficient_quota",
    "content_policy_violation",
    "model_not_found",
    "model_unavailable",
    "invalid_request",
    "invalid_model_output",
    "site_changed",
    "timeout",
    "upstream_error",
    "server_busy",
    "starting",
    "not_ready",
    "low_memory",
    "adapter_quarantined",
    "browser_failed",
    "adapter_cpu_limit",
    "adapter_memory_limit",
    "adapter_crashed",
    "already_submitted",
    "idempotency_key_reused",
    "answer_rewritten",
    "client_too_slow",
    "shutting_down",
    "missing_api_key",
    "invalid_api_key",
    "internal_error",
];

fn outcome_label(code: &str) -> &'static str {
    OUTCOMES.iter().find(|known| **known == code).copied().unwrap_or(OTHER)
}

/// A response has gone out, or its client has gone. `route` is the router's pattern; none: no route.
pub fn responded(route: Option<&str>, status: u16) {
    HTTP.count(&[route.unwrap_or(OTHER), &status.to_string()]);
}

/// A request for an answer has ended. `model` is one that some adapter offers; none: the client named another.
pub fn request_ended(adapter: Option<&str>, model: Option<&str>, outcome: &str, total: Duration) {
    let adapter = adapter.unwrap_or(UNKNOWN);
    REQUESTS.count(&[adapter, model.unwrap_or(UNKNOWN), outcome_label(outcome)]);
    DURATION.observe(&[adapter], total.as_secs_f64());
}

/// A request got its page.
pub fn queue_waited(adapter: &str, wait: Duration) {
    QUEUE_WAIT.observe(&[adapter], wait.as_secs_f64());
}

/// So many requests wait for a page of this adapter.
pub fn queue_depth(adapter: &str, waiting: usize) {
    QUEUE_DEPTH.set(&[adapter], waiting as f64);
}

/// A try to answer a request is over. `outcome` is `ok` or an error's code.
pub fn attempt_ended(adapter: &str, instance: &str, outcome: &str) {
    ATTEMPTS.count(&[adapter, instance, outcome_label(outcome)]);
}

/// So many pages of an instance are leased for this adapter.
pub fn leased_pages(adapter: &str, instance: &str, leased: usize) {
    LEASES.set(&[adapter, instance], leased as f64);
}

/// An account is in one of [`ACCOUNT_STATES`]; another word counts as `unknown`.
pub fn account_state(instance: &str, adapter: &str, state: &str) {
    let state = if ACCOUNT_STATES.contains(&state) { state } else { UNKNOWN };
    for known in ACCOUNT_STATES {
        ACCOUNTS.set(&[instance, adapter, known], f64::from(u8::from(known == state)));
    }
}

/// An account is there no more.
pub fn account_gone(instance: &str, adapter: &str) {
    for known in ACCOUNT_STATES {
        ACCOUNTS.set(&[instance, adapter, known], 0.0);
    }
}

/// The first piece of an answer came so long after its request.
pub fn first_token(adapter: &str, after: Duration) {
    FIRST_TOKEN.observe(&[adapter], after.as_secs_f64());
}

/// An answer of so many tokens took so long from its first piece. One that came at once says nothing of a speed.
pub fn answered(adapter: &str, tokens: u64, took: Duration) {
    const SHORTEST: Duration = Duration::from_millis(50);
    if tokens > 1 && took >= SHORTEST {
        SPEED.observe(&[adapter], tokens as f64 / took.as_secs_f64());
    }
}

/// The program itself added so much to an answer.
pub fn added_latency(stage: Added, latency: Duration) {
    let stage = match stage {
        Added::Accept => "accept",
        Added::Adapter => "adapter",
        Added::Page => "page",
    };
    ADDED.observe(&[stage], latency.as_secs_f64());
}

/// The first piece of an answer came from this rung of the ladder.
pub fn captured(adapter: &str, rung: &'static str) {
    RUNGS.count(&[adapter, rung]);
}

/// This version of an adapter serves, or does no more.
pub fn adapter_serves(adapter: &str, version: &str, serves: bool) {
    ADAPTERS.set(&[adapter, version], f64::from(u8::from(serves)));
}

/// A version of an adapter was put in, or could not be.
pub fn adapter_loaded(adapter: &str, load: Load) {
    let outcome = match load {
        Load::Loaded => "loaded",
        Load::Swapped => "swapped",
        Load::Failed => "failed",
    };
    SWAPS.count(&[adapter, outcome]);
}

/// The host ended a call of an adapter.
pub fn adapter_trapped(adapter: &str, cause: Trap) {
    let cause = match cause {
        Trap::Crash => "crash",
        Trap::Cpu => "cpu",
        Trap::Memory => "memory",
    };
    TRAPS.count(&[adapter, cause]);
}

/// An adapter was put out of use.
pub fn adapter_quarantined(adapter: &str) {
    QUARANTINES.count(&[adapter]);
}

/// An instance's browser became ready, or is so no more.
pub fn browser_up(instance: &str, up: bool) {
    BROWSER_UP.set(&[instance], f64::from(u8::from(up)));
    if up {
        BROWSER_STARTS.count(&[instance]);
    }
}

/// An instance's browser is started again.
pub fn browser_restarted(instance: &str, why: Restart) {
    let reason = match why {
        Restart::Died => "died",
        Restart::Start => "start",
        Restart::Recycled => "recycled",
    };
    BROWSER_RESTARTS.count(&[instance, reason]);
}

/// What this process uses, in bytes.
pub fn host_memory(bytes: u64) {
    MEMORY.set(&["host", ""], bytes as f64);
}

/// What an instance's browser uses with all its processes, in bytes; 0 once it is gone.
pub fn browser_memory(instance: &str, bytes: u64) {
    MEMORY.set(&["browser", instance], bytes as f64);
}

/// What the memory guard sees, in bytes, and whether it refuses new work.
pub fn memory_guard(used: u64, limit: u64, refusing: bool) {
    MEMORY_USED.set(&[], used as f64);
    MEMORY_LIMIT.set(&[], limit as f64);
    MEMORY_REFUSING.set(&[], f64::from(u8::from(refusing)));
}

/// The memory guard did something.
pub fn memory_step(step: &'static str) {
    MEMORY_STEPS.count(&[step]);
}

#[cfg(test)]
mod tests;

//! The cases that do more than ask and compare.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Plan, Twist};
use crate::chat::{Delta, FailureKind, Finish, JobEvent, Request};
use crate::dispatch::{Dispatcher, Job};
use crate::kit::host::{self, Answered, PATIENCE};
use crate::kit::suite::bench::{self, Bench};
use crate::kit::suite::expect::{self, Answer, Problems};
use crate::lab::replica::Seen;

/// In which the site must be at rest after its caller has gone.
const AT_REST: Duration = Duration::from_secs(1);
/// What the way from the browser to the replica may take on a busy machine.
const ON_THE_WAY: Duration = Duration::from_millis(500);
/// How long a prompt may take to reach the site.
const PROMPTED: Duration = Duration::from_secs(45);

/// Two deltas or more, the first of them before the site had sent its last piece.
pub(super) fn streams(answered: &Answered, seen: &Seen, problems: &mut Problems) {
    if answered.result.is_err() {
        problems.add("an answer", expect::outcome(answered));
        return;
    }
    let is_piece = |delta: &Delta| matches!(delta, Delta::Text(_) | Delta::Reasoning(_));
    let pieces: Vec<Instant> = answered.deltas.iter().filter(|(_, delta)| is_piece(delta)).map(|(at, _)| *at).collect();
    problems.unless(pieces.len() >= 2, "two deltas or more", pieces.len().to_string());
    let last_sent = seen.streams.iter().filter_map(|stream| stream.last_sent).max();
    if let (Some(first), Some(last)) = (pieces.first(), last_sent) {
        let late = first.saturating_duration_since(last);
        problems.unless(
            *first < last,
            "the first delta before the site has sent its last piece",
            format!("it came {} ms after: the answer is held back to its end", late.as_millis()),
        );
    }
}

/// Step and selector are told.
pub(super) fn site_changed(answered: &Answered, problems: &mut Problems) {
    if let Err(failure) = &answered.result
        && let FailureKind::SiteChanged { step, selector } = &failure.kind
    {
        problems.unless(!step.is_empty(), "a step: call page.step before what may fail", "none");
        problems.unless(!selector.is_empty(), "the selector that was looked for", "none");
    }
}

/// A failure, or the ending `content-filter`.
pub(super) fn blocked(bench: &Bench, plan: &Plan, answered: &Answered, seen: &Seen, problems: &mut Problems) {
    let filtered = matches!(&answered.result, Ok(outcome) if outcome.finish == Finish::ContentFilter);
    let wants_failure = plan.expect.finish.is_none();
    if !(filtered && wants_failure) {
        expect::check(bench, &plan.expect, answered, seen, problems);
    }
}

/// Nothing that another origin said is told.
pub(super) fn foreign(twist: Twist, answered: &Answered, seen: &Seen, problems: &mut Problems) {
    let answer = Answer::of(answered);
    problems.unless(
        answer.text.is_empty() && answer.reasoning.is_empty(),
        "no text, since only another origin said any",
        format!("{:?} {:?}", answer.text, answer.reasoning),
    );
    problems.unless(answered.result.is_err(), "a failure", expect::outcome(answered));
    if twist == Twist::ForeignPage {
        problems.unless(seen.prompts.is_empty(), "no prompt sent", format!("{} prompts", seen.prompts.len()));
        let documents = seen.requests.iter().filter(|request| request.foreign).count();
        problems.unless(documents == 0, "no page of another origin opened", format!("{documents} requests there"));
    }
}

/// The caller leaves after the first piece.
pub(super) async fn cancel(
    bench: &Bench,
    dispatcher: &Dispatcher,
    request: Request,
    problems: &mut Problems,
) -> Answered {
    let again = request.clone();
    let mut job = match bench::ask(bench, dispatcher, request).await {
        Ok(job) => job,
        Err(failure) => {
            problems.add("an answer", failure.to_string());
            return Answered::refused(failure);
        }
    };
    if let Some(answered) = until_first(&mut job).await {
        problems.add("a first delta, after which the caller leaves", expect::outcome(&answered));
        return answered;
    }
    let mut seen = bench.replica.seen();
    let whole = seen.borrow().streams.iter().any(|stream| stream.of_prompt && stream.complete);
    problems.unless(
        !whole,
        "an answer that is still coming when the caller leaves",
        "the site had sent all of it: give the stream more chunks, or define the state `slow`",
    );
    let left = Instant::now();
    drop(job);
    let quiet = tokio::time::timeout(AT_REST * 5, seen.wait_for(Seen::is_quiet)).await.is_ok();
    let took = seen.borrow().streams.iter().filter_map(|stream| stream.ended).max();
    let took = took.map_or(Duration::ZERO, |ended| ended.saturating_duration_since(left));
    problems.unless(
        quiet && took <= AT_REST + ON_THE_WAY,
        "the site's stream closed within 1 s after the caller left",
        if quiet { format!("after {} ms", took.as_millis()) } else { "not within 5 s".into() },
    );
    answered_again(bench, dispatcher, again, problems).await
}

/// The rest of the case: the account is of use again.
async fn answered_again(bench: &Bench, dispatcher: &Dispatcher, request: Request, problems: &mut Problems) -> Answered {
    if let Err(problem) = super::enter(bench, "ok", Twist::None).await {
        problems.0.push(problem);
    }
    let request = Request {
        model: standard_model(bench, &request),
        turns: vec![super::turn(&super::user(&prompt(bench)))],
        ..request
    };
    let answered = bench::answer(bench, dispatcher, request).await;
    problems.unless(answered.result.is_ok(), "the next request is answered", expect::outcome(&answered));
    answered
}

fn prompt(bench: &Bench) -> String {
    bench.replica.file().prompt.clone().unwrap_or_else(|| "Say hello.".into())
}

/// A state may ask for a model of its own; the next question is the usual one.
fn standard_model(bench: &Bench, request: &Request) -> String {
    let first = bench.host.manifest.models.first().map(|model| model.id.clone());
    let model = bench.replica.file().model.clone().or(first);
    model.map_or_else(|| request.model.clone(), |model| format!("{}/{model}", bench.host.manifest.id))
}

/// None at the first piece of text or reasoning; else how it ended without one.
async fn until_first(job: &mut Job) -> Option<Answered> {
    let until = tokio::time::Instant::now() + PATIENCE;
    let mut submitted = false;
    let ended = |submitted, result| Some(Answered { deltas: Vec::new(), submitted, result });
    loop {
        match tokio::time::timeout_at(until, job.next()).await {
            Ok(Some(JobEvent::Delta(Delta::Text(_) | Delta::Reasoning(_)))) => return None,
            Ok(Some(JobEvent::Submitted)) => submitted = true,
            Ok(Some(JobEvent::Delta(_) | JobEvent::Started { .. })) => {}
            Ok(Some(JobEvent::Done(outcome))) => return ended(submitted, Ok(outcome)),
            Ok(Some(JobEvent::Failed(failure))) => return ended(submitted, Err(failure)),
            Ok(None) | Err(_) => return ended(submitted, Err(host::lost("no first delta in 90 s"))),
        }
    }
}

/// The browser is killed when the prompt has reached the site and nothing has come back.
pub(super) async fn killed(
    bench: &Bench,
    dispatcher: &Dispatcher,
    request: Request,
    problems: &mut Problems,
) -> Answered {
    let again = Request { id: format!("{}-again", request.id), ..request.clone() };
    let job = match bench::ask(bench, dispatcher, request).await {
        Ok(job) => job,
        Err(failure) => {
            problems.add("a request that is taken", failure.to_string());
            return Answered::refused(failure);
        }
    };
    let mut seen = bench.replica.seen();
    let answering = tokio::spawn(host::collect(job));
    let prompted = seen.wait_for(|seen| !seen.prompts.is_empty());
    let prompted = tokio::time::timeout(PROMPTED, prompted).await.is_ok_and(|seen| seen.is_ok());
    problems.unless(prompted, "the prompt reaches the site ([[prompts]] of site.toml sees it)", "it did not in 45 s");
    if prompted {
        match bench.host.browser().await.ok().flatten().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
            // Of this process's own child.
            Some(pid) if kill_process(pid, Signal::KILL).is_ok() => {}
            _ => problems.add("a browser to kill", "none"),
        }
    }
    let lost = || Answered { deltas: Vec::new(), submitted: false, result: Err(host::lost("the case broke off")) };
    let answered = answering.await.unwrap_or_else(|_| lost());
    problems.unless(answered.result.is_err(), "a failure", expect::outcome(&answered));
    problems.unless(
        answered.submitted,
        "a failure that says that the prompt was submitted: call reply.submitting before the act that sends",
        expect::outcome(&answered),
    );
    let restarted = bench.host.browser().await;
    problems.unless(restarted.is_ok(), "the browser comes back", "it does not");
    let prompts = bench.replica.seen().borrow().prompts.len();
    problems.unless(prompts == 1, "the prompt at the site once", format!("{prompts} times"));
    answered_again(bench, dispatcher, again, problems).await;
    answered
}

//! The cases: what each puts the site into, asks, and expects.

mod first;
mod special;
mod standard;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::bench::{self, Bench};
use super::expect::{self, Problems};
use super::report::{Case, Problem, Verdict};
use crate::chat::{Attachment, FailureKind, Part, Request, Role, Turn};
use crate::dispatch::Dispatcher;
use crate::kit::host::{self, Answered};
use crate::lab::replica::Twist;
use crate::lab::replica::spec::{CaseSpec, Expect, MessageSpec, RoleName};

pub(super) use standard::all;

/// One case as it is to be run.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) name: String,
    about: String,
    state: String,
    twist: Twist,
    question: Question,
    expect: Expect,
    kind: Kind,
    /// Why it is not run, and whether that is a failure.
    left_out: Option<(String, Verdict)>,
}

/// What a case does beside asking and comparing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// The answer comes while the site still sends.
    Streams,
    /// The caller leaves.
    Cancel,
    /// Step and selector are told.
    SiteChanged,
    /// A refusal, or an ending.
    Blocked,
    /// Nothing comes from another origin.
    Foreign,
    Killed,
}

/// What is asked.
#[derive(Debug, Clone, Default)]
struct Question {
    model: String,
    /// Asked before the case, which goes on with that chat.
    first: Option<String>,
    messages: Vec<MessageSpec>,
    /// Names of files of the fixtures.
    attachments: Vec<String>,
    settings: BTreeMap<String, String>,
    temporary: bool,
}

/// Runs one case.
pub(super) async fn run(bench: &Bench, plan: &Plan) -> Case {
    let mut case = Case {
        name: plan.name.clone(),
        verdict: Verdict::Passed,
        about: plan.about.clone(),
        ms: 0,
        problems: Vec::new(),
        done: Vec::new(),
        outcome: String::new(),
        step: None,
        selector: None,
        picture: None,
        traffic: Vec::new(),
    };
    if let Some((why, verdict)) = &plan.left_out {
        case.verdict = *verdict;
        if *verdict == Verdict::Failed {
            case.problems.push(Problem {
                expected: format!("fixtures/site.toml says how the site is in the state `{}`", plan.state),
                seen: why.clone(),
            });
            case.outcome = "it was not asked".into();
        } else {
            case.about = why.clone();
        }
        return case;
    }
    let started = Instant::now();
    bench.journal.take();
    let mut problems = Problems::default();
    let answered = play(bench, plan, &mut problems).await;
    case.ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    case.problems = problems.0;
    if !case.problems.is_empty() {
        case.verdict = Verdict::Failed;
    }
    tell(bench, &mut case, &answered, started);
    case
}

/// What a person needs to see why.
fn tell(bench: &Bench, case: &mut Case, answered: &Answered, started: Instant) {
    let lines = bench.journal.take();
    case.outcome = expect::outcome(answered);
    case.step = lines.iter().rev().find_map(|line| line.step.clone());
    if let Err(failure) = &answered.result
        && let FailureKind::SiteChanged { step, selector } = &failure.kind
    {
        case.step = Some(step.clone());
        case.selector = Some(selector.clone());
    }
    let since = |at: Instant| at.saturating_duration_since(started).as_millis();
    case.done = lines.iter().map(|line| format!("{:>6} ms  {}", since(line.at), line.text)).collect();
    let seen = bench.replica.seen().borrow().clone();
    case.traffic = seen
        .requests
        .iter()
        .map(|request| {
            let note = if request.served { "" } else { "  (no route answers this)" };
            let body = expect::shortened(&String::from_utf8_lossy(&request.body));
            format!("{:>6} ms  {} {} {}{note} {body}", since(request.at), request.status, request.method, request.url)
        })
        .collect();
    // Named by the request, whose id has the case's name in it.
    let picture = bench.pictures.join(format!("{}.png", request_id(&case.name)));
    case.picture = (case.verdict == Verdict::Failed && picture.exists()).then_some(picture);
}

async fn play(bench: &Bench, plan: &Plan, problems: &mut Problems) -> Answered {
    let dispatcher = bench.dispatcher();
    let answered = match prepare(bench, &dispatcher, plan).await {
        Ok(request) => play_prepared(bench, &dispatcher, plan, request, problems).await,
        Err(problem) => {
            problems.0.push(problem);
            Answered::refused(host::lost("it was not asked"))
        }
    };
    bench.host.end(dispatcher).await;
    answered
}

/// The question, and the site in the state in which it is to be asked.
async fn prepare(bench: &Bench, dispatcher: &Dispatcher, plan: &Plan) -> Result<Request, Problem> {
    let asked = plan.question.request(bench, &plan.name);
    let mut request = asked.map_err(|seen| Problem { expected: "a question that can be asked".into(), seen })?;
    if let Some(first) = &plan.question.first {
        request = first::ask(bench, dispatcher, first, request).await?;
    }
    enter(bench, &plan.state, plan.twist).await?;
    Ok(request)
}

async fn enter(bench: &Bench, state: &str, twist: Twist) -> Result<(), Problem> {
    let entered = bench.replica.enter(state, twist).await;
    entered.map_err(|seen| Problem { expected: format!("the state `{state}` can be set up"), seen })
}

async fn play_prepared(
    bench: &Bench,
    dispatcher: &Dispatcher,
    plan: &Plan,
    request: Request,
    problems: &mut Problems,
) -> Answered {
    let answered = match plan.kind {
        Kind::Cancel => special::cancel(bench, dispatcher, request, problems).await,
        Kind::Killed => special::killed(bench, dispatcher, request, problems).await,
        _ => bench::answer(bench, dispatcher, request).await,
    };
    let seen = bench.replica.seen().borrow().clone();
    match plan.kind {
        Kind::Plain => expect::check(bench, &plan.expect, &answered, &seen, problems),
        Kind::Streams => special::streams(&answered, &seen, problems),
        Kind::SiteChanged => {
            expect::check(bench, &plan.expect, &answered, &seen, problems);
            special::site_changed(&answered, problems);
        }
        Kind::Blocked => special::blocked(bench, plan, &answered, &seen, problems),
        Kind::Foreign => special::foreign(plan.twist, &answered, &seen, problems),
        Kind::Cancel | Kind::Killed => {}
    }
    answered
}

fn request_id(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    format!("test-{}", name.chars().map(plain).collect::<String>())
}

impl Question {
    fn request(&self, bench: &Bench, name: &str) -> Result<Request, String> {
        let mut turns: Vec<Turn> = self.messages.iter().map(turn).collect();
        for file in &self.attachments {
            let bytes = Bytes::from(bench.replica.files().bytes(file)?);
            let mime_type = crate::lab::replica::content_type(file).to_owned();
            let short = file.rsplit('/').next().unwrap_or(file).to_owned();
            let part = Part::Attachment(Arc::new(Attachment { name: short, mime_type, bytes }));
            if let Some(last) = turns.last_mut() {
                last.parts.push(part);
            }
        }
        let model = format!("{}/{}", bench.host.manifest.id, self.model);
        let plain = host::request(request_id(name), model, turns);
        Ok(Request { options: self.settings.clone(), temporary: Some(self.temporary), ..plain })
    }
}

fn turn(message: &MessageSpec) -> Turn {
    let role = match message.role {
        RoleName::System => Role::System,
        RoleName::User => Role::User,
        RoleName::Assistant => Role::Assistant,
        RoleName::Tool => Role::Tool,
    };
    Turn { role, name: None, parts: vec![Part::Text(message.content.clone())] }
}

fn user(text: &str) -> MessageSpec {
    MessageSpec { role: RoleName::User, content: text.to_owned() }
}

/// The author's own messages, else the one prompt.
fn messages(messages: &[MessageSpec], prompt: Option<&str>, default: &str) -> Vec<MessageSpec> {
    if messages.is_empty() { vec![user(prompt.unwrap_or(default))] } else { messages.to_vec() }
}

fn own(spec: &CaseSpec, model: &str, prompt: &str) -> Plan {
    Plan {
        name: spec.name.clone(),
        about: "a case of the author's".into(),
        state: spec.state.clone().unwrap_or_else(|| "ok".into()),
        twist: Twist::None,
        question: Question {
            model: spec.model.clone().unwrap_or_else(|| model.to_owned()),
            first: spec.first.clone(),
            messages: messages(&spec.messages, spec.prompt.as_deref(), prompt),
            attachments: spec.attachments.clone(),
            settings: spec.settings.clone(),
            temporary: spec.temporary,
        },
        expect: spec.expect.clone(),
        kind: Kind::Plain,
        left_out: None,
    }
}

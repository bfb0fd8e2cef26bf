//! The cases that every adapter must pass (docs/adapters.md lists them).

use super::{Kind, Plan, Question, messages, own};
use crate::kit::suite::bench::Bench;
use crate::kit::suite::report::Verdict;
use crate::lab::replica::Twist;
use crate::lab::replica::spec::{Expect, Many, MessageSpec, RoleName};

/// What the `history` case says, in this order.
const HISTORY: [(RoleName, &str); 4] = [
    (RoleName::System, "SYSTEM-4711 always answer in one sentence"),
    (RoleName::User, "FIRST-4712 what is a tide"),
    (RoleName::Assistant, "SECOND-4713 the sea going up and down"),
    (RoleName::User, "THIRD-4714 and why does it"),
];

struct Standard {
    name: &'static str,
    about: &'static str,
    state: &'static str,
    twist: Twist,
    kind: Kind,
    failure: &'static [&'static str],
    /// Whether nothing may have been sent.
    silent: bool,
}

const fn case(name: &'static str, about: &'static str, state: &'static str, kind: Kind) -> Standard {
    Standard { name, about, state, twist: Twist::None, kind, failure: &[], silent: false }
}

const STANDARD: [Standard; 12] = [
    case("answers", "a question is answered", "ok", Kind::Plain),
    case("streams", "the answer comes in pieces, while the site still sends", "ok", Kind::Streams),
    case("cancel", "when the caller leaves, the site stops within a second", "slow", Kind::Cancel),
    Standard {
        failure: &["login-required"],
        silent: true,
        ..case("signed-out", "nobody is signed in", "signed-out", Kind::Plain)
    },
    Standard {
        failure: &["site-changed"],
        silent: true,
        ..case("missing-element", "something is not on the page", "missing-element", Kind::SiteChanged)
    },
    Standard {
        failure: &["rate-limited", "quota-exhausted"],
        ..case("rate-limited", "the account's limit is reached", "limit", Kind::Plain)
    },
    Standard {
        failure: &["content-blocked"],
        ..case("blocked", "the site refuses the content", "blocked", Kind::Blocked)
    },
    Standard {
        failure: &["model-unavailable"],
        silent: true,
        ..case("wrong-model", "the model is not offered", "model-missing", Kind::Plain)
    },
    case("history", "system prompt and history reach the site", "ok", Kind::Plain),
    Standard {
        twist: Twist::ForeignPage,
        ..case("foreign-page", "the site's pages redirect to another origin", "ok", Kind::Foreign)
    },
    Standard {
        twist: Twist::ForeignAnswer,
        ..case("foreign-answer", "the prompt is redirected to another origin", "ok", Kind::Foreign)
    },
    Standard { twist: Twist::Hang, ..case("killed", "the browser dies between prompt and answer", "ok", Kind::Killed) },
];

/// All cases, the author's after the standard ones.
pub(in crate::kit::suite) fn all(bench: &Bench) -> Vec<Plan> {
    let file = bench.replica.file();
    let first = bench.host.manifest.models.first().map(|model| model.id.clone()).unwrap_or_default();
    let model = file.model.clone().unwrap_or(first);
    let prompt = file.prompt.clone().unwrap_or_else(|| "Say hello.".into());
    let standard = STANDARD.iter().map(|case| plan(bench, case, &model, &prompt));
    standard.chain(file.cases.iter().map(|case| own(case, &model, &prompt))).collect()
}

fn plan(bench: &Bench, case: &Standard, model: &str, prompt: &str) -> Plan {
    let file = bench.replica.file();
    let slow = case.kind == Kind::Cancel && !bench.replica.knows("slow");
    let (state, twist) = if slow { ("ok", Twist::Slow) } else { (case.state, case.twist) };
    let spec = file.states.get(state).filter(|_| state != "ok" || case.kind != Kind::Plain);
    let of_state = |get: fn(&crate::lab::replica::spec::StateSpec) -> Option<String>| spec.and_then(get);
    let model = of_state(|spec| spec.model.clone()).unwrap_or_else(|| model.to_owned());
    let own_prompt = of_state(|spec| spec.prompt.clone());
    let own_messages = spec.map(|spec| spec.messages.clone()).unwrap_or_default();
    let messages = match case.name {
        "history" => HISTORY.iter().map(|(role, text)| MessageSpec { role: *role, content: (*text).into() }).collect(),
        _ => messages(&own_messages, own_prompt.as_deref(), prompt),
    };
    let question = Question { model, messages, ..Question::default() };
    Plan {
        name: case.name.to_owned(),
        about: case.about.to_owned(),
        state: state.to_owned(),
        twist,
        question,
        expect: expected(bench, case, spec.and_then(|spec| spec.expect.clone())),
        kind: case.kind,
        left_out: left_out(bench, case, state),
    }
}

fn expected(bench: &Bench, case: &Standard, own: Option<Expect>) -> Expect {
    if case.name == "history" {
        let parts = HISTORY.iter().map(|(_, text)| (*text).to_owned()).collect();
        return Expect { prompts: Some(1), prompt_contains: Many::List(parts), ..Expect::default() };
    }
    if case.failure.is_empty() {
        return bench.replica.file().expect.clone();
    }
    let mut expect = own.unwrap_or_default();
    if expect.failure.is_empty() && expect.finish.is_none() {
        expect.failure = Many::List(case.failure.iter().map(|name| (*name).to_owned()).collect());
    }
    if case.silent {
        expect.prompts = Some(0);
    }
    expect
}

/// Why a case is not run: the author says so, or the fixtures do not know the state.
fn left_out(bench: &Bench, case: &Standard, state: &str) -> Option<(String, Verdict)> {
    let file = bench.replica.file();
    if let Some(why) = file.skip.get(case.name) {
        return Some((format!("left out: {why}"), Verdict::Skipped));
    }
    if case.twist == Twist::ForeignAnswer && bench.host.manifest.listen.is_empty() {
        return Some(("left out: the manifest listens to nothing".into(), Verdict::Skipped));
    }
    let needs_prompts = matches!(case.name, "history" | "killed" | "foreign-answer");
    if needs_prompts && file.prompts.is_empty() {
        return Some(("site.toml has no [[prompts]]: say which request carries the prompt".into(), Verdict::Failed));
    }
    (!bench.replica.knows(state)).then(|| {
        let cure = format!(
            "it does not: add [states.{state}] or routes with state = \"{state}\", or say under [skip] why \
             {} = \"...\" cannot be",
            case.name
        );
        (cure, Verdict::Failed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        let names: std::collections::BTreeSet<&str> = STANDARD.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), STANDARD.len());
    }
}

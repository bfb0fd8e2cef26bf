//! Whether an answer is what a case expects.

use super::bench::Bench;
use super::names;
use super::report::Problem;
use crate::chat::{Citation, Delta, Failure, FailureKind};
use crate::kit::host::Answered;
use crate::lab::replica::Seen;
use crate::lab::replica::spec::{CitationSpec, Expect, MediaSpec};

/// An answer as far as it still stands: what was taken back is left out.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) reasoning: String,
    citations: Vec<Citation>,
    progress: Vec<String>,
    media: Vec<(String, Vec<u8>)>,
    /// Pieces of text and reasoning.
    pub(super) deltas: usize,
    restarts: usize,
}

impl Answer {
    pub(super) fn of(answered: &Answered) -> Self {
        let mut answer = Self::default();
        for (_, delta) in &answered.deltas {
            match delta {
                Delta::Text(text) => {
                    answer.text.push_str(text);
                    answer.deltas += 1;
                }
                Delta::Reasoning(text) => {
                    answer.reasoning.push_str(text);
                    answer.deltas += 1;
                }
                Delta::Citation(citation) => answer.citations.push(citation.clone()),
                Delta::Progress(text) => answer.progress.push(text.clone()),
                Delta::Media { mime_type, bytes } => answer.media.push((mime_type.clone(), bytes.to_vec())),
                // Made at the edge, which is not here.
                Delta::Link { .. } => {}
                Delta::Restart => {
                    answer.text.clear();
                    answer.reasoning.clear();
                    answer.restarts += 1;
                }
            }
        }
        answer
    }
}

/// Collects what is not as it should be.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, expected: impl Into<String>, seen: impl Into<String>) {
        self.0.push(Problem { expected: expected.into(), seen: seen.into() });
    }

    pub(super) fn unless(&mut self, good: bool, expected: impl Into<String>, seen: impl Into<String>) {
        if !good {
            self.add(expected, seen);
        }
    }

    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, expected: Option<&T>, seen: &T) {
        if let Some(expected) = expected {
            self.unless(expected == seen, format!("{what} {expected:?}"), format!("{seen:?}"));
        }
    }

    fn contains(&mut self, what: &str, parts: &[String], seen: &str) {
        for part in parts {
            self.unless(seen.contains(part.as_str()), format!("{what} that contains {part:?}"), format!("{seen:?}"));
        }
    }
}

/// How a request ended, in one line.
pub(super) fn outcome(answered: &Answered) -> String {
    let answer = Answer::of(answered);
    let came = format!("{} deltas, text {:?}", answer.deltas, shortened(&answer.text));
    match &answered.result {
        Ok(outcome) => format!("finish {}, {came}", names::finish(&outcome.finish)),
        Err(failure) => {
            let sent = if answered.submitted { "after it was submitted" } else { "before it was submitted" };
            format!("failure {} ({sent}) {}; {came}", names::failure(&failure.kind), failure.message)
        }
    }
}

/// At most 300 characters.
pub(super) fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(300).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Holds the answer against the expectation.
pub(super) fn check(bench: &Bench, expect: &Expect, answered: &Answered, seen: &Seen, problems: &mut Problems) {
    let answer = Answer::of(answered);
    check_end(expect, answered, problems);
    let whole = expect.text.clone().or_else(|| file_text(bench, expect.text_file.as_deref(), problems));
    problems.same("the text", whole.as_ref(), &answer.text);
    problems.contains("a text", expect.text_contains.as_slice(), &answer.text);
    for part in expect.text_absent.as_slice() {
        let absent = !answer.text.contains(part.as_str());
        problems.unless(absent, format!("a text without {part:?}"), format!("{:?}", answer.text));
    }
    problems.same("the reasoning", expect.reasoning.as_ref(), &answer.reasoning);
    problems.contains("reasoning", expect.reasoning_contains.as_slice(), &answer.reasoning);
    if let Some(citations) = &expect.citations {
        check_citations(citations, &answer.citations, problems);
    }
    problems.same("progress", expect.progress.as_ref(), &answer.progress);
    if let Some(media) = &expect.media {
        check_media(bench, media, &answer.media, problems);
    }
    if let Some(least) = expect.min_deltas {
        problems.unless(answer.deltas >= least, format!("at least {least} deltas"), answer.deltas.to_string());
    }
    if let Some(most) = expect.max_deltas {
        problems.unless(answer.deltas <= most, format!("at most {most} deltas"), answer.deltas.to_string());
    }
    problems.same("restarts:", expect.restarts.as_ref(), &answer.restarts);
    check_site(bench, expect, seen, problems);
}

fn file_text(bench: &Bench, name: Option<&str>, problems: &mut Problems) -> Option<String> {
    match bench.replica.files().text(name?) {
        // Editors end files with a newline, answers do not.
        Ok(text) => Some(text.strip_suffix('\n').unwrap_or(&text).to_owned()),
        Err(error) => {
            problems.add("a file with the text", error);
            None
        }
    }
}

fn check_end(expect: &Expect, answered: &Answered, problems: &mut Problems) {
    let wanted = expect.failure.as_slice();
    match (&answered.result, wanted) {
        (Ok(outcome), []) => {
            let finish = names::finish(&outcome.finish).to_owned();
            problems.same("finish", Some(expect.finish.as_ref().unwrap_or(&"stop".to_owned())), &finish);
            let told = |value: &Option<String>| value.clone().unwrap_or_default();
            problems.same("the model that answered:", expect.model.as_ref(), &told(&outcome.model));
            problems.same("the conversation", expect.conversation.as_ref(), &told(&outcome.conversation));
        }
        (Ok(_), _) => problems.add(format!("the failure {}", wanted.join(" or ")), outcome(answered)),
        (Err(_), []) => problems.add("an answer", outcome(answered)),
        (Err(failure), _) => check_failure(expect, failure, answered, problems),
    }
    problems.same("submitted:", expect.submitted.as_ref(), &answered.submitted);
}

fn check_failure(expect: &Expect, failure: &Failure, answered: &Answered, problems: &mut Problems) {
    let wanted = expect.failure.as_slice();
    let name = names::failure(&failure.kind);
    problems.unless(wanted.contains(&name), format!("the failure {}", wanted.join(" or ")), outcome(answered));
    problems.contains("a message", expect.message_contains.as_slice(), &failure.message);
    if let FailureKind::SiteChanged { step, selector } = &failure.kind {
        problems.same("the step", expect.step.as_ref(), step);
        problems.same("the selector", expect.selector.as_ref(), selector);
    }
    if let FailureKind::RateLimited { retry_after } | FailureKind::QuotaExhausted { retry_after } = &failure.kind
        && let Some(seconds) = expect.retry_after_s
    {
        let seen = retry_after.map(|after| after.as_secs());
        problems.unless(seen == Some(seconds), format!("retry after {seconds} s"), format!("{seen:?}"));
    }
}

fn check_citations(wanted: &[CitationSpec], seen: &[Citation], problems: &mut Problems) {
    let same = wanted.len() == seen.len()
        && wanted.iter().zip(seen).all(|(wanted, seen)| {
            wanted.url == seen.url && wanted.title.as_ref().is_none_or(|title| *title == seen.title)
        });
    problems.unless(same, format!("citations {wanted:?}"), format!("{seen:?}"));
}

fn check_media(bench: &Bench, wanted: &[MediaSpec], seen: &[(String, Vec<u8>)], problems: &mut Problems) {
    let shown: Vec<String> = seen.iter().map(|(mime, bytes)| format!("{mime}, {} bytes", bytes.len())).collect();
    problems.unless(wanted.len() == seen.len(), format!("{} files", wanted.len()), format!("{shown:?}"));
    for (wanted, (mime, bytes)) in wanted.iter().zip(seen) {
        problems.unless(wanted.mime == *mime, format!("a file of type {}", wanted.mime), mime.clone());
        let Some(name) = &wanted.file else { continue };
        match bench.replica.files().bytes(name) {
            Ok(file) => {
                problems.unless(file == *bytes, format!("the bytes of {name}"), format!("{} others", bytes.len()))
            }
            Err(error) => problems.add("a file to compare with", error),
        }
    }
}

fn check_site(bench: &Bench, expect: &Expect, seen: &Seen, problems: &mut Problems) {
    problems.same("prompts that reached the site:", expect.prompts.as_ref(), &seen.prompts.len());
    let parts = expect.prompt_contains.as_slice();
    if !parts.is_empty() {
        let prompt = seen.prompts.last().map(|prompt| prompt.text.clone()).unwrap_or_default();
        in_order(parts, &prompt, problems);
    }
    for wanted in &expect.requests {
        let name = format!("{} {}", wanted.method.as_deref().unwrap_or("a request to"), wanted.url);
        match (bench.replica.count(wanted), wanted.count) {
            (Ok(0), None) => problems.add(format!("{name}, as described"), "none such"),
            (Ok(n), Some(count)) if n != count => problems.add(format!("{name}, {count} times"), n.to_string()),
            (Ok(_), _) => {}
            (Err(error), _) => problems.add(name, error),
        }
    }
}

/// Each part after the one before.
pub(super) fn in_order(parts: &[String], text: &str, problems: &mut Problems) {
    let mut rest = text;
    for part in parts {
        match rest.split_once(part.as_str()) {
            Some((_, after)) => rest = after,
            None => {
                problems.add(format!("a prompt with {part:?}, after what is named before it"), format!("{text:?}"));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::chat::{Finish, Outcome};

    #[test]
    fn what_was_taken_back_does_not_count() {
        let deltas = [Delta::Text("old".into()), Delta::Restart, Delta::Text("ne".into()), Delta::Text("w".into())];
        let deltas = deltas.into_iter().map(|delta| (Instant::now(), delta)).collect();
        let outcome = Outcome { finish: Finish::Stop, conversation: None, model: None };
        let answer = Answer::of(&Answered { deltas, submitted: true, result: Ok(outcome) });
        assert_eq!((answer.text.as_str(), answer.restarts, answer.deltas), ("new", 1, 3));
    }

    #[test]
    fn order_counts() {
        let parts = ["a".to_owned(), "b".to_owned()];
        let mut problems = Problems::default();
        in_order(&parts, "xaxb", &mut problems);
        assert!(problems.0.is_empty());
        in_order(&parts, "ba", &mut problems);
        assert_eq!(problems.0.len(), 1);
    }
}

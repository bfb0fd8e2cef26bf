//! What came of it, for people and for programs.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

/// Lines of traffic that are shown to a person.
const TRAFFIC_SHOWN: usize = 12;

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Passed,
    Failed,
    /// The author says that it cannot be, and why.
    Skipped,
}

/// Something that was not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub expected: String,
    pub seen: String,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Case {
    pub name: String,
    pub verdict: Verdict,
    /// What the case does, or why it was left out.
    pub about: String,
    pub ms: u64,
    pub problems: Vec<Problem>,
    /// What the adapter did, in its order: its steps and its log, with the milliseconds since the case began.
    pub done: Vec<String>,
    /// How the request ended.
    pub outcome: String,
    /// The step and the selector at which the site was not as expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// A picture of the page as it was when the request failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<PathBuf>,
    /// What the page asked the replica for.
    pub traffic: Vec<String>,
}

/// All cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub adapter: String,
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
    pub cases: Vec<Case>,
}

impl Report {
    pub(super) fn new(adapter: String, cases: Vec<Case>) -> Self {
        let count = |verdict| cases.iter().filter(|case| case.verdict == verdict).count();
        let (passed, failed, skipped) = (count(Verdict::Passed), count(Verdict::Failed), count(Verdict::Skipped));
        Self { adapter, passed, failed, skipped, cases }
    }

    pub fn is_good(&self) -> bool {
        self.failed == 0
    }

    /// The last line.
    pub fn summary(&self) -> String {
        let Self { adapter, passed, failed, skipped, .. } = self;
        format!("{adapter}: {passed} passed, {failed} failed, {skipped} skipped")
    }
}

impl Case {
    /// For a person: one line where all is well, else what was done, seen and expected.
    pub fn text(&self) -> String {
        let mark = match self.verdict {
            Verdict::Passed => "ok     ",
            Verdict::Failed => "FAILED ",
            Verdict::Skipped => "skipped",
        };
        let mut out = format!("{mark} {:<16} {} ({} ms)", self.name, self.about, self.ms);
        if self.verdict == Verdict::Skipped {
            return format!("{mark} {:<16} {}", self.name, self.about);
        }
        if self.verdict == Verdict::Passed {
            return out;
        }
        // Writing to a string does not fail.
        for problem in &self.problems {
            let _ = write!(
                out,
                "\n    expected: {}\n    seen:     {}",
                indented(&problem.expected),
                indented(&problem.seen)
            );
        }
        let _ = write!(out, "\n    the request ended so: {}", indented(&self.outcome));
        if let Some(step) = &self.step {
            let _ = write!(out, "\n    at the step: {step}");
        }
        if let Some(selector) = &self.selector {
            let _ = write!(out, "\n    looking for: {selector}");
        }
        if let Some(picture) = &self.picture {
            let _ = write!(out, "\n    the page then: {}", picture.display());
        }
        list(&mut out, "what the adapter did", &self.done, usize::MAX);
        list(&mut out, "what the page asked the site", &self.traffic, TRAFFIC_SHOWN);
        out
    }
}

fn list(out: &mut String, title: &str, lines: &[String], most: usize) {
    if lines.is_empty() {
        return;
    }
    let _ = write!(out, "\n    {title}:");
    let left_out = lines.len().saturating_sub(most);
    if left_out > 0 {
        let _ = write!(out, "\n      ... {left_out} before these");
    }
    for line in lines.iter().skip(left_out) {
        let _ = write!(out, "\n      {}", indented(line));
    }
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n              ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_case_says_what_was_done_seen_and_expected() {
        let case = Case {
            name: "answers".into(),
            verdict: Verdict::Failed,
            about: "a question is answered".into(),
            ms: 7,
            problems: vec![Problem { expected: "the text \"a\"".into(), seen: "\"b\"".into() }],
            done: vec!["3 ms  step: send".into()],
            outcome: "failure site-changed".into(),
            step: Some("send".into()),
            selector: Some("testid=send".into()),
            picture: Some("/tmp/a.png".into()),
            traffic: (0..20).map(|n| format!("GET /{n}")).collect(),
        };
        let text = case.text();
        for part in
            ["FAILED", "expected: the text", "seen:     \"b\"", "step: send", "testid=send", "/tmp/a.png", "8 before"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("GET /7") && text.contains("GET /8"));
        let report = Report::new("a@1".into(), vec![case]);
        assert!(!report.is_good() && report.summary() == "a@1: 0 passed, 1 failed, 0 skipped");
    }
}

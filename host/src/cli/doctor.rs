//! `doctor`: what was looked at, in lines that a person reads at a glance.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use super::{Options, config, print};
use crate::doctor::{self, Check, Surroundings, Verdict};
use crate::http::Language;
use crate::store::read_admin_key;

/// Runs it. An exit code of 1 says that something has to be mended.
pub(super) fn run(options: &Options, json: bool) -> anyhow::Result<ExitCode> {
    let language = language();
    let loaded = config::load(options).map_err(|error| format!("{error:#}"));
    let data = loaded.as_ref().ok().map(|loaded| &loaded.config);
    let configured = data.and_then(|config| config.server.auth.clone());
    let kept = || data.and_then(|config| read_admin_key(&config.log.data_dir).ok().flatten());
    let surroundings = Surroundings {
        admin_key: set("WEBAI_KEY").or(configured).or_else(kept),
        bundled_adapters: super::adapter::bundled_folders(),
        display: set("DISPLAY").or_else(|| set("WAYLAND_DISPLAY")).is_some(),
        config: loaded,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let checks = runtime.block_on(doctor::examine(&surroundings));
    if json {
        print(&serde_json::to_string_pretty(&doctor::to_json(&checks, language))?);
    } else {
        let colours = std::io::stdout().is_terminal() && set("NO_COLOR").is_none();
        print(&text(&checks, language, colours));
    }
    Ok(if doctor::worst(&checks) == Verdict::Problem { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Of the three variables that POSIX names, the first that is set decides.
fn language() -> Language {
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set).unwrap_or_default();
    if locale.to_ascii_lowercase().starts_with("zh") { Language::Chinese } else { Language::English }
}

fn text(checks: &[Check], language: Language, colours: bool) -> String {
    let titles = checks.iter().map(|check| check.title.written_in(language));
    let title_width = titles.map(width).max().unwrap_or(0);
    let verdicts = [Verdict::Ok, Verdict::Warning, Verdict::Problem].map(|verdict| verdict.text());
    let verdict_width = verdicts.iter().map(|text| width(text.written_in(language))).max().unwrap_or(0);
    let margin = " ".repeat(verdict_width + title_width + 4);
    let mut lines = Vec::new();
    for check in checks {
        let verdict = padded(check.verdict.text().written_in(language), verdict_width);
        let verdict = if colours { coloured(check.verdict, &verdict) } else { verdict };
        let title = padded(check.title.written_in(language), title_width);
        // What was seen may have lines of its own, as the errors of a configuration do.
        let seen = check.seen.written_in(language).trim().replace('\n', &format!("\n{margin}"));
        lines.push(format!("{verdict}  {title}  {seen}"));
        if let Some(cure) = &check.cure {
            lines.push(format!("{margin}→ {}", cure.written_in(language)));
        }
    }
    lines.push(String::new());
    lines.push(doctor::conclusion(checks).written_in(language).to_owned());
    lines.join("\n")
}

fn coloured(verdict: Verdict, text: &str) -> String {
    let colour = match verdict {
        Verdict::Ok => 32,
        Verdict::Warning => 33,
        Verdict::Problem => 31,
    };
    format!("\x1b[{colour}m{text}\x1b[0m")
}

fn padded(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(width(text))))
}

/// In columns of a terminal: a Chinese character takes two.
fn width(text: &str) -> usize {
    text.chars().map(|c| if c >= '\u{2e80}' { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Text;

    fn check(title: &str, verdict: Verdict, seen: &str) -> Check {
        let cure = (verdict != Verdict::Ok).then(|| Text::from("Mend it."));
        Check { name: "x", title: title.into(), verdict, seen: seen.into(), cure }
    }

    #[test]
    fn lines_are_aligned_in_either_language() {
        let checks = [check("port", Verdict::Ok, "free"), check("data folder", Verdict::Problem, "one\ntwo")];
        let said = text(&checks, Language::English, false);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[0], "ok       port         free");
        assert_eq!(lines[1], "problem  data folder  one");
        assert_eq!(lines[2], "                      two");
        assert_eq!(lines[3], "                      → Mend it.");
        assert!(!said.contains('\x1b'));
        let checks = [check("端口", Verdict::Ok, "a"), check("Chromium", Verdict::Warning, "a")];
        let said = text(&checks, Language::Chinese, false);
        let columns: Vec<usize> = said.lines().take(2).map(width).collect();
        assert_eq!(columns[0], columns[1], "{said}");
        assert!(text(&checks, Language::Chinese, true).contains("\x1b[33m"));
    }
}

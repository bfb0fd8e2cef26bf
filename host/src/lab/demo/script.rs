//! The directives by which a prompt scripts its own answer: `key=value` pairs on one line.

use std::str::FromStr;
use std::time::Duration;

use super::fixture::Fixture;

/// Bounds what one answer can cost in memory.
const TOKENS_MAX: u32 = 100_000;
const WAIT_MAX_MS: u64 = 3_600_000;

/// How an answer goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    RateLimited,
    Quota,
    ContentBlocked,
    SignedOut,
    Challenge,
    SiteChanged,
    ServerError,
    Disconnect,
    InStream,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "rate-limited" => Fault::RateLimited,
            "quota" => Fault::Quota,
            "content-blocked" => Fault::ContentBlocked,
            "signed-out" => Fault::SignedOut,
            "challenge" => Fault::Challenge,
            "site-changed" => Fault::SiteChanged,
            "server-error" => Fault::ServerError,
            "disconnect" => Fault::Disconnect,
            "in-stream" => Fault::InStream,
            _ => return Err(format!("error={text} is not known")),
        })
    }
}

/// How the stream ends after the last token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum End {
    /// `[DONE]`, then the body ends.
    #[default]
    Done,
    /// The body ends without the end marker.
    Unmarked,
    /// `[DONE]`, but the body stays open until the page closes it.
    Open,
}

/// What the page is told to do in mid-answer, so that tests see tabs misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageAct {
    /// Blocks its main thread for a minute.
    Hang,
    /// Goes to another origin.
    Leave,
    /// Opens an `alert`.
    Dialog,
    Reload,
}

impl PageAct {
    pub(super) fn name(self) -> &'static str {
        match self {
            PageAct::Hang => "hang",
            PageAct::Leave => "leave",
            PageAct::Dialog => "dialog",
            PageAct::Reload => "reload",
        }
    }
}

/// A whole script. The defaults are what a prompt without directives gets.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Script {
    pub(super) tokens: u32,
    /// Tokens a second; 0 is as fast as they can be sent.
    pub(super) rate: f64,
    /// Tokens in one event.
    pub(super) chunk: u32,
    pub(super) reasoning: u32,
    /// Tokens that the first event already holds.
    pub(super) head: u32,
    pub(super) delay: Duration,
    pub(super) silence: Duration,
    /// The token before which the silence falls; none is the middle.
    pub(super) silence_at: Option<u32>,
    pub(super) fixture: Option<Fixture>,
    pub(super) error: Option<Fault>,
    /// Tokens before the error or the page's act.
    pub(super) after: Option<u32>,
    pub(super) status: Option<u16>,
    pub(super) retry_after: Option<u64>,
    pub(super) finish: &'static str,
    pub(super) end: End,
    /// Whether bytes are cut without regard to events and characters; none leaves it to the fixture.
    pub(super) cut: Option<bool>,
    /// Whether a surrogate pair may fall into two events.
    pub(super) lone: bool,
    pub(super) ping: Option<Duration>,
    pub(super) ignore_stop: bool,
    /// Whether every event after the first waits until `POST /control` lets it go, by the answer's mark.
    pub(super) gate: bool,
    pub(super) page: Option<PageAct>,
    pub(super) mark: Option<String>,
    /// Everything below the line of directives.
    pub(super) rest: String,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            tokens: 20,
            rate: 50.0,
            chunk: 1,
            reasoning: 0,
            head: 1,
            delay: Duration::ZERO,
            silence: Duration::ZERO,
            silence_at: None,
            fixture: None,
            error: None,
            after: None,
            status: None,
            retry_after: None,
            finish: "stop",
            end: End::Done,
            cut: None,
            lone: false,
            ping: None,
            ignore_stop: false,
            gate: false,
            page: None,
            mark: None,
            rest: String::new(),
        }
    }
}

const KEYS: [&str; 22] = [
    "tokens",
    "rate",
    "chunk",
    "reasoning",
    "head",
    "delay_ms",
    "silence_ms",
    "silence_at",
    "fixture",
    "error",
    "after",
    "status",
    "retry_after",
    "finish",
    "end",
    "cut",
    "lone",
    "ping_ms",
    "ignore_stop",
    "gate",
    "page",
    "mark",
];

impl Script {
    /// Reads the last line that consists wholly of known directives, wherever it stands: a client's history and system
    /// prompt come before it in whatever form the host renders them.
    ///
    /// # Errors
    /// A known directive with a value that it cannot have.
    pub(super) fn parse(prompt: &str) -> Result<Script, String> {
        let lines: Vec<&str> = prompt.lines().collect();
        let mut script = Script::default();
        let Some(at) = lines.iter().rposition(|line| is_directives(line)) else { return Ok(script) };
        script.rest = lines.get(at + 1..).unwrap_or_default().join("\n").trim_matches('\n').to_owned();
        let line = lines.get(at).copied().unwrap_or_default();
        let pairs: Vec<(&str, &str)> = line.split_whitespace().filter_map(|word| word.split_once('=')).collect();
        if let Some((_, fixture)) = pairs.iter().find(|(key, _)| *key == "fixture") {
            // A fixture is longer than it is interesting: it comes fast unless the line says otherwise.
            script.fixture = Some(fixture.parse()?);
            (script.rate, script.chunk) = (0.0, 8);
        }
        for (key, value) in pairs {
            script.set(key, value)?;
        }
        Ok(script)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "tokens" => self.tokens = number(key, value, 0, TOKENS_MAX)?,
            "rate" => self.rate = rate(value)?,
            "chunk" => self.chunk = number(key, value, 1, TOKENS_MAX)?,
            "reasoning" => self.reasoning = number(key, value, 0, TOKENS_MAX)?,
            "head" => self.head = number(key, value, 0, TOKENS_MAX)?,
            "delay_ms" => self.delay = millis(key, value)?,
            "silence_ms" => self.silence = millis(key, value)?,
            "silence_at" => self.silence_at = Some(number(key, value, 0, TOKENS_MAX)?),
            "error" => self.error = Some(value.parse()?),
            "after" => self.after = Some(number(key, value, 0, TOKENS_MAX)?),
            "status" => self.status = Some(number(key, value, 400, 599)?),
            "retry_after" => self.retry_after = Some(number(key, value, 0, 1_000_000)?),
            "finish" => {
                self.finish =
                    choose(key, value, &[("stop", "stop"), ("length", "length"), ("filter", "content_filter")])?
            }
            "end" => {
                self.end = choose(key, value, &[("done", End::Done), ("unmarked", End::Unmarked), ("open", End::Open)])?
            }
            "cut" => self.cut = Some(flag(key, value)?),
            "lone" => self.lone = flag(key, value)?,
            "ping_ms" => self.ping = Some(millis(key, value)?.max(Duration::from_millis(10))),
            "ignore_stop" => self.ignore_stop = flag(key, value)?,
            "gate" => self.gate = flag(key, value)?,
            "page" => self.page = Some(page_act(value)?),
            "mark" => self.mark = Some(value.chars().take(64).collect()),
            _ => {}
        }
        Ok(())
    }

    /// Whether a page's bytes are cut anywhere.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.unwrap_or_else(|| self.fixture.is_some_and(Fixture::is_cut))
    }
}

/// Finds `mark=...` anywhere in a prompt, so that tests recognise theirs whatever the model.
pub(super) fn mark_of(prompt: &str) -> Option<String> {
    let word = prompt.split_whitespace().rfind(|word| word.starts_with("mark="))?;
    Some(word.chars().skip("mark=".len()).take(64).collect())
}

fn is_directives(line: &str) -> bool {
    let mut words = line.split_whitespace().peekable();
    words.peek().is_some()
        && words.all(|word| word.split_once('=').is_some_and(|(key, value)| KEYS.contains(&key) && !value.is_empty()))
}

fn number<T: FromStr + PartialOrd + std::fmt::Display>(key: &str, value: &str, min: T, max: T) -> Result<T, String> {
    match value.parse::<T>() {
        Ok(number) if number >= min && number <= max => Ok(number),
        _ => Err(format!("{key}={value}: a whole number from {min} to {max} is needed")),
    }
}

fn millis(key: &str, value: &str) -> Result<Duration, String> {
    number(key, value, 0, WAIT_MAX_MS).map(Duration::from_millis)
}

fn rate(value: &str) -> Result<f64, String> {
    match value.parse::<f64>() {
        Ok(rate) if rate == 0.0 || (0.01..=100_000.0).contains(&rate) => Ok(rate),
        _ => Err(format!("rate={value}: 0, or 0.01 to 100000 tokens a second")),
    }
}

fn flag(key: &str, value: &str) -> Result<bool, String> {
    choose(key, value, &[("1", true), ("0", false)])
}

fn page_act(value: &str) -> Result<PageAct, String> {
    let acts = [PageAct::Hang, PageAct::Leave, PageAct::Dialog, PageAct::Reload];
    choose("page", value, &acts.map(|act| (act.name(), act)))
}

fn choose<T: Copy>(key: &str, value: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let found = choices.iter().find(|(name, _)| *name == value);
    found.map(|(_, choice)| *choice).ok_or_else(|| format!("{key}={value}: one of {} is needed", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_directives_counts() {
        let script =
            Script::parse("# System\nBe brief.\n\ntokens=5\n\n# User\ntokens=7 rate=0 mark=a\nrest\n two").unwrap();
        assert_eq!((script.tokens, script.rate, script.mark.as_deref()), (7, 0.0, Some("a")));
        assert_eq!(script.rest, "rest\n two");
    }

    #[test]
    fn a_line_with_other_words_is_no_script() {
        assert_eq!(Script::parse("please tokens=5").unwrap(), Script::default());
        assert_eq!(Script::parse("color=red tokens=5").unwrap(), Script::default());
    }

    #[test]
    fn bad_values_are_named() {
        for (line, word) in
            [("tokens=x", "tokens"), ("rate=-1", "rate"), ("error=no", "error"), ("fixture=no", "fixture")]
        {
            assert!(Script::parse(line).unwrap_err().contains(word), "{line}");
        }
    }

    #[test]
    fn marks_are_found_anywhere() {
        assert_eq!(mark_of("hello mark=x1 there").as_deref(), Some("x1"));
        assert_eq!(mark_of("hello"), None);
    }
}

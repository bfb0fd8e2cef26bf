//! What each model answers: a timetable of pieces, made before the first is sent.

use std::time::Duration;

use super::fixture::Fixture;
use super::picture;
use super::script::{End, Fault, PageAct, Script};

/// Where a piece of text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Reasoning,
    Text,
}

/// One thing that the stream does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Act {
    /// UTF-16, because a script may ask for pieces that end inside a surrogate pair.
    Say(Field, Vec<u16>),
    /// A picture as a data URI.
    Show(String),
    /// The answer fails in mid-stream.
    Fail(Fault),
    Page(PageAct),
}

/// An answer: what happens, and when, counted from the request's arrival.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    /// When the first event goes out.
    pub(super) delay: Duration,
    /// Text that the first event holds.
    pub(super) head: Option<(Field, Vec<u16>)>,
    pub(super) acts: Vec<(Duration, Act)>,
    pub(super) finish: &'static str,
    pub(super) end: End,
    pub(super) cut: bool,
    pub(super) ping: Option<Duration>,
    pub(super) ignore_stop: bool,
    /// By which tests let each event go.
    pub(super) gate: Option<String>,
    /// The answer comes in a format that is not the documented one.
    pub(super) changed: bool,
}

/// `demo/echo`: the prompt as it arrived, then what was attached.
pub(super) fn echo(prompt: &str, attachments: &[String], thinking: bool) -> Answer {
    let mut text = prompt.to_owned();
    if !attachments.is_empty() {
        text = format!("{text}\n\n[attachments]\n{}", attachments.join("\n"));
    }
    let reasoning = if thinking { pieces("The person wants to read their own words.", 8) } else { Vec::new() };
    lively(&reasoning, &text)
}

/// `demo/reasoner`: thinks aloud, then answers.
pub(super) fn reasoner(prompt: &str, thinking: bool) -> Answer {
    let words = prompt.split_whitespace().count();
    let chars = prompt.chars().count();
    let mut thought = format!("The prompt has {words} words and {chars} characters. ");
    if thinking {
        thought.push_str("It could be short on purpose. Let me look at it once more, from the end to the start. ");
    }
    thought.push_str("So I will say how long it is.");
    lively(&pieces(&thought, 8), &format!("Your prompt has **{words}** words and **{chars}** characters."))
}

/// `demo/image`: a sentence and a picture.
pub(super) fn picture(prompt: &str) -> Answer {
    let mut answer = lively(&[], &Fixture::Image.text(""));
    let at = answer.acts.last().map_or(Duration::ZERO, |(at, _)| *at) + Duration::from_millis(150);
    answer.acts.push((at, Act::Show(picture::data_uri(prompt))));
    answer
}

/// `demo/script`: what the directives say.
pub(super) fn scripted(script: &Script, prompt: &str, thinking: bool) -> Answer {
    let reasoning = if thinking && script.reasoning == 0 { 8 } else { script.reasoning };
    let mut tokens: Vec<(Field, Vec<u16>)> = (0..reasoning).map(|n| (Field::Reasoning, numbered('r', n))).collect();
    match script.fixture {
        Some(fixture) if script.lone => tokens.extend(halves(&fixture.text(&script.rest)).map(said)),
        Some(fixture) => tokens.extend(pieces(&fixture.text(&script.rest), 4).into_iter().map(said)),
        None => tokens.extend((0..script.tokens).map(|n| (Field::Text, numbered('t', n)))),
    }
    let mut answer = timetable(script, tokens);
    if script.fixture == Some(Fixture::Image) {
        let at = answer.acts.last().map_or(script.delay, |(at, _)| *at);
        answer.acts.push((at, Act::Show(picture::data_uri(prompt))));
    }
    answer
}

fn said(units: Vec<u16>) -> (Field, Vec<u16>) {
    (Field::Text, units)
}

/// At a speed that is pleasant to read, but done within about three seconds whatever the length.
fn lively(reasoning: &[Vec<u16>], text: &str) -> Answer {
    let mut tokens: Vec<_> = reasoning.iter().map(|units| (Field::Reasoning, units.clone())).collect();
    tokens.extend(pieces(text, 6).into_iter().map(said));
    let chunk = u32::try_from(tokens.len() / 200 + 1).unwrap_or(u32::MAX);
    timetable(&Script { rate: 80.0 * f64::from(chunk), chunk, ..Script::default() }, tokens)
}

/// Lays tokens out in time: groups them into events, and puts silence, error and the page's act in their places.
fn timetable(script: &Script, tokens: Vec<(Field, Vec<u16>)>) -> Answer {
    let total = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
    let silence_at = script.silence_at.unwrap_or(total / 2);
    let breaks = script.error.is_some() && script.after.is_some();
    let stop_at = script.after.filter(|_| breaks || script.page.is_some());
    let mut plan = Plan { script, head: None, acts: Vec::new(), silent: Duration::ZERO, group: None };
    for (n, (field, units)) in (0_u32..).zip(tokens) {
        if n == silence_at && n > 0 {
            plan.silence();
        }
        if stop_at == Some(n) {
            plan.interrupt(n);
            if breaks {
                break;
            }
        }
        plan.token(n, field, &units);
    }
    if stop_at.is_some_and(|at| at >= total) || (stop_at.is_none() && script.page.is_some()) {
        plan.interrupt(total);
    }
    plan.close();
    Answer {
        delay: script.delay,
        head: plan.head,
        acts: plan.acts,
        finish: script.finish,
        end: script.end,
        cut: script.is_cut(),
        ping: script.ping,
        ignore_stop: script.ignore_stop,
        gate: script.mark.clone().filter(|_| script.gate),
        changed: script.error == Some(Fault::SiteChanged),
    }
}

struct Plan<'a> {
    script: &'a Script,
    head: Option<(Field, Vec<u16>)>,
    acts: Vec<(Duration, Act)>,
    silent: Duration,
    /// The event that is being filled: its first token's number, what it is, how many tokens it has.
    group: Option<(u32, Field, Vec<u16>, u32)>,
}

impl Plan<'_> {
    fn at(&self, n: u32) -> Duration {
        let spoken = if self.script.rate > 0.0 { f64::from(n) / self.script.rate } else { 0.0 };
        self.script.delay + self.silent + Duration::from_secs_f64(spoken)
    }

    fn token(&mut self, n: u32, field: Field, units: &[u16]) {
        if n < self.script.head && self.head.as_ref().is_none_or(|(of, _)| *of == field) {
            self.head.get_or_insert_with(|| (field, Vec::new())).1.extend_from_slice(units);
            return;
        }
        let full = |(_, of, _, count): &(u32, Field, Vec<u16>, u32)| *of != field || *count >= self.script.chunk;
        if self.group.as_ref().is_some_and(full) {
            self.close();
        }
        let group = self.group.get_or_insert_with(|| (n, field, Vec::new(), 0));
        group.2.extend_from_slice(units);
        group.3 += 1;
    }

    fn close(&mut self) {
        if let Some((n, field, units, _)) = self.group.take() {
            let at = self.at(n);
            self.acts.push((at, Act::Say(field, units)));
        }
    }

    fn silence(&mut self) {
        self.close();
        self.silent = self.script.silence;
    }

    fn interrupt(&mut self, n: u32) {
        self.close();
        let at = self.at(n);
        if let Some(page) = self.script.page {
            self.acts.push((at, Act::Page(page)));
        }
        if let Some(fault) = self.script.error.filter(|_| self.script.after.is_some()) {
            self.acts.push((at, Act::Fail(fault)));
        }
    }
}

/// `t0`, ` t1`, ` t2`: words that can be told apart and counted.
fn numbered(letter: char, n: u32) -> Vec<u16> {
    let space = if n == 0 { "" } else { " " };
    format!("{space}{letter}{n}").encode_utf16().collect()
}

/// Cuts a text into pieces of so many characters, never inside one.
fn pieces(text: &str, chars: usize) -> Vec<Vec<u16>> {
    let all: Vec<char> = text.chars().collect();
    all.chunks(chars).map(|piece| piece.iter().collect::<String>().encode_utf16().collect()).collect()
}

/// Cuts a text after the first half of every surrogate pair, and elsewhere every third unit.
fn halves(text: &str) -> impl Iterator<Item = Vec<u16>> {
    let mut pieces = vec![Vec::new()];
    for unit in text.encode_utf16() {
        if let Some(piece) = pieces.last_mut() {
            piece.push(unit);
            if piece.len() >= 3 || (0xd800..0xdc00).contains(&unit) {
                pieces.push(Vec::new());
            }
        }
    }
    pieces.into_iter().filter(|piece| !piece.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: &Answer) -> String {
        let mut units = answer.head.clone().map(|(_, units)| units).unwrap_or_default();
        for (_, act) in &answer.acts {
            if let Act::Say(_, more) = act {
                units.extend(more);
            }
        }
        String::from_utf16(&units).unwrap()
    }

    fn of(line: &str) -> Answer {
        scripted(&Script::parse(line).unwrap(), line, false)
    }

    #[test]
    fn tokens_come_at_their_rate() {
        let answer = of("tokens=4 rate=10 delay_ms=50");
        assert_eq!(text(&answer), "t0 t1 t2 t3");
        let times: Vec<u128> = answer.acts.iter().map(|(at, _)| at.as_millis()).collect();
        assert_eq!(times, [150, 250, 350]);
    }

    #[test]
    fn silence_moves_what_follows() {
        let answer = of("tokens=4 rate=10 silence_ms=1000 silence_at=3");
        assert_eq!(answer.acts.last().unwrap().0.as_millis(), 1300);
    }

    #[test]
    fn an_error_ends_the_answer_at_its_token() {
        let answer = of("tokens=9 rate=0 error=disconnect after=3");
        assert_eq!(text(&answer), "t0 t1 t2");
        assert_eq!(answer.acts.last().unwrap().1, Act::Fail(Fault::Disconnect));
        let late = of("tokens=3 rate=0 error=in-stream after=50");
        assert_eq!((text(&late).as_str(), &late.acts.last().unwrap().1), ("t0 t1 t2", &Act::Fail(Fault::InStream)));
    }

    #[test]
    fn every_fixture_arrives_whole_however_it_is_cut() {
        for name in ["markdown", "code", "table", "latex", "cjk", "emoji", "tags", "tool"] {
            let fixture: Fixture = name.parse().unwrap();
            for extra in ["", " lone=1", " chunk=1", " chunk=1 lone=1 reasoning=0"] {
                assert_eq!(text(&of(&format!("fixture={name}{extra}"))), fixture.text(""));
            }
        }
    }

    #[test]
    fn echo_is_exact_and_never_slow() {
        let prompt = "x ".repeat(100_000);
        let answer = echo(&prompt, &[], false);
        assert_eq!(text(&answer), prompt);
        assert!(answer.acts.last().unwrap().0 < Duration::from_secs(4));
        assert!(text(&echo("a", &["1. b".into()], false)).ends_with("a\n\n[attachments]\n1. b"));
    }
}

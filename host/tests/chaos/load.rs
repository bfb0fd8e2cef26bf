//! Clients that ask without a pause but the one that a refusal tells them to make, and what they saw.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{DEADLINE, Dice};
use crate::support::client::{Answer, Client, Event, answer, ask, script, stream_of, streaming};

/// Codes with which a request may end when its page, its browser or its site went away.
const EXCUSED: &[&str] = &["browser_failed", "timeout", "upstream_error", "server_busy", "starting"];

/// What was seen.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) outcomes: Mutex<BTreeMap<String, u64>>,
    pub(crate) violations: Mutex<Vec<String>>,
    pub(crate) marks: Mutex<Vec<String>>,
    pub(crate) slowest_ms: AtomicU64,
    pub(crate) over: AtomicBool,
}

impl Tally {
    fn count(&self, what: String) {
        *self.outcomes.lock().unwrap().entry(what).or_default() += 1;
    }

    /// How many whole texts were asked for, and how many of them came.
    pub(crate) fn whole(&self) -> (u64, u64) {
        let outcomes = self.outcomes.lock().unwrap();
        let of = |is: &dyn Fn(&str) -> bool| outcomes.iter().filter(|(what, _)| is(what)).map(|(_, n)| n).sum();
        let asked = |what: &str| what.starts_with("stream:") || what.starts_with("echo:");
        (of(&asked), of(&|what| asked(what) && what.ends_with(": ok")))
    }

    pub(crate) fn violation(&self, what: String) {
        self.violations.lock().unwrap().push(what);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// A client that asks one thing after the other.
pub(crate) struct Asker {
    pub(crate) client: Client,
    pub(crate) tally: Arc<Tally>,
    pub(crate) dice: Dice,
    pub(crate) name: u64,
    pub(crate) asked: u64,
    /// Before the next question.
    pub(crate) pause: Duration,
}

impl Asker {
    pub(crate) async fn run(mut self) {
        while !self.tally.is_over() {
            self.asked += 1;
            let mark = format!("c{}n{}", self.name, self.asked);
            self.tally.marks.lock().unwrap().push(mark.clone());
            let began = Instant::now();
            match self.dice.roll(100) {
                0..50 => self.streams(&mark).await,
                50..65 => self.echoes(&mark).await,
                65..80 => self.vanishes(&mark).await,
                80..92 => self.meets_a_fault(&mark).await,
                _ => self.asks_the_hostile(&mark).await,
            }
            let took = began.elapsed();
            self.tally.slowest_ms.fetch_max(took.as_millis() as u64, Ordering::Relaxed);
            if took > DEADLINE {
                self.tally.violation(format!("{mark} took {took:?}"));
            }
            tokio::time::sleep(std::mem::take(&mut self.pause)).await;
        }
    }

    /// An answer that nobody else's can be taken for, piece by piece.
    async fn streams(&mut self, mark: &str) {
        let text = own_text(mark);
        let request = script(&format!("fixture=rest rate=40 chunk=2 mark={mark}\n{text}"));
        let (said, code) = self.stream(request, usize::MAX).await;
        self.judge("stream", mark, &text, &said, code.as_deref());
    }

    /// The prompt itself, in one piece.
    async fn echoes(&mut self, mark: &str) {
        let text = format!("mark={mark} {}", own_text(mark));
        let answer = self.client.ask_within(&ask("demo/echo", &text), DEADLINE).await;
        let code = (answer.status != 200).then(|| answer.error().1.to_owned());
        self.heed(&answer);
        let said = if code.is_none() { answer.text().to_owned() } else { String::new() };
        self.judge("echo", mark, &text, &said, code.as_deref());
    }

    /// It closes its connection in the middle.
    async fn vanishes(&mut self, mark: &str) {
        let text = own_text(mark);
        let pieces = self.dice.roll(4) as usize;
        let request = script(&format!("fixture=rest rate=10 mark={mark}\n{text}"));
        let (said, code) = self.stream(request, pieces).await;
        if !text.starts_with(&said) {
            self.tally.violation(format!("{mark}: another's text: {said:?}"));
        }
        if let Some(code) = code.as_deref().filter(|code| !EXCUSED.contains(code)) {
            self.tally.violation(format!("{mark} (vanish): {code}"));
        }
        self.tally.count(format!("vanish: {}", code.as_deref().unwrap_or("gone")));
    }

    /// The site itself does wrong, or its page.
    async fn meets_a_fault(&mut self, mark: &str) {
        let faults = ["error=server-error", "error=disconnect after=3", "error=in-stream after=3", "page=hang after=3"];
        let more = ["page=leave after=3", "page=reload after=3", "page=dialog after=3"];
        let fault = [faults.as_slice(), &more].concat()[self.dice.roll(7) as usize];
        let (said, code) = self.stream(script(&format!("tokens=20 rate=20 mark={mark} {fault}")), usize::MAX).await;
        let whole = (0..20).map(|n| format!("t{n}")).collect::<Vec<_>>().join(" ");
        // A page that has lost its document, or waits for a dialog, may have its answer all the same.
        let may_be_whole = fault.starts_with("page");
        match code.as_deref() {
            None if said == whole && may_be_whole => {}
            Some(code) if EXCUSED.contains(&code) && whole.starts_with(&said) => {}
            _ => self.tally.violation(format!("{mark} ({fault}): {code:?} after {said:?}")),
        }
        self.tally.count(format!("{}: {}", fault.split(' ').next().unwrap(), code.as_deref().unwrap_or("ok")));
    }

    /// A guest that dies.
    async fn asks_the_hostile(&mut self, mark: &str) {
        let (what, right) =
            [("trap", "adapter_crashed"), ("loop", "adapter_cpu_limit"), ("bomb", "adapter_memory_limit")]
                [self.dice.roll(3) as usize];
        let answer = self.client.ask_within(&ask("second/script", what), DEADLINE).await;
        self.heed(&answer);
        let code = answer.error().1;
        if code != right && !EXCUSED.contains(&code) {
            self.tally.violation(format!("{mark}: {what} is {answer:?}"));
        }
        self.tally.count(format!("guest {what}: {code}"));
    }

    /// The text of at most so many pieces, and the error's code if there was one.
    async fn stream(&mut self, request: Value, pieces: usize) -> (String, Option<String>) {
        let response = self.client.send(&streaming(request)).await;
        if response.status() != 200 {
            let answer = answer(response).await;
            self.heed(&answer);
            return (String::new(), Some(answer.error().1.to_owned()));
        }
        let mut stream = stream_of(response).await;
        let (mut said, mut seen) = (String::new(), 0);
        while seen < pieces {
            match stream.next().await {
                Some(Event::Done) => return (said, None),
                Some(event) if event.error_code().is_some() => return (said, event.error_code().map(str::to_owned)),
                Some(event) => {
                    if let Some(text) = event.delta("content") {
                        said.push_str(text);
                        seen += 1;
                    }
                }
                None => return (said, Some("the stream ended without a word".to_owned())),
            }
        }
        (said, None)
    }

    /// Who is told to come again later does so. It would else be refused a hundred times in the time of one answer.
    fn heed(&mut self, answer: &Answer) {
        let seconds = answer.header("retry-after").and_then(|text| text.parse().ok()).unwrap_or(0);
        self.pause = Duration::from_secs(seconds);
    }

    /// Whole, or an error that says what went away; in no case another's text.
    fn judge(&self, what: &str, mark: &str, text: &str, said: &str, code: Option<&str>) {
        match code {
            None if said == text => {}
            Some(code) if EXCUSED.contains(&code) && text.starts_with(said) => {}
            _ => self.tally.violation(format!("{mark} ({what}): {code:?} after {said:?}")),
        }
        self.tally.count(format!("{what}: {}", code.unwrap_or("ok")));
    }
}

/// About 60 characters that no other request has.
pub(crate) fn own_text(mark: &str) -> String {
    (0..8).map(|n| format!("{mark}w{n}")).collect::<Vec<_>>().join(" ")
}

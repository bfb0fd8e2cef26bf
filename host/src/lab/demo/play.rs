//! Sends an answer by its timetable.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::answer::{Act, Answer, Field};
use super::script::{End, Fault};
use super::site::{LIST, Message, Site};
use super::wire::{Op, Writer, event, seal};

/// Between two pieces of a cut stream: enough for them to be sent apart.
const BETWEEN_CUTS: Duration = Duration::from_millis(1);

const BEFORE_BREAK: Duration = Duration::from_millis(100);

/// Where an answer goes.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) stream: u64,
    pub(super) conversation: String,
    pub(super) owner: String,
    pub(super) title: String,
    pub(super) model: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Seed,
    Acts,
    Marker,
    Over,
}

/// An answer being sent. It is polled by the connection: when the page closes that, the player is dropped.
pub(super) struct Player {
    site: Arc<Site>,
    target: Target,
    message: Message,
    head: Option<(Field, Vec<u16>)>,
    acts: VecDeque<(Duration, Act)>,
    answer: Answer,
    writer: Writer,
    started: Instant,
    last_sent: Instant,
    phase: Phase,
    complete: bool,
    /// Cut streams: what is to be sent, and the seed of the next length.
    waiting: BytesMut,
    dice: u32,
    text: Vec<u16>,
    reasoning: Vec<u16>,
}

impl Player {
    pub(super) fn body(site: Arc<Site>, target: Target, mut answer: Answer) -> Body {
        site.stats.opened(target.stream);
        let now = Instant::now();
        let player = Player {
            message: Message {
                id: uuid::Uuid::new_v4().to_string(),
                role: "assistant",
                model: target.model.clone(),
                ..Message::default()
            },
            site,
            target,
            head: answer.head.take(),
            acts: std::mem::take(&mut answer.acts).into(),
            writer: Writer::new(answer.cut),
            answer,
            started: now,
            last_sent: now,
            phase: Phase::Seed,
            complete: false,
            waiting: BytesMut::new(),
            dice: 1,
            text: Vec::new(),
            reasoning: Vec::new(),
        };
        let stream = futures::stream::unfold(player, async |mut player| player.next().await.map(|sent| (sent, player)));
        Body::from_stream(stream)
    }

    /// The next bytes; an error cuts the connection.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if let Some(piece) = self.next_cut() {
                sleep(BETWEEN_CUTS).await;
                return Some(Ok(self.sent(piece)));
            }
            if self.phase == Phase::Over {
                if self.answer.end == End::Open && self.complete {
                    std::future::pending::<()>().await;
                }
                return None;
            }
            if self.waits().await {
                return Some(Ok(self.sent(Bytes::from_static(b": ping\n\n"))));
            }
            self.let_go().await;
            let Ok(text) = self.step() else {
                // What was sent before shall arrive: a reader drops what it holds when the connection breaks.
                sleep(BEFORE_BREAK).await;
                return Some(Err(io::Error::other("cut off, as the script says")));
            };
            let text = if self.target.model == LIST { seal(&text) } else { text };
            if self.answer.cut {
                self.waiting.extend_from_slice(text.as_bytes());
            } else if !text.is_empty() {
                // Lets the bytes of before leave in a packet of their own.
                tokio::task::yield_now().await;
                return Some(Ok(self.sent(Bytes::from(text))));
            }
        }
    }

    fn sent(&mut self, bytes: Bytes) -> Bytes {
        self.last_sent = Instant::now();
        self.site.stats.sent(self.target.stream, bytes.len());
        bytes
    }

    /// Waits until the next event is let go, if the script wants that.
    async fn let_go(&self) {
        if let (Some(mark), Phase::Acts) = (&self.answer.gate, self.phase) {
            let gate = self.site.memory().gate(mark);
            // Nobody closes a gate.
            gate.acquire().await.map(tokio::sync::SemaphorePermit::forget).unwrap_or_default();
        }
    }

    /// Waits for the next step's time, or a ping's: then it is true.
    async fn waits(&self) -> bool {
        let due = match (self.phase, self.acts.front()) {
            (Phase::Seed, _) => self.started + self.answer.delay,
            (_, Some((at, _))) => self.started + *at,
            _ => return false,
        };
        match self.answer.ping.map(|ping| self.last_sent + ping) {
            Some(ping) if ping < due => {
                sleep_until(ping).await;
                true
            }
            _ => {
                // The timer rounds up to a millisecond: what is due already must not wait for it.
                if due > Instant::now() {
                    sleep_until(due).await;
                }
                false
            }
        }
    }

    /// Pieces of 1 to 60 bytes. What is left waits for the next event, so that events share pieces too.
    fn next_cut(&mut self) -> Option<Bytes> {
        self.dice = self.dice.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let wanted = 1 + (self.dice >> 16) as usize % 60;
        let last = self.phase == Phase::Over;
        let length = if last { wanted.min(self.waiting.len()) } else { wanted };
        (length > 0 && self.waiting.len() >= length).then(|| self.waiting.split_to(length).freeze())
    }

    /// What is to be said now; an error is the abrupt end.
    fn step(&mut self) -> Result<String, Fault> {
        match self.phase {
            Phase::Seed => {
                self.phase = Phase::Acts;
                Ok(self.seed())
            }
            Phase::Acts => match self.acts.pop_front() {
                Some((_, act)) => self.act(act),
                None => {
                    self.phase = Phase::Marker;
                    self.message.status = "done";
                    Ok(self.finish(self.answer.finish))
                }
            },
            Phase::Marker | Phase::Over => {
                self.phase = Phase::Over;
                self.complete = true;
                Ok(if self.answer.end == End::Unmarked { String::new() } else { event("[DONE]") })
            }
        }
    }

    fn seed(&mut self) -> String {
        let mut heads = [String::new(), String::new()];
        if let (Some((field, units)), [reasoning, text]) = (self.head.take(), &mut heads) {
            let (shown, kept) = match field {
                Field::Reasoning => (reasoning, &mut self.reasoning),
                Field::Text => (text, &mut self.text),
            };
            *shown = String::from_utf16_lossy(&units);
            kept.extend(units);
        }
        let [reasoning, text] = heads;
        if self.answer.changed {
            return event(&json!({ "delta": text }).to_string());
        }
        self.writer.seed(&json!({
            "conversation": { "id": self.target.conversation, "title": "New chat" },
            "message": {
                "id": self.message.id, "role": "assistant", "model": self.target.model, "stream": self.target.stream,
                "status": "streaming", "finish": null, "error": null, "ignore_stop": self.answer.ignore_stop,
                "reasoning": reasoning, "parts": [{ "type": "text", "text": text }],
            },
        })) + &self.writer.value("/conversation/title", Op::Replace, &json!(self.target.title))
    }

    fn act(&mut self, act: Act) -> Result<String, Fault> {
        Ok(match act {
            Act::Say(field, units) => {
                let (path, kept) = match field {
                    Field::Reasoning => ("/message/reasoning", &mut self.reasoning),
                    Field::Text => ("/message/parts/0/text", &mut self.text),
                };
                kept.extend_from_slice(&units);
                if self.answer.changed {
                    return Ok(event(&json!({ "delta": String::from_utf16_lossy(&units) }).to_string()));
                }
                self.writer.text(path, &units)
            }
            Act::Show(url) => {
                let part = json!({ "type": "image", "mime": "image/png", "alt": "A small landscape", "url": url });
                self.message.pictures.push(url);
                self.writer.value("/message/parts", Op::Append, &part)
            }
            Act::Page(act) => self.writer.value("/page", Op::Replace, &json!(act.name())),
            Act::Fail(Fault::Disconnect) => return Err(Fault::Disconnect),
            Act::Fail(fault) => {
                self.phase = Phase::Marker;
                self.message.status = "error";
                let retry_after = self.site.memory().retry_after;
                self.fail(fault, retry_after)
            }
        })
    }

    fn fail(&mut self, fault: Fault, retry_after: u64) -> String {
        if fault == Fault::ContentBlocked {
            return self.finish("content_filter");
        }
        let error = super::api::problem(fault, retry_after).1;
        self.writer.value("/message/error", Op::Replace, &error) + &self.finish("error")
    }

    fn finish(&mut self, reason: &str) -> String {
        if self.answer.changed {
            return event(&json!({ "finish": reason }).to_string());
        }
        let status = if reason == "error" { "error" } else { "done" };
        self.writer.value("/message/finish", Op::Replace, &json!(reason))
            + &self.writer.value("/message/status", Op::Replace, &Value::from(status))
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.site.stats.closed(self.target.stream, self.complete);
        let mut message = std::mem::take(&mut self.message);
        if !self.complete {
            message.status = "stopped";
        }
        message.text = String::from_utf16_lossy(&self.text);
        message.reasoning = String::from_utf16_lossy(&self.reasoning);
        self.site.memory().remember(&self.target.conversation, &self.target.owner, message);
    }
}

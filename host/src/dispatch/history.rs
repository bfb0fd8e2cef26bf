//! What is noted of a request when it is over.

use std::time::{Duration, SystemTime};

use super::job::{Running, Trace, Try};
use crate::chat::{Failure, Finish, Outcome, usage};
use crate::store::{RequestRecord, Sizes, Stages, Tokens, TryRecord};

impl Running {
    pub(super) fn note_history(&self, trace: &Trace, result: &Result<Outcome, Failure>) {
        let Some(database) = &self.options.history else { return };
        let (prompt, answer) = (trace.request.as_ref().map(|request| request.prompt.as_str()), &trace.transcript);
        let last = trace.tries.last();
        let (adapter, adapter_version) = last.map(|last| parts(&last.adapter)).unzip();
        let text = database.keeps_text();
        database.record(RequestRecord {
            id: self.request.id.clone(),
            created: created(self.started.elapsed()),
            key: self.request.caller.clone(),
            dialect: self.request.dialect.to_owned(),
            model: self.request.model.chars().take(200).collect(),
            adapter,
            adapter_version,
            instance: last.map(|last| last.instance.clone()),
            stream: self.request.stream,
            outcome: result.as_ref().err().map_or("ok", |failure| failure.kind.code()).to_owned(),
            status: 0,
            finish: result.as_ref().ok().map(|outcome| finish(&outcome.finish)),
            sizes: Sizes {
                prompt_chars: prompt.map_or(0, |prompt| prompt.chars().count() as u64),
                answer_chars: answer.text.chars().count() as u64,
                attachments: trace.request.as_ref().map_or(0, |request| request.attachments.len() as u64),
                media: answer.files as u64,
            },
            stages: self.stages(trace),
            tokens: Tokens {
                input: prompt.map_or(0, usage::tokens),
                output: usage::tokens(&answer.text) + usage::tokens(&answer.reasoning),
            },
            tries: trace.tries.iter().map(tried).collect(),
            prompt: prompt.filter(|_| text).map(str::to_owned),
            answer: text.then(|| answer.text.clone()),
        });
    }

    fn stages(&self, trace: &Trace) -> Stages {
        let since = |stage: Option<Duration>| stage.map(|stage| ms(trace.before + stage));
        Stages {
            queue_ms: (!trace.tries.is_empty()).then(|| ms(trace.queued)),
            submit_ms: since(trace.timing.submitted),
            first_ms: since(trace.timing.first_piece),
            total_ms: ms(self.started.elapsed()),
        }
    }
}

fn tried(one: &Try) -> TryRecord {
    let (adapter, adapter_version) = parts(&one.adapter);
    let stage = match (&one.code, one.submitted) {
        (None, _) => "done",
        (Some(_), true) => "submit",
        (Some(_), false) => "page",
    };
    TryRecord {
        adapter,
        adapter_version,
        instance: one.instance.clone(),
        worker: one.worker.clone(),
        stage: stage.to_owned(),
        outcome: one.code.clone().unwrap_or_else(|| "ok".to_owned()),
        ms: ms(one.total),
    }
}

/// Of `id@version`.
fn parts(label: &str) -> (String, String) {
    let (id, version) = label.split_once('@').unwrap_or((label, ""));
    (id.to_owned(), version.to_owned())
}

fn finish(finish: &Finish) -> String {
    match finish {
        Finish::Stop => "stop".to_owned(),
        Finish::Length => "length".to_owned(),
        Finish::ContentFilter => "content_filter".to_owned(),
        Finish::Other(word) => word.clone(),
    }
}

fn created(ago: Duration) -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.saturating_sub(ago).as_millis()).unwrap_or(i64::MAX)
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

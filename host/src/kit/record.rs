//! `adapter record`: drives the real site once with the adapter itself, and keeps what the page received, and how it looked at each
//! step, for the replica.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use regex::Regex;
use serde_json::Value;

use super::host::{Answered, Host, Setup, collect, request};
use super::scrub::Scrubber;
use super::suite::SuiteError;
use crate::browser::guard::GuardOptions;
use crate::browser::{EventBody, Profile};
use crate::chat::{Delta, Failure, FailureKind, Part, Role, Turn};
use crate::dispatch::DispatchOptions;
use crate::lab::replica::cassette::{Line, What, data};
use crate::plugin::{Heard, Recorder, read_manifest};

/// What is to be recorded, and how.
#[derive(Debug)]
pub struct RecordOptions {
    /// The adapter's file.
    pub adapter: Vec<u8>,
    /// The folder with `site.toml`.
    pub fixtures: PathBuf,
    /// The recording's folder in it, and its state.
    pub name: String,
    /// None: the manifest's first.
    pub model: Option<String>,
    pub prompt: String,
    /// Words that must not be told.
    pub names: Vec<String>,
    /// The browser profile in which somebody is signed in.
    pub profile: PathBuf,
    pub browser: Option<PathBuf>,
    /// Without a window, in which a person could sign in first.
    pub headless: bool,
    pub guard: GuardOptions,
    /// The operator's settings for the adapter.
    pub settings: Option<Value>,
}

/// Why nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("{path}: {message}")]
    File { path: String, message: String },
    #[error("{0} is there already: choose another --name, or remove it")]
    Exists(String),
    #[error(transparent)]
    Suite(#[from] SuiteError),
}

/// What was recorded.
#[derive(Debug)]
pub struct Recorded {
    /// The files that were written.
    pub files: Vec<PathBuf>,
    /// What ended the call, if that was no answer: the recording shows why.
    pub failure: Option<Failure>,
}

/// Records one call. `person` is told what has to be done in the window, and says whether it was.
///
/// # Errors
/// Where nothing could be recorded. That the adapter failed is no error: that is what recordings are for.
pub async fn record(options: RecordOptions, person: impl Fn(&str) -> bool) -> Result<Recorded, RecordError> {
    let folder = options.fixtures.join(&options.name);
    if folder.exists() {
        return Err(RecordError::Exists(folder.display().to_string()));
    }
    let (heard, answered) = drive(&options, person).await?;
    std::fs::create_dir_all(&folder).map_err(|error| failed(&folder, &error))?;
    let mut scrubber = Scrubber::new(&options.names);
    let mut files = Vec::new();
    for (name, text) in pages(&heard, &mut scrubber) {
        files.push(write(&folder.join(name), &text)?);
    }
    files.push(write(&folder.join("stream.jsonl"), &cassette(&heard, &mut scrubber))?);
    let failure = match answered.result {
        Err(failure) => Some(failure),
        Ok(_) => {
            let said = |(_, delta): &(Instant, Delta)| match delta {
                Delta::Text(text) => Some(scrubber.text(text)),
                _ => None,
            };
            let text: String = answered.deltas.iter().filter_map(said).collect();
            files.push(write(&folder.join("answer.md"), &text)?);
            files.push(add_case(&options)?);
            None
        }
    };
    Ok(Recorded { files, failure })
}

/// What was heard during the call, and how that ended.
async fn drive(
    options: &RecordOptions,
    person: impl Fn(&str) -> bool,
) -> Result<(Vec<(Instant, Heard)>, Answered), RecordError> {
    let manifest = read_manifest(&options.adapter).map_err(|error| SuiteError::Adapter(error.to_string()))?;
    let setup = Setup {
        name: "record",
        adapter: &options.adapter,
        manifest,
        settings: options.settings.clone(),
        guard: options.guard.clone(),
        profile: Profile::Dir(options.profile.clone()),
        browser: options.browser.clone(),
        headless: options.headless,
        flags: Vec::new(),
    };
    let host = Host::start(setup).await?;
    let recorder = Arc::new(Recorder::default());
    let dispatcher =
        host.dispatcher(DispatchOptions { recorder: Some(Arc::clone(&recorder)), ..DispatchOptions::default() });
    let model = options.model.clone().or_else(|| host.manifest.models.first().map(|model| model.id.clone()));
    let model = format!("{}/{}", host.manifest.id, model.unwrap_or_default());
    let turn = Turn { role: Role::User, name: None, parts: vec![Part::Text(options.prompt.clone())] };
    let request = request(format!("record-{}", uuid::Uuid::new_v4()), model, vec![turn]);
    let answered = loop {
        recorder.take();
        let answered = match dispatcher.submit(request.clone()).await {
            Ok(job) => collect(job).await,
            Err(failure) => Answered::refused(failure),
        };
        let wants_person = |failure: &Failure| {
            matches!(failure.kind, FailureKind::LoginRequired | FailureKind::ChallengeRequired) && !options.headless
        };
        match &answered.result {
            Err(failure) if wants_person(failure) && person(&failure.message) => {}
            _ => break answered,
        }
    };
    host.end(dispatcher).await;
    host.stop().await;
    Ok((recorder.take(), answered))
}

/// The document at each step, as a file. Scripts are left out: they would not run, and hold what the page does not show.
fn pages(heard: &[(Instant, Heard)], scrubber: &mut Scrubber) -> Vec<(String, String)> {
    let scripts = Regex::new(r"(?is)<script\b.*?</script>").ok();
    let steps = heard.iter().filter_map(|(_, heard)| match heard {
        Heard::Step { name, html } if !html.is_empty() => Some((name, html)),
        _ => None,
    });
    let page = |(n, (name, html)): (usize, (&String, &String))| {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let slug: String = name.chars().map(plain).take(40).collect();
        let html = scripts.as_ref().map_or_else(|| html.clone(), |scripts| scripts.replace_all(html, "").into_owned());
        (format!("{:02}-{slug}.html", n + 1), format!("<!doctype html>\n{}\n", scrubber.text(&html)))
    };
    steps.enumerate().map(page).collect()
}

/// What the page received, as a cassette.
fn cassette(heard: &[(Instant, Heard)], scrubber: &mut Scrubber) -> String {
    let mut streams: Vec<(u32, u32)> = Vec::new();
    let mut lines: Vec<Line> = Vec::new();
    // Bytes of a stream belong together: what is secret may be cut.
    let mut bytes: BTreeMap<u32, Vec<(usize, Vec<u8>)>> = BTreeMap::new();
    let began = heard.first().map(|(at, _)| *at);
    for (at, heard) in heard {
        let Heard::Event(event) = heard else { continue };
        let key = (event.source, event.stream);
        let known = streams.iter().position(|stream| *stream == key);
        let number = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        let what = match &event.body {
            EventBody::Response(head) => {
                streams.retain(|stream| *stream != key);
                streams.push(key);
                let kind = head.headers.iter().find(|(name, _)| name == "content-type");
                What::Open {
                    method: head.method.clone(),
                    url: scrubber.text(head.url.split('?').next().unwrap_or_default()),
                    status: head.status,
                    content_type: kind.map(|(_, value)| value.clone()),
                }
            }
            EventBody::Bytes(piece) | EventBody::Binary(piece) => {
                let Some(place) = known else { continue };
                bytes.entry(number(place)).or_default().push((lines.len(), piece.to_vec()));
                What::End
            }
            EventBody::Text(text) => What::Text(scrubber.text(text)),
            EventBody::End(_) => What::End,
            EventBody::Failed(why) => What::Failed(scrubber.text(why)),
            _ => continue,
        };
        let Some(place) = streams.iter().position(|stream| *stream == key) else { continue };
        let at_ms = began.map_or(0, |began| u64::try_from(at.duration_since(began).as_millis()).unwrap_or(u64::MAX));
        lines.push(Line { at_ms, stream: number(place), what });
    }
    for pieces in bytes.into_values() {
        let whole: Vec<&[u8]> = pieces.iter().map(|(_, piece)| piece.as_slice()).collect();
        for ((line, _), clean) in pieces.iter().zip(scrubber.pieces(&whole)) {
            if let Some(line) = lines.get_mut(*line) {
                line.what = data(&clean);
            }
        }
    }
    let written = lines.iter().filter_map(|line| serde_json::to_string(line).ok());
    written.map(|line| line + "\n").collect()
}

/// Adds the recording to `site.toml`, as a state and a case.
fn add_case(options: &RecordOptions) -> Result<PathBuf, RecordError> {
    let path = options.fixtures.join(crate::lab::replica::FILE);
    let text = |text: &str| Value::from(text).to_string();
    let name = &options.name;
    let model = options.model.as_ref().map(|model| format!("model = {}\n", text(model))).unwrap_or_default();
    let more = format!(
        "\n# Recorded by `webai2api adapter record`. Read it before you give it away.\n\
         [[cassettes]]\nstate = {state}\nfile = {file}\n\n\
         [[cases]]\nname = {state}\nstate = {state}\n{model}prompt = {prompt}\n\
         [cases.expect]\ntext_file = {answer}\n",
        state = text(name),
        file = text(&format!("{name}/stream.jsonl")),
        prompt = text(&options.prompt),
        answer = text(&format!("{name}/answer.md")),
    );
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    write(&path, &(before + &more))
}

fn write(path: &Path, text: &str) -> Result<PathBuf, RecordError> {
    std::fs::write(path, text).map_err(|error| failed(path, &error))?;
    Ok(path.to_owned())
}

fn failed(path: &Path, error: &std::io::Error) -> RecordError {
    RecordError::File { path: path.display().to_string(), message: error.to_string() }
}

//! From the bytes of a chat completions request to a [`Request`]: a pure function, and what it leaves to be fetched.
//!
//! Fields that nobody knows are passed over; a field that is known and has the wrong type is a 400 that names it, at any
//! depth. What a website cannot do is either an error (when the answer would be another one without it, such as tools) or
//! listed in [`Draft::ignored`] (when it would not, such as `temperature`).

mod field;
mod messages;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use self::field::Field;
use crate::chat::{Attachment, Part, Request, Role, Turn};
use crate::http::ApiError;
use crate::http::error::words;
use crate::http::media::MediaLimits;

/// What a request may bring.
#[derive(Debug, Clone, Copy)]
pub(super) struct DecodeLimits {
    pub(super) attachments: usize,
    pub(super) media: MediaLimits,
}

/// A picture that the host has to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remote {
    pub(super) url: String,
    /// The field that it stood in.
    pub(super) param: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum DraftPart {
    Ready(Part),
    Remote(Remote),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct DraftTurn {
    role: Role,
    name: Option<String>,
    parts: Vec<DraftPart>,
}

/// A request of which only the fetched pictures are missing.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) model: String,
    turns: Vec<DraftTurn>,
    stop: Vec<String>,
    max_tokens: Option<u64>,
    options: BTreeMap<String, String>,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    /// Fields that were understood and have no effect.
    pub(super) ignored: Vec<&'static str>,
}

impl Draft {
    /// The pictures that are given by their address.
    pub(super) fn remotes(&self) -> Vec<Remote> {
        let parts = self.turns.iter().flat_map(|turn| &turn.parts);
        parts
            .filter_map(|part| if let DraftPart::Remote(remote) = part { Some(remote.clone()) } else { None })
            .collect()
    }

    /// The request, with `fetched` in the order of [`Draft::remotes`].
    pub(super) fn into_request(self, id: String, fetched: Vec<Attachment>) -> Request {
        let mut fetched = fetched.into_iter();
        let mut part = |part| match part {
            DraftPart::Ready(part) => Some(part),
            DraftPart::Remote(_) => fetched.next().map(|attachment| Part::Attachment(Arc::new(attachment))),
        };
        let mut turn = |turn: DraftTurn| Turn {
            role: turn.role,
            name: turn.name,
            parts: turn.parts.into_iter().filter_map(&mut part).collect(),
        };
        Request {
            id,
            model: self.model,
            turns: self.turns.into_iter().map(&mut turn).collect(),
            stop: self.stop,
            max_tokens: self.max_tokens,
            options: self.options,
            temporary: None,
            caller: String::new(),
            dialect: "openai",
            stream: self.stream,
            fingerprint: None,
        }
    }
}

/// Numbers that steer sampling: a website has no such knob.
const IGNORED_NUMBERS: &[&str] = &[
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "seed",
    "top_logprobs",
];

/// Other fields without effect.
const IGNORED_OTHERS: &[&str] = &["logit_bias", "prediction", "service_tier", "verbosity", "web_search_options"];

/// Decodes and checks a request body.
///
/// # Errors
/// A 400 that names the field.
pub(super) fn decode(body: &[u8], limits: DecodeLimits) -> Result<Draft, ApiError> {
    let value: Value = serde_json::from_slice(body).map_err(|error| ApiError {
        code: "invalid_json".into(),
        param: None,
        ..ApiError::invalid("", words::body_not_json(error))
    })?;
    let root = Field::root(&value);
    root.object()?;
    let model = root.get("model").required()?.non_empty_string()?.to_owned();
    refuse_what_cannot_be(&root)?;
    let mut ignored = ignored(&root)?;
    if tools_are_forbidden(&root)? {
        ignored.push("tools");
    }
    Ok(Draft {
        model,
        turns: messages::decode(&root.get("messages"), limits)?,
        stop: stop(&root.get("stop"))?,
        max_tokens: max_tokens(&root)?,
        options: options(&root)?,
        stream: root.get("stream").optional().map(|field| field.bool()).transpose()?.unwrap_or(false),
        include_usage: include_usage(&root)?,
        ignored,
    })
}

fn refuse_what_cannot_be(root: &Field<'_>) -> Result<(), ApiError> {
    if let Some(n) = root.get("n").optional()
        && n.u64()? != 1
    {
        return Err(n.unsupported(words::one_answer()));
    }
    if let Some(format) = root.get("response_format").optional() {
        format.object()?;
        let kind = format.get("type").required()?;
        if kind.string()? != "text" {
            return Err(format.unsupported(words::text_format_only()));
        }
    }
    if let Some(modalities) = root.get("modalities").optional() {
        for modality in modalities.items()? {
            if modality.string()? != "text" {
                return Err(modality.unsupported(words::text_answers_only()));
            }
        }
    }
    if root.get("audio").optional().is_some() {
        return Err(root.get("audio").unsupported(words::no_spoken_answers()));
    }
    Ok(())
}

/// True when tools were given together with the wish not to use them.
fn tools_are_forbidden(root: &Field<'_>) -> Result<bool, ApiError> {
    let mut given = None;
    for name in ["tools", "functions"] {
        if let Some(tools) = root.get(name).optional() {
            for tool in tools.items()? {
                tool.object()?;
                given = Some(tools.clone());
            }
        }
    }
    let mut none = false;
    for name in ["tool_choice", "function_call"] {
        if let Some(choice) = root.get(name).optional() {
            none |= choice.string_or_object()? == Some("none");
        }
    }
    match given {
        Some(tools) if !none => Err(tools.unsupported(words::no_tools())),
        given => Ok(given.is_some()),
    }
}

fn ignored(root: &Field<'_>) -> Result<Vec<&'static str>, ApiError> {
    let mut ignored = Vec::new();
    for name in IGNORED_NUMBERS {
        if let Some(field) = root.get(name).optional() {
            field.number()?;
            ignored.push(*name);
        }
    }
    if let Some(field) = root.get("logprobs").optional()
        && field.bool()?
    {
        ignored.push("logprobs");
    }
    if let Some(field) = root.get("parallel_tool_calls").optional() {
        field.bool()?;
    }
    for name in ["user", "prompt_cache_key", "safety_identifier"] {
        if let Some(field) = root.get(name).optional() {
            field.string()?;
        }
    }
    if let Some(field) = root.get("metadata").optional() {
        field.object()?;
    }
    for name in IGNORED_OTHERS {
        if root.get(name).optional().is_some() {
            ignored.push(*name);
        }
    }
    Ok(ignored)
}

fn stop(field: &Field<'_>) -> Result<Vec<String>, ApiError> {
    const MOST: usize = 4;
    let Some(field) = field.optional() else { return Ok(Vec::new()) };
    if let Ok(text) = field.string() {
        return Ok(Some(text.to_owned()).filter(|text| !text.is_empty()).into_iter().collect());
    }
    let items = field.items().map_err(|_| field.expected(words::string_or_strings()))?;
    if items.len() > MOST {
        return Err(field.expected(words::at_most_four_strings()));
    }
    items.iter().map(|item| item.non_empty_string().map(str::to_owned)).collect()
}

fn max_tokens(root: &Field<'_>) -> Result<Option<u64>, ApiError> {
    let mut limit = None;
    // The newer name wins, but a wrong type in either is told.
    for name in ["max_tokens", "max_completion_tokens"] {
        if let Some(field) = root.get(name).optional() {
            let value = field.u64()?;
            if value == 0 {
                return Err(field.expected(words::at_least_one()));
            }
            limit = Some(value);
        }
    }
    Ok(limit)
}

fn options(root: &Field<'_>) -> Result<BTreeMap<String, String>, ApiError> {
    const EFFORTS: &[&str] = &["none", "minimal", "low", "medium", "high", "xhigh", "max"];
    let mut options = BTreeMap::new();
    if let Some(field) = root.get("reasoning_effort").optional() {
        let effort = field.string()?;
        if !EFFORTS.contains(&effort) {
            return Err(field.expected(words::one_of(EFFORTS.join(", "))));
        }
        options.insert("reasoning-effort".to_owned(), effort.to_owned());
    }
    Ok(options)
}

fn include_usage(root: &Field<'_>) -> Result<bool, ApiError> {
    let Some(options) = root.get("stream_options").optional() else { return Ok(false) };
    options.object()?;
    options.get("include_usage").optional().map_or(Ok(false), |field| field.bool())
}

#[cfg(test)]
mod tests;

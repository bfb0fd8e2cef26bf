//! `messages`: roles, contents, pictures, and earlier tool calls.

use std::sync::Arc;

use super::field::Field;
use super::{DecodeLimits, DraftPart, DraftTurn, Remote};
use crate::chat::prompt::render_tool_call;
use crate::chat::{Attachment, Part, Role};
use crate::http::ApiError;
use crate::http::error::words;
use crate::http::media::{check_picture, check_size, parse_data_uri};

pub(super) fn decode(messages: &Field<'_>, limits: DecodeLimits) -> Result<Vec<DraftTurn>, ApiError> {
    let items = messages.clone().required()?.items()?;
    if items.is_empty() {
        return Err(messages.expected(words::at_least_one_message()));
    }
    let mut decoder = Decoder { limits, attachments: 0 };
    items.iter().map(|message| decoder.message(message)).collect()
}

struct Decoder {
    limits: DecodeLimits,
    /// So far, over all messages.
    attachments: usize,
}

impl Decoder {
    fn message(&mut self, message: &Field<'_>) -> Result<DraftTurn, ApiError> {
        message.object()?;
        let role_field = message.get("role").required()?;
        let role = match role_field.string()? {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" | "function" => Role::Tool,
            _ => return Err(role_field.expected(words::one_of("system, developer, user, assistant, tool"))),
        };
        let name = match message.get("name").optional() {
            Some(name) => Some(name.string()?.to_owned()).filter(|name| !name.is_empty()),
            None => None,
        };
        let calls = tool_calls(message)?;
        let content = message.get("content");
        let mut parts = match content.optional() {
            Some(content) => self.content(&content)?,
            // An assistant that only called tools, or refused, said nothing.
            None if role == Role::Assistant && (!calls.is_empty() || refusal(message)?.is_some()) => Vec::new(),
            None if content.is_null() => return Err(content.expected(words::string_or_parts())),
            None => content.required().map(|_| Vec::new())?,
        };
        parts.extend(refusal(message)?.into_iter().chain(calls).map(|text| DraftPart::Ready(Part::Text(text))));
        let name = if role == Role::Tool { tool_call_id(message)?.or(name) } else { name };
        Ok(DraftTurn { role, name, parts })
    }

    fn content(&mut self, content: &Field<'_>) -> Result<Vec<DraftPart>, ApiError> {
        if let Ok(text) = content.string() {
            return Ok(vec![text_part(text)]);
        }
        let items = content.items().map_err(|_| content.expected(words::string_or_parts()))?;
        if items.is_empty() {
            return Err(content.expected(words::at_least_one_part()));
        }
        items.iter().map(|part| self.part(part)).collect()
    }

    fn part(&mut self, part: &Field<'_>) -> Result<DraftPart, ApiError> {
        part.object()?;
        let kind = part.get("type").required()?;
        match kind.string()? {
            "text" | "input_text" | "output_text" => Ok(text_part(part.get("text").required()?.string()?)),
            "refusal" => Ok(text_part(part.get("refusal").required()?.string()?)),
            "image_url" => self.picture(&part.get("image_url").required()?),
            "file" => self.file(&part.get("file").required()?),
            "input_audio" => Err(kind.unsupported(words::no_audio_input())),
            _ => Err(kind.expected(words::one_of("text, image_url, file"))),
        }
    }

    fn picture(&mut self, field: &Field<'_>) -> Result<DraftPart, ApiError> {
        // Some clients send the address itself in place of the object.
        let url_field =
            if field.string_or_object()?.is_some() { field.clone() } else { field.get("url").required()? };
        let url = url_field.non_empty_string()?;
        if let Some(detail) = field.get("detail").optional() {
            detail.string()?;
        }
        let number = self.count(&url_field)?;
        if url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")) {
            return Ok(DraftPart::Remote(Remote { url: url.to_owned(), param: url_field.path().to_owned() }));
        }
        if !url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
            return Err(url_field.expected(words::data_or_https()));
        }
        let (_, bytes) = parse_data_uri(url).map_err(|error| url_field.wrong(error.0))?;
        let picture = check_picture(&bytes, self.limits.media).map_err(|error| url_field.wrong(error.0))?;
        let name = format!("image-{number}.{}", picture.extension);
        Ok(attachment(name, picture.mime_type.to_owned(), bytes))
    }

    fn file(&mut self, field: &Field<'_>) -> Result<DraftPart, ApiError> {
        field.object()?;
        if let Some(id) = field.get("file_id").optional() {
            return Err(id.unsupported(words::no_uploaded_files()));
        }
        let data = field.get("file_data").required()?;
        let number = self.count(&data)?;
        let (mime_type, bytes) = parse_data_uri(data.string()?).map_err(|error| data.wrong(error.0))?;
        check_size(bytes.len(), self.limits.media).map_err(|error| data.wrong(error.0))?;
        if mime_type.starts_with("image/") {
            check_picture(&bytes, self.limits.media).map_err(|error| data.wrong(error.0))?;
        }
        let name = match field.get("filename").optional() {
            Some(name) => file_name(name.string()?),
            None => String::new(),
        };
        let name = if name.is_empty() { format!("file-{number}") } else { name };
        let mime_type = if mime_type.is_empty() { "application/octet-stream".to_owned() } else { mime_type };
        Ok(attachment(name, mime_type, bytes))
    }

    /// The number of this attachment, from 1.
    fn count(&mut self, field: &Field<'_>) -> Result<usize, ApiError> {
        self.attachments += 1;
        if self.attachments > self.limits.attachments {
            let message = words::too_many_attachments(self.limits.attachments);
            return Err(ApiError { code: "too_many_images".into(), ..ApiError::invalid(field.path(), message) });
        }
        Ok(self.attachments)
    }
}

/// Calls that the assistant made earlier, as text.
fn tool_calls(message: &Field<'_>) -> Result<Vec<String>, ApiError> {
    let mut texts = Vec::new();
    if let Some(calls) = message.get("tool_calls").optional() {
        for call in calls.items()? {
            call.object()?;
            let id = call.get("id").required()?.string()?;
            // `custom` tools have `input` in place of `arguments`.
            let (what, arguments) = match call.get("custom").optional() {
                Some(custom) => (custom.clone(), custom.get("input")),
                None => {
                    let function = call.get("function").required()?;
                    function.object()?;
                    (function.clone(), function.get("arguments"))
                }
            };
            let name = what.get("name").required()?.string()?;
            texts.push(render_tool_call(id, name, arguments.required()?.string()?));
        }
    }
    if let Some(call) = message.get("function_call").optional() {
        call.object()?;
        let name = call.get("name").required()?.string()?;
        texts.push(render_tool_call("", name, call.get("arguments").required()?.string()?));
    }
    Ok(texts)
}

fn tool_call_id(message: &Field<'_>) -> Result<Option<String>, ApiError> {
    message.get("tool_call_id").optional().map(|id| id.string().map(str::to_owned)).transpose()
}

fn refusal(message: &Field<'_>) -> Result<Option<String>, ApiError> {
    message.get("refusal").optional().map(|text| text.string().map(str::to_owned)).transpose()
}

fn text_part(text: &str) -> DraftPart {
    DraftPart::Ready(Part::Text(text.to_owned()))
}

fn attachment(name: String, mime_type: String, bytes: bytes::Bytes) -> DraftPart {
    DraftPart::Ready(Part::Attachment(Arc::new(Attachment { name, mime_type, bytes })))
}

/// A name without folders, control characters or excess: it ends up in a file chooser.
fn file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|c| !c.is_control()).take(120).collect();
    name.trim_start_matches('.').trim().to_owned()
}

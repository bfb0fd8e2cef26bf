//! From the pieces of an answer to OpenAI's chunks and completions: pure functions.

use serde_json::{Map, Value, json};

use super::envelope;
use crate::chat::compose::Piece;
use crate::chat::{Finish, Usage};
use crate::config::Reasoning;
use crate::http::{ApiError, Language};

/// What all chunks of an answer have in common.
#[derive(Debug, Clone)]
pub(super) struct Header {
    /// `chatcmpl-...`
    pub(super) id: String,
    /// Seconds since 1970.
    pub(super) created: u64,
    /// As the client asked for it.
    pub(super) model: String,
}

/// Writes the server-sent events of one streamed answer.
#[derive(Debug)]
pub(super) struct Encoder {
    header: Header,
    reasoning: Reasoning,
    include_usage: bool,
    /// A `<think>` has been written, and no `</think>` yet.
    thinking: bool,
}

impl Encoder {
    pub(super) fn new(header: Header, reasoning: Reasoning, include_usage: bool) -> Self {
        Self { header, reasoning, include_usage, thinking: false }
    }

    /// The first chunk: who speaks.
    pub(super) fn role(&self) -> String {
        self.delta(json!({ "role": "assistant", "content": "" }))
    }

    /// A piece of the answer; empty where the client wants no reasoning.
    pub(super) fn piece(&mut self, piece: Piece) -> String {
        match (piece, self.reasoning) {
            (Piece::Reasoning(_), Reasoning::None) => String::new(),
            (Piece::Reasoning(text), Reasoning::ReasoningContent) => self.delta(json!({ "reasoning_content": text })),
            (Piece::Reasoning(text), Reasoning::Reasoning) => self.delta(json!({ "reasoning": text })),
            (Piece::Reasoning(text), Reasoning::Think) => {
                let open = if self.thinking { "" } else { "<think>" };
                self.thinking = true;
                self.delta(json!({ "content": format!("{open}{text}") }))
            }
            (Piece::Text(text), _) => {
                let close = if self.thinking { "</think>\n\n" } else { "" };
                self.thinking = false;
                self.delta(json!({ "content": format!("{close}{text}") }))
            }
        }
    }

    /// A chunk that says nothing, so that nobody takes the silence for a dead connection.
    pub(super) fn empty(&self) -> String {
        self.delta(json!({}))
    }

    /// The last chunks: finish, usage if it was asked for, `[DONE]`.
    pub(super) fn finish(&mut self, finish: &Finish, usage: Usage) -> String {
        let mut text = String::new();
        if self.thinking {
            self.thinking = false;
            text.push_str(&self.delta(json!({ "content": "</think>" })));
        }
        text.push_str(&self.chunk(json!([choice(json!({}), finish_reason(finish).into())]), None));
        if self.include_usage {
            text.push_str(&self.chunk(json!([]), Some(usage_object(usage))));
        }
        text.push_str("data: [DONE]\n\n");
        text
    }

    /// An error in mid-stream. Nothing may follow it, `[DONE]` neither: the answer is not whole.
    pub(super) fn error(&self, error: &ApiError, language: Language) -> String {
        event(&envelope(error, language))
    }

    fn delta(&self, delta: Value) -> String {
        self.chunk(json!([choice(delta, Value::Null)]), None)
    }

    fn chunk(&self, choices: Value, usage: Option<Value>) -> String {
        let mut chunk = head(&self.header, "chat.completion.chunk");
        chunk.insert("choices".into(), choices);
        // With include_usage, every other chunk has the field too, as null.
        if self.include_usage {
            chunk.insert("usage".into(), usage.unwrap_or(Value::Null));
        }
        event(&Value::Object(chunk))
    }
}

/// An answer that is sent whole.
pub(super) fn completion(
    header: &Header,
    style: Reasoning,
    text: &str,
    reasoning: &str,
    finish: &Finish,
    usage: Usage,
) -> Value {
    let mut message = Map::new();
    message.insert("role".into(), "assistant".into());
    let content = match style {
        Reasoning::Think if !reasoning.is_empty() => format!("<think>{reasoning}</think>\n\n{text}"),
        _ => text.to_owned(),
    };
    message.insert("content".into(), content.into());
    message.insert("refusal".into(), Value::Null);
    if !reasoning.is_empty() {
        match style {
            Reasoning::ReasoningContent => message.insert("reasoning_content".into(), reasoning.into()),
            Reasoning::Reasoning => message.insert("reasoning".into(), reasoning.into()),
            Reasoning::Think | Reasoning::None => None,
        };
    }
    let mut whole = head(header, "chat.completion");
    let choice = json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason(finish) });
    whole.insert("choices".into(), json!([choice]));
    whole.insert("usage".into(), usage_object(usage));
    Value::Object(whole)
}

fn head(header: &Header, object: &str) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("id".into(), header.id.clone().into());
    map.insert("object".into(), object.into());
    map.insert("created".into(), header.created.into());
    map.insert("model".into(), header.model.clone().into());
    map
}

fn choice(delta: Value, finish_reason: Value) -> Value {
    json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason })
}

/// OpenAI knows four words; strict clients refuse any other.
fn finish_reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Other(_) => "stop",
        Finish::Length => "length",
        Finish::ContentFilter => "content_filter",
    }
}

fn usage_object(usage: Usage) -> Value {
    let completion = usage.completion_tokens + usage.reasoning_tokens;
    json!({
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": usage.prompt_tokens + completion,
        "completion_tokens_details": { "reasoning_tokens": usage.reasoning_tokens },
    })
}

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoder(style: Reasoning, usage: bool) -> Encoder {
        let header = Header { id: "chatcmpl-1".into(), created: 7, model: "demo/echo".into() };
        Encoder::new(header, style, usage)
    }

    fn chunks(text: &str) -> Vec<Value> {
        text.split_terminator("\n\n")
            .map(|event| {
                let data = event.strip_prefix("data: ").unwrap();
                serde_json::from_str(data).unwrap_or_else(|_| data.into())
            })
            .collect()
    }

    #[test]
    fn every_chunk_is_whole() {
        let mut encoder = encoder(Reasoning::ReasoningContent, true);
        let usage = Usage { prompt_tokens: 3, completion_tokens: 4, reasoning_tokens: 5 };
        let text = encoder.role()
            + &encoder.piece(Piece::Reasoning("hm".into()))
            + &encoder.piece(Piece::Text("line\n\n\"two\" 你".into()))
            + &encoder.empty()
            + &encoder.finish(&Finish::Stop, usage);
        let chunks = chunks(&text);
        assert_eq!(chunks.len(), 7);
        for chunk in &chunks[..6] {
            assert_eq!((&chunk["id"], &chunk["object"]), (&json!("chatcmpl-1"), &json!("chat.completion.chunk")));
            assert_eq!((&chunk["created"], &chunk["model"]), (&json!(7), &json!("demo/echo")));
            assert!(chunk["choices"].is_array());
        }
        assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
        assert_eq!(chunks[1]["choices"][0]["delta"], json!({"reasoning_content": "hm"}));
        assert_eq!(chunks[2]["choices"][0]["delta"], json!({"content": "line\n\n\"two\" 你"}));
        assert_eq!(chunks[3]["choices"][0]["delta"], json!({}));
        assert_eq!(chunks[4]["choices"][0]["finish_reason"], "stop");
        assert_eq!(chunks[4]["usage"], Value::Null);
        assert_eq!(chunks[5]["choices"], json!([]));
        assert_eq!(chunks[5]["usage"]["total_tokens"], 12);
        assert_eq!(chunks[6], "[DONE]");
    }

    #[test]
    fn without_include_usage_there_is_none() {
        let text = encoder(Reasoning::None, false).finish(&Finish::Length, Usage::default());
        let chunks = chunks(&text);
        assert_eq!(chunks.len(), 2);
        assert_eq!((&chunks[0]["choices"][0]["finish_reason"], chunks[0].get("usage")), (&json!("length"), None));
    }

    #[test]
    fn think_tags_are_opened_and_closed_once() {
        let mut encoder = encoder(Reasoning::Think, false);
        let text = encoder.piece(Piece::Reasoning("a".into()))
            + &encoder.piece(Piece::Reasoning("b".into()))
            + &encoder.piece(Piece::Text("c".into()))
            + &encoder.piece(Piece::Text("d".into()));
        let content: Vec<_> = chunks(&text).iter().map(|c| c["choices"][0]["delta"]["content"].clone()).collect();
        assert_eq!(content, ["<think>a", "b", "</think>\n\nc", "d"]);
        encoder.piece(Piece::Reasoning("e".into()));
        assert!(encoder.finish(&Finish::Stop, Usage::default()).contains("</think>"));
    }

    #[test]
    fn reasoning_has_one_place_or_none() {
        let header = Header { id: "x".into(), created: 1, model: "m".into() };
        let message = |style| {
            completion(&header, style, "text", "why", &Finish::Stop, Usage::default())["choices"][0]["message"].clone()
        };
        assert_eq!(message(Reasoning::ReasoningContent)["reasoning_content"], "why");
        assert_eq!(message(Reasoning::Reasoning)["reasoning"], "why");
        assert_eq!(message(Reasoning::Think)["content"], "<think>why</think>\n\ntext");
        let none = message(Reasoning::None);
        assert_eq!((&none["content"], none.as_object().unwrap().len()), (&json!("text"), 3));
    }
}

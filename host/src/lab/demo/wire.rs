//! The wire format of an answer: server-sent events whose data are JSON patches. See docs/demo.md.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// What `answer.js` undoes.
const SEAL: u8 = 0x5a;

/// Milliseconds since 1970, to the microsecond.
pub(super) fn now_ms() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

/// What a patch does to the place that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// Text grows at its end; a list gets one more member.
    Append,
    Replace,
}

impl Op {
    fn name(self) -> &'static str {
        match self {
            Op::Append => "append",
            Op::Replace => "replace",
        }
    }
}

/// Writes events, leaving out what the event before has already said.
#[derive(Debug, Default)]
pub(super) struct Writer {
    last: Option<(&'static str, Op)>,
    /// Every other event escapes all that is not ASCII, as some servers always do.
    events: u64,
    escape: bool,
}

impl Writer {
    /// `escape`: every other text goes out as `\u` escapes.
    pub(super) fn new(escape: bool) -> Writer {
        Writer { escape, ..Writer::default() }
    }

    /// The first event: the whole of conversation and message, to which patches apply. The head is text that it already
    /// holds, as JSON.
    pub(super) fn seed(&mut self, value: &Value) -> String {
        self.last = None;
        event(&format!("{{\"v\":{value},\"t\":{}}}", now_ms()))
    }

    pub(super) fn text(&mut self, path: &'static str, units: &[u16]) -> String {
        self.events += 1;
        let json = json_string(units, self.escape && self.events.is_multiple_of(2));
        self.patch(path, Op::Append, &json)
    }

    pub(super) fn value(&mut self, path: &'static str, op: Op, value: &Value) -> String {
        self.patch(path, op, &value.to_string())
    }

    fn patch(&mut self, path: &'static str, op: Op, json: &str) -> String {
        let now = now_ms();
        if self.last == Some((path, op)) {
            return event(&format!("{{\"v\":{json},\"t\":{now}}}"));
        }
        self.last = Some((path, op));
        event(&format!("{{\"p\":\"{path}\",\"o\":\"{}\",\"v\":{json},\"t\":{now}}}", op.name()))
    }
}

/// One event with its blank line.
pub(super) fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// Makes events unreadable to all but the page: each byte of the data is changed, and Base64 written.
pub(super) fn seal(events: &str) -> String {
    let sealed = |line: &str| match line.strip_prefix("data: ") {
        Some(data) => format!("data: ~{}", STANDARD.encode(data.bytes().map(|byte| byte ^ SEAL).collect::<Vec<_>>())),
        None => line.to_owned(),
    };
    events.split('\n').map(sealed).collect::<Vec<_>>().join("\n")
}

/// UTF-16 as a JSON string. Halves of surrogate pairs are escaped: JSON can say them, UTF-8 cannot.
fn json_string(units: &[u16], ascii_only: bool) -> String {
    let mut out = String::with_capacity(units.len() + 2);
    out.push('"');
    for unit in char::decode_utf16(units.iter().copied()) {
        match unit {
            Ok(c @ ('"' | '\\')) => out.extend(['\\', c]),
            Ok('\n') => out.push_str("\\n"),
            Ok(c) if c < ' ' || (ascii_only && !c.is_ascii()) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            Ok(c) => out.push(c),
            Err(half) => {
                let _ = write!(out, "\\u{:04x}", half.unpaired_surrogate());
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_survive(text: String, ascii: bool) {
            let units: Vec<u16> = text.encode_utf16().collect();
            let json = json_string(&units, ascii);
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            prop_assert!(!ascii || json.is_ascii());
        }
    }

    #[test]
    fn sealed_events_are_events() {
        assert_eq!(seal("data: a\n\ndata: b\n\n: ping\n\n"), "data: ~Ow==\n\ndata: ~OA==\n\n: ping\n\n");
    }

    #[test]
    fn halves_of_a_pair_are_escaped() {
        assert_eq!(json_string(&[0xd83d], false), r#""\ud83d""#);
    }

    #[test]
    fn path_and_operation_are_said_once() {
        let mut writer = Writer::default();
        assert!(writer.text("/a", &[0x61]).starts_with(r#"data: {"p":"/a","o":"append","v":"a","t":"#));
        assert!(writer.text("/a", &[0x62]).starts_with(r#"data: {"v":"b","t":"#));
        assert!(writer.value("/a", Op::Replace, &Value::Null).starts_with(r#"data: {"p":"/a","o":"replace","v":null"#));
    }
}

//! A JSON document that a site sends as a seed and then as changes to it, where each change may leave out its path and its
//! operator and then has those of the one before.
//!
//! ```
//! use webai_adapter::patch::{Document, What};
//!
//! let mut document = Document::default();
//! document.apply(r#"{"v":{"parts":["Hel"]}}"#).unwrap();
//! document.apply(r#"{"p":"/parts/-1","o":"append","v":"lo"}"#).unwrap();
//! let changes = document.apply(r#"{"v":" there"}"#).unwrap();
//! assert_eq!((&*changes[0].path, &changes[0].what), ("/parts/0", &What::Grew(" there".into())));
//! assert_eq!(document.text("/parts/0").as_deref(), Some("Hello there"));
//! ```

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value};

use crate::halves;

/// Paths deeper than this are no chat site's.
const MAX_DEPTH: usize = 32;
/// Changes within one line.
const MAX_CHANGES: usize = 10_000;
/// Bytes of all lines together.
const MAX_BYTES: usize = 32 << 20;

/// What a line did.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Where, as an RFC 6901 pointer whose indices are counted from the front.
    pub path: String,
    pub what: What,
}

/// How a value changed.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// It is a new value: look it up in the document.
    Set,
    /// A text has these more characters. Half a surrogate pair waits for its other half.
    Grew(String),
    /// It is gone.
    Removed,
}

/// Why a line could not be applied. The document is as it was, but for the changes of a batch that came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchError {
    /// Not JSON, or not an object with a value `v`.
    Shape,
    /// The path leads nowhere in this document, or the operator does not fit what is there.
    Path,
    /// More than a chat answer can be.
    TooLarge,
}

impl fmt::Display for PatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "a line is no patch",
            Self::Path => "a patch does not fit the document",
            Self::TooLarge => "the document is too large",
        })
    }
}

impl std::error::Error for PatchError {}

/// What is done to the value at a path. Sites differ in the names, and none gives one name two meanings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Operator {
    /// `set`, `replace`, `add`, or one that is not known: the value is this.
    #[default]
    Set,
    /// A text grows by a text, a list by a list or by one item, an object by fields.
    Append,
    Remove,
    /// `batch`, `patch`: a list of changes with paths below this one.
    Batch,
}

impl Operator {
    fn named(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "append" => Self::Append,
            "remove" => Self::Remove,
            "batch" | "patch" => Self::Batch,
            _ => Self::Set,
        }
    }
}

/// What a line inherits from the one before.
#[derive(Debug, Clone, Default)]
struct State {
    path: String,
    operator: Operator,
}

impl State {
    fn take(&mut self, line: &mut Map<String, Value>) {
        if let Some(Value::String(path)) = line.remove("p") {
            self.path = path;
        }
        if let Some(Value::String(name)) = line.remove("o") {
            self.operator = Operator::named(&name);
        }
    }
}

/// The document as far as it has come.
#[derive(Debug, Default)]
pub struct Document {
    root: Value,
    state: State,
    bytes: usize,
}

impl Document {
    /// Applies a line `{"p": path, "o": operator, "v": value}`; the first two may be missing. Paths are JSON pointers, with or
    /// without the first slash; a negative index counts from the end.
    ///
    /// # Errors
    /// See [`PatchError`].
    pub fn apply(&mut self, line: &str) -> Result<Vec<Change>, PatchError> {
        self.bytes = self.bytes.saturating_add(line.len());
        if self.bytes > MAX_BYTES {
            return Err(PatchError::TooLarge);
        }
        let mut line: Map<String, Value> = halves::parse(line).map_err(|_| PatchError::Shape)?;
        let value = line.remove("v");
        if value.is_none() && line.get("o").and_then(Value::as_str) != Some("remove") {
            return Err(PatchError::Shape);
        }
        self.state.take(&mut line);
        let mut changes = Vec::new();
        let State { path, operator } = self.state.clone();
        self.change(&segments(&path)?, operator, value.unwrap_or_default(), &mut changes)?;
        Ok(changes)
    }

    /// The whole document.
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// The value at an RFC 6901 pointer.
    pub fn get(&self, pointer: &str) -> Option<&Value> {
        self.root.pointer(pointer)
    }

    /// The text at a pointer, but for half a character at its end that waits for its other half.
    pub fn text(&self, pointer: &str) -> Option<Cow<'_, str>> {
        Some(halves::join(self.get(pointer)?.as_str()?).0)
    }

    fn change(
        &mut self,
        path: &[String],
        operator: Operator,
        value: Value,
        changes: &mut Vec<Change>,
    ) -> Result<(), PatchError> {
        if path.len() > MAX_DEPTH || changes.len() > MAX_CHANGES {
            return Err(PatchError::TooLarge);
        }
        match operator {
            Operator::Batch => self.batch(path, value, changes),
            Operator::Set => {
                let (place, path) = place(&mut self.root, path)?;
                *place = value;
                changes.push(Change { path, what: What::Set });
                Ok(())
            }
            Operator::Remove => {
                let removed = remove(&mut self.root, path)?;
                changes.push(Change { path: removed, what: What::Removed });
                Ok(())
            }
            Operator::Append => {
                let (place, path) = place(&mut self.root, path)?;
                append(place, path, value, changes)
            }
        }
    }

    /// Paths within a batch begin at its own, and what its lines inherit ends with it.
    fn batch(&mut self, path: &[String], value: Value, changes: &mut Vec<Change>) -> Result<(), PatchError> {
        let Value::Array(lines) = value else { return Err(PatchError::Path) };
        let mut state = State::default();
        for line in lines {
            let Value::Object(mut line) = line else { return Err(PatchError::Shape) };
            let value = line.remove("v").unwrap_or_default();
            state.take(&mut line);
            let mut below = path.to_vec();
            below.extend(segments(&state.path)?);
            self.change(&below, state.operator, value, changes)?;
        }
        Ok(())
    }
}

fn segments(path: &str) -> Result<Vec<String>, PatchError> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    if path.split('/').count() > MAX_DEPTH {
        return Err(PatchError::TooLarge);
    }
    Ok(path.split('/').map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect())
}

/// The value at a path, made if only its last part is missing, and the path with plain indices.
fn place<'v>(root: &'v mut Value, path: &[String]) -> Result<(&'v mut Value, String), PatchError> {
    let mut place = root;
    let mut plain = String::new();
    for (depth, segment) in path.iter().enumerate() {
        let last = depth + 1 == path.len();
        // What is not there yet is an object, as far as the path goes on.
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        plain.push('/');
        place = match place {
            Value::Object(fields) => {
                plain.push_str(&segment.replace('~', "~0").replace('/', "~1"));
                fields.entry(segment.as_str()).or_insert(Value::Null)
            }
            Value::Array(items) => {
                let index = index(segment, items.len()).ok_or(PatchError::Path)?;
                if index == items.len() && last {
                    items.push(Value::Null);
                }
                plain.push_str(&index.to_string());
                items.get_mut(index).ok_or(PatchError::Path)?
            }
            _ => return Err(PatchError::Path),
        };
    }
    Ok((place, plain))
}

/// An index into a list of this length; `-` is the place behind its end.
fn index(segment: &str, length: usize) -> Option<usize> {
    match segment.strip_prefix('-') {
        Some("") => Some(length),
        Some(from_end) => length.checked_sub(from_end.parse().ok()?),
        None => segment.parse().ok(),
    }
}

fn remove(root: &mut Value, path: &[String]) -> Result<String, PatchError> {
    let (last, parents) = path.split_last().ok_or(PatchError::Path)?;
    let (parent, plain) = place(root, parents)?;
    match parent {
        Value::Object(fields) => {
            fields.remove(last);
            Ok(format!("{plain}/{}", last.replace('~', "~0").replace('/', "~1")))
        }
        Value::Array(items) => {
            let index = index(last, items.len()).filter(|index| *index < items.len()).ok_or(PatchError::Path)?;
            items.remove(index);
            Ok(format!("{plain}/{index}"))
        }
        _ => Err(PatchError::Path),
    }
}

fn append(place: &mut Value, path: String, value: Value, changes: &mut Vec<Change>) -> Result<(), PatchError> {
    match (place, value) {
        (Value::String(text), Value::String(more)) => {
            let waiting = halves::join(text).1;
            if waiting.is_some() {
                text.pop();
            }
            let more: String = waiting.into_iter().chain(more.chars()).collect();
            let (whole, rest) = halves::join(&more);
            text.push_str(&whole);
            text.extend(rest);
            changes.push(Change { path, what: What::Grew(whole.into_owned()) });
        }
        (Value::Array(items), Value::Array(more)) => {
            for item in more {
                changes.push(Change { path: format!("{path}/{}", items.len()), what: What::Set });
                items.push(item);
            }
        }
        (Value::Array(items), item) => {
            changes.push(Change { path: format!("{path}/{}", items.len()), what: What::Set });
            items.push(item);
        }
        (Value::Object(fields), Value::Object(more)) => {
            for (name, value) in more {
                let field = name.replace('~', "~0").replace('/', "~1");
                changes.push(Change { path: format!("{path}/{field}"), what: What::Set });
                fields.insert(name, value);
            }
        }
        (place @ Value::Null, value) => {
            *place = value;
            changes.push(Change { path, what: What::Set });
        }
        _ => return Err(PatchError::Path),
    }
    Ok(())
}

#[cfg(test)]
mod tests;

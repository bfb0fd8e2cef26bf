//! The only place that knows the YAML library: its author has archived it, and here it can be replaced.

use serde_yaml::Value;

use super::node::Node;

/// Larger files are no configuration.
const BYTES_MAX: usize = 1024 * 1024;
/// Deeper nesting is no configuration either.
const DEPTH_MAX: usize = 32;

/// Reads a document.
///
/// # Errors
/// One sentence with line and column where they are known.
pub(super) fn parse(text: &str) -> Result<Node, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("the file is larger than {BYTES_MAX} bytes"));
    }
    let value: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    node(value, 0)
}

/// Writes a document.
pub(super) fn write(node: &Node) -> String {
    // There is nothing in a node that YAML cannot say.
    serde_yaml::to_string(&value(node)).unwrap_or_default()
}

fn value(node: &Node) -> Value {
    match node {
        Node::Null => Value::Null,
        Node::Bool(value) => Value::Bool(*value),
        Node::Integer(value) => Value::from(*value),
        Node::Float(value) => Value::from(*value),
        Node::Text(text) => Value::String(text.clone()),
        Node::List(items) => Value::Sequence(items.iter().map(value).collect()),
        Node::Map(entries) => {
            Value::Mapping(entries.iter().map(|(name, node)| (Value::String(name.clone()), value(node))).collect())
        }
    }
}

fn node(value: Value, depth: usize) -> Result<Node, String> {
    if depth > DEPTH_MAX {
        return Err("the file is nested too deeply".into());
    }
    Ok(match value {
        Value::Null => Node::Null,
        Value::Bool(value) => Node::Bool(value),
        Value::Number(number) => match number.as_i64() {
            Some(value) => Node::Integer(value),
            None => Node::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Node::Text(text),
        Value::Sequence(items) => {
            Node::List(items.into_iter().map(|item| node(item, depth + 1)).collect::<Result<_, _>>()?)
        }
        Value::Mapping(entries) => Node::Map(
            entries.into_iter().map(|(k, v)| Ok((key(&k)?, node(v, depth + 1)?))).collect::<Result<_, String>>()?,
        ),
        Value::Tagged(tagged) => return Err(format!("the tag {} has no meaning here", tagged.tag)),
    })
}

fn key(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        _ => Err("a key must be a word".into()),
    }
}

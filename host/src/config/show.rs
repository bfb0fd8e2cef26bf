//! The configuration as it is in force, written so that it can be read again.

use super::key::Key;
use super::node::Node;
use super::shape::Shape;
use super::values::Values;
use super::yaml;

/// What stands in a secret's place.
pub(super) const HIDDEN: &str = "(hidden)";
/// Names of secrets in sections whose keys are not ours: settings of adapters.
const SECRETS: [&str; 6] = ["passwd", "password", "passphrase", "token", "secret", "key"];

/// All that was set, in the order of the reference. `with_secrets` writes passwords and keys as they are.
pub(super) fn show(values: &Values, keys: &[Key], with_secrets: bool) -> String {
    let mut root = Vec::new();
    for key in keys {
        let Some(node) = values.given(key.path) else { continue };
        let node = written(key, node, with_secrets);
        insert(&mut root, key.path, node);
    }
    yaml::write(&Node::Map(root))
}

fn written(key: &Key, node: &Node, with_secrets: bool) -> Node {
    match (key.shape, node) {
        (Shape::List(keys), node) => list(keys, node, with_secrets),
        _ if key.secret && !with_secrets => hidden(node),
        // A bare number would be read as seconds.
        (Shape::Duration | Shape::Age, Node::Integer(ms)) => Node::Text(format!("{ms}ms")),
        _ if with_secrets => node.clone(),
        _ => without_secrets(node),
    }
}

fn list(keys: &[Key], node: &Node, with_secrets: bool) -> Node {
    let Node::List(items) = node else { return node.clone() };
    Node::List(items.iter().map(|item| item_of(keys, "", item, with_secrets)).collect())
}

/// A section of a list as it was written, but for its secrets.
fn item_of(keys: &[Key], path: &str, item: &Node, with_secrets: bool) -> Node {
    let Node::Map(entries) = item else { return item.clone() };
    let entry = |(name, node): &(String, Node)| {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let node = match keys.iter().find(|key| key.path == path) {
            Some(Key { shape: Shape::List(keys), .. }) => list(keys, node, with_secrets),
            Some(key) if key.secret && !with_secrets => hidden(node),
            Some(_) => node.clone(),
            None => item_of(keys, &path, node, with_secrets),
        };
        (name.clone(), node)
    };
    Node::Map(entries.iter().map(entry).collect())
}

/// That there is one may be seen.
fn hidden(node: &Node) -> Node {
    match node {
        Node::Null => Node::Null,
        Node::Text(text) if text.is_empty() => node.clone(),
        _ => Node::Text(HIDDEN.into()),
    }
}

fn without_secrets(node: &Node) -> Node {
    match node {
        Node::List(items) => Node::List(items.iter().map(without_secrets).collect()),
        Node::Map(entries) => {
            let is_secret = |name: &str| SECRETS.iter().any(|secret| name.to_ascii_lowercase().contains(secret));
            let entry = |(name, node): &(String, Node)| {
                (name.clone(), if is_secret(name) { hidden(node) } else { without_secrets(node) })
            };
            Node::Map(entries.iter().map(entry).collect())
        }
        other => other.clone(),
    }
}

fn insert(entries: &mut Vec<(String, Node)>, path: &str, node: Node) {
    let Some((section, rest)) = path.split_once('.') else {
        entries.push((path.to_owned(), node));
        return;
    };
    let at = entries.iter().position(|(name, _)| name == section).unwrap_or_else(|| {
        entries.push((section.to_owned(), Node::Map(Vec::new())));
        entries.len() - 1
    });
    if let Some((_, Node::Map(inner))) = entries.get_mut(at) {
        insert(inner, rest, node);
    }
}

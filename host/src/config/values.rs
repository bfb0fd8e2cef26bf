//! Checked values by key, with the defaults below them.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::key::Key;
use super::node::Node;

/// What the sections read from. All values have passed their key's check, so that reading cannot fail.
#[derive(Debug, Default)]
pub(super) struct Values {
    nodes: HashMap<String, Node>,
    /// Keys that were written, and not left at their default.
    given: HashSet<String>,
}

impl Values {
    /// The defaults of a table.
    pub(super) fn defaults(keys: &[Key]) -> Self {
        let mut values = Self::default();
        for key in keys.iter().filter(|key| key.used) {
            let node = if key.default.is_empty() { Node::Null } else { Node::Text(key.default.into()) };
            values.nodes.insert(key.path.to_owned(), key.shape.check(&node).unwrap_or(node));
        }
        values
    }

    pub(super) fn set(&mut self, path: &str, node: Node) {
        self.given.insert(path.to_owned());
        self.nodes.insert(path.to_owned(), node);
    }

    pub(super) fn bool(&self, path: &str) -> bool {
        matches!(self.nodes.get(path), Some(Node::Bool(true)))
    }

    pub(super) fn u64(&self, path: &str) -> u64 {
        match self.nodes.get(path) {
            Some(Node::Integer(value)) => u64::try_from(*value).unwrap_or(0),
            _ => 0,
        }
    }

    pub(super) fn usize(&self, path: &str) -> usize {
        usize::try_from(self.u64(path)).unwrap_or(usize::MAX)
    }

    pub(super) fn u16(&self, path: &str) -> u16 {
        u16::try_from(self.u64(path)).unwrap_or(0)
    }

    pub(super) fn duration(&self, path: &str) -> Duration {
        Duration::from_millis(self.u64(path))
    }

    /// A free port where nothing else is said.
    pub(super) fn loopback(&self, path: &str) -> SocketAddr {
        self.text(path).parse().unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    pub(super) fn text(&self, path: &str) -> String {
        match self.nodes.get(path) {
            Some(Node::Text(text)) => text.clone(),
            _ => String::new(),
        }
    }

    /// None where it is empty.
    pub(super) fn optional_text(&self, path: &str) -> Option<String> {
        Some(self.text(path)).filter(|text| !text.is_empty())
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(self.text(path))
    }

    /// The settings of the sections of a list, each with the defaults of `keys`.
    pub(super) fn list(&self, path: &str, keys: &[Key]) -> Vec<Self> {
        let Some(Node::List(items)) = self.nodes.get(path) else { return Vec::new() };
        items.iter().map(|item| Self::of_item(item, keys)).collect()
    }

    pub(super) fn texts(&self, path: &str) -> Vec<String> {
        let Some(Node::List(items)) = self.nodes.get(path) else { return Vec::new() };
        items.iter().filter_map(|item| if let Node::Text(text) = item { Some(text.clone()) } else { None }).collect()
    }

    /// The entries of an unread section.
    pub(super) fn entries(&self, path: &str) -> &[(String, Node)] {
        match self.nodes.get(path) {
            Some(Node::Map(entries)) => entries,
            _ => &[],
        }
    }

    /// The entries of a section of names and addresses.
    pub(super) fn addresses(&self, path: &str) -> Vec<(String, SocketAddr)> {
        let address = |(name, node): &(String, Node)| match node {
            Node::Text(text) => Some((name.clone(), text.parse().ok()?)),
            _ => None,
        };
        self.entries(path).iter().filter_map(address).collect()
    }

    /// What was written there, if anything.
    pub(super) fn given(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path).filter(|_| self.was_given(path))
    }

    /// Whether it was written, rather than left at its default.
    pub(super) fn was_given(&self, path: &str) -> bool {
        self.given.contains(path)
    }

    fn of_item(item: &Node, keys: &[Key]) -> Self {
        let mut values = Self::defaults(keys);
        for key in keys {
            if let Some(node) = find(item, key.path) {
                values.set(key.path, key.shape.check(node).unwrap_or_else(|_| node.clone()));
            }
        }
        values
    }
}

fn find<'a>(node: &'a Node, path: &str) -> Option<&'a Node> {
    path.split('.').try_fold(node, |node, name| match node {
        Node::Map(entries) => entries.iter().find(|(key, _)| key == name).map(|(_, value)| value),
        _ => None,
    })
}

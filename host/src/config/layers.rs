//! Puts the layers together and finds what is wrong in each.

use super::accounts::SESSION_VARIABLE;
use super::error::{ConfigError, Problem};
use super::key::Key;
use super::node::Node;
use super::shape::Shape;
use super::show::HIDDEN;
use super::values::Values;
use super::yaml;

/// The layers as `cli` found them.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Name and text of the file.
    pub file: Option<(String, String)>,
    /// All variables; those that mean nothing here are passed over.
    pub env: Vec<(String, String)>,
    /// Key and value.
    pub flags: Vec<(String, String)>,
}

#[derive(Debug)]
pub(super) struct Layered {
    pub(super) values: Values,
    pub(super) warnings: Vec<String>,
}

/// Variables that `cli` reads by itself, or that only scripts around the program use.
const OTHER_VARIABLES: &[&str] = &["WEBAI_CONFIG", "WEBAI_BUNDLED", "WEBAI_URL", "WEBAI_KEY"];

pub(super) fn merge(sources: &Sources, keys: &[Key]) -> Result<Layered, ConfigError> {
    let mut merge = Merge { keys, values: Values::defaults(keys), problems: Vec::new(), warnings: Vec::new() };
    if let Some((name, text)) = &sources.file {
        merge.file(name, text);
    }
    for (name, value) in &sources.env {
        merge.variable(name, value);
    }
    for (path, value) in &sources.flags {
        merge.flag(path, value);
    }
    if merge.problems.is_empty() {
        Ok(Layered { values: merge.values, warnings: merge.warnings })
    } else {
        Err(ConfigError { problems: merge.problems })
    }
}

struct Merge<'a> {
    keys: &'a [Key],
    values: Values,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Merge<'_> {
    fn file(&mut self, name: &str, text: &str) {
        match yaml::parse(text) {
            Err(message) => self.problem(name, "", message),
            Ok(Node::Null) => {}
            Ok(Node::Map(entries)) => {
                let mut unused = Vec::new();
                let mut walk = Walk { place: name, keys: self.keys, problems: &mut self.problems, unused: &mut unused };
                for (path, node) in walk.section("", "", &entries) {
                    self.values.set(path, node);
                }
                if !unused.is_empty() {
                    self.warnings.push(format!(
                        "{name}: these keys mean nothing here and are passed over: {}",
                        unused.join(", ")
                    ));
                }
            }
            Ok(other) => self.problem(name, "", format!("expected sections such as server and browser, found {other}")),
        }
    }

    fn variable(&mut self, name: &str, value: &str) {
        let key = self.keys.iter().find(|key| key.env == Some(name) || key.variable() == name);
        match key {
            // An empty variable is one that a form or a compose file left blank.
            Some(_) if value.is_empty() => {}
            Some(key) => self.text(*key, &format!("environment variable {name}"), value),
            None if name.starts_with(SESSION_VARIABLE) => {}
            None if name.starts_with("WEBAI_") && !OTHER_VARIABLES.contains(&name) => {
                let known: Vec<String> = self.keys.iter().map(Key::variable).collect();
                let hint = nearest(name, known.iter().map(String::as_str)).map(|n| format!("; did you mean {n}?"));
                self.warnings.push(format!("environment variable {name} sets nothing{}", hint.unwrap_or_default()));
            }
            None => {}
        }
    }

    fn flag(&mut self, path: &str, value: &str) {
        match self.keys.iter().find(|key| key.path == path) {
            Some(key) => self.text(*key, "command line", value),
            None => {
                let message = unknown(path, &Node::Text(value.into()), self.keys);
                self.problem("command line", path, message);
            }
        }
    }

    /// A value that comes as text.
    fn text(&mut self, key: Key, place: &str, value: &str) {
        let node = match key.shape {
            Shape::List(_) | Shape::Texts | Shape::Hosts | Shape::Free => match yaml::parse(value) {
                Ok(node) => node,
                Err(message) => return self.problem(place, key.path, message),
            },
            _ => Node::Text(value.to_owned()),
        };
        let mut walk = Walk { place, keys: self.keys, problems: &mut self.problems, unused: &mut Vec::new() };
        if let Some(node) = walk.value(key, key.path, &node) {
            self.values.set(key.path, node);
        }
    }

    fn problem(&mut self, place: &str, path: &str, message: String) {
        self.problems.push(Problem { place: place.to_owned(), path: path.to_owned(), message });
    }
}

/// Goes through a file, or through one section of a list in it.
struct Walk<'a> {
    place: &'a str,
    keys: &'a [Key],
    problems: &'a mut Vec<Problem>,
    unused: &'a mut Vec<String>,
}

impl Walk<'_> {
    /// `within` is where the table's paths begin (empty, or an item of a list), `path` where we are in the table.
    fn section(&mut self, within: &str, path: &str, entries: &[(String, Node)]) -> Vec<(&'static str, Node)> {
        let mut found = Vec::new();
        for (name, node) in entries {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let shown = format!("{within}{path}");
            if let Some(key) = self.keys.iter().find(|key| key.path == path).copied() {
                if !key.used {
                    self.unused.push(shown);
                    // Nobody reads it, but it belongs to what its author wrote.
                    found.push((key.path, node.clone()));
                } else if !matches!(node, Node::Null) {
                    found.extend(self.value(key, &shown, node).map(|node| (key.path, node)));
                }
            } else if self.keys.iter().any(|key| key.path.strip_prefix(&path).is_some_and(|rest| rest.starts_with('.')))
            {
                match node {
                    Node::Map(entries) => found.extend(self.section(within, &path, entries)),
                    Node::Null => {}
                    other => self.problem(&shown, format!("expected a section with keys of its own, found {other}")),
                }
            } else {
                self.problem(&shown, unknown(&path, node, self.keys));
            }
        }
        found
    }

    fn value(&mut self, key: Key, shown: &str, node: &Node) -> Option<Node> {
        if let Shape::List(keys) = key.shape {
            return self.list(keys, shown, node);
        }
        if key.secret && matches!(node, Node::Text(text) if text == HIDDEN) {
            self.problem(
                shown,
                format!("{HIDDEN} only stands in a secret's place: write the secret, or leave the key out"),
            );
            return None;
        }
        match key.shape.check(node) {
            Ok(node) => Some(node),
            Err(_) if key.secret => {
                self.problem(shown, format!("expected {}", key.shape.expects()));
                None
            }
            Err(message) => {
                self.problem(shown, message);
                None
            }
        }
    }

    fn list(&mut self, keys: &'static [Key], shown: &str, node: &Node) -> Option<Node> {
        let Node::List(items) = node else {
            self.problem(shown, format!("expected a list of sections, found {node}"));
            return None;
        };
        for (index, item) in items.iter().enumerate() {
            let shown = format!("{shown}[{index}]");
            let Node::Map(entries) = item else {
                self.problem(&shown, format!("expected a section with keys of its own, found {item}"));
                continue;
            };
            let mut walk = Walk { place: self.place, keys, problems: self.problems, unused: self.unused };
            walk.section(&format!("{shown}."), "", entries);
        }
        Some(node.clone())
    }

    fn problem(&mut self, path: &str, message: String) {
        self.problems.push(Problem { place: self.place.to_owned(), path: path.to_owned(), message });
    }
}

fn unknown(path: &str, node: &Node, keys: &[Key]) -> String {
    // A misspelt section is meant by its own name, not by that of a key in it.
    let mut known: Vec<&str> = Vec::new();
    for key in keys {
        known.push(key.path);
        known.extend(key.path.match_indices('.').filter_map(|(at, _)| key.path.get(..at)));
    }
    let near = nearest(path, known.into_iter());
    // What stands where a secret was meant is a secret.
    let secret = near.is_none_or(|near| keys.iter().any(|key| key.secret && key.path == near));
    let value = if secret { String::new() } else { format!(" (value: {node})") };
    near.map_or_else(|| format!("unknown key{value}"), |near| format!("unknown key{value}; did you mean {near}?"))
}

/// The most similar name, if any is similar at all.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // The last word tells more than the path: `browser.port` most likely means `server.port`.
    let score = |other: &str| {
        let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        let whole = strsim::normalized_damerau_levenshtein(&name.to_ascii_lowercase(), &other.to_ascii_lowercase());
        let tail = strsim::normalized_damerau_levenshtein(&last(name), &last(other));
        whole.max(tail * 0.9)
    };
    let mut best = None;
    for other in known {
        let score = score(other);
        if score >= 0.5 && best.is_none_or(|(highest, _)| score > highest) {
            best = Some((score, other));
        }
    }
    best.map(|(_, other)| other)
}

//! What a key's value may look like.

use std::net::SocketAddr;
use std::time::Duration;

use super::key::Key;
use super::node::Node;
use crate::net::{DEMO_HOST, is_label};

/// The shape of a value. Every value is checked against it once, in whatever layer it stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Bool,
    Integer {
        min: i64,
        max: i64,
    },
    /// Seconds, or a number with `ms`, `s`, `m`, `h` or `d`; a day at most.
    Duration,
    /// How long something is kept: written as a duration, ten years at most.
    Age,
    /// Bytes, or a number with `KB`, `MB` or `GB` (powers of 1024).
    Bytes,
    Choice(&'static [&'static str]),
    /// Where something listens that only this machine may reach.
    Loopback,
    /// Names below `.localhost`, and where each is served on this machine.
    Hosts,
    Text,
    /// Several of them.
    Texts,
    /// Sections of the same kind.
    List(&'static [Key]),
    /// Not looked into.
    Free,
}

impl Shape {
    pub(super) fn expects(self) -> String {
        match self {
            Self::Bool => "true or false".into(),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Duration => "a length of time, such as 30s, 500ms, 10m or a number of seconds".into(),
            Self::Age => "a length of time, such as 30d, 12h or a number of seconds".into(),
            Self::Bytes => "a size, such as 32MB or a number of bytes".into(),
            Self::Choice(all) => format!("one of {}", all.join(", ")),
            Self::Loopback => "a loopback address and a port, such as 127.0.0.1:8090".into(),
            Self::Hosts => "names such as app.localhost, each with a loopback address and a port: {app.localhost: \"127.0.0.1:8080\"}".into(),
            Self::Text => "a text".into(),
            Self::Texts => "a list of texts, such as [a, b]".into(),
            Self::List(_) => "a list of sections".into(),
            Self::Free => "anything".into(),
        }
    }

    /// Checks a value and gives it in its one form: durations as milliseconds, sizes as bytes. Lists are checked by `layers`.
    pub(super) fn check(self, node: &Node) -> Result<Node, String> {
        let checked = match (self, node) {
            (Self::Bool, Node::Bool(_)) | (Self::Free | Self::List(_), _) => Some(node.clone()),
            (Self::Bool, Node::Text(text)) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Some(Node::Bool(true)),
                "false" | "0" | "no" | "off" => Some(Node::Bool(false)),
                _ => None,
            },
            (Self::Integer { min, max }, Node::Integer(value)) => {
                (min..=max).contains(value).then_some(Node::Integer(*value))
            }
            (Self::Integer { .. }, Node::Text(text)) => {
                return text
                    .trim()
                    .parse()
                    .map_err(|_| self.found(node))
                    .and_then(|value| self.check(&Node::Integer(value)));
            }
            (Self::Duration, _) => duration(node, DURATION_MAX).map(Node::Integer),
            (Self::Age, _) => duration(node, AGE_MAX).map(Node::Integer),
            (Self::Bytes, _) => bytes(node).map(Node::Integer),
            (Self::Choice(all), Node::Text(text)) => {
                all.iter().find(|choice| choice.eq_ignore_ascii_case(text)).map(|c| Node::Text((*c).into()))
            }
            // `off` is a word in YAML 1.2 and `false` in YAML 1.1; people write both.
            (Self::Choice(all), Node::Bool(false)) if all.contains(&"off") => Some(Node::Text("off".into())),
            (Self::Loopback, Node::Text(text)) => {
                text.parse::<SocketAddr>().ok().filter(|addr| addr.ip().is_loopback()).map(|_| node.clone())
            }
            (Self::Hosts, Node::Map(entries)) => {
                entries.iter().try_for_each(|(name, to)| host(name, to))?;
                Some(node.clone())
            }
            (Self::Texts, Node::List(items)) => {
                items.iter().all(|item| matches!(item, Node::Text(_))).then(|| node.clone())
            }
            (Self::Texts, Node::Null) => Some(Node::List(Vec::new())),
            (Self::Text, Node::Text(_)) => Some(node.clone()),
            (Self::Text, Node::Integer(value)) => Some(Node::Text(value.to_string())),
            (Self::Text, Node::Null) => Some(Node::Text(String::new())),
            _ => None,
        };
        checked.ok_or_else(|| self.found(node))
    }

    fn found(self, node: &Node) -> String {
        format!("expected {}, found {node}", self.expects())
    }
}

/// One name and its address.
fn host(name: &str, to: &Node) -> Result<(), String> {
    let label = name.strip_suffix(".localhost").filter(|label| is_label(label));
    if label.is_none() {
        return Err(format!("expected a name such as app.localhost, in small letters, found {name:?}"));
    }
    if name == DEMO_HOST {
        return Err(format!("{DEMO_HOST} is the demo site's: take another name"));
    }
    Shape::Loopback.check(to).map(drop).map_err(|message| format!("{name}: {message}"))
}

/// A day: no wait is longer, and sums stay far from overflow.
const DURATION_MAX: Duration = Duration::from_secs(24 * 3600);
/// Ten years.
const AGE_MAX: Duration = Duration::from_secs(3650 * 24 * 3600);

fn duration(node: &Node, max: Duration) -> Option<i64> {
    let (value, unit) = amount(node)?;
    let factor = match unit.as_str() {
        "ms" => 1.0,
        "" | "s" => 1e3,
        "m" | "min" => 60e3,
        "h" => 3600e3,
        "d" => 24.0 * 3600e3,
        _ => return None,
    };
    within(value * factor, max.as_millis() as f64)
}

fn bytes(node: &Node) -> Option<i64> {
    let (value, unit) = amount(node)?;
    let factor = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 1.0,
        "K" | "KB" | "KIB" => 1024.0,
        "M" | "MB" | "MIB" => 1024.0 * 1024.0,
        "G" | "GB" | "GIB" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    within(value * factor, 64.0 * 1024.0 * 1024.0 * 1024.0)
}

fn amount(node: &Node) -> Option<(f64, String)> {
    match node {
        Node::Integer(value) => Some((*value as f64, String::new())),
        Node::Float(value) => Some((*value, String::new())),
        Node::Text(text) => {
            let text = text.trim();
            let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
            let (number, unit) = text.split_at(end);
            Some((number.parse().ok()?, unit.trim().to_owned()))
        }
        _ => None,
    }
}

fn within(value: f64, max: f64) -> Option<i64> {
    (value.is_finite() && (0.0..=max).contains(&value)).then_some(value.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> Option<i64> {
        duration(&Node::Text(text.into()), DURATION_MAX)
    }

    #[test]
    fn durations_and_sizes() {
        assert_eq!(
            (ms("30"), ms("30s"), ms("1.5 s"), ms("500ms"), ms("10m")),
            (Some(30_000), Some(30_000), Some(1500), Some(500), Some(600_000))
        );
        assert_eq!(
            (ms("-1"), ms("s"), ms(""), ms("1e9"), ms("25h"), ms("1.2.3")),
            (None, None, None, None, None, None)
        );
        assert_eq!((ms("1d"), ms("2d")), (Some(86_400_000), None));
        let age = |text: &str| Shape::Age.check(&Node::Text(text.into())).ok();
        assert_eq!((age("30d"), age("4000d")), (Some(Node::Integer(30 * 86_400_000)), None));
        assert_eq!(bytes(&Node::Text("32MB".into())), Some(32 * 1024 * 1024));
        assert_eq!(bytes(&Node::Integer(5)), Some(5));
    }

    #[test]
    fn a_loopback_address_is_nothing_else() {
        let check = |text: &str| Shape::Loopback.check(&Node::Text(text.into())).is_ok();
        assert!(check("127.0.0.1:0") && check("[::1]:80"));
        assert!(!check("0.0.0.0:80") && !check("127.0.0.1") && !check("localhost:80"));
    }

    #[test]
    fn hosts_lead_from_this_machine_to_this_machine() {
        let check = |name: &str, to: &str| {
            Shape::Hosts.check(&Node::Map(vec![(name.into(), Node::Text(to.into()))])).err().unwrap_or_default()
        };
        for (name, to, message) in [
            ("app.localhost", "127.0.0.1:8080", ""),
            ("my-app.localhost", "[::1]:1", ""),
            ("app.example", "127.0.0.1:8080", "expected a name such as app.localhost"),
            ("a.b.localhost", "127.0.0.1:8080", "found \"a.b.localhost\""),
            ("App.localhost", "127.0.0.1:8080", "in small letters"),
            ("localhost", "127.0.0.1:8080", "expected a name"),
            ("demo.localhost", "127.0.0.1:8080", "take another name"),
            ("app.localhost", "10.0.0.1:8080", "app.localhost: expected a loopback address"),
            ("app.localhost", "127.0.0.1", "app.localhost: expected a loopback address"),
        ] {
            assert!(
                check(name, to).contains(message) && check(name, to).is_empty() == message.is_empty(),
                "{name} {to}"
            );
        }
    }

    #[test]
    fn off_may_be_written_as_a_bool() {
        assert_eq!(Shape::Choice(&["on", "off"]).check(&Node::Bool(false)), Ok(Node::Text("off".into())));
    }
}

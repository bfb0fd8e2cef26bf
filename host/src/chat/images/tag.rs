//! A tag of HTML by which something is loaded, read as it comes.

use super::allowed::{Allowed, Verdict};

/// Elements that load what they name, or hold it.
const LOADING: [&str; 11] =
    ["img", "image", "source", "video", "audio", "track", "input", "iframe", "embed", "object", "feimage"];
/// Attributes that name nothing.
const PLAIN: [&str; 13] = [
    "alt", "title", "width", "height", "align", "border", "class", "id", "loading", "decoding", "type", "controls",
    "name",
];
/// Bytes of a tag. A longer one is none that stays.
const MAX_TAG: usize = 4000;

/// What one more character comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    More,
    /// It is no such tag, without this character.
    Harmless,
    /// It is complete, and may stay.
    Allowed,
    Denied,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// In the element's name.
    #[default]
    Element,
    /// Between attributes.
    Between,
    Attribute,
    /// After `=`.
    Equals,
    /// In a value, up to this sign; a space is an unquoted one's end.
    Value(char),
    /// After a value, where something must divide it from the next.
    Valued,
    /// After the slash of `/>`.
    Slash,
}

/// A tag as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tag {
    place: Place,
    name: String,
    value: String,
    length: usize,
}

impl Tag {
    /// Whether it is one of those that load something.
    pub(super) fn is_open(&self) -> bool {
        self.place != Place::Element
    }

    pub(super) fn take(&mut self, c: char, allowed: &Allowed) -> Step {
        self.length += c.len_utf8();
        if self.place == Place::Element {
            return self.element(c);
        }
        // Others could read a picture or another tag in here.
        if self.length > MAX_TAG || matches!(c, '<' | '[' | '`' | '\\') {
            return Step::Denied;
        }
        match self.place {
            Place::Element | Place::Between => self.between(c),
            Place::Attribute => self.attribute(c),
            Place::Equals => match c {
                '"' | '\'' => self.go(Place::Value(c)),
                _ if c.is_ascii_whitespace() || c == '>' => Step::Denied,
                _ => {
                    self.value.push(c);
                    self.go(Place::Value(' '))
                }
            },
            Place::Value(end) => self.in_value(c, end, allowed),
            Place::Valued | Place::Slash => match c {
                '>' => Step::Allowed,
                '/' if self.place == Place::Valued => self.go(Place::Slash),
                _ if self.place == Place::Valued && c.is_ascii_whitespace() => self.go(Place::Between),
                _ => Step::Denied,
            },
        }
    }

    fn go(&mut self, place: Place) -> Step {
        self.place = place;
        Step::More
    }

    fn element(&mut self, c: char) -> Step {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_alphabetic() {
            self.name.push(c);
            let may_be = LOADING.iter().any(|name| name.starts_with(&self.name));
            return if may_be { Step::More } else { Step::Harmless };
        }
        let ends = c.is_ascii_whitespace() || matches!(c, '/' | '>');
        if !ends || !LOADING.contains(&self.name.as_str()) {
            return Step::Harmless;
        }
        self.name.clear();
        match c {
            '>' => Step::Allowed,
            '/' => self.go(Place::Slash),
            _ => self.go(Place::Between),
        }
    }

    fn between(&mut self, c: char) -> Step {
        match c {
            '>' => Step::Allowed,
            '/' => self.go(Place::Slash),
            _ if c.is_ascii_whitespace() => Step::More,
            _ if c.is_ascii_alphabetic() => {
                self.name = c.to_ascii_lowercase().to_string();
                self.go(Place::Attribute)
            }
            _ => Step::Denied,
        }
    }

    fn attribute(&mut self, c: char) -> Step {
        match c {
            '=' => self.go(Place::Equals),
            '>' => Step::Allowed,
            '/' => self.go(Place::Slash),
            _ if c.is_ascii_whitespace() => self.go(Place::Between),
            _ if c.is_ascii_alphabetic() || c == '-' => {
                self.name.push(c.to_ascii_lowercase());
                Step::More
            }
            _ => Step::Denied,
        }
    }

    fn in_value(&mut self, c: char, end: char, allowed: &Allowed) -> Step {
        let ends = c == end || (end == ' ' && (c.is_ascii_whitespace() || c == '>'));
        if !ends {
            self.value.push(c);
            return Step::More;
        }
        let value = std::mem::take(&mut self.value);
        let may_stay = match self.name.as_str() {
            "src" | "poster" | "data" => allowed.verdict(&value, true) == Verdict::Allowed,
            name => PLAIN.contains(&name),
        };
        match c {
            _ if !may_stay => Step::Denied,
            '>' if end == ' ' => Step::Allowed,
            _ if end == ' ' => self.go(Place::Between),
            _ => self.go(Place::Valued),
        }
    }
}

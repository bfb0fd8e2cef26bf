//! Keys and chords by their names: `Enter`, `Control+Shift+K`, `a`, `你`.

use crate::browser::error::PageError;

/// A key as Chromium wants it described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// `KeyboardEvent.key`.
    pub(super) key: String,
    /// `KeyboardEvent.code`: the place on a US keyboard; empty where there is none.
    pub(super) code: String,
    /// The Windows virtual key code, which is `KeyboardEvent.keyCode`.
    pub(super) virtual_code: i64,
    /// What it types; empty for a key that types nothing.
    pub(super) text: String,
    /// The bit in CDP's `modifiers`, for a modifier.
    pub(super) modifier: i64,
}

/// A key with the modifiers that are held meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chord {
    pub(super) modifiers: Vec<Key>,
    pub(super) key: Key,
}

/// What a key or a chord puts into the field that has the focus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Brought {
    Nothing,
    Text(String),
    /// What was copied, or what was there before.
    Anything,
}

/// What a key or a chord of this name puts into a field. What is no key puts nothing there.
pub fn brought_by(name: &str) -> Brought {
    let Ok(Chord { modifiers, key }) = Chord::parse(name) else { return Brought::Nothing };
    let held = |modifier| modifiers.iter().any(|held| held.modifier == modifier);
    let shortcut = held(CONTROL) || held(META);
    match key.key.to_lowercase().as_str() {
        // Paste, undo and redo.
        "v" | "z" | "y" if shortcut => Brought::Anything,
        "insert" if held(SHIFT) => Brought::Anything,
        _ if key.text.trim().is_empty() => Brought::Nothing,
        _ => Brought::Text(key.text),
    }
}

const ALT: i64 = 1;
const CONTROL: i64 = 2;
const META: i64 = 4;
const SHIFT: i64 = 8;

/// Name, code, virtual code, text.
const NAMED: [(&str, &str, i64, &str); 28] = [
    ("Enter", "Enter", 13, "\r"),
    ("Tab", "Tab", 9, ""),
    ("Escape", "Escape", 27, ""),
    ("Backspace", "Backspace", 8, ""),
    ("Delete", "Delete", 46, ""),
    ("Insert", "Insert", 45, ""),
    ("Home", "Home", 36, ""),
    ("End", "End", 35, ""),
    ("PageUp", "PageUp", 33, ""),
    ("PageDown", "PageDown", 34, ""),
    ("ArrowLeft", "ArrowLeft", 37, ""),
    ("ArrowUp", "ArrowUp", 38, ""),
    ("ArrowRight", "ArrowRight", 39, ""),
    ("ArrowDown", "ArrowDown", 40, ""),
    ("F1", "F1", 112, ""),
    ("F2", "F2", 113, ""),
    ("F3", "F3", 114, ""),
    ("F4", "F4", 115, ""),
    ("F5", "F5", 116, ""),
    ("F6", "F6", 117, ""),
    ("F7", "F7", 118, ""),
    ("F8", "F8", 119, ""),
    ("F9", "F9", 120, ""),
    ("F10", "F10", 121, ""),
    ("F11", "F11", 122, ""),
    ("F12", "F12", 123, ""),
    ("CapsLock", "CapsLock", 20, ""),
    ("ContextMenu", "ContextMenu", 93, ""),
];

const MODIFIERS: [(&str, &str, i64, i64); 4] = [
    ("Alt", "AltLeft", 18, ALT),
    ("Control", "ControlLeft", 17, CONTROL),
    ("Meta", "MetaLeft", 91, META),
    ("Shift", "ShiftLeft", 16, SHIFT),
];

/// Plain, shifted, code, virtual code, of a US keyboard.
const SIGNS: [(char, char, &str, i64); 12] = [
    (' ', ' ', "Space", 32),
    ('`', '~', "Backquote", 192),
    ('-', '_', "Minus", 189),
    ('=', '+', "Equal", 187),
    ('[', '{', "BracketLeft", 219),
    (']', '}', "BracketRight", 221),
    ('\\', '|', "Backslash", 220),
    (';', ':', "Semicolon", 186),
    ('\'', '"', "Quote", 222),
    (',', '<', "Comma", 188),
    ('.', '>', "Period", 190),
    ('/', '?', "Slash", 191),
];

const SHIFTED_DIGITS: &str = ")!@#$%^&*(";

impl Chord {
    /// # Errors
    /// `Other { code: "invalid-key" }`.
    pub(super) fn parse(name: &str) -> Result<Self, PageError> {
        let invalid = |what: &str| PageError::Other {
            code: "invalid-key",
            message: format!(
                "{name:?}: {what}; write a key such as Enter, a, ArrowDown, or a chord such as Control+Enter"
            ),
        };
        // A plus is a key too: `Control++`.
        let (before, last) = match name.strip_suffix('+') {
            Some(before) if before.is_empty() || before.ends_with('+') => (before, "+"),
            Some(_) => return Err(invalid("a key is missing after +")),
            None => name.rsplit_once('+').unwrap_or(("", name)),
        };
        let mut modifiers: Vec<Key> = Vec::new();
        for held in before.split('+').filter(|held| !held.is_empty()) {
            let key = modifier(held).ok_or_else(|| invalid(&format!("{held} is no modifier")))?;
            if !modifiers.contains(&key) {
                modifiers.push(key);
            }
        }
        let shifted = modifiers.iter().any(|held| held.modifier == SHIFT);
        let mut key = key(last, shifted).ok_or_else(|| invalid(&format!("there is no key {last:?}")))?;
        if modifiers.iter().any(|held| held.modifier != SHIFT) {
            // A shortcut types nothing.
            key.text.clear();
        }
        Ok(Self { modifiers, key })
    }
}

fn modifier(name: &str) -> Option<Key> {
    let name = if name == "Ctrl" { "Control" } else { name };
    let (key, code, virtual_code, modifier) = *MODIFIERS.iter().find(|(key, ..)| *key == name)?;
    Some(Key { key: key.into(), code: code.into(), virtual_code, text: String::new(), modifier })
}

fn key(name: &str, shifted: bool) -> Option<Key> {
    let name = match name {
        "Esc" => "Escape",
        "Return" => "Enter",
        "Space" => " ",
        other => other,
    };
    if let Some(&(key, code, virtual_code, text)) = NAMED.iter().find(|(key, ..)| *key == name) {
        return Some(Key { key: key.into(), code: code.into(), virtual_code, text: text.into(), modifier: 0 });
    }
    if let Some(key) = modifier(name) {
        return Some(key);
    }
    let mut chars = name.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if !c.is_control() => Some(character(c, shifted)),
        _ => None,
    }
}

fn character(c: char, shifted: bool) -> Key {
    let (typed, code, virtual_code) = match c {
        'a'..='z' | 'A'..='Z' => {
            let upper = c.to_ascii_uppercase();
            (if shifted { upper } else { c }, format!("Key{upper}"), i64::from(u32::from(upper)))
        }
        '0'..='9' => {
            let digit = c.to_digit(10).unwrap_or_default();
            let up = usize::try_from(digit).ok().and_then(|d| SHIFTED_DIGITS.chars().nth(d)).unwrap_or(c);
            (if shifted { up } else { c }, format!("Digit{c}"), i64::from(u32::from(c)))
        }
        _ => {
            if let Some(at) = SHIFTED_DIGITS.find(c) {
                (c, format!("Digit{at}"), 48 + i64::try_from(at).unwrap_or_default())
            } else if let Some(&(plain, up, code, virtual_code)) = SIGNS.iter().find(|(a, b, ..)| *a == c || *b == c) {
                (if shifted && c == plain { up } else { c }, code.to_owned(), virtual_code)
            } else {
                (c, String::new(), 0)
            }
        }
    };
    Key { key: typed.into(), code, virtual_code, text: typed.into(), modifier: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_codes_and_text() {
        for (name, key, code, virtual_code, text) in [
            ("Enter", "Enter", "Enter", 13, "\r"),
            ("a", "a", "KeyA", 65, "a"),
            ("A", "A", "KeyA", 65, "A"),
            ("Shift+a", "A", "KeyA", 65, "A"),
            ("Control+a", "a", "KeyA", 65, ""),
            ("Control+Enter", "Enter", "Enter", 13, ""),
            ("Shift+Enter", "Enter", "Enter", 13, "\r"),
            ("Shift+1", "!", "Digit1", 49, "!"),
            ("@", "@", "Digit2", 50, "@"),
            ("Shift+/", "?", "Slash", 191, "?"),
            ("Space", " ", "Space", 32, " "),
            ("+", "+", "Equal", 187, "+"),
            ("Control++", "+", "Equal", 187, ""),
            ("你", "你", "", 0, "你"),
            ("ArrowDown", "ArrowDown", "ArrowDown", 40, ""),
        ] {
            let chord = Chord::parse(name).unwrap();
            let got =
                (chord.key.key.as_str(), chord.key.code.as_str(), chord.key.virtual_code, chord.key.text.as_str());
            assert_eq!(got, (key, code, virtual_code, text), "{name}");
        }
        let modifiers = Chord::parse("Control+Shift+Alt+Meta+k").unwrap().modifiers;
        assert_eq!(modifiers.iter().map(|m| m.modifier).sum::<i64>(), ALT | CONTROL | META | SHIFT);
        for name in ["", "Nope", "Control+", "Hyper+a", "ab", "+a+"] {
            assert!(matches!(Chord::parse(name), Err(PageError::Other { code: "invalid-key", .. })), "{name}");
        }
    }

    #[test]
    fn it_is_known_what_a_key_brings() {
        for name in
            ["Enter", "Shift+Enter", "Space", "Escape", "ArrowDown", "Control+a", "Control+Enter", "Insert", "Nope"]
        {
            assert_eq!(brought_by(name), Brought::Nothing, "{name}");
        }
        for (name, text) in [("a", "a"), ("Shift+v", "V"), ("你", "你"), ("+", "+")] {
            assert_eq!(brought_by(name), Brought::Text(text.into()), "{name}");
        }
        for name in ["Control+v", "Ctrl+V", "Control+Shift+V", "Meta+v", "Shift+Insert", "Control+z", "Control+y"] {
            assert_eq!(brought_by(name), Brought::Anything, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(name in "(\\PC|\\+|Control|Shift){0,6}") {
            drop(brought_by(&name));
        }
    }
}

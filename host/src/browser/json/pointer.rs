//! JSON Pointer, RFC 6901.

use std::fmt;

/// The longest pointer that is taken, in bytes, and its most tokens.
const MAX_LENGTH: usize = 1024;
const MAX_TOKENS: usize = 32;

/// A parsed JSON Pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// None where the text is no pointer, or is too long. The empty text points at the whole.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        let tokens = text.strip_prefix('/')?.split('/').map(unescape).collect::<Option<Vec<_>>>()?;
        (tokens.len() <= MAX_TOKENS).then_some(Self(tokens))
    }

    /// Whether it points at the whole.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `other` is this place or lies below it. A token `*` of this pointer stands for any one token.
    pub fn covers(&self, other: &Self) -> bool {
        self.0.len() <= other.0.len() && self.0.iter().zip(&other.0).all(|(own, other)| own == "*" || own == other)
    }

    pub(super) fn tokens(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|token| write!(f, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

/// None where a tilde stands for nothing.
fn unescape(token: &str) -> Option<String> {
    let mut out = String::with_capacity(token.len());
    let mut chars = token.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '~' => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            c => c,
        });
    }
    Some(out)
}

/// A token as the index into an array: digits without a leading zero.
pub(super) fn index(token: &str) -> Option<usize> {
    let plain = token == "0" || (!token.starts_with('0') && token.bytes().all(|b| b.is_ascii_digit()));
    if plain { token.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn pointer(text: &str) -> Pointer {
        Pointer::parse(text).unwrap()
    }

    /// The examples of RFC 6901, section 5.
    #[test]
    fn points_as_the_rfc_says() {
        let document = json!({"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6,
            " ": 7, "m~n": 8});
        for (text, expected) in [
            ("", document.clone()),
            ("/foo", json!(["bar", "baz"])),
            ("/foo/0", json!("bar")),
            ("/", json!(0)),
            ("/a~1b", json!(1)),
            ("/c%d", json!(2)),
            ("/e^f", json!(3)),
            ("/g|h", json!(4)),
            ("/i\\j", json!(5)),
            ("/k\"l", json!(6)),
            ("/ ", json!(7)),
            ("/m~0n", json!(8)),
        ] {
            assert_eq!(pointer(text).find(&document), Some(&expected), "{text}");
        }
        for text in ["/foo/2", "/foo/00", "/foo/-", "/foo/+1", "/nothing", "/foo/0/x"] {
            assert_eq!(pointer(text).find(&document), None, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_pointer() {
        for text in ["foo", "#/foo", "/a~", "/a~2b", &"/x".repeat(33), &format!("/{}", "x".repeat(1024))] {
            assert_eq!(Pointer::parse(text), None, "{text}");
        }
    }

    #[test]
    fn knows_what_lies_below() {
        for (wide, narrow, expected) in [
            ("/a", "/a", true),
            ("/a", "/a/b", true),
            ("/a/b", "/a", false),
            ("/a", "/ab", false),
            ("/m/*/model", "/m/0/model", true),
            ("/m/*/model", "/m/0/text", false),
            ("/m/*/model", "/m/0", false),
        ] {
            assert_eq!(pointer(wide).covers(&pointer(narrow)), expected, "{wide} over {narrow}");
        }
    }

    proptest! {
        #[test]
        fn is_written_as_it_was_read(text in "(/[a-z~/*0]{0,4}){0,6}") {
            if let Some(parsed) = Pointer::parse(&text) {
                prop_assert_eq!(Pointer::parse(&parsed.to_string()), Some(parsed.clone()));
                prop_assert_eq!(parsed.to_string(), text);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = Pointer::parse(&text);
        }
    }
}

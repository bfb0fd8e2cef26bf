//! The items of one JSON array that a site sends bit by bit, pretty-printed or not: each is given as soon as it is complete.

use std::fmt;

/// Bytes of one item. Longer ones are no chat site's.
const MAX_ITEM: usize = 32 << 20;

/// The bytes are no such array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadArray;

impl fmt::Display for BadArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer is not one JSON array")
    }
}

impl std::error::Error for BadArray {}

/// Takes bytes as they come. It looks at brackets and strings only: whether an item is sound JSON is seen when it is read.
#[derive(Debug, Default)]
pub struct Parser {
    place: Place,
    item: Vec<u8>,
    /// Brackets that are open within the item.
    depth: usize,
    string: Within,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Before,
    Inside,
    Over,
    Broken,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Within {
    #[default]
    No,
    String,
    /// In a string, behind a backslash.
    Escape,
}

impl Parser {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes and returns the text of the items that they complete.
    ///
    /// # Errors
    /// When the bytes are no array; from then on always.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, BadArray> {
        let mut items = Vec::new();
        for &byte in bytes {
            match self.byte(byte) {
                Ok(item) => items.extend(item),
                Err(bad) => {
                    self.place = Place::Broken;
                    return Err(bad);
                }
            }
        }
        Ok(items)
    }

    /// The array's last bracket has come.
    pub fn is_over(&self) -> bool {
        self.place == Place::Over
    }

    fn byte(&mut self, byte: u8) -> Result<Option<String>, BadArray> {
        match (self.place, byte) {
            (Place::Broken, _) => Err(BadArray),
            (Place::Before, b'[') => {
                self.place = Place::Inside;
                Ok(None)
            }
            (Place::Before | Place::Over, b) if b.is_ascii_whitespace() => Ok(None),
            (Place::Before | Place::Over, _) => Err(BadArray),
            (Place::Inside, byte) => self.inside(byte),
        }
    }

    fn inside(&mut self, byte: u8) -> Result<Option<String>, BadArray> {
        self.string = match (self.string, byte) {
            (Within::String, b'\\') => Within::Escape,
            (Within::Escape, _) | (Within::String, 0..=b'!' | b'#'..) => Within::String,
            (Within::String, b'"') => Within::No,
            (Within::No, b'"') => Within::String,
            (Within::No, _) => {
                return self.structure(byte);
            }
        };
        self.keep(byte)
    }

    fn structure(&mut self, byte: u8) -> Result<Option<String>, BadArray> {
        match byte {
            b',' if self.depth == 0 => return self.take(),
            b']' if self.depth == 0 => {
                self.place = Place::Over;
                return self.take();
            }
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => self.depth = self.depth.checked_sub(1).ok_or(BadArray)?,
            b if b.is_ascii_whitespace() && self.item.is_empty() => return Ok(None),
            _ => {}
        }
        self.keep(byte)?;
        // A list or an object is complete with its bracket, and need not wait for the comma.
        if self.depth == 0 && matches!(byte, b']' | b'}') { self.take() } else { Ok(None) }
    }

    fn keep(&mut self, byte: u8) -> Result<Option<String>, BadArray> {
        if self.item.len() >= MAX_ITEM {
            return Err(BadArray);
        }
        self.item.push(byte);
        Ok(None)
    }

    fn take(&mut self) -> Result<Option<String>, BadArray> {
        let item = String::from_utf8(std::mem::take(&mut self.item)).map_err(|_| BadArray)?;
        let item = item.trim();
        Ok((!item.is_empty()).then(|| item.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z\u{4e2d}\u{1f600}\"\\\\,\\[\\]{}]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-z\"]{0,3}", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn an_object_does_not_wait_for_its_comma() {
        let mut parser = Parser::new();
        assert_eq!(parser.push(b"[{\"a\": [1]}").unwrap(), ["{\"a\": [1]}"]);
        assert_eq!(parser.push(b"\n,\n{").unwrap(), Vec::<String>::new());
        assert!(!parser.is_over());
        assert_eq!(parser.push(b"}]\n").unwrap(), ["{}"]);
        assert!(parser.is_over());
    }

    #[test]
    fn what_is_no_array_is_refused() {
        for text in ["<html>", "{}", "[}", "[1]]", "[\"\u{e9}\"] x"] {
            let mut parser = Parser::new();
            assert_eq!(parser.push(text.as_bytes()), Err(BadArray), "{text}");
            assert_eq!(parser.push(b"["), Err(BadArray));
        }
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same(
            values in proptest::collection::vec(value(), 0..6),
            pretty in any::<bool>(),
            size in 1_usize..9,
        ) {
            let text = if pretty { serde_json::to_string_pretty(&values) } else { serde_json::to_string(&values) }.unwrap();
            let mut parser = Parser::new();
            let items: Vec<String> = text.as_bytes().chunks(size).flat_map(|c| parser.push(c).unwrap()).collect();
            let items: Vec<Value> = items.iter().map(|item| serde_json::from_str(item).unwrap()).collect();
            prop_assert_eq!(items, values);
            prop_assert!(parser.is_over());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Parser::new().push(&bytes);
            let _ = Parser::new().push(&[b"[".as_slice(), &bytes].concat());
        }
    }
}

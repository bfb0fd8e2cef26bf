//! Changing one place of a JSON text. Whatever lies elsewhere stays as it was written, byte for byte within each value.

use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::pointer::{Pointer, index};

/// One change.
#[derive(Debug, Clone)]
pub enum Edit {
    /// This value at this place, whose parent must be there; `-` appends to an array.
    Set(Pointer, Box<RawValue>),
    /// Nothing at this place.
    Remove(Pointer),
}

impl Edit {
    /// Sets a value that is given as JSON text. None where that is no JSON.
    pub fn set(pointer: Pointer, value: &str) -> Option<Self> {
        Some(Self::Set(pointer, serde_json::from_str(value).ok()?))
    }

    pub fn pointer(&self) -> &Pointer {
        match self {
            Self::Set(pointer, _) | Self::Remove(pointer) => pointer,
        }
    }

    /// The text with this change made.
    ///
    /// # Errors
    /// In words, where the text is no JSON, or the place does not exist.
    pub(in crate::browser) fn apply(&self, text: &str) -> Result<String, String> {
        let root: &RawValue = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        let value = match self {
            Self::Set(_, value) => Some(value.get()),
            Self::Remove(_) => None,
        };
        edit(root.get(), self.pointer().tokens(), value)
            .map_err(|Missing| format!("there is nothing that {} could lie in", self.pointer()))
    }
}

/// The parent of what is to be set is not there.
struct Missing;

/// `value`: none removes.
fn edit(text: &str, path: &[String], value: Option<&str>) -> Result<String, Missing> {
    let Some((token, rest)) = path.split_first() else { return Ok(value.unwrap_or("null").to_owned()) };
    match text.as_bytes().first() {
        Some(b'{') => edit_object(text, token, rest, value),
        Some(b'[') => edit_array(text, token, rest, value),
        _ if value.is_none() => Ok(text.to_owned()),
        _ => Err(Missing),
    }
}

fn edit_object(text: &str, token: &str, rest: &[String], value: Option<&str>) -> Result<String, Missing> {
    let Fields(mut fields) = read_fields(text).ok_or(Missing)?;
    // Of two fields with the same name the later one counts, as in JavaScript; so the earlier one goes.
    let at = fields.iter().rposition(|(name, _)| name == token);
    match (at, value) {
        (Some(at), _) if !rest.is_empty() => {
            if let Some((_, field)) = fields.get_mut(at) {
                *field = edit(field, rest, value)?;
            }
        }
        (Some(at), Some(value)) => {
            if let Some((_, field)) = fields.get_mut(at) {
                value.clone_into(field);
            }
            let mut place = 0;
            fields.retain(|(name, _)| {
                place += 1;
                place == at + 1 || name != token
            });
        }
        (Some(_), None) => fields.retain(|(name, _)| name != token),
        (None, Some(value)) if rest.is_empty() => fields.push((token.to_owned(), value.to_owned())),
        (None, Some(_)) => return Err(Missing),
        (None, None) => return Ok(text.to_owned()),
    }
    let fields: Vec<String> =
        fields.iter().map(|(name, field)| format!("{}:{field}", serde_json::Value::from(name.as_str()))).collect();
    Ok(format!("{{{}}}", fields.join(",")))
}

fn edit_array(text: &str, token: &str, rest: &[String], value: Option<&str>) -> Result<String, Missing> {
    let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| Missing)?;
    let mut items: Vec<String> = items.into_iter().map(|item| item.get().to_owned()).collect();
    let at = index(token).filter(|at| *at < items.len());
    match (at, value) {
        (Some(at), None) if rest.is_empty() => drop(items.remove(at)),
        (Some(at), _) => {
            if let Some(item) = items.get_mut(at) {
                *item = edit(item, rest, value)?;
            }
        }
        (None, Some(value)) if token == "-" && rest.is_empty() => items.push(value.to_owned()),
        (None, Some(_)) => return Err(Missing),
        (None, None) => return Ok(text.to_owned()),
    }
    Ok(format!("[{}]", items.join(",")))
}

/// An object's fields in their order, each value as it was written.
struct Fields(Vec<(String, String)>);

fn read_fields(text: &str) -> Option<Fields> {
    struct Reader;

    impl<'de> Visitor<'de> for Reader {
        type Value = Fields;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
            let mut fields = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                fields.push((name, value.get().to_owned()));
            }
            Ok(Fields(fields))
        }
    }

    serde_json::Deserializer::from_str(text).deserialize_map(Reader).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn pointer(text: &str) -> Pointer {
        Pointer::parse(text).unwrap()
    }

    fn set(place: &str, value: &str) -> Edit {
        Edit::set(pointer(place), value).unwrap()
    }

    fn remove(place: &str) -> Edit {
        Edit::Remove(pointer(place))
    }

    #[test]
    fn changes_one_place_and_leaves_the_rest_as_it_was_written() {
        let body = r#" {"z":1.00, "model":"auto","n":123456789012345678901234567890, "a":[ {"b":"\u00e9"}, 2 ]} "#;
        for (edit, expected) in [
            (
                set("/model", r#""gpt""#),
                r#"{"z":1.00,"model":"gpt","n":123456789012345678901234567890,"a":[ {"b":"\u00e9"}, 2 ]}"#,
            ),
            (
                set("/a/0/c", "{}"),
                r#"{"z":1.00,"model":"auto","n":123456789012345678901234567890,"a":[{"b":"\u00e9","c":{}},2]}"#,
            ),
            (
                set("/a/-", "3"),
                r#"{"z":1.00,"model":"auto","n":123456789012345678901234567890,"a":[{"b":"\u00e9"},2,3]}"#,
            ),
            (remove("/a/1"), r#"{"z":1.00,"model":"auto","n":123456789012345678901234567890,"a":[{"b":"\u00e9"}]}"#),
            (remove("/z"), r#"{"model":"auto","n":123456789012345678901234567890,"a":[ {"b":"\u00e9"}, 2 ]}"#),
        ] {
            assert_eq!(edit.apply(body).unwrap(), expected, "{edit:?}");
        }
    }

    #[test]
    fn what_cannot_be_changed_is_said() {
        for (edit, body) in [
            (set("/a/b", "1"), "{}"),
            (set("/a/b", "1"), r#"{"a":3}"#),
            (set("/3", "1"), "[1]"),
            (set("/1", "1"), "[1]"),
            (set("/x", "1"), "[1]"),
            (set("/a", "1"), r#""text""#),
            (set("/a", "1"), "not json"),
            (set("/a", "1"), r#"{"a":1} {"b":2}"#),
            (set("/a", "1"), ""),
            (remove("/a"), "a=1&b=2"),
        ] {
            assert!(edit.apply(body).is_err(), "{edit:?} of {body}");
        }
    }

    #[test]
    fn what_is_not_there_is_removed_already() {
        for (place, body) in [("/a/b", "{}"), ("/a/b", r#"{"a":3}"#), ("/4", "[1]"), ("/-", "[1]")] {
            assert_eq!(remove(place).apply(body).unwrap(), body);
        }
    }

    #[test]
    fn of_two_fields_with_one_name_none_is_left_as_it_was() {
        assert_eq!(set("/a", "3").apply(r#"{"a":1,"b":0,"a":2}"#).unwrap(), r#"{"b":0,"a":3}"#);
        assert_eq!(remove("/a").apply(r#"{"a":1,"b":0,"a":2}"#).unwrap(), r#"{"b":0}"#);
    }

    #[test]
    fn a_value_must_be_json() {
        for value in ["", "x", "{", "1 2", "'a'"] {
            assert!(Edit::set(pointer("/a"), value).is_none(), "{value}");
        }
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,4}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[ab~/]{0,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_set_is_there_and_nothing_else_has_changed(
            document in document(), place in "(/([ab]|~0|~1|[0-3]|-)){1,4}", value in document(),
        ) {
            let place = pointer(&place);
            let text = document.to_string();
            if let Ok(edited) = set(&place.to_string(), &value.to_string()).apply(&text) {
                let edited: Value = serde_json::from_str(&edited).unwrap();
                if !place.tokens().iter().any(|token| token == "-") || place.find(&edited).is_some() {
                    prop_assert_eq!(place.find(&edited), Some(&value));
                }
                // Taken away again, or put back, it is what it was.
                let before = place.find(&document);
                let undo = match before {
                    Some(before) => set(&place.to_string(), &before.to_string()),
                    None => remove(&place.to_string()),
                };
                if !place.tokens().iter().any(|token| token == "-") {
                    let undone: Value = serde_json::from_str(&undo.apply(&edited.to_string()).unwrap()).unwrap();
                    prop_assert_eq!(undone, document);
                }
            }
        }

        #[test]
        fn what_was_removed_is_gone(document in document(), place in "(/([ab]|[0-3])){1,4}") {
            let place = pointer(&place);
            let edited: Value = serde_json::from_str(&remove(&place.to_string()).apply(&document.to_string()).unwrap()).unwrap();
            // In an array the next one moves up.
            if place.find(&document).is_none() {
                prop_assert_eq!(edited, document);
            } else {
                prop_assert_ne!(edited, document);
            }
        }

        #[test]
        fn no_text_makes_it_panic(body in ".*", place in "(/.{0,3}){0,4}") {
            if let Some(place) = Pointer::parse(&place) {
                let _ = Edit::Set(place.clone(), serde_json::from_str("1").unwrap()).apply(&body);
                let _ = Edit::Remove(place).apply(&body);
            }
        }
    }

    #[test]
    fn deep_bodies_are_passed_through() {
        let deep = format!("{{\"m\":1,\"d\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
        match set("/m", "2").apply(&deep) {
            Ok(edited) => assert!(edited.starts_with("{\"m\":2,") && edited.len() == deep.len()),
            Err(why) => assert!(why.contains("recursion"), "{why}"),
        }
        let _ = json!(null);
    }
}

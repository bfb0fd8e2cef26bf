//! The schema of an operator's settings: the part of JSON Schema that a form can show.
//!
//! Known are `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`, `minItems`, `maxItems`,
//! `minLength`, `maxLength`, `minimum`, `maximum` and `default`; `title`, `description`, `examples`, `format`, `$schema`, `$id` and
//! `$comment` are for people. Another word is a mistake of the author's, because a rule that is passed over in silence is worse
//! than none.

use serde_json::{Map, Value};

use super::Problem;

/// How deep schemas and settings may nest.
const MAX_DEPTH: usize = 16;
const TYPES: &[&str] = &["object", "array", "string", "integer", "number", "boolean", "null"];
const FOR_PEOPLE: &[&str] = &["title", "description", "examples", "format", "$schema", "$id", "$comment"];

/// A schema that was checked itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema(Value);

impl Schema {
    /// Checks the schema itself: every word known, every rule of the right kind, every default within its own rules.
    ///
    /// # Errors
    /// All that is wrong in it, each with its place below `config.schema`.
    pub(super) fn parse(value: Value) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        if value.get("type").and_then(Value::as_str) != Some("object") {
            let found = value.get("type").map(Value::to_string).unwrap_or_default();
            problem(&mut problems, "config.schema.type", found, "settings are an object: write type = \"object\"");
        }
        check_schema("config.schema", &value, 0, &mut problems);
        if problems.is_empty() { Ok(Self(value)) } else { Err(problems) }
    }

    /// The schema as it is written, for a form.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// The settings with the schema's defaults in the places that are left out.
    ///
    /// # Errors
    /// All that does not fit, each with its place below `at`, its value and the cure.
    pub fn apply(&self, at: &str, settings: &Value) -> Result<Value, Vec<Problem>> {
        let mut problems = Vec::new();
        let filled = check_value(at, &self.0, settings, 0, &mut problems);
        if problems.is_empty() { Ok(filled) } else { Err(problems) }
    }
}

fn problem(problems: &mut Vec<Problem>, at: &str, value: impl Into<String>, message: impl Into<String>) {
    let value: String = value.into().chars().take(200).collect();
    problems.push(Problem { field: at.to_owned(), value, message: message.into() });
}

fn check_schema(at: &str, schema: &Value, depth: usize, problems: &mut Vec<Problem>) {
    let Some(rules) = schema.as_object() else {
        return problem(problems, at, schema.to_string(), "a schema is a table of rules");
    };
    if depth > MAX_DEPTH {
        return problem(problems, at, "", format!("nest at most {MAX_DEPTH} levels"));
    }
    for (word, rule) in rules {
        let place = format!("{at}.{word}");
        if let Err(message) = check_rule(&place, word, rule, depth, problems) {
            problem(problems, &place, rule.to_string(), message);
        }
    }
    for name in texts(rules.get("required")) {
        if rules.get("properties").is_none_or(|all| all.get(name).is_none()) {
            problem(problems, &format!("{at}.required"), name, "is not among `properties`");
        }
    }
    if let Some(default) = rules.get("default") {
        check_value(&format!("{at}.default"), schema, default, depth, problems);
    }
}

fn check_rule(at: &str, word: &str, rule: &Value, depth: usize, problems: &mut Vec<Problem>) -> Result<(), String> {
    let fits = |fits: bool, cure: &str| if fits { Ok(()) } else { Err(cure.to_owned()) };
    match word {
        "type" => {
            let known = |v: &Value| v.as_str().is_some_and(|name| TYPES.contains(&name));
            let several = rule.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(known));
            fits(known(rule) || several, &format!("use one of {}, or a list of them", TYPES.join(", ")))
        }
        "properties" => {
            let Some(all) = rule.as_object() else { return Err("write a table of schemas".into()) };
            all.iter().for_each(|(name, schema)| check_schema(&format!("{at}.{name}"), schema, depth + 1, problems));
            Ok(())
        }
        "items" => {
            check_schema(at, rule, depth + 1, problems);
            Ok(())
        }
        "additionalProperties" if rule.is_object() => {
            check_schema(at, rule, depth + 1, problems);
            Ok(())
        }
        "additionalProperties" => fits(rule.is_boolean(), "write true, false or a schema"),
        "enum" => {
            fits(rule.as_array().is_some_and(|all| !all.is_empty()), "write a list of the values that are allowed")
        }
        "required" => {
            fits(rule.as_array().is_some_and(|all| all.iter().all(Value::is_string)), "write a list of names")
        }
        "minItems" | "maxItems" | "minLength" | "maxLength" => fits(rule.as_u64().is_some(), "write a whole number"),
        "minimum" | "maximum" => fits(rule.is_number(), "write a number"),
        "default" | "const" => Ok(()),
        _ if FOR_PEOPLE.contains(&word) => Ok(()),
        _ => Err("is not known here: see docs/adapters.md for what a schema of settings may say".into()),
    }
}

fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Checks a value by a schema that was checked, and fills in defaults.
fn check_value(at: &str, schema: &Value, value: &Value, depth: usize, problems: &mut Vec<Problem>) -> Value {
    if depth > MAX_DEPTH {
        problem(problems, at, "", format!("nest at most {MAX_DEPTH} levels"));
        return value.clone();
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        several => texts(several).collect(),
    };
    if !types.is_empty() && !types.iter().any(|name| is_a(value, name)) {
        problem(problems, at, value.to_string(), format!("expected {}", types.join(" or ")));
        return value.clone();
    }
    if let Some(cure) = breaks(schema, value) {
        problem(problems, at, value.to_string(), cure);
    }
    match value {
        Value::Object(fields) => check_object(at, schema, fields, depth, problems),
        Value::Array(items) => match schema.get("items") {
            Some(schema) => {
                let each = items.iter().enumerate();
                each.map(|(i, item)| check_value(&format!("{at}[{i}]"), schema, item, depth + 1, problems)).collect()
            }
            None => value.clone(),
        },
        _ => value.clone(),
    }
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        // 1.0 is a whole number, too (JSON Schema, 6.1.1).
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => value.is_null(),
    }
}

/// The rules that look at a value alone; the cure of the first that it breaks.
fn breaks(schema: &Value, value: &Value) -> Option<String> {
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let names: Vec<String> = allowed.iter().map(Value::to_string).collect();
        return Some(format!("use one of {}", names.join(", ")));
    }
    if let Some(only) = schema.get("const").filter(|only| *only != value) {
        return Some(format!("only {only} is allowed"));
    }
    let bound = |word: &str| schema.get(word).and_then(Value::as_f64);
    let (amount, least, most, unit) = match value {
        Value::Number(number) => (number.as_f64()?, bound("minimum"), bound("maximum"), ""),
        Value::String(text) => (text.chars().count() as f64, bound("minLength"), bound("maxLength"), " characters"),
        Value::Array(items) => (items.len() as f64, bound("minItems"), bound("maxItems"), " items"),
        _ => return None,
    };
    match (least, most) {
        (Some(least), _) if amount < least => Some(format!("use at least {least}{unit}")),
        (_, Some(most)) if amount > most => Some(format!("use at most {most}{unit}")),
        _ => None,
    }
}

fn check_object(
    at: &str,
    schema: &Value,
    fields: &Map<String, Value>,
    depth: usize,
    problems: &mut Vec<Problem>,
) -> Value {
    let none = Map::new();
    let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let mut filled = Map::new();
    for (name, value) in fields {
        let place = format!("{at}.{name}");
        let others = schema.get("additionalProperties");
        let value = match known.get(name).or(others.filter(|rule| rule.is_object())) {
            Some(schema) => check_value(&place, schema, value, depth + 1, problems),
            None => {
                if others == Some(&Value::Bool(false)) {
                    let names: Vec<&str> = known.keys().map(String::as_str).collect();
                    problem(
                        problems,
                        &place,
                        value.to_string(),
                        format!("is not known; use one of {}", names.join(", ")),
                    );
                }
                value.clone()
            }
        };
        filled.insert(name.clone(), value);
    }
    for (name, schema) in known.iter().filter(|(name, _)| !fields.contains_key(*name)) {
        if let Some(default) = schema.get("default") {
            filled.insert(name.clone(), default.clone());
        }
    }
    for name in texts(schema.get("required")).filter(|name| !filled.contains_key(*name)) {
        problem(problems, &format!("{at}.{name}"), "", "is missing");
    }
    Value::Object(filled)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        Schema::parse(json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["workspace"],
            "properties": {
                "workspace": { "type": "string", "minLength": 2, "title": "Workspace" },
                "tier": { "enum": ["free", "pro"], "default": "free" },
                "wait": { "type": "integer", "minimum": 1, "maximum": 60 },
                "tags": { "type": "array", "items": { "type": "string" }, "maxItems": 2 },
            },
        }))
        .unwrap()
    }

    #[test]
    fn settings_that_fit_get_the_defaults() {
        let filled = schema().apply("x", &json!({ "workspace": "ab", "wait": 5 })).unwrap();
        assert_eq!(filled, json!({ "workspace": "ab", "wait": 5, "tier": "free" }));
    }

    #[test]
    fn each_mistake_in_settings_names_its_place_value_and_cure() {
        for (settings, place, cure) in [
            (json!({}), "x.workspace", "is missing"),
            (json!({ "workspace": 1 }), "x.workspace", "expected string"),
            (json!({ "workspace": "a" }), "x.workspace", "at least 2 characters"),
            (json!({ "workspace": "ab", "tier": "max" }), "x.tier", "\"free\", \"pro\""),
            (json!({ "workspace": "ab", "wait": 61 }), "x.wait", "at most 60"),
            (json!({ "workspace": "ab", "wait": 1.5 }), "x.wait", "expected integer"),
            (json!({ "workspace": "ab", "wat": 1 }), "x.wat", "is not known; use one of"),
            (json!({ "workspace": "ab", "tags": ["a", 1] }), "x.tags[1]", "expected string"),
            (json!([]), "x", "expected object"),
        ] {
            let problems = schema().apply("x", &settings).unwrap_err();
            assert!(problems[0].field == place && problems[0].message.contains(cure), "{settings}: {problems:?}");
        }
    }

    #[test]
    fn each_mistake_in_a_schema_is_found() {
        for (schema, place) in [
            (json!({ "type": "string" }), "config.schema.type"),
            (json!({ "type": "object", "oneOf": [] }), "config.schema.oneOf"),
            (json!({ "type": "object", "properties": { "a": { "type": "text" } } }), "config.schema.properties.a.type"),
            (json!({ "type": "object", "required": ["b"] }), "config.schema.required"),
            (
                json!({ "type": "object", "properties": { "a": { "type": "string", "default": 1 } } }),
                "config.schema.properties.a.default",
            ),
        ] {
            let problems = Schema::parse(schema.clone()).unwrap_err();
            assert!(problems.iter().any(|p| p.field == place), "{schema}: {problems:?}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let words = "(type|enum|properties|items|required|default|minimum|maxLength|object|string|a)";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            words.prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(words, inner, 0..4)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(schema in any_json(), settings in any_json()) {
            if let Ok(schema) = Schema::parse(schema) {
                let _ = schema.apply("x", &settings);
            }
            let mut whole = json!({ "type": "object" });
            whole["properties"] = settings.clone();
            if let Ok(schema) = Schema::parse(whole) {
                let _ = schema.apply("x", &settings);
            }
        }
    }
}

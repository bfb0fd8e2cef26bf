//! `adapter.toml` as it is written, before anything is checked but its shape.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::check::Findings;

/// Sections that are not as they should be are empty, and are named in `broken`: what is found in them, or by them, is no news.
pub(super) struct File {
    pub(super) adapter: AdapterSection,
    pub(super) origins: OriginsSection,
    pub(super) capabilities: CapabilitiesSection,
    pub(super) limits: LimitsSection,
    pub(super) site: SiteSection,
    pub(super) features: FeaturesSection,
    pub(super) models: Vec<ModelSection>,
    pub(super) config: ConfigSection,
    pub(super) broken: Vec<&'static str>,
}

impl File {
    /// Takes a manifest apart. What is in its place wrongly is noted, key by key, and the rest is read all the same.
    pub(super) fn read(mut table: Table, found: &mut Findings) -> Self {
        let mut broken = Vec::new();
        let mut models = Vec::new();
        match table.remove("models") {
            None => {}
            Some(Value::Array(items)) => {
                for (i, item) in items.into_iter().enumerate() {
                    match section(&format!("models[{i}]"), item, found) {
                        Some(model) => models.push(model),
                        None => broken.push("models"),
                    }
                }
            }
            Some(other) => {
                found.note("models", other.to_string(), "write each as a section [[models]]");
                broken.push("models");
            }
        }
        let mut reader = Reader { table: &mut table, broken: &mut broken, found };
        let file = Self {
            adapter: reader.needed("adapter"),
            origins: reader.needed("origins"),
            capabilities: reader.optional("capabilities"),
            limits: reader.optional("limits"),
            site: reader.needed("site"),
            features: reader.optional("features"),
            models,
            config: reader.optional("config"),
            broken: Vec::new(),
        };
        for (name, value) in table {
            found.note(name, value.to_string(), "no manifest has this: look for a slip of the pen, or take it out");
        }
        Self { broken, ..file }
    }
}

struct Reader<'a> {
    table: &'a mut Table,
    broken: &'a mut Vec<&'static str>,
    found: &'a mut Findings,
}

impl Reader<'_> {
    fn optional<T: DeserializeOwned + Default>(&mut self, name: &'static str) -> T {
        let Some(value) = self.table.remove(name) else { return T::default() };
        section(name, value, self.found).unwrap_or_else(|| {
            self.broken.push(name);
            T::default()
        })
    }

    fn needed<T: DeserializeOwned + Default>(&mut self, name: &'static str) -> T {
        if !self.table.contains_key(name) {
            self.found.note(name, "", format!("every manifest has a section [{name}]"));
            self.broken.push(name);
        }
        self.optional(name)
    }
}

/// Reads one section. A key without which the reader complains of something else, or of nothing, is what it complains of: it is noted
/// and taken out, until nothing is left to complain of.
fn section<T: DeserializeOwned>(name: &str, value: Value, found: &mut Findings) -> Option<T> {
    let Value::Table(mut table) = value else {
        found.note(name, value.to_string(), format!("write it as a section [{name}]"));
        return None;
    };
    let read = |table: &Table| Value::Table(table.clone()).try_into::<T>().map_err(|error| error.message().to_owned());
    let mut clean = true;
    loop {
        let message = match read(&table) {
            Ok(section) => return Some(section),
            Err(message) => message,
        };
        let without = |key: &str| {
            let mut table = table.clone();
            table.remove(key);
            read(&table).err()
        };
        // Where something is missing, whatever else is taken out may be missed instead.
        let is_missing = message.starts_with("missing field");
        let ends_it = table.keys().find(|key| without(key).is_none());
        let culprit =
            ends_it.or_else(|| table.keys().find(|key| !is_missing && without(key).as_ref() != Some(&message)));
        match culprit.cloned() {
            Some(key) => {
                let value = table.remove(&key).map(|value| value.to_string()).unwrap_or_default();
                found.note(format!("{name}.{key}"), value, message);
                clean = false;
            }
            None => {
                // What is missing may be what was just taken out.
                if clean {
                    found.note(name, "", message);
                }
                return None;
            }
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct AdapterSection {
    pub(super) id: String,
    pub(super) version: String,
    pub(super) contract: String,
    pub(super) name: String,
    pub(super) verified: String,
    #[serde(default)]
    pub(super) authors: Vec<String>,
    #[serde(default)]
    pub(super) license: Option<String>,
    #[serde(default)]
    pub(super) homepage: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct OriginsSection {
    pub(super) page: Vec<String>,
    #[serde(default)]
    pub(super) pass: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CapabilitiesSection {
    pub(super) listen: Vec<String>,
    pub(super) rewrite: Vec<RewriteSection>,
    pub(super) save: Vec<String>,
    pub(super) files: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RewriteSection {
    pub(super) url: String,
    pub(super) pointers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsSection {
    pub(super) memory_mib: u32,
    pub(super) cpu_ms: u32,
    pub(super) call_s: u32,
}

impl Default for LimitsSection {
    fn default() -> Self {
        Self { memory_mib: 64, cpu_ms: 10_000, call_s: 3600 }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SiteSection {
    pub(super) entry: String,
    #[serde(default)]
    pub(super) sign_in: Option<String>,
    #[serde(default)]
    pub(super) stop_button: Option<String>,
    #[serde(default)]
    pub(super) usual_rung: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FeaturesSection {
    pub(super) conversations: bool,
    pub(super) temporary_chat: bool,
    pub(super) prompt_limit: Option<u32>,
    pub(super) prompt_overflow: Option<String>,
    pub(super) upload_count: Option<u32>,
    pub(super) upload_mib: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelSection {
    pub(super) id: String,
    #[serde(default)]
    pub(super) kind: KindName,
    pub(super) label: String,
    #[serde(default)]
    pub(super) features: BTreeMap<String, String>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum KindName {
    #[default]
    Text,
    Image,
    Video,
    Audio,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ConfigSection {
    pub(super) schema: Option<toml::Value>,
}

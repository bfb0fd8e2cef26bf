//! `adapter.toml`: what an adapter is, what it offers and what it asks for.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::browser::{Origin, UrlPattern};
use crate::chat::Kind;

/// The contract that this host speaks, as manifests name it.
pub(super) const CONTRACT: &str = "0.1";
/// The one adapter that may name the reserved origin of the demo site.
const DEMO: &str = "demo";

/// A manifest that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    pub id: String,
    pub version: Version,
    pub name: String,
    pub verified: String,
    /// Where the adapter acts and reads.
    pub page: Vec<Origin>,
    /// Where only the operator goes, to sign in.
    pub pass: Vec<Origin>,
    /// The traffic that it may listen to.
    pub listen: Vec<UrlPattern>,
    /// MIME types that the site takes as uploads; `image/*` stands for all pictures.
    pub files: Vec<String>,
    pub limits: Limits,
    pub entry: Url,
    /// The selector of the site's stop button.
    pub stop_button: Option<String>,
    pub models: Vec<Model>,
    /// JSON Schema of the operator's settings.
    pub schema: Option<serde_json::Value>,
}

/// What one call of the adapter may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory.
    pub memory: usize,
    /// Processor time.
    pub cpu: Duration,
}

/// A model that the adapter offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    pub id: String,
    pub kind: Kind,
    pub label: String,
    pub features: BTreeMap<String, String>,
}

/// `major.minor.patch`, compared by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What is wrong in a manifest, where, and the cure.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("adapter.toml: {0}")]
    Syntax(String),
    #[error("adapter.toml: {field} = {value:?}: {message}")]
    Value { field: String, value: String, message: String },
    #[error("adapter.toml: needs contract {0}, this host has {CONTRACT}")]
    Contract(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    adapter: AdapterSection,
    origins: OriginsSection,
    #[serde(default)]
    capabilities: CapabilitiesSection,
    #[serde(default)]
    limits: LimitsSection,
    site: SiteSection,
    #[serde(default)]
    models: Vec<ModelSection>,
    #[serde(default)]
    config: ConfigSection,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "who wrote it is shown by the console, which reads the file itself")]
struct AdapterSection {
    id: String,
    version: String,
    contract: String,
    name: String,
    verified: String,
    #[serde(default)]
    authors: Vec<String>,
    #[serde(default)]
    license: Option<String>,
    #[serde(default)]
    homepage: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OriginsSection {
    page: Vec<String>,
    #[serde(default)]
    pass: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct CapabilitiesSection {
    listen: Vec<String>,
    files: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsSection {
    memory_mib: u32,
    cpu_ms: u32,
}

impl Default for LimitsSection {
    fn default() -> Self {
        Self { memory_mib: 64, cpu_ms: 10_000 }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteSection {
    entry: String,
    #[serde(default)]
    stop_button: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelSection {
    id: String,
    #[serde(default)]
    kind: KindName,
    label: String,
    #[serde(default)]
    features: BTreeMap<String, String>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum KindName {
    #[default]
    Text,
    Image,
    Video,
    Audio,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct ConfigSection {
    schema: Option<toml::Value>,
}

impl Manifest {
    /// Reads and checks `adapter.toml`.
    ///
    /// # Errors
    /// With the field, its value and the cure.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let file: File = toml::from_str(text).map_err(|e| ManifestError::Syntax(e.to_string()))?;
        if file.adapter.contract != CONTRACT {
            return Err(ManifestError::Contract(file.adapter.contract));
        }
        let id = check_id("adapter.id", file.adapter.id)?;
        let page = origins("origins.page", &file.origins.page, &id)?;
        let pass = origins("origins.pass", &file.origins.pass, &id)?;
        let entry = entry(file.site.entry, &page)?;
        Ok(Self {
            version: version(&file.adapter.version)?,
            name: file.adapter.name,
            verified: file.adapter.verified,
            listen: patterns(&file.capabilities.listen, &id, &pass)?,
            files: file.capabilities.files,
            limits: limits(&file.limits)?,
            stop_button: file.site.stop_button,
            models: models(file.models)?,
            schema: schema(file.config.schema)?,
            id,
            page,
            pass,
            entry,
        })
    }
}

fn bad(field: impl Into<String>, value: impl Into<String>, message: impl Into<String>) -> ManifestError {
    ManifestError::Value { field: field.into(), value: value.into(), message: message.into() }
}

fn check_id(field: &str, id: String) -> Result<String, ManifestError> {
    let valid = (1..=64).contains(&id.len())
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c));
    if valid {
        return Ok(id);
    }
    Err(bad(field, id, "use 1 to 64 of a-z 0-9 - . _, beginning with a letter"))
}

fn version(text: &str) -> Result<Version, ManifestError> {
    let mut numbers = text.split('.').map(|part| part.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten(), numbers.next().flatten(), numbers.next()) {
        (Some(major), Some(minor), Some(patch), None) => Ok(Version(major, minor, patch)),
        _ => Err(bad("adapter.version", text, "write three numbers, such as 1.0.0")),
    }
}

fn origins(field: &str, texts: &[String], id: &str) -> Result<Vec<Origin>, ManifestError> {
    texts.iter().enumerate().map(|(i, text)| origin(&format!("{field}[{i}]"), text, id)).collect()
}

fn origin(field: &str, text: &str, id: &str) -> Result<Origin, ManifestError> {
    let parsed = if id == DEMO { Origin::parse_with_demo(text) } else { Origin::parse(text) };
    parsed.map_err(|e| bad(field, text, e.to_string()))
}

fn patterns(texts: &[String], id: &str, pass: &[Origin]) -> Result<Vec<UrlPattern>, ManifestError> {
    texts.iter().enumerate().map(|(i, text)| pattern(&format!("capabilities.listen[{i}]"), text, id, pass)).collect()
}

fn pattern(field: &str, text: &str, id: &str, pass: &[Origin]) -> Result<UrlPattern, ManifestError> {
    let shape = || bad(field, text, "write a URL pattern, such as https://chat.example.com/api/**");
    let pattern = UrlPattern::parse(text).ok_or_else(shape)?;
    // A WebSocket belongs to the origin of the same host.
    let address = if let Some(rest) = text.strip_prefix("ws") { format!("http{rest}") } else { text.to_owned() };
    let (scheme, rest) = address.split_once("://").ok_or_else(shape)?;
    let host = rest.split_once('/').ok_or_else(shape)?.0;
    let origin = origin(field, &format!("{scheme}://{host}"), id)?;
    if pass.iter().any(|pass| pass.overlaps(&origin)) {
        return Err(bad(field, text, "origins.pass is for signing in only and cannot be listened to"));
    }
    Ok(pattern)
}

fn entry(text: String, page: &[Origin]) -> Result<Url, ManifestError> {
    let url = Url::parse(&text).map_err(|e| bad("site.entry", &text, e.to_string()))?;
    if page.iter().any(|origin| origin.matches(&url)) {
        return Ok(url);
    }
    Err(bad("site.entry", text, "must lie on one of origins.page"))
}

fn limits(section: &LimitsSection) -> Result<Limits, ManifestError> {
    if !(1..=256).contains(&section.memory_mib) {
        return Err(bad("limits.memory_mib", section.memory_mib.to_string(), "use 1 to 256"));
    }
    if !(10..=600_000).contains(&section.cpu_ms) {
        return Err(bad("limits.cpu_ms", section.cpu_ms.to_string(), "use 10 to 600000"));
    }
    Ok(Limits { memory: section.memory_mib as usize * (1 << 20), cpu: Duration::from_millis(section.cpu_ms.into()) })
}

fn models(sections: Vec<ModelSection>) -> Result<Vec<Model>, ManifestError> {
    if sections.is_empty() {
        return Err(bad("models", "", "name at least one [[models]]"));
    }
    let mut seen = std::collections::BTreeSet::new();
    sections
        .into_iter()
        .enumerate()
        .map(|(i, section)| {
            let field = format!("models[{i}].id");
            let id = check_id(&field, section.id)?;
            if !seen.insert(id.clone()) {
                return Err(bad(field, id, "is named twice"));
            }
            let kind = match section.kind {
                KindName::Text => Kind::Text,
                KindName::Image => Kind::Image,
                KindName::Video => Kind::Video,
                KindName::Audio => Kind::Audio,
            };
            Ok(Model { id, kind, label: section.label, features: section.features })
        })
        .collect()
}

fn schema(section: Option<toml::Value>) -> Result<Option<serde_json::Value>, ManifestError> {
    section.map(|value| serde_json::to_value(value).map_err(|e| bad("config.schema", "", e.to_string()))).transpose()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEMO_TOML: &str = include_str!("../../../adapters-wasm/demo/adapter.toml");

    #[test]
    fn the_demo_is_valid() {
        let manifest = Manifest::parse(DEMO_TOML).unwrap();
        assert_eq!(manifest.id, "demo");
        assert!(manifest.models.iter().any(|m| m.id == "echo"));
    }

    #[test]
    fn each_mistake_names_its_place() {
        let cases = [
            ("contract = \"0.1\"", "contract = \"0.3\"", "needs contract 0.3, this host has 0.1"),
            ("version = \"0.1.0\"", "version = \"one\"", "adapter.version"),
            ("id = \"demo\"", "id = \"other\"", "origins.page[0]"),
            ("id = \"demo\"", "id = \"De mo\"", "adapter.id"),
            ("entry = \"http://demo.localhost/\"", "entry = \"https://example.com/\"", "site.entry"),
            ("id = \"reasoner\"", "id = \"echo\"", "models[1].id"),
            ("[site]", "[sight]", "sight"),
        ];
        for (from, to, expected) in cases {
            assert!(DEMO_TOML.contains(from), "{from}");
            let message = Manifest::parse(&DEMO_TOML.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(message.contains(expected), "{to}: {message}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}", at in 0_usize..2000) {
            let _ = Manifest::parse(&text);
            let mut mixed = DEMO_TOML.to_owned();
            let at = (0..=at.min(mixed.len())).rev().find(|i| mixed.is_char_boundary(*i)).unwrap_or(0);
            mixed.insert_str(at, &text);
            let _ = Manifest::parse(&mixed);
        }
    }
}

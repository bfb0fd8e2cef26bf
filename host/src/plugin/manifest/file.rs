//! `adapter.toml` as it is written, before anything is checked but its shape.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) adapter: AdapterSection,
    pub(super) origins: OriginsSection,
    #[serde(default)]
    pub(super) capabilities: CapabilitiesSection,
    #[serde(default)]
    pub(super) limits: LimitsSection,
    pub(super) site: SiteSection,
    #[serde(default)]
    pub(super) features: FeaturesSection,
    #[serde(default)]
    pub(super) models: Vec<ModelSection>,
    #[serde(default)]
    pub(super) config: ConfigSection,
}

#[derive(Deserialize)]
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

#[derive(Deserialize)]
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

#[derive(Deserialize)]
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

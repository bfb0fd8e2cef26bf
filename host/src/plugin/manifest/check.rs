//! The checks of single fields. Each mistake is noted with its place, its value and its cure, and the others are looked for all
//! the same: an author learns of all of them at once.

use std::collections::BTreeSet;
use std::time::Duration;

use url::Url;

use super::file::{FeaturesSection, KindName, LimitsSection, ModelSection, RewriteSection};
use super::{Features, Limits, Model, Overflow, Problem, Rewritable, Version};
use crate::browser::{Origin, Selector, UrlPattern};
use crate::chat::Kind;

/// No list of a manifest may be longer: who needs more has another fault.
const MAX_ITEMS: usize = 64;
const MAX_TEXT: usize = 200;

/// What was found so far, and the id of the adapter that is being looked at.
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) id: String,
}

impl Findings {
    pub(super) fn note(&mut self, field: impl Into<String>, value: impl Into<String>, message: impl Into<String>) {
        let value: String = value.into().chars().take(MAX_TEXT).collect();
        self.problems.push(Problem { field: field.into(), value, message: message.into() });
    }

    /// A line that people see.
    pub(super) fn text(&mut self, field: &str, text: String) -> String {
        if text.trim().is_empty() {
            self.note(field, &text, "write a word or two");
        } else if text.chars().count() > MAX_TEXT || text.chars().any(char::is_control) {
            self.note(field, &text, format!("use one line of at most {MAX_TEXT} characters"));
        }
        text
    }

    pub(super) fn name(&mut self, field: &str, id: String) -> String {
        let valid = (1..=64).contains(&id.len())
            && id.starts_with(|c: char| c.is_ascii_lowercase())
            && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c));
        if !valid {
            self.note(field, &id, "use 1 to 64 of a-z 0-9 - . _, beginning with a letter");
        }
        id
    }

    pub(super) fn version(&mut self, text: &str) -> Version {
        Version::parse(text).unwrap_or_else(|| {
            self.note("adapter.version", text, "write three numbers, such as 1.0.0");
            Version(0, 0, 0)
        })
    }

    pub(super) fn homepage(&mut self, text: Option<String>) -> Option<String> {
        let is_web = |text: &String| Url::parse(text).is_ok_and(|url| ["https", "http"].contains(&url.scheme()));
        if let Some(text) = text.as_ref().filter(|text| !is_web(text)) {
            self.note("adapter.homepage", text, "write an address, such as https://example.com/adapter");
        }
        text
    }

    pub(super) fn verified(&mut self, text: String) -> String {
        let text = self.text("adapter.verified", text);
        let known = ["replica", "real", "none"];
        if !known.contains(&text.split([',', ':', ' ']).next().unwrap_or_default()) {
            let cure =
                "begin with `replica` (tried against a rebuilt site), `real, <date>, <version>`, or `none: <why>`";
            self.note("adapter.verified", &text, cure);
        }
        text
    }

    /// At most so many items: the rest is noted and left out.
    fn items<'a, T>(&mut self, field: &str, items: &'a [T]) -> &'a [T] {
        if items.len() > MAX_ITEMS {
            self.note(field, format!("{} items", items.len()), format!("name at most {MAX_ITEMS}"));
        }
        items.get(..items.len().min(MAX_ITEMS)).unwrap_or(items)
    }

    pub(super) fn origins(&mut self, field: &str, texts: &[String]) -> Vec<Origin> {
        let texts = self.items(field, texts).iter().enumerate();
        texts.filter_map(|(i, text)| self.origin(&format!("{field}[{i}]"), text, text)).collect()
    }

    fn origin(&mut self, field: &str, shown: &str, text: &str) -> Option<Origin> {
        Origin::parse_for(text, &self.id).map_err(|error| self.note(field, shown, error.to_string())).ok()
    }

    pub(super) fn patterns(&mut self, field: &str, texts: &[String], pass: &[Origin]) -> Vec<UrlPattern> {
        let texts = self.items(field, texts).iter().enumerate();
        texts.filter_map(|(i, text)| self.pattern(&format!("{field}[{i}]"), text, pass)).collect()
    }

    /// A URL pattern whose host stands fast: a wildcard there follows the rules of origins.
    fn pattern(&mut self, field: &str, text: &str, pass: &[Origin]) -> Option<UrlPattern> {
        // A WebSocket belongs to the origin of the same host.
        let address = text.strip_prefix("ws").map_or_else(|| text.to_owned(), |rest| format!("http{rest}"));
        let parts = address.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('/')?.0)));
        let (Some(pattern), Some((scheme, host))) = (UrlPattern::parse(text), parts) else {
            self.note(field, text, "write a URL pattern, such as https://chat.example.com/api/**");
            return None;
        };
        let origin = self.origin(field, text, &format!("{scheme}://{host}"))?;
        if pass.iter().any(|pass| pass.overlaps(&origin)) {
            self.note(field, text, "origins.pass is for signing in only: name no address on it here");
            return None;
        }
        Some(pattern)
    }

    pub(super) fn rewrites(&mut self, sections: &[RewriteSection], pass: &[Origin]) -> Vec<Rewritable> {
        let sections = self.items("capabilities.rewrite", sections).iter().enumerate();
        sections.filter_map(|(i, section)| self.rewrite(&format!("capabilities.rewrite[{i}]"), section, pass)).collect()
    }

    fn rewrite(&mut self, field: &str, section: &RewriteSection, pass: &[Origin]) -> Option<Rewritable> {
        let pointers = self.items(&format!("{field}.pointers"), &section.pointers);
        if pointers.is_empty() {
            self.note(format!("{field}.pointers"), "[]", "name what is to be changed, such as \"/model\"");
        }
        for (i, pointer) in pointers.iter().enumerate() {
            if !is_pointer(pointer) {
                let cure = "write a JSON Pointer (RFC 6901) to a part of the body, such as /model or /messages/0/id";
                self.note(format!("{field}.pointers[{i}]"), pointer, cure);
            }
        }
        let url = self.pattern(&format!("{field}.url"), &section.url, pass)?;
        Some(Rewritable { url, pointers: pointers.to_vec() })
    }

    pub(super) fn files(&mut self, types: Vec<String>) -> Vec<String> {
        for (i, text) in self.items("capabilities.files", &types).iter().enumerate() {
            if !is_mime(text) {
                self.note(
                    format!("capabilities.files[{i}]"),
                    text,
                    "write a MIME type, such as application/pdf or image/*",
                );
            }
        }
        types
    }

    /// An address on one of these origins.
    pub(super) fn address(&mut self, field: &str, text: &str, on: &[&[Origin]], cure: &str) -> Option<Url> {
        let url =
            Url::parse(text).map_err(|error| self.note(field, text, format!("{error}: write a whole address"))).ok()?;
        if on.iter().any(|origins| origins.iter().any(|origin| origin.matches(&url))) {
            return Some(url);
        }
        self.note(field, text, cure);
        None
    }

    pub(super) fn selector(&mut self, field: &str, text: Option<String>) -> Option<String> {
        if let Some(Err(error)) = text.as_ref().map(|text| text.parse::<Selector>()) {
            self.note(field, text.clone().unwrap_or_default(), error.to_string());
        }
        text
    }

    fn number(&mut self, field: &str, value: u32, least: u32, most: u32) -> u32 {
        if !(least..=most).contains(&value) {
            self.note(field, value.to_string(), format!("use {least} to {most}"));
        }
        value.clamp(least, most)
    }

    pub(super) fn limits(&mut self, section: &LimitsSection) -> Limits {
        Limits {
            memory: self.number("limits.memory_mib", section.memory_mib, 1, 256) as usize * (1 << 20),
            cpu: Duration::from_millis(self.number("limits.cpu_ms", section.cpu_ms, 10, 600_000).into()),
            call: Duration::from_secs(self.number("limits.call_s", section.call_s, 1, 7200).into()),
        }
    }

    pub(super) fn features(&mut self, section: FeaturesSection) -> Features {
        let overflow = match section.prompt_overflow.as_deref() {
            None | Some("error") => Overflow::Error,
            Some("file") => Overflow::File,
            Some(other) => {
                self.note("features.prompt_overflow", other, "use \"error\" or \"file\"");
                Overflow::Error
            }
        };
        let limit = section.prompt_limit.map(|n| self.number("features.prompt_limit", n, 1, 100_000_000));
        if overflow == Overflow::File && limit.is_none() {
            self.note("features.prompt_overflow", "file", "say from where on by features.prompt_limit, in characters");
        }
        Features {
            conversations: section.conversations,
            temporary_chat: section.temporary_chat,
            prompt_limit: limit.map(|n| n as usize),
            prompt_overflow: overflow,
            upload_count: section.upload_count.map(|n| self.number("features.upload_count", n, 0, 1000)),
            upload_bytes: section.upload_mib.map(|n| u64::from(self.number("features.upload_mib", n, 0, 10_000)) << 20),
        }
    }

    /// A prompt goes up as a file only where files of text do.
    pub(super) fn overflow(&mut self, features: &Features, files: &[String]) {
        let takes_text = files.iter().any(|mime| mime == "text/plain" || mime == "text/*");
        if features.prompt_overflow == Overflow::File && !takes_text {
            self.note(
                "features.prompt_overflow",
                "file",
                "add \"text/plain\" to capabilities.files: the prompt is uploaded",
            );
        }
    }

    /// What a model can do takes what the manifest asks for.
    pub(super) fn abilities(&mut self, models: &[Model], files: &[String]) {
        let takes_pictures = files.iter().any(|mime| mime.starts_with("image/"));
        for (i, model) in models.iter().enumerate() {
            if model.features.get("vision").is_some_and(|vision| vision == "native") && !takes_pictures {
                let cure = "add \"image/*\" to capabilities.files: pictures are uploaded";
                self.note(format!("models[{i}].features.vision"), "native", cure);
            }
        }
    }

    pub(super) fn models(&mut self, sections: Vec<ModelSection>) -> Vec<Model> {
        if sections.is_empty() {
            self.note("models", "", "name at least one [[models]]");
        }
        if sections.len() > MAX_ITEMS {
            self.note("models", format!("{} items", sections.len()), format!("name at most {MAX_ITEMS}"));
        }
        let mut seen = BTreeSet::new();
        let models = sections.into_iter().take(MAX_ITEMS).enumerate().map(|(i, section)| {
            let field = format!("models[{i}].id");
            let id = self.name(&field, section.id);
            if !seen.insert(id.clone()) {
                self.note(field, &id, "is named twice");
            }
            let kind = match section.kind {
                KindName::Text => Kind::Text,
                KindName::Image => Kind::Image,
                KindName::Video => Kind::Video,
                KindName::Audio => Kind::Audio,
            };
            let label = self.text(&format!("models[{i}].label"), section.label);
            Model { id, kind, label, features: section.features }
        });
        models.collect()
    }
}

/// RFC 6901. The empty pointer, which is the whole body, is no part of it.
fn is_pointer(text: &str) -> bool {
    text.starts_with('/') && text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
}

fn is_mime(text: &str) -> bool {
    let word = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-+._".contains(c))
    };
    text.split_once('/').is_some_and(|(kind, sub)| word(kind) && (sub == "*" || word(sub)))
}

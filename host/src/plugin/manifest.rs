//! `adapter.toml`: what an adapter is, what it offers and what it asks for.

mod check;
mod file;
mod schema;

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use super::grant::Grant;
use crate::browser::{Origin, UrlPattern};
use crate::chat::Kind;
use crate::chat::prompt::PromptLimit;
use check::Findings;
use file::{File, LimitsSection};
pub use schema::Schema;

/// The contract that this host speaks, as manifests name it.
pub(super) const CONTRACT: &str = "0.1";

/// A manifest that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    pub id: String,
    pub version: Version,
    pub name: String,
    pub authors: Vec<String>,
    pub license: Option<String>,
    pub homepage: Option<String>,
    /// `replica`, or `real` with a date and a version: against what it was last tried.
    pub verified: String,
    /// Where the adapter acts and reads.
    pub page: Vec<Origin>,
    /// Where only the operator goes, to sign in.
    pub pass: Vec<Origin>,
    /// The traffic that it may listen to.
    pub listen: Vec<UrlPattern>,
    /// The JSON bodies that it may change, and where in them.
    pub rewrite: Vec<Rewritable>,
    /// The addresses whose files it may have saved.
    pub save: Vec<UrlPattern>,
    /// MIME types that the site takes as uploads; `image/*` stands for all pictures.
    pub files: Vec<String>,
    pub limits: Limits,
    pub entry: Url,
    /// Where the operator signs in; the entry where none is named.
    pub sign_in: Option<Url>,
    /// The selector of the site's stop button.
    pub stop_button: Option<String>,
    /// The way by which the adapter usually reads its answers.
    pub usual_rung: Option<Rung>,
    pub features: Features,
    pub models: Vec<Model>,
    /// What the operator's settings must be like.
    pub schema: Option<Schema>,
}

/// Requests whose JSON bodies an adapter may change.
#[derive(Debug, Clone, PartialEq)]
pub struct Rewritable {
    pub url: UrlPattern,
    /// JSON Pointers (RFC 6901); what lies below one is meant, too.
    pub pointers: Vec<String>,
}

/// What one call of the adapter may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory.
    pub memory: usize,
    /// Processor time.
    pub cpu: Duration,
    /// The whole call, where the host's own deadline is not shorter.
    pub call: Duration,
}

impl Default for Limits {
    /// Those of a manifest that names none.
    fn default() -> Self {
        let LimitsSection { memory_mib, cpu_ms, call_s } = LimitsSection::default();
        Self {
            memory: (memory_mib as usize) << 20,
            cpu: Duration::from_millis(cpu_ms.into()),
            call: Duration::from_secs(call_s.into()),
        }
    }
}

/// The ways to an answer, the better one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// The page's own traffic.
    Network,
    /// What the page shows.
    Dom,
}

/// What the site can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features {
    /// A chat can go on where it ended.
    pub conversations: bool,
    /// There are chats that the site does not keep.
    pub temporary_chat: bool,
    /// The longest prompt that the site takes, in characters.
    pub prompt_limit: Option<usize>,
    /// What becomes of a longer one.
    pub prompt_overflow: Overflow,
    /// How many files one message takes.
    pub upload_count: Option<u32>,
    /// How large each may be, in bytes.
    pub upload_bytes: Option<u64>,
}

/// What becomes of a prompt that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    #[default]
    Error,
    /// History and tools go up as an attached text file.
    File,
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

impl Version {
    /// None where it is not three numbers.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|part| part.parse::<u32>().ok());
        match (numbers.next().flatten(), numbers.next().flatten(), numbers.next().flatten(), numbers.next()) {
            (Some(major), Some(minor), Some(patch), None) => Some(Self(major, minor, patch)),
            _ => None,
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// One mistake: where, what stands there, and the cure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} = {value:?}: {message}")]
pub struct Problem {
    /// Such as `origins.page[0]`.
    pub field: String,
    pub value: String,
    pub message: String,
}

/// What is wrong in a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("adapter.toml: {0}")]
    Syntax(String),
    /// All mistakes, the first one first.
    #[error("{}", lines(.0))]
    Values(Vec<Problem>),
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("adapter.toml: {problem}")).collect::<Vec<_>>().join("\n")
}

impl Manifest {
    /// Reads and checks `adapter.toml`.
    ///
    /// # Errors
    /// With every field that is wrong, its value and the cure.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let table: toml::Table = toml::from_str(text).map_err(|e| ManifestError::Syntax(e.to_string()))?;
        // Even where the rest of its section cannot be read: which origins may be named depends on it.
        let id = table.get("adapter").and_then(|section| section.get("id")?.as_str()).unwrap_or_default();
        let mut found = Findings { problems: Vec::new(), id: id.to_owned() };
        let file = File::read(table, &mut found);
        let shape = std::mem::take(&mut found.problems);
        if file.adapter.contract != CONTRACT {
            let cure =
                format!("this host has contract {CONTRACT}: build it with that SDK, or take a host of its version");
            found.note("adapter.contract", &file.adapter.contract, cure);
        }
        let broken = file.broken.clone();
        let manifest = check_all(file, &mut found);
        found.problems.retain(|problem| !follows_from(&problem.field, &broken));
        let problems: Vec<_> = shape.into_iter().chain(found.problems).collect();
        match manifest {
            Some(manifest) if problems.is_empty() => Ok(manifest),
            _ => Err(ManifestError::Values(problems)),
        }
    }

    /// How long a prompt may be, and what becomes of a longer one.
    pub fn prompt_limit(&self) -> Option<PromptLimit> {
        let Features { prompt_limit, prompt_overflow, upload_count, upload_bytes, .. } = self.features;
        Some(PromptLimit {
            chars: prompt_limit?,
            as_file: prompt_overflow == Overflow::File,
            file_count: upload_count.map(|count| count as usize),
            file_bytes: upload_bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        })
    }

    /// Where pictures of an answer may come from: its own site, and what it may have saved.
    pub fn picture_hosts(&self) -> Vec<String> {
        let page = self.page.iter().map(ToString::to_string);
        page.chain(self.save.iter().map(ToString::to_string)).collect()
    }

    /// What it asks the operator for.
    pub fn asks(&self) -> Grant {
        Grant::of(self)
    }
}

/// Whether what was found in this field may be so only because a section could not be read: its own, or one that it is held against.
fn follows_from(field: &str, broken: &[&str]) -> bool {
    let section = field.split(['.', '[']).next().unwrap_or_default();
    let held_against = match section {
        "site" => "origins",
        "features" | "models" => "capabilities",
        _ => section,
    };
    broken.iter().any(|broken| [section, held_against].contains(broken))
}

/// None only where something was found.
fn check_all(file: File, found: &mut Findings) -> Option<Manifest> {
    let id = found.name("adapter.id", file.adapter.id);
    let page = found.origins("origins.page", &file.origins.page);
    if file.origins.page.is_empty() {
        found.note("origins.page", "[]", "name where the adapter acts, such as https://chat.example.com");
    }
    let pass = found.origins("origins.pass", &file.origins.pass);
    let capabilities = file.capabilities;
    let entry = found.address("site.entry", &file.site.entry, &[&page], "must lie on one of origins.page");
    let on = "must lie on one of origins.page or origins.pass";
    let sign_in = file.site.sign_in.and_then(|text| found.address("site.sign_in", &text, &[&page, &pass], on));
    let usual_rung = match file.site.usual_rung.as_deref() {
        None => None,
        Some("network") => Some(Rung::Network),
        Some("dom") => Some(Rung::Dom),
        Some(other) => {
            found.note("site.usual_rung", other, "use \"network\" or \"dom\"");
            None
        }
    };
    let version = found.version(&file.adapter.version);
    let name = found.text("adapter.name", file.adapter.name);
    let authors: Vec<_> = file.adapter.authors.into_iter().map(|name| found.text("adapter.authors", name)).collect();
    let files = found.files(capabilities.files);
    let models = found.models(file.models);
    found.abilities(&models, &files);
    let features = found.features(file.features);
    found.overflow(&features, &files);
    Some(Manifest {
        id,
        version,
        name,
        authors,
        license: file.adapter.license.map(|text| found.text("adapter.license", text)),
        homepage: found.homepage(file.adapter.homepage),
        verified: found.verified(file.adapter.verified),
        listen: found.patterns("capabilities.listen", &capabilities.listen, &pass),
        rewrite: found.rewrites(&capabilities.rewrite, &pass),
        save: found.patterns("capabilities.save", &capabilities.save, &pass),
        files,
        limits: found.limits(&file.limits),
        stop_button: found.selector("site.stop_button", file.site.stop_button),
        features,
        models,
        schema: schema(file.config.schema, found),
        page,
        pass,
        sign_in,
        usual_rung,
        entry: entry?,
    })
}

fn schema(section: Option<toml::Value>, found: &mut Findings) -> Option<Schema> {
    let value = serde_json::to_value(section?).map_err(|e| found.note("config.schema", "", e.to_string())).ok()?;
    Schema::parse(value).map_err(|problems| found.problems.extend(problems)).ok()
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
            ("contract = \"0.1\"", "contract = \"0.3\"", "adapter.contract = \"0.3\": this host has contract 0.1"),
            ("version = \"0.1.0\"", "version = \"one\"", "adapter.version"),
            ("id = \"demo\"", "id = \"other\"", "origins.page[0]"),
            ("id = \"demo\"", "id = \"De mo\"", "adapter.id"),
            ("entry = \"http://demo.localhost/\"", "entry = \"https://example.com/\"", "site.entry"),
            ("id = \"reasoner\"", "id = \"echo\"", "models[1].id"),
            ("[site]", "[sight]", "sight"),
            ("stop_button = \"testid=stop\"", "stop_button = \"nth=\"", "site.stop_button"),
            ("stop_button = \"testid=stop\"", "sign_in = \"https://example.com/\"", "site.sign_in"),
            ("stop_button = \"testid=stop\"", "usual_rung = \"luck\"", "site.usual_rung"),
            ("verified = \"real", "verified = \"perhaps", "adapter.verified"),
            ("\"application/pdf\"", "\"pdf\"", "capabilities.files[2]"),
            ("cpu_ms = 10000", "call_s = 0", "limits.call_s"),
            ("files =", "save = [\"https://*/**\"]\nfiles =", "capabilities.save[0]"),
            ("files =", "save = [\"https://*.github.io/**\"]\nfiles =", "public suffix"),
            (
                "files =",
                "rewrite = [{url = \"http://demo.localhost/api/chat\", pointers = [\"model\"]}]\nfiles =",
                "capabilities.rewrite[0].pointers[0]",
            ),
            (
                "files =",
                "rewrite = [{url = \"http://demo.localhost\", pointers = [\"/model\"]}]\nfiles =",
                "capabilities.rewrite[0].url",
            ),
            ("conversations = true", "prompt_overflow = \"file\"", "features.prompt_limit"),
            (
                "files = [\"image/*\", \"text/*\", \"application/pdf\"]",
                "files = [\"image/*\"]",
                "add \"text/plain\" to capabilities.files",
            ),
            ("\"image/*\", ", "", "models[0].features.vision"),
            ("[site]", "[config.schema]\ntype = \"text\"\n[site]", "config.schema.type"),
        ];
        for (from, to, expected) in cases {
            assert!(DEMO_TOML.contains(from), "{from}");
            let text = DEMO_TOML.replacen(from, to, 1);
            let text = match to {
                "files = [\"image/*\"]" => {
                    text.replacen("conversations = true", "prompt_limit = 9\nprompt_overflow = \"file\"", 1)
                }
                _ => text,
            };
            let message = Manifest::parse(&text).unwrap_err().to_string();
            assert!(message.contains(expected), "{to}: {message}");
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let text = DEMO_TOML.replace("version = \"0.1.0\"", "version = \"x\"").replace("\"text/*\"", "\"text\"");
        let Err(ManifestError::Values(problems)) = Manifest::parse(&text) else { panic!("two mistakes") };
        let fields: Vec<_> = problems.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(fields, ["adapter.version", "capabilities.files[1]"]);
    }

    #[test]
    fn slips_of_the_pen_hide_no_other_mistakes() {
        let text = DEMO_TOML
            .replace("version = \"0.1.0\"", "version = 1\nauthor = \"me\"")
            .replace("[site]", "[sight]\nx = 1\n[site]\ncolour = \"red\"")
            .replace("\"text/*\"", "\"text\"")
            .replace("cpu_ms = 10000", "cpu_ms = \"much\"\nmemory = 1\ncall_s = 0");
        let Err(ManifestError::Values(problems)) = Manifest::parse(&text) else { panic!("many mistakes") };
        let mut fields: Vec<_> = problems.iter().map(|p| p.field.as_str()).collect();
        fields.sort_unstable();
        let expected = [
            "adapter.author",
            "adapter.version",
            "capabilities.files[1]",
            "limits.call_s",
            "limits.cpu_ms",
            "limits.memory",
            "sight",
            "site.colour",
        ];
        assert_eq!(fields, expected, "and nothing that only follows from one of them: {problems:#?}");

        let text = DEMO_TOML.replace("label = \"Echo\"", "label = 1").replace("[origins]", "[origin]");
        let Err(ManifestError::Values(problems)) = Manifest::parse(&text) else { panic!("several mistakes") };
        let fields: Vec<_> = problems.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(fields, ["models[0].label", "origins", "origin"], "{problems:#?}");
        assert!(matches!(Manifest::parse("[adapter"), Err(ManifestError::Syntax(_))));
    }

    #[test]
    fn sign_in_origins_take_nothing_but_signing_in() {
        let text = DEMO_TOML.replace(
            "[capabilities]",
            "pass = [\"https://accounts.example.com\"]\n[capabilities]\nsave = [\"https://accounts.example.com/**\"]",
        );
        let message = Manifest::parse(&text).unwrap_err().to_string();
        assert!(message.contains("capabilities.save[0]") && message.contains("signing in only"), "{message}");
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

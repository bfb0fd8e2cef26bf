//! A new adapter's project, from a template: it builds, and passes the suite, as it is.

use std::path::{Path, PathBuf};

/// In which language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Rust,
    JavaScript,
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    #[error("{0:?} is no adapter id: use 1 to 64 of a-z 0-9 -, beginning with a letter")]
    Id(String),
    #[error("{0} is there already, and not empty")]
    Occupied(String),
    #[error("{path}: {source}")]
    Write { path: String, source: std::io::Error },
}

/// Where the SDK is taken from when nothing else is said.
const SDK: &str = "{ git = \"https://github.com/webai2api/webai2api\" }";

const SHARED: [(&str, &str); 6] = [
    ("adapter.toml", include_str!("scaffold/adapter.toml.in")),
    ("README.md", include_str!("scaffold/README.md.in")),
    ("fixtures/site.toml", include_str!("scaffold/fixtures/site.toml")),
    ("fixtures/answer.sse", include_str!("scaffold/fixtures/answer.sse")),
    ("fixtures/index.html", include_str!("scaffold/fixtures/index.html")),
    ("fixtures/app.js", include_str!("scaffold/fixtures/app.js")),
];
const RUST: [(&str, &str); 3] = [
    ("Cargo.toml", include_str!("scaffold/rust/Cargo.toml.in")),
    ("src/lib.rs", include_str!("scaffold/rust/lib.rs.in")),
    (".gitignore", "/target\n/dist\n"),
];
/// The contract goes along: the script is bound to it, and editors show its types.
const SCRIPT: [(&str, &str); 12] = [
    ("package.json", include_str!("scaffold/js/package.json.in")),
    ("src/adapter.js", include_str!("scaffold/js/adapter.js.in")),
    ("src/webai.js", include_str!("scaffold/js/webai.js")),
    (".gitignore", "/node_modules\n/dist\n"),
    ("wit/world.wit", include_str!("../../../wit/world.wit")),
    ("wit/types.wit", include_str!("../../../wit/types.wit")),
    ("wit/page.wit", include_str!("../../../wit/page.wit")),
    ("wit/reply.wit", include_str!("../../../wit/reply.wit")),
    ("wit/request.wit", include_str!("../../../wit/request.wit")),
    ("wit/provider.wit", include_str!("../../../wit/provider.wit")),
    ("wit/host.wit", include_str!("../../../wit/host.wit")),
    ("wit/discovery.wit", include_str!("../../../wit/discovery.wit")),
];

/// Makes the project in a new folder. `sdk` is the folder of the SDK's crate, else it comes from the project's repository.
///
/// # Errors
/// Where the id is none, or the folder is occupied or cannot be written.
pub fn scaffold(
    id: &str,
    language: Language,
    folder: &Path,
    sdk: Option<&Path>,
) -> Result<Vec<PathBuf>, ScaffoldError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if id.len() > 64 || !id.starts_with(|c: char| c.is_ascii_lowercase()) || !id.chars().all(plain) {
        return Err(ScaffoldError::Id(id.to_owned()));
    }
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(ScaffoldError::Occupied(folder.display().to_string()));
    }
    let (own, source): (&[(&str, &str)], &str) = match language {
        Language::Rust => (&RUST, "src/lib.rs"),
        Language::JavaScript => (&SCRIPT, "src/adapter.js"),
    };
    let sdk = sdk.map_or_else(|| SDK.to_owned(), |path| format!("{{ path = {:?} }}", path.display().to_string()));
    let mut made = Vec::new();
    for (name, text) in SHARED.iter().chain(own) {
        let path = folder.join(name);
        let text =
            text.replace("@ID@", id).replace("@NAME@", &title(id)).replace("@SDK@", &sdk).replace("@SOURCE@", source);
        let failed = |source| ScaffoldError::Write { path: path.display().to_string(), source };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        std::fs::write(&path, text).map_err(failed)?;
        made.push(path);
    }
    Ok(made)
}

/// `my-site` is "My Site" to people.
fn title(id: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
    };
    id.split('-').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Manifest;

    #[test]
    fn both_languages_make_a_project_with_a_right_manifest() {
        for language in [Language::Rust, Language::JavaScript] {
            let folder = tempfile::tempdir().unwrap();
            let place = folder.path().join("my-site");
            let made = scaffold("my-site", language, &place, Some(Path::new("/sdk"))).unwrap();
            let all: String = made.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
            assert!(
                !all.contains("@ID@") && !all.contains("@NAME@") && !all.contains("@SDK@") && !all.contains("@SOURCE@")
            );
            let manifest = std::fs::read_to_string(place.join("adapter.toml")).unwrap();
            let manifest = Manifest::parse(&manifest).unwrap();
            assert_eq!((manifest.id.as_str(), manifest.name.as_str()), ("my-site", "My Site"));
            crate::lab::replica::check(&place.join("fixtures")).unwrap();
            assert!(matches!(scaffold("my-site", language, &place, None), Err(ScaffoldError::Occupied(_))));
        }
        assert!(matches!(scaffold("My Site", Language::Rust, Path::new("/x"), None), Err(ScaffoldError::Id(_))));
    }
}

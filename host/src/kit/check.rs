//! Everything that can be said of an adapter without running it, in one go.

use std::path::Path;

use wit_component::DecodedWasm;

use crate::lab::replica;
use crate::plugin::{Manifest, read_manifest, try_load};

/// Interfaces of the contract.
const CONTRACT: &str = "webai:adapter/";
const PROVIDER: &str = "webai:adapter/provider@";

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// What it is, a line each.
    pub facts: Vec<String>,
    /// What is wrong, a sentence each, with its place and the cure.
    pub wrong: Vec<String>,
}

/// Looks at an adapter's folder, or at its file.
pub fn check(path: &Path, fixtures: Option<&Path>) -> Findings {
    let mut findings = Findings::default();
    if path.is_dir() {
        check_folder(path, &mut findings);
    } else {
        match std::fs::read(path) {
            Ok(bytes) => check_file(&bytes, &mut findings),
            Err(error) => findings.wrong.push(format!("{}: {error}", path.display())),
        }
    }
    let beside = path.join("fixtures");
    let fixtures = fixtures.map(Path::to_owned).or_else(|| path.is_dir().then_some(beside));
    if let Some(folder) = fixtures {
        match replica::check(&folder) {
            Ok(()) => findings.facts.push(format!("fixtures: {}", folder.display())),
            Err(error) => findings.wrong.push(error.to_string()),
        }
    }
    findings
}

fn check_folder(folder: &Path, findings: &mut Findings) {
    let path = folder.join("adapter.toml");
    let id = match std::fs::read_to_string(&path) {
        Err(error) => {
            findings.wrong.push(format!("{}: {error}: an adapter has a manifest", path.display()));
            None
        }
        Ok(text) => match Manifest::parse(&text) {
            Ok(manifest) => {
                describe(&manifest, findings);
                Some(manifest.id)
            }
            Err(error) => {
                findings.wrong.push(error.to_string());
                None
            }
        },
    };
    check_project(folder, findings);
    let built = id.map(|id| folder.join("dist").join(format!("{id}.wasm")));
    if let Some(bytes) = built.as_ref().and_then(|path| std::fs::read(path).ok()) {
        let own = Findings { facts: Vec::new(), wrong: Vec::new() };
        let mut of_file = own;
        check_file(&bytes, &mut of_file);
        findings.wrong.extend(of_file.wrong);
        findings.facts.extend(of_file.facts.into_iter().filter(|fact| fact.starts_with("file:")));
    }
}

fn check_project(folder: &Path, findings: &mut Findings) {
    if let Ok(text) = std::fs::read_to_string(folder.join("Cargo.toml")) {
        let library = toml::from_str::<toml::Table>(&text).ok();
        let types = library.as_ref().and_then(|table| table.get("lib")?.get("crate-type")?.as_array());
        if !types.is_some_and(|types| types.iter().any(|kind| kind.as_str() == Some("cdylib"))) {
            findings.wrong.push("Cargo.toml: an adapter is a library: add [lib] crate-type = [\"cdylib\"]".into());
        }
    } else if let Ok(text) = std::fs::read_to_string(folder.join("package.json")) {
        if !text.contains("--sync") {
            let cure = "the host knows no component-model async: give componentize-qjs --sync";
            findings.wrong.push(format!("package.json: {cure}"));
        }
    } else {
        findings.wrong.push(format!("{}: neither Cargo.toml nor package.json is there", folder.display()));
    }
}

fn check_file(bytes: &[u8], findings: &mut Findings) {
    findings.facts.push(format!("file:     {} KiB", bytes.len().div_ceil(1024)));
    match read_manifest(bytes) {
        Ok(manifest) => describe(&manifest, findings),
        Err(error) => findings.wrong.push(error.to_string()),
    }
    let found = findings.wrong.len();
    check_interfaces(bytes, findings);
    // What linking would say has been said better.
    if findings.wrong.len() == found
        && findings.wrong.is_empty()
        && let Err(error) = try_load(bytes)
    {
        findings.wrong.push(error.to_string());
    }
}

fn check_interfaces(bytes: &[u8], findings: &mut Findings) {
    let Ok(DecodedWasm::Component(resolve, world)) = wit_component::decode(bytes) else { return };
    let Some(world) = resolve.worlds.get(world) else { return };
    let names = |keys: &mut dyn Iterator<Item = String>| keys.collect::<Vec<_>>();
    let imports = names(&mut world.imports.keys().map(|key| resolve.name_world_key(key)));
    let exports = names(&mut world.exports.keys().map(|key| resolve.name_world_key(key)));
    for import in &imports {
        if import.starts_with("wasi:") {
            findings.wrong.push(format!(
                "it imports {import}: an adapter has no system; build for wasm32-unknown-unknown, or give \
                 componentize-qjs --stub-wasi"
            ));
        } else if !import.starts_with(CONTRACT) {
            findings.wrong.push(format!("it imports {import}, which is not of the contract webai:adapter"));
        }
    }
    if !exports.iter().any(|export| export.starts_with(PROVIDER)) {
        findings.wrong.push(
            "it does not export webai:adapter/provider: register!(...) in Rust, export provider in a script".into(),
        );
    }
    for export in exports.iter().filter(|export| !export.starts_with(CONTRACT)) {
        findings.wrong.push(format!("it exports {export}, for which this host has no use"));
    }
}

fn describe(manifest: &Manifest, findings: &mut Findings) {
    let models: Vec<String> = manifest.models.iter().map(|m| format!("{}/{}", manifest.id, m.id)).collect();
    let list = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
    findings.facts.extend([
        format!("{} {} ({})", manifest.id, manifest.version, manifest.name),
        format!("verified: {}", manifest.verified),
        format!("models:   {}", list(models)),
        format!("acts on:  {}", list(manifest.page.iter().map(ToString::to_string).collect())),
        format!("signs in: {}", list(manifest.pass.iter().map(ToString::to_string).collect())),
        format!("listens:  {}", list(manifest.listen.iter().map(ToString::to_string).collect())),
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_of_a_folder_are_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("fixtures")).unwrap();
        write("adapter.toml", &include_str!("scaffold/adapter.toml.in").replace("@ID@", "Not An Id"));
        write("Cargo.toml", "[package]\nname = \"x\"");
        write("fixtures/site.toml", "[[routes]]\nurl = \"nowhere\"\nfile = \"none.html\"\n[[routes]]\nbody = \"x\"");
        let wrong = check(folder.path(), None).wrong.join("\n");
        for part in ["adapter.id", "cdylib", "routes[0]", "routes[1]: a route has a url"] {
            assert!(wrong.contains(part), "{part}: {wrong}");
        }
    }
}

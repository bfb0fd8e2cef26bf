//! Everything that can be said of an adapter without running it, in one go.

use std::path::Path;

use serde_json::Value;
use wit_component::DecodedWasm;

use crate::lab::replica;
use crate::plugin::{INTERFACE_VERSION, Manifest, PackageError, read_manifest, try_link};

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

/// Looks at an adapter's folder, or at its file. `into`: a server's folder of adapters, which it is to join.
pub fn check(path: &Path, fixtures: Option<&Path>, into: &Path) -> Findings {
    let mut findings = Findings::default();
    let manifest = if path.is_dir() {
        check_folder(path, &mut findings)
    } else {
        match std::fs::read(path) {
            Ok(bytes) => check_file(&bytes, &mut findings),
            Err(error) => {
                findings.wrong.push(format!("{}: {error}", path.display()));
                None
            }
        }
    };
    if let Some(manifest) = &manifest {
        check_neighbours(path, into, manifest, &mut findings);
    }
    let beside = path.join("fixtures");
    let fixtures = fixtures.map(Path::to_owned).or_else(|| path.is_dir().then_some(beside));
    if let Some(folder) = fixtures {
        match replica::check(&folder) {
            Ok(site) => {
                findings.facts.push(format!("fixtures: {}", folder.display()));
                let config = Value::Object(site.config.into_iter().collect());
                let schema = manifest.as_ref().and_then(|manifest| manifest.schema.as_ref());
                let wrong = schema.and_then(|schema| schema.apply("config", &config).err()).unwrap_or_default();
                findings.wrong.extend(wrong.iter().map(|problem| format!("{}: {problem}", replica::FILE)));
            }
            Err(error) => findings.wrong.push(error.to_string()),
        }
    }
    findings
}

fn check_folder(folder: &Path, findings: &mut Findings) -> Option<Manifest> {
    let path = folder.join("adapter.toml");
    let text = std::fs::read_to_string(&path);
    let manifest = match &text {
        Err(error) => {
            findings.wrong.push(format!("{}: {error}: an adapter has a manifest", path.display()));
            None
        }
        Ok(text) => match Manifest::parse(text) {
            Ok(manifest) => {
                describe(&manifest, findings);
                Some(manifest)
            }
            Err(error) => {
                findings.wrong.push(error.to_string());
                None
            }
        },
    };
    check_project(folder, findings);
    // What was built is looked at too, whatever else its manifest says.
    let table = text.ok().and_then(|text| toml::from_str::<toml::Table>(&text).ok());
    let id = table.as_ref().and_then(|table| table.get("adapter")?.get("id")?.as_str());
    let built = id.map(|id| folder.join("dist").join(format!("{id}.wasm")));
    if let Some(bytes) = built.as_ref().and_then(|path| std::fs::read(path).ok()) {
        let mut of_file = Findings::default();
        check_file(&bytes, &mut of_file);
        let known = findings.wrong.clone();
        findings.wrong.extend(of_file.wrong.into_iter().filter(|wrong| !known.contains(wrong)));
        findings.facts.extend(of_file.facts.into_iter().filter(|fact| fact.starts_with("file:")));
    }
    manifest
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

fn check_file(bytes: &[u8], findings: &mut Findings) -> Option<Manifest> {
    findings.facts.push(format!("file:     {} KiB", bytes.len().div_ceil(1024)));
    let manifest = match read_manifest(bytes) {
        Ok(manifest) => {
            describe(&manifest, findings);
            Some(manifest)
        }
        Err(error @ (PackageError::Manifest(_) | PackageError::NoManifest | PackageError::BadManifest)) => {
            findings.wrong.push(error.to_string());
            None
        }
        // It is no component: there is nothing more to be said.
        Err(error) => {
            findings.wrong.push(error.to_string());
            return None;
        }
    };
    let found = findings.wrong.len();
    check_interfaces(bytes, findings);
    // What linking would say has been said better.
    if findings.wrong.len() == found
        && let Err(error) = try_link(bytes)
    {
        findings.wrong.push(error.to_string());
    }
    manifest
}

/// What the server would say to it beside the adapters that are there.
fn check_neighbours(path: &Path, into: &Path, manifest: &Manifest, findings: &mut Findings) {
    let own = path.canonicalize().ok();
    let is_there = own.as_deref().and_then(Path::parent) == into.canonicalize().ok().as_deref();
    let files = std::fs::read_dir(into).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let adapters = files.filter(|file| file.extension().is_some_and(|ending| ending == "wasm"));
    let mut others: Vec<_> = adapters.filter(|file| file.canonicalize().ok() != own).collect();
    others.sort();
    for file in others {
        let Some(other) = std::fs::read(&file).ok().and_then(|bytes| read_manifest(&bytes).ok()) else { continue };
        if other.id != manifest.id {
            continue;
        }
        // One with the same name that comes from elsewhere is an update.
        if other.name != manifest.name || is_there {
            findings.wrong.push(format!(
                "adapter.id = \"{}\": {} ({}) has this id too, and only one of them serves: give it another id, or remove that file",
                manifest.id,
                file.display(),
                other.name
            ));
        } else if manifest.version < other.version {
            findings.wrong.push(format!(
                "adapter.version = \"{}\": it is older than {} ({}), which it would replace: raise it",
                manifest.version,
                file.display(),
                other.version
            ));
        }
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
    let versioned = imports.iter().chain(&exports).filter(|name| name.starts_with(CONTRACT));
    if let Some(other) = versioned.into_iter().find(|name| !name.ends_with(INTERFACE_VERSION)) {
        findings
            .wrong
            .push(format!("it was built for {other}, and this host has {INTERFACE_VERSION}: build it with that SDK"));
    }
    if !exports.iter().any(|export| export.starts_with(PROVIDER)) {
        findings.wrong.push(
            "it does not export webai:adapter/provider: register!(...) in Rust, export provider in a script".into(),
        );
    }
    for export in exports.iter().filter(|export| !export.starts_with(CONTRACT)) {
        // Tools leave some there, as componentize-qjs does its `init`.
        findings.facts.push(format!("unused:   it exports {export}, for which this host has no use"));
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
    use crate::plugin::pack;

    const MANIFEST: &str = include_str!("scaffold/adapter.toml.in");

    /// A component that is packed with a good manifest.
    fn built(wat: &str) -> Vec<u8> {
        pack(&wat::parse_str(wat).unwrap(), &MANIFEST.replace("@ID@", "good").replace("@NAME@", "Good")).unwrap()
    }

    fn wrong(bytes: &[u8]) -> String {
        let mut findings = Findings::default();
        check_file(bytes, &mut findings);
        findings.wrong.join("\n")
    }

    #[test]
    fn every_mistake_of_a_folder_is_told_in_one_go() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("fixtures")).unwrap();
        std::fs::create_dir(folder.path().join("dist")).unwrap();
        let edits = [
            ("@ID@", "bad"),
            ("@NAME@", "Bad"),
            ("contract = \"0.1\"", "contract = \"0.9\""),
            ("version = \"0.1.0\"", "version = \"one\""),
            ("[capabilities]", "[config.schema]\ntype = \"number\"\n\n[capabilities]"),
        ];
        let mut manifest = MANIFEST.to_owned();
        for (from, to) in edits {
            assert!(manifest.contains(from), "{from}");
            manifest = manifest.replace(from, to);
        }
        manifest.push_str("\n[[models]]\nid = \"sees\"\nlabel = \"Sees\"\nfeatures = { vision = \"native\" }\n");
        let manifest = manifest.replace("page = [", "page = [\"https://*\", \"http://other.localhost\", ");
        write("adapter.toml", manifest.as_bytes());
        write("Cargo.toml", b"[package]\nname = \"x\"");
        write("fixtures/site.toml", b"[[routes]]\nurl = \"nowhere\"\nfile = \"none.html\"\n[[routes]]\nbody = \"x\"");
        write("dist/bad.wasm", &built("(component)"));
        let wrong = check(folder.path(), None, folder.path()).wrong.join("\n");
        for part in [
            "adapter.contract = \"0.9\": this host has contract 0.1",
            "adapter.version = \"one\": write three numbers",
            "origins.page[0] = \"https://*\": an origin is",
            "origins.page[1] = \"http://other.localhost\": an origin does not name this machine",
            "config.schema",
            "features.vision = \"native\": add \"image/*\" to capabilities.files",
            "crate-type = [\"cdylib\"]",
            "routes[0]",
            "routes[1]: a route has a url",
            "it does not export webai:adapter/provider: register!(...)",
        ] {
            assert!(wrong.contains(part), "{part}\n\n{wrong}");
        }
    }

    #[test]
    fn settings_that_do_not_fit_their_schema_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("fixtures")).unwrap();
        let schema = "[config.schema]\ntype = \"object\"\nproperties.tier.type = \"string\"\n\n[capabilities]";
        write(
            "adapter.toml",
            &MANIFEST.replace("@ID@", "good").replace("@NAME@", "Good").replace("[capabilities]", schema),
        );
        write("fixtures/site.toml", "[config]\ntier = 3\n");
        let wrong = check(folder.path(), None, folder.path()).wrong.join("\n");
        assert!(wrong.contains("site.toml: config.tier = \"3\": expected string"), "{wrong}");
    }

    #[test]
    fn what_is_installed_already_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = MANIFEST.replace("@ID@", "good").replace("@NAME@", "Good");
        let put = |file: &str, manifest: &str| {
            let path = folder.path().join(file);
            std::fs::write(&path, pack(&wat::parse_str("(component)").unwrap(), manifest).unwrap()).unwrap();
            path
        };
        std::fs::create_dir(folder.path().join("installed")).unwrap();
        let into = folder.path().join("installed");
        let told = |path: &Path| {
            let wrong = check(path, None, &into).wrong;
            wrong.into_iter().filter(|wrong| wrong.starts_with("adapter.")).collect::<Vec<_>>().join("\n")
        };
        let new = put("new.wasm", &manifest);
        put("installed/other.wasm", &manifest.replace("\"good\"", "\"fine\""));
        std::fs::write(into.join("broken.wasm"), "x").unwrap();
        assert_eq!(told(&new), "");

        let installed = put("installed/good.wasm", &manifest);
        assert_eq!(told(&new), "", "the same version again");
        assert_eq!(told(&installed), "", "itself");
        put("installed/good.wasm", &manifest.replace("0.1.0", "0.2.0"));
        let back = told(&new);
        assert!(back.starts_with("adapter.version = \"0.1.0\": it is older than") && back.contains("0.2.0"), "{back}");
        put("installed/good.wasm", &manifest.replace("\"Good\"", "\"Another\""));
        let double = told(&new);
        assert!(
            double.starts_with("adapter.id = \"good\": ") && double.contains("(Another) has this id too"),
            "{double}"
        );
        put("installed/good.wasm", &manifest);
        let twice = told(&put("installed/good-2.wasm", &manifest));
        assert!(twice.contains("good.wasm (Good) has this id too"), "{twice}");
    }

    #[test]
    fn a_file_that_is_no_adapter_says_what_it_is() {
        assert!(wrong(b"hello").contains("this is not WebAssembly"));
        assert!(wrong(b"\0asm\x01\0\0\0").contains("pack it with `webai2api adapter pack`"));
        assert!(wrong(&wat::parse_str("(component)").unwrap()).contains("this component has no manifest: pack it"));
        assert!(wrong(&built("(component)")).contains("register!(...) in Rust, export provider in a script"));
        let command = "(component (import \"wasi:cli/environment@0.2.0\" (instance (export \"f\" (func)))))";
        assert!(wrong(&built(command)).contains("build for wasm32-unknown-unknown"));
        let later = "(component (import \"webai:adapter/page@0.9.0\" (instance (export \"f\" (func)))))";
        assert!(wrong(&built(later)).contains("built for webai:adapter/page@0.9.0, and this host has @0.1.0"));
        let foreign = "(component (import \"other:thing/api@1.0.0\" (instance (export \"f\" (func)))))";
        assert!(wrong(&built(foreign)).contains("which is not of the contract"));
    }

    #[test]
    fn a_component_of_tasks_is_told_how_to_be_built() {
        let provider = "(component
            (core module $m
                (func (export \"f\") (result i32) i32.const 0)
                (func (export \"cb\") (param i32 i32 i32) (result i32) i32.const 0))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i \"f\") async (callback (core func $i \"cb\"))))
            (instance $p (export \"f\" (func $f)))
            (export \"webai:adapter/provider@0.1.0\" (instance $p)))";
        let told = wrong(&built(provider));
        assert!(told.contains("componentize-qjs --sync"), "{told}");
    }
}

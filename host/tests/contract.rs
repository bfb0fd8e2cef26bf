//! The contract holds what it promised: `wit/` is compared with the version that was published last, after the rules of
//! `wit/README.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use wit_parser::{Function, Handle, Resolve, Type, TypeDefKind, WorldItem, WorldKey};

/// What of a contract matters to adapters that are built, as text that can be compared.
#[derive(Debug, Default, PartialEq, Eq)]
struct Contract {
    /// Major and minor: a break has another.
    version: (u64, u64),
    /// `interface/name` to its shape.
    types: BTreeMap<String, String>,
    functions: BTreeMap<String, String>,
    /// Interfaces that the host gives, and those that an adapter gives.
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
}

impl Contract {
    fn parse(path: &str, text: &str) -> Self {
        let mut resolve = Resolve::default();
        let package = resolve.push_source(path, text).unwrap();
        Self::of(&resolve, package)
    }

    fn of(resolve: &Resolve, package: wit_parser::PackageId) -> Self {
        let package = &resolve.packages[package];
        let version = package.name.version.as_ref().unwrap();
        let mut contract = Self { version: (version.major, version.minor), ..Self::default() };
        for (name, id) in &package.interfaces {
            let interface = &resolve.interfaces[*id];
            for (of, id) in &interface.types {
                contract.types.insert(format!("{name}/{of}"), shape(resolve, &resolve.types[*id].kind));
            }
            for (of, function) in &interface.functions {
                contract.functions.insert(format!("{name}/{of}"), signature(resolve, function));
            }
        }
        for id in package.worlds.values() {
            let world = &resolve.worlds[*id];
            contract.imports.extend(interfaces(resolve, &world.imports));
            contract.exports.extend(interfaces(resolve, &world.exports));
        }
        contract
    }

    fn exports(&self, item: &str) -> bool {
        item.split_once('/').is_some_and(|(interface, _)| self.exports.contains(interface))
    }
}

fn interfaces<'a>(
    resolve: &'a Resolve,
    items: impl IntoIterator<Item = (&'a WorldKey, &'a WorldItem)>,
) -> impl Iterator<Item = String> {
    items.into_iter().map(|(key, item)| match item {
        WorldItem::Interface { id, .. } => resolve.interfaces[*id].name.clone().unwrap(),
        _ => panic!("the worlds have interfaces only: {key:?}"),
    })
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let params: Vec<_> = function.params.iter().map(|p| format!("{}: {}", p.name, name(resolve, &p.ty))).collect();
    let result = function.result.map_or("nothing".into(), |ty| name(resolve, &ty));
    let waits = if function.kind.is_async() { "async " } else { "" };
    format!("{waits}({}) -> {result}", params.join(", "))
}

/// A type as it is written where it is used.
fn name(resolve: &Resolve, ty: &Type) -> String {
    let Type::Id(id) = ty else { return format!("{ty:?}").to_lowercase() };
    let ty = &resolve.types[*id];
    ty.name.clone().unwrap_or_else(|| shape(resolve, &ty.kind))
}

fn shape(resolve: &Resolve, kind: &TypeDefKind) -> String {
    let name = |ty: &Type| name(resolve, ty);
    let maybe = |ty: &Option<Type>| ty.as_ref().map_or("_".into(), name);
    let listed = |parts: Vec<String>| parts.join(", ");
    match kind {
        TypeDefKind::Record(it) => {
            let fields = it.fields.iter().map(|f| format!("{}: {}", f.name, name(&f.ty))).collect();
            format!("record {{{}}}", listed(fields))
        }
        TypeDefKind::Variant(it) => {
            let cases = it.cases.iter().map(|c| format!("{}({})", c.name, maybe(&c.ty))).collect();
            format!("variant {{{}}}", listed(cases))
        }
        TypeDefKind::Enum(it) => format!("enum {{{}}}", listed(it.cases.iter().map(|c| c.name.clone()).collect())),
        TypeDefKind::Flags(it) => format!("flags {{{}}}", listed(it.flags.iter().map(|f| f.name.clone()).collect())),
        TypeDefKind::Tuple(it) => format!("tuple<{}>", listed(it.types.iter().map(name).collect())),
        TypeDefKind::Option(ty) => format!("option<{}>", name(ty)),
        TypeDefKind::Result(it) => format!("result<{}, {}>", maybe(&it.ok), maybe(&it.err)),
        TypeDefKind::List(ty) => format!("list<{}>", name(ty)),
        TypeDefKind::Handle(Handle::Own(id)) => format!("own<{}>", name(&Type::Id(*id))),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", name(&Type::Id(*id))),
        TypeDefKind::Type(ty) => name(ty),
        TypeDefKind::Resource => "resource".into(),
        other => panic!("the contract has no {}", other.as_str()),
    }
}

/// Every way in which a contract breaks adapters that were built for the one before.
fn breaks(before: &Contract, now: &Contract) -> Vec<String> {
    let mut breaks = Vec::new();
    let mut compare = |what: &str, before: &BTreeMap<String, String>, now: &BTreeMap<String, String>| {
        for (item, was) in before {
            match now.get(item) {
                None => breaks.push(format!("{what} {item} is gone")),
                Some(is) if is != was => breaks.push(format!("{what} {item} was {was} and is {is}")),
                Some(_) => {}
            }
        }
    };
    compare("type", &before.types, &now.types);
    compare("function", &before.functions, &now.functions);
    for interface in &before.imports {
        if !now.imports.contains(interface) {
            breaks.push(format!("the host no longer gives {interface}"));
        }
    }
    // What is there must be exported as it is: another function in it, and no adapter has it.
    for item in now.functions.keys().filter(|item| before.exports(item) && !before.functions.contains_key(*item)) {
        breaks.push(format!("adapters would have to export {item} too"));
    }
    breaks
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("wit")
}

/// The files of a contract as one text. Each repeats the package's name, which may stand once.
fn whole(folder: &Path) -> String {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: BTreeSet<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "wit")).collect();
    let mut text = String::new();
    for path in files {
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let line = line.trim();
            let repeated = line.starts_with("package ") && text.contains(line);
            if !line.is_empty() && !line.starts_with("//") && !repeated {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    let package = text.lines().find(|line| line.starts_with("package ")).unwrap().to_owned();
    format!("{package}\n{}", text.replacen(&format!("{package}\n"), "", 1))
}

/// To publish a new version: raise it in `wit/*.wit` and in the host, and run this with `PUBLISH_CONTRACT=1`.
#[test]
fn the_contract_keeps_what_was_published() {
    let text = whole(&folder());
    let now = Contract::parse("wit", &text);
    let (major, minor) = now.version;
    let published = folder().join(format!("published/{major}.{minor}.wit"));
    if std::env::var_os("PUBLISH_CONTRACT").is_some() {
        assert!(!published.exists(), "{major}.{minor} is published: what it says stays");
        std::fs::write(&published, &text).unwrap();
    }
    let before = std::fs::read_to_string(&published);
    let before = before.unwrap_or_else(|_| panic!("{} is missing: PUBLISH_CONTRACT=1 writes it", published.display()));
    let breaks = breaks(&Contract::parse("published", &before), &now);
    assert!(breaks.is_empty(), "breaks {major}.{minor}; take it back, or raise the version:\n{}", breaks.join("\n"));
}

#[test]
fn what_the_host_speaks_is_published() {
    let names = std::fs::read_dir(folder().join("published")).unwrap().map(|e| e.unwrap().file_name());
    let names: BTreeSet<_> = names.map(|name| name.into_string().unwrap()).collect();
    let now = Contract::parse("wit", &whole(&folder())).version;
    assert!(names.contains(&format!("{}.{}.wit", now.0, now.1)), "{names:?}");
}

const SMALL: &str = "package a:b@0.1.0;
interface types { enum e { x, y } record r { a: u8 } }
interface page { use types.{e}; resource p { look: func(at: string) -> result<string, e>; } }
interface provider { use types.{r}; use page.{p}; run: func(on: p) -> option<r>; }
world w { import types; import page; export provider; }";

#[test]
fn each_kind_of_break_is_seen() {
    let before = Contract::parse("before", SMALL);
    assert_eq!(breaks(&before, &before), Vec::<String>::new());
    for (from, to, seen) in [
        ("look: func(at: string) -> result<string, e>;", "", "page/[method]p.look is gone"),
        ("look: func(at: string)", "look: func(at: u8)", "function page/[method]p.look was"),
        ("look: func(at: string)", "look: func(place: string)", "function page/[method]p.look was"),
        ("look: func", "look: async func", "function page/[method]p.look was"),
        ("enum e { x, y }", "enum e { x, y, z }", "type types/e was enum {x, y}"),
        ("record r { a: u8 }", "record r { a: u8, b: u8 }", "type types/r was record {a: u8}"),
        ("run: func", "walk: func(); run: func", "adapters would have to export provider/walk"),
        ("import page;", "", "the host no longer gives page"),
        ("-> option<r>", "-> r", "function provider/run was"),
    ] {
        assert!(SMALL.contains(from), "{from}");
        let mut text = SMALL.replacen(from, to, 1);
        if to.is_empty() && from.starts_with("import page") {
            // An interface whose types are exported is imported in any case.
            text = text.replace("use page.{p}; run: func(on: p)", "run: func()");
        }
        let found = breaks(&before, &Contract::parse("after", &text));
        assert!(found.iter().any(|line| line.contains(seen)), "{from} -> {to}: {found:?}");
    }
}

#[test]
fn what_the_promise_allows_is_no_break() {
    let before = Contract::parse("before", SMALL);
    for (from, to) in [
        ("look: func", "touch: func(); look: func"),
        ("enum e { x, y }", "enum e { x, y } enum new { z }"),
        ("export provider;", "export provider; export more;\n} interface more { go: func();"),
        ("look: func", "/// Says more.\nlook: func"),
    ] {
        let found = breaks(&before, &Contract::parse("after", &SMALL.replacen(from, to, 1)));
        assert_eq!(found, Vec::<String>::new(), "{from} -> {to}");
    }
}

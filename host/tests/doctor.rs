//! `webai2api doctor` on a good machine, and on ones where something is wrong.

use std::net::TcpListener;
use std::path::Path;

use crate::support::{Builder, Ended, Server};
use serde_json::Value;

/// Runs it with `--json`, and gives what it said.
fn examined(builder: Builder) -> (Ended, Value) {
    let ended = builder.env("LANG", "C.UTF-8").env("LC_ALL", "").arg("doctor").arg("--json").run();
    let said = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}{}", ended.stdout, ended.stderr));
    (ended, said)
}

fn check<'a>(said: &'a Value, name: &str) -> &'a Value {
    let checks = said["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name}: {said:#}"))
}

fn verdict<'a>(said: &'a Value, name: &str) -> &'a str {
    check(said, name)["verdict"].as_str().unwrap()
}

/// What keeps the program from working has a cure, and the exit code says that there is something.
fn is_a_problem(ended: &Ended, said: &Value, name: &str, seen: &str) {
    let check = check(said, name);
    assert_eq!(check["verdict"], "problem", "{check}");
    assert!(check["seen"].as_str().unwrap().contains(seen), "{check}");
    assert!(check["cure"].as_str().unwrap().ends_with('.'), "{check}");
    assert_eq!((ended.status.code(), &said["verdict"]), (Some(1), &Value::from("problem")));
}

/// No browser: what it is about is something else.
fn without_chromium() -> Builder {
    Server::builder().env("WEBAI_BROWSER_PATH", "/no/such/chromium")
}

#[test]
fn a_good_machine() {
    let (ended, said) = examined(Server::builder());
    let names = [
        "configuration",
        "chromium",
        "sandbox",
        "shared-memory",
        "port",
        "data-folder",
        "disk",
        "fonts",
        "memory",
        "clock",
        "adapters",
        "accounts",
    ];
    for name in names {
        assert_ne!(verdict(&said, name), "problem", "{said:#}");
    }
    assert_eq!(ended.status.code(), Some(0), "{said:#}");
    let seen = check(&said, "chromium")["seen"].as_str().unwrap();
    assert!(seen.contains("Chrome/") && seen.contains(" ms"), "{seen}");
    assert!(check(&said, "adapters")["seen"].as_str().unwrap().contains("demo@"), "{said:#}");
    assert_eq!(verdict(&said, "clock"), "ok");
}

#[test]
fn it_speaks_to_people_in_their_language() {
    let run = |lang: &str| without_chromium().env("LANG", lang).env("LC_ALL", "").arg("doctor").run().stdout;
    let english = run("en_US.UTF-8");
    assert!(english.contains("problem  Chromium") && english.contains("→ Install Chromium"), "{english}");
    assert!(english.lines().last().unwrap().contains("problems: 1"), "{english}");
    let chinese = run("zh_CN.UTF-8");
    assert!(chinese.contains("问题  Chromium") && chinese.contains("→ 请安装 Chromium"), "{chinese}");
    assert!(!english.contains('\x1b') && !chinese.contains('\x1b'), "no colours for a pipe");
}

#[test]
fn no_chromium_and_what_is_none() {
    let (ended, said) = examined(without_chromium());
    is_a_problem(&ended, &said, "chromium", "/no/such/chromium");
    let (ended, said) = examined(Server::builder().env("WEBAI_BROWSER_PATH", "/bin/true"));
    is_a_problem(&ended, &said, "chromium", "/bin/true");
}

#[test]
fn a_port_of_another_program() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    // It takes connections, and never says a word.
    let (ended, said) = examined(without_chromium().env("PORT", &port));
    is_a_problem(&ended, &said, "port", "in use by another program");
}

#[test]
fn a_data_folder_of_no_use() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (ended, said) = examined(without_chromium().data_dir(file.path()));
    is_a_problem(&ended, &said, "data-folder", "there is a file in its place");
    // Nobody, root included, can write there.
    let (ended, said) = examined(without_chromium().data_dir(Path::new("/proc/webai2api")));
    is_a_problem(&ended, &said, "data-folder", "cannot be used");
}

#[test]
fn a_configuration_that_is_wrong() {
    let (ended, said) = examined(Server::builder().config("server: {prot: 1}"));
    is_a_problem(&ended, &said, "configuration", "did you mean server.port?");
    assert_ne!(verdict(&said, "clock"), "problem", "what does not hang on it is looked at all the same");
    assert!(!said["checks"].as_array().unwrap().iter().any(|check| check["name"] == "port"), "{said:#}");
    let (_, said) = examined(without_chromium().config("server: {imageMarkdown: true}"));
    assert_eq!(verdict(&said, "configuration"), "warning");
}

#[test]
fn a_server_that_runs_is_asked() {
    let server = Server::builder().start_ready();
    let (folder, port) = (server.home().join("data"), server.address.port().to_string());
    let ask = || Server::builder().data_dir(&folder).env("PORT", &port);
    let (ended, said) = examined(ask());
    assert_eq!(ended.status.code(), Some(0), "{said:#}");
    let seen = |name: &str| check(&said, name)["seen"].as_str().unwrap().to_owned();
    assert!(seen("port").contains("runs and is ready"), "{said:#}");
    assert!(seen("chromium").contains("the server that runs"), "no second browser: {said:#}");
    assert!(seen("data-folder").contains("held by the server"), "{said:#}");
    assert!(seen("adapters").starts_with("demo@"), "{said:#}");
    assert!(seen("accounts").starts_with("default/demo: "), "{said:#}");
    let (_, said) = examined(ask().env("WEBAI_KEY", "wrong"));
    assert_eq!(verdict(&said, "adapters"), "warning", "{said:#}");
    assert!(!said.to_string().contains(&server.key));
    // Another that has the same folder, but not this port.
    let (ended, said) = examined(without_chromium().data_dir(&folder));
    is_a_problem(&ended, &said, "data-folder", "another webai2api");
}

#[test]
fn adapters_that_wait_or_are_broken() {
    let home = tempfile::tempdir().unwrap();
    let own = home.path().join("adapters");
    std::fs::create_dir(&own).unwrap();
    std::fs::write(own.join("broken.wasm"), b"no component").unwrap();
    let (_, said) = examined(without_chromium().data_dir(home.path()));
    assert_eq!(verdict(&said, "adapters"), "warning");
    assert!(check(&said, "adapters")["seen"].as_str().unwrap().contains("broken.wasm"), "{said:#}");
}

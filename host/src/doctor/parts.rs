//! What the operator put together: configuration, adapters, accounts.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use super::machine::date;
use super::server::Running;
use super::{Check, words};
use crate::config::{Backend, Config, Loaded};
use crate::http::Text;
use crate::plugin::{Survey, survey};

pub(super) fn configuration(config: &Result<Loaded, String>) -> Check {
    let (name, title) = ("configuration", words::configuration());
    match config {
        Ok(loaded) if loaded.warnings.is_empty() => Check::ok(name, title, words::config_right()),
        Ok(loaded) => {
            let seen = words::config_warnings(loaded.warnings.join("; "));
            Check::warning(name, title, seen, words::config_warnings_cure())
        }
        Err(all) => Check::problem(name, title, words::config_wrong(all), words::config_wrong_cure()),
    }
}

/// By the server that runs, or else by the files.
pub(super) async fn adapters(config: &Config, running: Option<&Running>, bundled: &[PathBuf]) -> Check {
    if let Some(running) = running {
        return match &running.adapters {
            Ok(listed) => serving(listed, &config.backend),
            Err(reason) => check(Check::warning, words::adapters_silent(reason), words::adapters_silent_cure()),
        };
    }
    let state = config.log.data_dir.clone();
    let own = config.adapters.folder(&state);
    let (bundled, unapproved) = (bundled.to_vec(), config.adapters.allow_unapproved);
    let looked = tokio::task::spawn_blocking(move || {
        let folders = bundled.iter().chain([&own]).map(|folder| folder.display().to_string()).collect::<Vec<_>>();
        (survey(&bundled, &own, &state, unapproved), folders.join(", "))
    });
    let (survey, folders) = looked.await.unwrap_or_default();
    filed(survey, folders, &config.backend)
}

type Make = fn(&'static str, Text, Text, Text) -> Check;

fn check(make: Make, seen: Text, cure: Text) -> Check {
    make("adapters", words::adapters(), seen, cure)
}

fn filed(survey: Survey, folders: String, backend: &Backend) -> Check {
    let broken = survey.broken.iter().map(|file| format!("{}: {}", file.file, file.problem)).collect();
    let quarantined = survey.quarantined.iter().map(|(id, reason)| format!("{id}: {reason}")).collect();
    if let Some(reason) = survey.lock {
        return check(Check::problem, words::adapters_lock(reason), words::adapters_lock_cure());
    }
    if survey.found.is_empty() && survey.broken.is_empty() {
        return check(Check::problem, words::adapters_none(folders), words::adapters_none_cure());
    }
    let id = |label: &String| label.split('@').next().unwrap_or_default().to_owned();
    let absent = absent(backend, &survey.found.iter().map(id).collect());
    let good = words::adapters_files(survey.found.join(", "));
    worst(Troubles { broken, absent, quarantined, pending: survey.pending }, good)
}

/// What does not serve as it should.
#[derive(Default)]
struct Troubles {
    broken: Vec<String>,
    absent: Vec<String>,
    quarantined: Vec<String>,
    pending: Vec<String>,
}

/// The workers that want an adapter which there is not: they would never answer.
fn absent(backend: &Backend, ids: &BTreeSet<String>) -> Vec<String> {
    let workers =
        backend.instances.iter().flat_map(|instance| instance.workers.iter().map(move |worker| (instance, worker)));
    let wanted = workers.flat_map(|(instance, worker)| worker.adapters.iter().map(move |id| (instance, worker, id)));
    let absent = wanted.filter(|(_, _, id)| !ids.contains(*id));
    absent.map(|(instance, worker, id)| format!("{id} ({}/{})", instance.name, worker.name)).collect()
}

/// As `/admin/api/adapters` tells it.
fn serving(listed: &Value, backend: &Backend) -> Check {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let items = |name: &str| listed.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let (mut good, mut troubles, mut ids) = (Vec::new(), Troubles::default(), BTreeSet::new());
    for adapter in items("adapters") {
        let id = text(&adapter, "id");
        ids.insert(id.clone());
        match text(&adapter, "state").as_str() {
            "serving" => good.push(format!("{id}@{}", text(&adapter, "version"))),
            "failed" => troubles.broken.push(format!("{id}: {}", text(&adapter, "problem"))),
            "quarantined" => troubles.quarantined.push(format!("{id}: {}", text(&adapter, "quarantine"))),
            _ => {}
        }
        if adapter.get("pending").is_some_and(|pending| !pending.is_null()) {
            troubles.pending.push(id);
        }
    }
    troubles
        .broken
        .extend(items("broken").iter().map(|file| format!("{}: {}", text(file, "file"), text(file, "problem"))));
    // A server of another version may not tell.
    troubles.absent = if ids.is_empty() { Vec::new() } else { absent(backend, &ids) };
    worst(troubles, words::adapters_serve(good.join(", ")))
}

/// One broken file does not keep the others from serving: nothing here is a problem of the whole.
fn worst(troubles: Troubles, good: Text) -> Check {
    let Troubles { broken, absent, quarantined, pending } = troubles;
    if !broken.is_empty() {
        let seen = words::adapters_broken(broken.join("; "));
        return check(Check::warning, seen, words::adapters_broken_cure());
    }
    if !absent.is_empty() {
        return check(Check::warning, words::adapters_absent(absent.join(", ")), words::adapters_absent_cure());
    }
    if !quarantined.is_empty() {
        let seen = words::adapters_quarantined(quarantined.join("; "));
        return check(Check::warning, seen, words::adapters_quarantined_cure());
    }
    if !pending.is_empty() {
        return check(Check::warning, words::adapters_pending(pending.join(", ")), words::adapters_pending_cure());
    }
    Check::ok("adapters", words::adapters(), good)
}

/// What a server that runs knows of its accounts; or else the browser profiles, and when each was used.
pub(super) fn accounts(config: &Config, running: Option<&Running>) -> Vec<Check> {
    match running.map(|running| &running.pool) {
        Some(Ok(pool)) => known(pool),
        Some(Err(reason)) => {
            let (seen, cure) = (words::adapters_silent(reason), words::adapters_silent_cure());
            vec![Check::warning("accounts", words::accounts(), seen, cure)]
        }
        None => profiles(config),
    }
}

fn known(pool: &Value) -> Vec<Check> {
    let all = pool.get("accounts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let one = |account: &Value| {
        let text = |name: &str| account.get(name).and_then(Value::as_str).unwrap_or_default();
        let (name, title, of) = ("accounts", words::accounts(), format!("{}/{}", text("instance"), text("adapter")));
        if let Some(ms) = account.get("limited_for_ms").and_then(Value::as_u64) {
            let seen = words::account_limited(of, ms.div_ceil(60_000).to_string());
            return Check::warning(name, title, seen, words::account_limited_cure());
        }
        match text("state") {
            "signed-in" => Check::ok(name, title, words::account_signed_in(of)),
            "signed-out" => {
                Check::warning(name, title, words::account_signed_out(of), words::account_signed_out_cure())
            }
            "challenge" => Check::warning(name, title, words::account_challenge(of), words::account_challenge_cure()),
            _ => Check::ok(name, title, words::account_unknown(of)),
        }
    };
    all.iter().map(one).collect()
}

/// The browser profiles, and when each was used.
fn profiles(config: &Config) -> Vec<Check> {
    let folder = config.log.data_dir.join("profiles");
    let profiles = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = profiles.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    if names.is_empty() {
        names.push("default".to_owned());
    }
    let one = |name: &String| {
        let used = std::fs::metadata(folder.join(name)).and_then(|meta| meta.modified());
        let seen = match used {
            Ok(when) => words::account_used(name, date(when)),
            Err(_) => words::account_new(name),
        };
        Check::ok("accounts", words::accounts(), seen)
    };
    names.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;
    use crate::doctor::Verdict;
    use serde_json::json;

    fn backend(yaml: &str) -> Backend {
        let file = Some(("config.yaml".to_owned(), yaml.to_owned()));
        Config::load(&Sources { file, ..Sources::default() }).unwrap().config.backend
    }

    #[test]
    fn what_a_server_says_of_its_adapters() {
        let listed = |adapters: Value, broken: Value| json!({ "adapters": adapters, "broken": broken });
        let of = |adapters: Value, broken: Value| serving(&listed(adapters, broken), &backend(""));
        let good = json!({ "id": "demo", "state": "serving", "version": "0.1.0", "pending": null });
        let check = of(json!([good]), json!([]));
        assert_eq!((check.verdict, check.seen.en.as_str()), (Verdict::Ok, "demo@0.1.0"));
        let waiting = json!({ "id": "b", "state": "pending", "pending": { "version": "1" } });
        let check = of(json!([good, waiting]), json!([]));
        assert!(check.verdict == Verdict::Warning && check.cure.unwrap().en.contains("adapter approve"));
        let out = json!({ "id": "c", "state": "quarantined", "quarantine": "it crashed" });
        assert_eq!(of(json!([good, out]), json!([])).seen.en, "out of use: c: it crashed");
        let check = of(json!([good]), json!([{ "file": "x.wasm", "problem": "too large" }]));
        assert_eq!(check.seen.en, "not usable: x.wasm: too large");
        assert_eq!(serving(&json!(null), &backend("")).verdict, Verdict::Ok, "an answer of another version");
    }

    #[test]
    fn a_worker_of_no_adapter_is_told_of() {
        let workers = "[{name: one, type: demo}, {name: two, type: grok}]";
        let backend = backend(&format!("backend: {{pool: {{instances: [{{name: home, workers: {workers}}}]}}}}"));
        let listed = json!({ "adapters": [{ "id": "demo", "state": "serving", "version": "0.1.0", "pending": null }] });
        let survey = Survey { found: vec!["demo@0.1.0".into()], ..Survey::default() };
        for check in [serving(&listed, &backend), filed(survey, "/a".into(), &backend)] {
            assert_eq!((check.verdict, check.seen.en.as_str()), (Verdict::Warning, "there is no grok (home/two)"));
        }
    }

    #[test]
    fn what_a_server_says_of_its_accounts() {
        let account = |state: &str, limited: Value| json!({ "instance": "a", "adapter": "b", "state": state, "limited_for_ms": limited });
        let of = |state: &str, limited: Value| known(&json!({ "accounts": [account(state, limited)] })).remove(0);
        for (state, verdict, cure) in [
            ("signed-in", Verdict::Ok, false),
            ("unknown", Verdict::Ok, false),
            ("signed-out", Verdict::Warning, true),
            ("challenge", Verdict::Warning, true),
        ] {
            let check = of(state, json!(null));
            assert_eq!(check.verdict, verdict, "{state}");
            assert!(check.seen.en.starts_with("a/b: "), "{}", check.seen.en);
            assert_eq!(check.cure.is_some_and(|text| text.en.contains("webai2api login")), cure, "{state}");
        }
        let limited = of("signed-in", json!(90_000));
        assert!(
            limited.verdict == Verdict::Warning && limited.seen.en.contains("2 more minutes"),
            "{}",
            limited.seen.en
        );
        assert!(known(&json!({})).is_empty(), "an answer of another version");
    }

    #[test]
    fn no_adapter_at_all_is_a_problem() {
        assert_eq!(filed(Survey::default(), "/a".into(), &backend("")).verdict, Verdict::Problem);
    }
}

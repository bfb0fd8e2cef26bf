use super::*;

fn check(verdict: Verdict) -> Check {
    Check { verdict, ..Check::ok("memory", words::memory(), words::disk_free("1 GiB")) }
}

#[test]
fn the_worst_verdict_counts() {
    assert_eq!(worst(&[]), Verdict::Ok);
    let all = [check(Verdict::Warning), check(Verdict::Problem), check(Verdict::Ok)];
    assert_eq!(worst(&all), Verdict::Problem);
    assert!(conclusion(&all).en.contains("problems: 1, warnings: 1"));
    assert_eq!(conclusion(&all[2..]).en, "All is well.");
    let json = to_json(&all, Language::Chinese);
    assert_eq!((json["verdict"].as_str(), json["checks"][1]["verdict"].as_str()), (Some("problem"), Some("problem")));
    assert_eq!(json["checks"][0]["seen"], "可用 1 GiB");
}

#[test]
fn every_sentence_is_there_in_both_languages_and_uses_its_details() {
    for (name, Text { en, zh }) in words::every() {
        assert!(!en.is_empty() && !zh.is_empty(), "{name}");
        let details = |text: &str| {
            let mut all: Vec<String> =
                text.split('<').skip(1).filter_map(|t| Some(t.split_once('>')?.0.to_owned())).collect();
            all.sort();
            all
        };
        assert_eq!(details(&en), details(&zh), "{name}");
        if name.ends_with("_cure") {
            assert!(en.ends_with('.') && zh.ends_with('。'), "{name}: a cure is a sentence");
        }
    }
}

#[test]
fn sizes() {
    assert_eq!((size(5 << 20), size(9000 << 20), size(64 << 30)), ("5 MiB".into(), "9000 MiB".into(), "64 GiB".into()));
}

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn grown(document: &mut Document, line: &str) -> String {
    let changes = document.apply(line).unwrap();
    changes.into_iter().filter_map(|c| if let What::Grew(text) = c.what { Some(text) } else { None }).collect()
}

#[test]
fn path_and_operator_are_inherited() {
    let mut d = Document::default();
    d.apply(r#"{"v":{"response":{"status":"WIP","fragments":[{"type":"THINK","content":"First"}]}}}"#).unwrap();
    assert_eq!(grown(&mut d, r#"{"p":"response/fragments/-1/content","o":"APPEND","v":", think"}"#), ", think");
    assert_eq!(grown(&mut d, r#"{"v":" more"}"#), " more");
    assert_eq!(d.text("/response/fragments/0/content").as_deref(), Some("First, think more"));
}

#[test]
fn a_batch_has_paths_and_a_state_of_its_own() {
    let mut d = Document::default();
    d.apply(r#"{"v":{"response":{"fragments":[{"content":"a"}]}}}"#).unwrap();
    let changes = d
        .apply(r#"{"p":"response","o":"BATCH","v":[{"p":"fragments","o":"APPEND","v":[{"content":"b"}]},{"v":[{"content":"c"}]},{"p":"status","o":"SET","v":"FINISHED"}]}"#)
        .unwrap();
    let paths: Vec<&str> = changes.iter().map(|c| c.path.as_str()).collect();
    assert_eq!(paths, ["/response/fragments/1", "/response/fragments/2", "/response/status"]);
    assert_eq!(
        d.root(),
        &json!({"response": {"fragments": [{"content": "a"}, {"content": "b"}, {"content": "c"}], "status": "FINISHED"}})
    );
}

#[test]
fn a_patch_list_changes_texts_lists_and_objects() {
    let mut d = Document::default();
    d.apply(r#"{"p":"","o":"add","v":{"message":{"parts":[""],"metadata":{"a":1}}}}"#).unwrap();
    let line = r#"{"p":"","o":"patch","v":[{"p":"/message/parts/0","o":"append","v":"."},{"p":"/message/metadata","o":"append","v":{"is_complete":true}},{"p":"/message/metadata/refs","o":"append","v":[{"t":1}]},{"p":"/message/end_turn","o":"replace","v":true}]}"#;
    assert_eq!(grown(&mut d, line), ".");
    assert_eq!(
        d.root(),
        &json!({"message": {"parts": ["."], "metadata": {"a": 1, "is_complete": true, "refs": [{"t": 1}]}, "end_turn": true}})
    );
    d.apply(r#"{"p":"/message/metadata/refs/0","o":"remove","v":null}"#).unwrap();
    assert_eq!(d.get("/message/metadata/refs"), Some(&json!([])));
}

#[test]
fn halves_of_a_character_meet_where_they_belong() {
    let mut d = Document::default();
    d.apply(r#"{"v":{"a":"","b":""}}"#).unwrap();
    assert_eq!(grown(&mut d, r#"{"p":"a","o":"append","v":"x\ud83d"}"#), "x");
    assert_eq!(grown(&mut d, r#"{"p":"b","v":"y"}"#), "y");
    assert_eq!(grown(&mut d, r#"{"p":"a","v":"\ude00z"}"#), "\u{1f600}z");
    assert_eq!(d.text("/a").as_deref(), Some("x\u{1f600}z"));
}

#[test]
fn what_does_not_fit_is_told() {
    let mut d = Document::default();
    assert_eq!(d.apply("[1]"), Err(PatchError::Shape));
    assert_eq!(d.apply(r#"{"type":"title"}"#), Err(PatchError::Shape));
    d.apply(r#"{"v":{"list":[1],"text":"a"}}"#).unwrap();
    for line in [
        r#"{"p":"/list/5","o":"set","v":1}"#,
        r#"{"p":"/list/-2","o":"set","v":1}"#,
        r#"{"p":"/text/0","o":"set","v":1}"#,
        r#"{"p":"/text","o":"append","v":{}}"#,
        r#"{"p":"","o":"batch","v":{}}"#,
        r#"{"p":"","o":"remove","v":{}}"#,
    ] {
        assert_eq!(d.apply(line), Err(PatchError::Path), "{line}");
    }
    assert_eq!(d.apply(&format!(r#"{{"p":"{}","o":"set","v":1}}"#, "/a".repeat(99))), Err(PatchError::TooLarge));
    assert_eq!(d.root(), &json!({"list": [1], "text": "a"}));
}

fn line() -> impl Strategy<Value = String> {
    let path = proptest::sample::select(vec!["", "/", "a", "/a/-1", "/a/0/b", "a/-", "b/~1", "-1", "/a/999999999999"]);
    let operator = proptest::sample::select(vec!["SET", "append", "BATCH", "patch", "remove", "?"]);
    let value = proptest::sample::select(vec![
        "1",
        "null",
        r#""t""#,
        r#""\ud83d""#,
        "[]",
        r#"[{"p":"a","o":"append","v":["x"]},{"v":{"b":"c"}}]"#,
        r#"{"a":["x"]}"#,
    ]);
    (proptest::option::of(path), proptest::option::of(operator), value).prop_map(|(p, o, v)| {
        let p = p.map(|p| format!(r#""p":"{p}","#)).unwrap_or_default();
        let o = o.map(|o| format!(r#""o":"{o}","#)).unwrap_or_default();
        format!("{{{p}{o}\"v\":{v}}}")
    })
}

proptest! {
    /// Whatever is applied, a change's path leads to its value.
    #[test]
    fn changes_can_be_looked_up(lines in proptest::collection::vec(line(), 0..30)) {
        let mut d = Document::default();
        for line in lines {
            let Ok(changes) = d.apply(&line) else { continue };
            if let [change] = changes.as_slice() && change.what != What::Removed {
                prop_assert!(d.get(&change.path).is_some(), "{}", change.path);
            }
        }
    }

    #[test]
    fn no_line_makes_it_panic(lines in proptest::collection::vec(".{0,60}", 0..10)) {
        let mut d = Document::default();
        for line in lines {
            let _ = d.apply(&line);
        }
    }

    #[test]
    fn any_cut_of_a_text_gives_the_text(pieces in proptest::collection::vec("[a-z\u{1f600}]{0,4}", 0..20)) {
        let mut d = Document::default();
        d.apply(r#"{"v":{"t":""}}"#).unwrap();
        d.apply(r#"{"p":"/t","o":"append","v":""}"#).unwrap();
        let deltas: String = pieces.iter().map(|p| grown(&mut d, &json!({ "v": p }).to_string())).collect();
        prop_assert_eq!(&deltas, &pieces.concat());
        prop_assert_eq!(d.text("/t").unwrap(), deltas);
    }
}

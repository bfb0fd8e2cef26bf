use proptest::prelude::*;
use serde_json::json;

use super::*;

fn parsed(source: &str) -> serde_json::Value {
    serde_json::to_value(source.parse::<Selector>().unwrap()).unwrap()
}

#[test]
fn steps_of_each_kind() {
    let regex = |source: &str, flags: &str| json!({"regex": {"source": source, "flags": flags}});
    for (source, expected) in [
        ("button.send", json!([{"css": "button.send"}])),
        ("css=a[href=\"/x >> y\"] > b", json!([{"css": "a[href=\"/x >> y\"] > b"}])),
        ("css=:is(a, b):not([c=')'])", json!([{"css": ":is(a, b):not([c=')'])"}])),
        ("role=button", json!([{"role": {"role": "button", "name": null}}])),
        ("role=button[name=\"Send\"]", json!([{"role": {"role": "button", "name": {"part": "Send"}}}])),
        ("role=button[name=\"Se]nd\"][exact]", json!([{"role": {"role": "button", "name": {"exact": "Se]nd"}}}])),
        ("role=button[name=/send|发送/i]", json!([{"role": {"role": "button", "name": regex("send|发送", "i")}}])),
        ("text=Sign in", json!([{"text": {"part": "Sign in"}}])),
        ("text=\"Sign \\\"in\\\"\"", json!([{"text": {"exact": "Sign \"in\""}}])),
        ("text=/sign ?in\\/out/i", json!([{"text": regex("sign ?in\\/out", "i")}])),
        ("text=a) b", json!([{"text": {"part": "a) b"}}])),
        ("text=x=y", json!([{"text": {"part": "x=y"}}])),
        ("label=Message >> nth=-1", json!([{"label": {"part": "Message"}}, {"nth": -1}])),
        ("placeholder=Ask", json!([{"placeholder": {"part": "Ask"}}])),
        ("testid=send", json!([{"testid": {"exact": "send"}}])),
        ("li  >>  has-text=\"a >> b\"", json!([{"css": "li"}, {"has-text": {"part": "a >> b"}}])),
        (
            "li >> has=(a >> text=b (c)) >> visible=true",
            json!([{"css": "li"},
            {"has": [{"css": "a"}, {"text": {"part": "b (c)"}}]}, {"visible": true}]),
        ),
        (
            "(css=#a) | (role=button) >> nth=0",
            json!([{"any": [[{"css": "#a"}],
            [{"role": {"role": "button", "name": null}}]]}, {"nth": 0}]),
        ),
        ("#a >> in-frame >>  b", json!([{"css": "#a"}, "in-frame", {"css": "b"}])),
        ("css=in-frame >> x-in-frame", json!([{"css": "in-frame"}, {"css": "x-in-frame"}])),
        ("(css=#a)|(b)", json!([{"any": [[{"css": "#a"}], [{"css": "b"}]]}])),
    ] {
        assert_eq!(parsed(source), expected, "{source}");
    }
}

#[test]
fn mistakes_are_told_with_their_place_and_a_cure() {
    for (source, at, part) in [
        ("", 1, "a step is missing"),
        ("a >> ", 6, "a step is missing"),
        ("a >> >> b", 6, "a step is missing"),
        ("nth=0", 1, "begin with css="),
        ("a >> nth=first", 10, "whole number"),
        ("a >> visible=yes", 14, "visible=true"),
        ("xpath=//a", 1, "there is no `xpath=`"),
        ("text=\"Send", 6, "add \""),
        ("text=\"Send\" now", 12, "text follows the quote"),
        ("text=/send", 6, "add /"),
        ("text=/send/g", 12, "no flag"),
        ("text=", 6, "a text is missing"),
        ("role=Button", 6, "lower case"),
        ("role=button[name=Send]", 18, "quote the name"),
        ("role=button[name=\"a\"", 12, "add `]`"),
        ("role=button[exact]", 12, "goes with a quoted name"),
        ("role=button[checked]", 13, "[name=...] and [exact]"),
        ("a[b", 2, "add `]`"),
        ("a]", 2, "closes nothing"),
        ("a >> has=b", 10, "has=(css=...)"),
        ("(a | b)", 0, ""),
        ("(a) | b", 7, "`(` is missing"),
        ("(text=a", 1, "add `)`"),
        ("(a))", 4, "no partner"),
        ("in-frame >> b", 1, "choose the frame first"),
        ("a >> in-frame >> in-frame >> b", 18, "choose the frame first"),
        ("a >> in-frame", 6, "what to look for in the frame"),
        ("a >> in-frame  ", 6, "what to look for in the frame"),
        ("a >> in-frame >> nth=0", 18, "begin with css="),
        ("a >> has=(b >> in-frame >> c)", 16, "outside parentheses"),
        ("(((((((((a)))))))))", 9, "levels"),
    ] {
        let result = source.parse::<Selector>();
        if at == 0 {
            // The page's own CSS parser has the last word about what stands in a step.
            assert!(result.is_ok(), "{source}");
            continue;
        }
        let error = result.unwrap_err();
        assert_eq!(error.at, at, "{error}");
        assert!(error.message.contains(part), "{error}");
        assert!(matches!(PageError::from(error), PageError::Other { code: "invalid-selector", .. }));
    }
}

#[test]
fn is_cut_at_its_frames() {
    let (frames, last) = "a >> nth=1 >> in-frame >> b >> in-frame >> c >> d".parse::<Selector>().unwrap().into_legs();
    assert_eq!(frames.iter().map(ToString::to_string).collect::<Vec<_>>(), ["css=a >> nth=1", "css=b"]);
    assert_eq!(last.to_string(), "css=c >> css=d");
}

fn step() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,5}(\\.[a-z]{1,3}|#[a-z]{1,3}|\\[[a-z]{1,3}=\"[^\"\\\\]{0,6}\"\\])?",
        "css=[a-z]{1,4} > [a-z]{1,4}:not\\([a-z]{1,3}\\)",
        "role=[a-z]{1,8}",
        "role=[a-z]{1,8}\\[name=\"[^\"\\\\]{0,8}\"\\](\\[exact\\])?",
        "(role=[a-z]{1,8}\\[name=/[a-z|发送]{1,8}/i\\])",
        "(text|label|placeholder|testid)=[a-zA-Z发送é][a-zA-Z =|:]{0,8}",
        "(text|label|placeholder|testid|has-text)=\"[a-z]([^\"\\\\]|\\\\\"|\\\\\\\\){0,8}\"",
        "(text|has-text)=/[a-z .?]{1,8}/(i|im)?",
    ]
}

fn chain() -> impl Strategy<Value = String> {
    let filter = prop_oneof!["nth=-?[0-9]{1,3}", "visible=(true|false)", "has-text=[a-z]{1,6}"];
    let joined =
        |(head, tail): (String, Vec<String>)| std::iter::once(head).chain(tail).collect::<Vec<_>>().join(" >> ");
    let simple = step().prop_filter("must begin a chain", |s| !s.starts_with("has-text"));
    let leaf = (simple, proptest::collection::vec(prop_oneof![step(), filter], 0..3)).prop_map(joined);
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..3).prop_map(|branches| branches
                .iter()
                .map(|b| format!("({b})"))
                .collect::<Vec<_>>()
                .join(" | ")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("{a} >> has=({b})")),
        ]
    })
}

proptest! {
    #[test]
    fn never_panics(source in "\\PC{0,60}") {
        drop(source.parse::<Selector>());
    }

    #[test]
    fn never_panics_on_its_own_alphabet(source in "(css=|role=|text=|has=\\(|nth=|[\"'/\\\\()\\[\\]|a1 ]| >> |in-frame){0,12}") {
        if let Ok(selector) = source.parse::<Selector>() {
            prop_assert_eq!(selector.to_string().parse::<Selector>(), Ok(selector));
        }
    }

    #[test]
    fn displays_as_what_it_was_parsed_from(source in chain()) {
        let selector: Selector = source.parse().map_err(|e: SelectorError| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(selector.to_string().parse::<Selector>(), Ok(selector));
    }
}

use super::*;

fn rewrites() -> Rewrites {
    let grant = RewriteGrant {
        url: UrlPattern::parse("https://chat.test/api/**").unwrap(),
        pointers: ["/model", "/tools/*/spec"].map(|text| Pointer::parse(text).unwrap()).into(),
    };
    Rewrites { grants: vec![grant], state: Mutex::default() }
}

fn rewriting(url: &str, pointer: &str) -> Rewriting {
    let edit = Edit::set(Pointer::parse(pointer).unwrap(), "\"gpt\"").unwrap();
    Rewriting { url: url.into(), method: Some("post".into()), edits: vec![edit] }
}

fn paused(method: &str, url: &str, body: Option<&str>) -> Paused {
    let entries: Vec<_> = body.iter().map(|body| serde_json::json!({"bytes": STANDARD.encode(body)})).collect();
    serde_json::from_value(serde_json::json!({
        "requestId": "interception-1", "networkId": "7.1",
        "request": {"url": url, "method": method, "hasPostData": body.is_some(), "postDataEntries": entries},
    }))
    .unwrap()
}

#[test]
fn only_what_is_declared_can_be_asked_for() {
    let rewrites = rewrites();
    for (url, pointer, granted) in [
        ("https://chat.test/api/chat", "/model", true),
        ("https://chat.test/api/*", "/model/slug", true),
        ("https://chat.test/api/chat", "/tools/0/spec", true),
        ("https://chat.test/api/chat", "/tools/0", false),
        ("https://chat.test/api/chat", "/prompt", false),
        ("https://chat.test/api/chat", "", false),
        ("https://chat.test/**", "/model", false),
        ("https://evil.test/api/chat", "/model", false),
    ] {
        let asked = rewrites.rule(1, rewriting(url, pointer));
        match asked {
            Ok(_) => assert!(granted, "{url} {pointer}"),
            Err(error) => assert!(!granted && matches!(error, PageError::NotGranted(_)), "{url} {pointer}: {error}"),
        }
    }
    let nothing = Rewriting { edits: Vec::new(), ..rewriting("https://chat.test/api/x", "/model") };
    assert!(matches!(rewrites.rule(1, nothing), Err(PageError::Other { code: "bad-rewrite", .. })));
}

#[test]
fn changes_fails_or_passes() {
    let rewrites = rewrites();
    rewrites.add(rewrites.rule(4, rewriting("https://chat.test/api/chat", "/model")).unwrap()).unwrap();
    let url = "https://chat.test/api/chat?x=1";
    let Verdict::Change { body, ids } = rewrites.verdict(&paused("POST", url, Some(r#"{"b":1,"model":"auto"}"#)))
    else {
        panic!("it is changed")
    };
    assert_eq!((body.as_str(), ids.as_slice()), (r#"{"b":1,"model":"gpt"}"#, &[4][..]));
    for body in ["not json", "[]", "", "\u{feff}{}"] {
        let verdict = rewrites.verdict(&paused("POST", url, Some(body)));
        assert!(matches!(verdict, Verdict::Refuse { .. }), "{body}: {verdict:?}");
    }
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_BODY));
    assert!(matches!(rewrites.verdict(&paused("POST", url, Some(&large))), Verdict::Refuse { .. }));
    for request in [
        paused("GET", url, None),
        paused("POST", url, None),
        paused("PUT", url, Some("{}")),
        paused("POST", "https://chat.test/api/other", Some("{}")),
    ] {
        assert!(matches!(rewrites.verdict(&request), Verdict::Pass), "{request:?}");
    }
    assert!(rewrites.remove(4) && !rewrites.remove(4));
    assert!(matches!(rewrites.verdict(&paused("POST", url, Some("{}"))), Verdict::Pass));
}

#[test]
fn a_body_that_lies_in_no_memory_is_not_sent() {
    let rewrites = rewrites();
    rewrites.add(rewrites.rule(4, rewriting("https://chat.test/api/chat", "/model")).unwrap()).unwrap();
    let mut request = paused("POST", "https://chat.test/api/chat", Some("{}"));
    request.request.post_data_entries.push(Part { bytes: None });
    assert!(matches!(rewrites.verdict(&request), Verdict::Refuse { .. }));
    request.request.post_data_entries.clear();
    assert!(matches!(rewrites.verdict(&request), Verdict::Refuse { .. }));
}

#[test]
fn there_are_at_most_eight() {
    let rewrites = rewrites();
    for id in 0..9 {
        let added = rewrites.add(rewrites.rule(id, rewriting("https://chat.test/api/chat", "/model")).unwrap());
        assert_eq!(added.is_ok(), id < 8);
    }
}

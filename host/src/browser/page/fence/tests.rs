use serde_json::{Value, json};

use super::*;

fn fence() -> Fence {
    let spec = PageSpec {
        entry: Url::parse("https://chat.test/new").unwrap(),
        page: vec![Origin::for_tests("https://chat.test")],
        pass: vec![Origin::for_tests("https://accounts.test")],
        listen: Vec::new(),
        rewrite: Vec::new(),
        save: Vec::new(),
        stop_button: None,
        throwaway: true,
    };
    let mut fence = Fence::new("MAIN", &spec);
    assert!(show(&mut fence, "L0", "https://chat.test/"));
    fence
}

fn paused(loader: &str, url: &str, more: Value) -> Paused {
    let (url, fragment) = url.split_once('#').map_or((url, String::new()), |(u, f)| (u, format!("#{f}")));
    let mut event = json!({"requestId": "R", "frameId": "MAIN", "networkId": loader,
        "request": {"url": url, "urlFragment": fragment, "method": "GET"}});
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(event).unwrap()
}

fn ask(fence: &mut Fence, loader: &str, url: &str, redirect: bool, driven: bool) -> bool {
    let more = if redirect { json!({"redirectedRequestId": "R0"}) } else { json!({}) };
    fence.decide(&paused(loader, url, more), driven) == Verdict::Continue
}

fn show(fence: &mut Fence, loader: &str, url: &str) -> bool {
    fence.shown(&Frame {
        id: "MAIN".into(),
        parent_id: None,
        loader_id: loader.into(),
        url: url.into(),
        url_fragment: String::new(),
        unreachable_url: None,
    })
}

#[test]
fn a_person_may_follow_a_link_to_a_sign_in_page_and_an_adapter_may_not() {
    let mut fence = fence();
    assert!(!ask(&mut fence, "L1", "https://accounts.test/login", false, false));
    fence.by_hand = true;
    assert!(
        !ask(&mut fence, "L2", "https://accounts.test/login", false, true),
        "the host's own navigation is nobody's hand"
    );
    assert!(!ask(&mut fence, "L3", "https://evil.test/", false, false));
    assert!(ask(&mut fence, "L4", "https://accounts.test/login", false, false));
    assert!(show(&mut fence, "L4", "https://accounts.test/login"));
    assert_eq!(fence.place(), Place::Pass);
}

#[test]
fn only_page_origins_are_opened() {
    let mut fence = fence();
    assert!(ask(&mut fence, "L", "https://chat.test/c/1", false, false));
    for url in [
        "https://evil.test/",
        "https://accounts.test/",
        "http://chat.test/",
        "https://chat.test:8443/",
        "data:text/html,x",
    ] {
        assert!(!ask(&mut fence, "L", url, false, false), "{url}");
        assert!(!ask(&mut fence, "L", url, true, false), "{url} by a redirect");
        assert!(!ask(&mut fence, "L", url, true, true), "{url} by a redirect of the host's own navigation");
    }
}

#[test]
fn frames_may_load_what_they_like() {
    let mut fence = fence();
    let frame = paused("L", "https://evil.test/", json!({"frameId": "CHILD"}));
    assert_eq!(fence.decide(&frame, false), Verdict::Continue);
}

#[test]
fn a_sign_in_page_is_reached_from_the_entry_by_the_server_alone() {
    let mut fence = fence();
    assert!(ask(&mut fence, "L1", "https://chat.test/new", false, true));
    assert!(ask(&mut fence, "L1", "https://chat.test/login?to=x", true, true));
    assert!(ask(&mut fence, "L1", "https://accounts.test/in?state=1", true, true));
    assert!(!ask(&mut fence, "L1", "https://evil.test/", true, true));
    assert!(show(&mut fence, "L1", "https://accounts.test/in?state=1"));
    assert_eq!(fence.place(), Place::Pass);
    // There the page goes on by itself, but the guest may not send it anywhere.
    assert!(ask(&mut fence, "L2", "https://accounts.test/password", false, false));
    assert!(!ask(&mut fence, "L3", "https://accounts.test/?secret", false, true));
    assert!(ask(&mut fence, "L4", "https://chat.test/callback", false, false));
}

#[test]
fn nothing_can_be_carried_to_a_sign_in_page() {
    let mut fence = fence();
    for (n, entry) in
        ["https://chat.test/new?secret", "https://chat.test/new#secret", "https://chat.test/other"].iter().enumerate()
    {
        let loader = format!("L{n}");
        assert!(ask(&mut fence, &loader, entry, false, true), "{entry}");
        assert!(!ask(&mut fence, &loader, "https://accounts.test/", true, true), "{entry}");
    }
    let post =
        paused("P", "https://chat.test/new", json!({"request": {"url": "https://chat.test/new", "method": "POST"}}));
    assert_eq!(fence.decide(&post, false), Verdict::Continue);
    assert!(!ask(&mut fence, "P", "https://accounts.test/", true, false));
}

#[test]
fn what_no_request_announced_is_led_away() {
    for url in [
        "https://evil.test/",
        "https://accounts.test/",
        "about:blank",
        "data:text/html,x",
        "blob:https://chat.test/1",
        "filesystem:x",
        "",
    ] {
        let mut fence = fence();
        assert!(!show(&mut fence, "L9", url), "{url}");
        assert_eq!(fence.place(), Place::Fenced);
        assert!(show(&mut fence, "L10", "about:blank"), "the way out");
        assert_eq!(fence.place(), Place::Fenced);
        assert!(!show(&mut fence, "L11", "about:blank"), "and not twice");
        assert!(show(&mut fence, "L12", "https://chat.test/"));
        assert_eq!(fence.place(), Place::Page);
    }
}

#[test]
fn refusals_tell_no_more_than_the_origin() {
    let mut fence = fence();
    let verdict = fence.decide(&paused("L", "https://user:pw@evil.test/path?secret", json!({})), false);
    assert_eq!(verdict, Verdict::Refuse("https://evil.test".into()));
}

#[test]
fn an_answer_that_replaces_no_document_does_not_count_as_one() {
    for (status, commits) in [(200, true), (404, true), (204, false), (302, false)] {
        let paused = paused("L", "https://chat.test/", json!({"responseStatusCode": status}));
        assert_eq!(paused.commits().is_some(), commits, "{status}");
    }
}

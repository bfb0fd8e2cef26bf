//! Watching texts and awaiting conditions in a real Chromium.

use std::time::Duration;

use crate::browser_support::{CHAT, PATIENCE, Site, html, instance, missing, page};
use axum::response::Response;
use webai2api::browser::{Condition, EventBody, Page, PageError};

const LONG: Option<Duration> = Some(PATIENCE);

/// `#answer` grows by a word at each click of Go, and by 200 words, one every 5 ms, at each click of Stream.
const CHAT_PAGE: &str = "<div id=answer>start</div><button id=go onclick='answer.append(\" word\")'>Go</button>
  <button id=stream onclick='let n = 0; const t = setInterval(() => { answer.append(\" w\" + ++n); if (n === 200) clearInterval(t); }, 5)'>Stream</button>
  <button id=show onclick='setTimeout(() => late.hidden = false, 200)'>Show</button>
  <button id=hide onclick='setTimeout(() => late.hidden = true, 200)'>Hide</button><p id=late hidden>Late</p>
  <button id=add onclick='setTimeout(() => { const i = document.createElement(\"i\"); i.id = \"added\"; i.textContent = \"added\"; document.body.append(i); }, 200)'>Add</button>
  <button id=remove onclick='setTimeout(() => added.remove(), 200)'>Remove</button>
  <button id=toggle onclick='setTimeout(() => field.disabled = !field.disabled, 200)'>Toggle</button><input id=field>
  <button id=move onclick='setTimeout(() => history.pushState(0, \"\", \"/c/42?x=1\"), 200)'>Move</button>
  <x-a id=host></x-a><script>customElements.define('x-a', class extends HTMLElement { constructor() { super();
    this.attachShadow({mode: 'open'}).innerHTML = '<p class=deep>deep</p><button>Deepen</button>';
    this.shadowRoot.querySelector('button').onclick = () => this.shadowRoot.querySelector('p').firstChild.data += '!'; } })</script>";

fn pages(asked: &str) -> Response {
    if asked.starts_with("chat.demo.localhost/") { html(CHAT_PAGE) } else { missing() }
}

async fn next(page: &Page) -> (u32, EventBody) {
    let event = page.next(PATIENCE).await.unwrap().expect("an event in time");
    (event.source, event.body)
}

/// The next event that is not the page's own.
async fn news(page: &Page) -> (u32, EventBody) {
    loop {
        let (source, body) = next(page).await;
        if source != 0 {
            return (source, body);
        }
    }
}

#[tokio::test]
async fn a_watch_tells_the_text_now_and_at_each_change() {
    let site = Site::start(pages).await;
    let instance = instance(&site).await;
    let page = page(&instance).await;
    page.begin_call();
    let watch = page.watch("#answer").await.unwrap();
    assert_eq!(news(&page).await, (watch, EventBody::Watched("start".into())));
    page.click("#go", 1, LONG).await.unwrap();
    assert_eq!(news(&page).await, (watch, EventBody::Watched("start word".into())));
    page.click("#stream", 1, LONG).await.unwrap();
    let mut told = 0;
    let last = loop {
        let (_, EventBody::Watched(text)) = news(&page).await else { panic!("a text") };
        told += 1;
        if text.ends_with("w200") {
            break text;
        }
    };
    assert!(told > 20, "{told} of 200 changes");
    assert!(last.starts_with("start word w1 w2 w3 "));
    let deep = page.watch("x-a .deep").await.unwrap();
    assert_eq!(news(&page).await, (deep, EventBody::Watched("deep".into())));
    page.click("text=Deepen", 1, LONG).await.unwrap();
    assert_eq!(news(&page).await, (deep, EventBody::Watched("deep!".into())));
    // A new document is watched, too.
    page.reload(LONG).await.unwrap();
    let mut texts = vec![news(&page).await, news(&page).await];
    texts.sort_by_key(|(source, _)| *source);
    assert_eq!(texts, [(watch, EventBody::Watched("start".into())), (deep, EventBody::Watched("deep".into()))]);
    page.stop_listening(watch);
    page.click("#go", 1, LONG).await.unwrap();
    page.click("text=Deepen", 1, LONG).await.unwrap();
    assert_eq!(news(&page).await, (deep, EventBody::Watched("deep!".into())));
}

#[tokio::test]
async fn expectations_are_reached_once() {
    let site = Site::start(pages).await;
    let instance = instance(&site).await;
    let page = page(&instance).await;
    page.begin_call();
    let s = |text: &str| text.to_owned();
    for (condition, button) in [
        (Condition::Visible(s("#late")), "#show"),
        (Condition::Hidden(s("#late")), "#hide"),
        (Condition::Attached(s("text=added")), "#add"),
        (Condition::Detached(s("css=#added")), "#remove"),
        (Condition::Disabled(s("#field")), "#toggle"),
        (Condition::Enabled(s("#field")), "#toggle"),
        (Condition::Url(format!("{CHAT}/c/*")), "#move"),
    ] {
        let id = page.expect(condition.clone()).await.unwrap();
        page.click(button, 1, LONG).await.unwrap();
        assert_eq!(news(&page).await, (id, EventBody::Reached), "{condition:?}");
        let id = page.expect(condition.clone()).await.unwrap();
        assert_eq!(news(&page).await, (id, EventBody::Reached), "{condition:?}, at once");
    }
    for _ in 0..8 {
        page.expect(Condition::Attached(s("#never"))).await.unwrap();
    }
    let more = page.watch("#never").await;
    assert!(matches!(more, Err(PageError::Other { code: "too-many-watches", .. })), "{more:?}");
    page.end_call();
    page.begin_call();
    page.watch("#never").await.unwrap();
    let invalid = page.expect(Condition::Visible(s("nth=0"))).await;
    assert!(matches!(invalid, Err(PageError::Other { code: "invalid-selector", .. })));
    let invalid = page.watch("css=:nope").await;
    assert!(matches!(invalid, Err(PageError::Other { code: "invalid-selector", .. })));
}

#[tokio::test]
async fn a_page_behind_others_is_watched_and_acted_on() {
    let site = Site::start(pages).await;
    let instance = instance(&site).await;
    let behind = page(&instance).await;
    let _front = page(&instance).await;
    behind.begin_call();
    let watch = behind.watch("#answer").await.unwrap();
    assert_eq!(news(&behind).await, (watch, EventBody::Watched("start".into())));
    behind.click("#stream", 1, LONG).await.unwrap();
    loop {
        let (_, EventBody::Watched(text)) = news(&behind).await else { panic!("a text") };
        if text.ends_with("w200") {
            break;
        }
    }
    behind.fill("#field", "behind", LONG).await.unwrap();
    assert_eq!(behind.attribute("#field", "value", LONG).await.unwrap().as_deref(), Some("behind"));
}

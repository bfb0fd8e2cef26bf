//! Opening pages and addresses in a real Chromium.

mod browser_support;

use axum::response::Response;
use browser_support::*;
use webai2api::browser::{CloseReason, PageError};

fn pages(asked: &str) -> Response {
    match asked {
        "chat.demo.localhost/" => html("<h1>hello</h1>"),
        "chat.demo.localhost/two" => html("<title>two</title><img name=title src='/hangs'>"),
        "chat.demo.localhost/away" => redirect(&format!("{EVIL}/landed")),
        "chat.demo.localhost/status" => missing(),
        _ => html("elsewhere"),
    }
}

#[tokio::test]
async fn opens_addresses_and_tells_what_it_shows() {
    let site = Site::start(pages).await;
    let instance = instance(&site).await;
    let page = instance.open_page(spec()).await.unwrap();
    assert_eq!(page.url().await.unwrap(), "about:blank");
    assert!(matches!(page.title().await, Err(PageError::OriginDenied(_))));
    page.back_to_entry(Some(PATIENCE)).await.unwrap();
    assert_eq!(page.url().await.unwrap(), format!("{CHAT}/"));
    assert_eq!(page.title().await.unwrap(), "a page");
    page.goto(&format!("{CHAT}/two"), Some(PATIENCE)).await.unwrap();
    assert_eq!(page.title().await.unwrap(), "a page", "an image named 'title' is not the title");
    page.goto(&format!("{CHAT}/two#part"), Some(PATIENCE)).await.unwrap();
    assert_eq!(page.url().await.unwrap(), format!("{CHAT}/two#part"));
    page.goto(&format!("{CHAT}/status"), Some(PATIENCE)).await.unwrap();
    let hits = site.hits("chat.demo.localhost/status");
    page.reload(Some(PATIENCE)).await.unwrap();
    assert_eq!(site.hits("chat.demo.localhost/status"), hits + 1);
    instance.stop().await;
}

#[tokio::test]
async fn a_crashed_tab_is_told() {
    let site = Site::start(pages).await;
    let instance = instance(&site).await;
    let page = page(&instance).await;
    let other = browser_support::page(&instance).await;
    let mut closed = page.closed();
    page.crash_for_tests().await;
    let reason = tokio::time::timeout(PATIENCE, closed.wait_for(Option::is_some)).await.unwrap().unwrap().clone();
    assert_eq!(reason, Some(CloseReason::Crashed));
    assert_eq!(page.title().await, Err(PageError::Closed));
    assert_eq!(other.title().await.unwrap(), "a page", "another tab is not hurt");
    instance.stop().await;
}

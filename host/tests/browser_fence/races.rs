//! Reading a page that is about to leave, again and again: what is read is its own, or nothing.

use std::time::Duration;

use super::ways_out;
use crate::browser_support::*;
use axum::response::{Html, IntoResponse as _, Response};
use webai2api::browser::{EventBody, Page, PageError};

const ROUNDS: u32 = 36;
const SHORT: Option<Duration> = Some(Duration::from_secs(2));
const OWN: &str = "own words";
/// Not to be seen by anybody who has no right to look there.
const FOREIGN: &str = "words of others";

/// A page that leaves for its sign-in page after so many milliseconds, which is the one foreign document that is really shown.
fn leaving(asked: &str) -> Response {
    let paragraph = |text: &str| format!("<div id=words>{text}</div>");
    if asked == "chat.demo.localhost/in" {
        return redirect(&format!("{ACCOUNTS}/in"));
    }
    if asked == "accounts.demo.localhost/in" {
        // It goes on speaking, so that whoever watches it would hear of it.
        let script = "<script>setInterval(() => words.append('!'), 5)</script>";
        return Html(format!("<!doctype html><title>{FOREIGN}</title>{}{script}", paragraph(FOREIGN))).into_response();
    }
    let after = asked.strip_prefix("chat.demo.localhost/leaves?").unwrap_or("1000000");
    html(&format!("{}<script>setTimeout(() => location.href = '/in', {after})</script>", paragraph(OWN)))
}

/// Reads in every way at once; how often that gave the page's own words, and whether it has left.
async fn read(page: &Page) -> (usize, bool) {
    let (text, texts, markdown, title) =
        tokio::join!(page.text("#words", SHORT), page.texts("#words"), page.markdown("#words", SHORT), page.title());
    let texts = texts.map(|texts| texts.join(" "));
    let (mut own, mut left) = (0, false);
    for (what, read) in [("text", text), ("texts", texts), ("markdown", markdown), ("title", title)] {
        match read {
            // Of a document that is not there yet there is nothing.
            Ok(words) if what == "texts" && words.is_empty() => {}
            Ok(words) => {
                assert_eq!(words.trim(), if what == "title" { "a page" } else { OWN }, "{what}");
                own += 1;
            }
            Err(PageError::OriginDenied(origin)) => {
                assert!(origin.starts_with(ACCOUNTS), "{what}: {origin}");
                left = true;
            }
            Err(error) => assert!(!error.to_string().contains(FOREIGN), "{what}: {error}"),
        }
    }
    (own, left)
}

#[tokio::test]
async fn nothing_is_read_of_a_document_that_comes_while_it_is_read() {
    let site = Site::start(leaving).await;
    let instance = instance(&site).await;
    let mut spec = spec();
    spec.entry = format!("{CHAT}/in").parse().unwrap();
    let page = instance.open_page(spec).await.unwrap();
    let mut own = 0;
    for round in 0..ROUNDS {
        page.begin_call();
        let after = round * 11 % 150;
        // It may leave before it has loaded.
        let _ = page.goto(&format!("{CHAT}/leaves?{after}"), Some(PATIENCE / 4)).await;
        let watch = page.watch("#words").await;
        eventually("it has left", async || {
            let (read, left) = read(&page).await;
            own += read;
            left
        })
        .await;
        // The sign-in page is there, and speaks: it is asked some more.
        for _ in 0..3 {
            assert!(read(&page).await.1, "round {round}");
        }
        if let Err(error) = &watch {
            assert!(!error.to_string().contains(FOREIGN), "{error}");
        }
        while let Ok(Some(event)) = page.next(Duration::from_millis(10)).await {
            if let EventBody::Watched(words) = event.body {
                assert!(words == OWN || words.is_empty(), "round {round}: {words}");
            }
        }
        page.end_call();
    }
    assert!(site.hits("accounts.demo.localhost/in") >= ROUNDS as usize, "it was really there");
    assert!(own > 0, "it was read while it was there");
    instance.stop().await;
}

/// The same with an address that no page is led to: it stays, and what is read is always its own.
#[tokio::test]
async fn a_page_that_tries_to_leave_is_read_as_it_is() {
    let site = Site::start(|asked| match asked.strip_prefix("chat.demo.localhost/leaves?") {
        Some(way) => {
            let way = ways_out(&format!("{EVIL}/landed")).into_iter().nth(way.parse().unwrap()).unwrap();
            html(&format!("<div id=words>{OWN}</div><script>let n = 0; setInterval(() => {{ {way} }}, 20)</script>"))
        }
        None => html(&format!("<div id=words>{FOREIGN}</div>")),
    })
    .await;
    let instance = instance(&site).await;
    let page = page(&instance).await;
    for way in 0..ways_out("").len() {
        page.begin_call();
        let url = format!("{CHAT}/leaves?{way}");
        eventually("it is there", async || {
            // That it was refused its way out may be told as the end of this.
            let _ = page.goto(&url, Some(PATIENCE / 4)).await;
            page.url().await.is_ok_and(|shown| shown == url)
        })
        .await;
        let mut own = 0;
        eventually("it was read", async || {
            let words = page.text("#words", SHORT).await;
            let markdown = page.markdown("#words", SHORT).await;
            for read in [words, markdown] {
                match read {
                    Ok(words) => {
                        assert_eq!(words, OWN, "{way}");
                        own += 1;
                    }
                    Err(error) => assert!(!error.to_string().contains(FOREIGN), "{way}: {error}"),
                }
            }
            own >= 20
        })
        .await;
        page.end_call();
    }
    assert_eq!(site.hits("evil."), 0, "no request left");
    instance.stop().await;
}

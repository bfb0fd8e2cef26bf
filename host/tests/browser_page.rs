//! Opening pages and addresses in a real Chromium.

use std::time::Duration;

use crate::browser_support::*;
use axum::response::{IntoResponse, Response};
use webai2api::browser::guard::{Guard, GuardOptions, Mapping, Unmapped};
use webai2api::browser::{CloseReason, DialogInfo, EventBody, Page, PageError};

/// How long the page is given where it is to be too short.
const SHORT: Duration = Duration::from_secs(2);

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
    let other = crate::browser_support::page(&instance).await;
    let mut closed = page.closed();
    page.crash_for_tests();
    let reason = tokio::time::timeout(PATIENCE, closed.wait_for(Option::is_some)).await.unwrap().unwrap().clone();
    assert_eq!(reason, Some(CloseReason::Crashed));
    assert_eq!(page.title().await, Err(PageError::Closed));
    assert_eq!(other.title().await.unwrap(), "a page", "another tab is not hurt");
    instance.stop().await;
}

async fn closed(page: &Page) -> CloseReason {
    let mut closed = page.closed();
    let reason = tokio::time::timeout(PATIENCE, closed.wait_for(Option::is_some)).await.unwrap().unwrap().clone();
    reason.unwrap()
}

#[tokio::test]
async fn a_page_that_hangs_is_closed_and_others_go_on() {
    let site = Site::start(|asked| match asked {
        "chat.demo.localhost/hang" => html("<script>for (;;);</script>"),
        _ => html("hello"),
    })
    .await;
    let instance = instance(&site).await;
    let other = page(&instance).await;
    let page = page(&instance).await;
    let hung = page.goto(&format!("{CHAT}/hang"), Some(SHORT)).await;
    assert!(matches!(hung, Err(PageError::Timeout(_) | PageError::Closed)), "{hung:?}");
    assert_eq!(closed(&page).await, CloseReason::Stuck);
    assert_eq!(other.title().await.unwrap(), "a page");
    instance.stop().await;
}

#[tokio::test]
async fn a_page_that_closes_itself_is_told() {
    let site = Site::start(pages).await;
    let instance = instance(&site).await;
    let page = page(&instance).await;
    page.close_target_for_tests();
    assert_eq!(closed(&page).await, CloseReason::Gone);
    instance.stop().await;
}

#[tokio::test]
async fn failed_navigations_say_so_and_the_page_stays_of_use() {
    let site = Site::start(pages).await;
    // One host is not there; its server never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().into_std().unwrap();
    let refusing = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let map = |host: &str, to| Mapping { host: host.into(), port: 80, to };
    let mappings = vec![
        map("silent.demo.localhost", silent.local_addr().unwrap()),
        map("refusing.demo.localhost", refusing),
        map("*.demo.localhost", site.addr),
    ];
    let guard = Guard::start(GuardOptions { mappings, unmapped: Unmapped::Refuse, ..GuardOptions::default() });
    let guard = guard.await.unwrap();
    let options = options("test", webai2api::browser::Profile::Throwaway, Some(guard.addr()));
    let instance = webai2api::browser::Instance::spawn(options);
    ready(&instance).await;
    let mut spec = spec();
    for host in ["silent", "refusing"] {
        spec.page.push(webai2api::browser::Origin::parse_lab(&format!("http://{host}.demo.localhost")).unwrap());
    }
    let page = instance.open_page(spec).await.unwrap();
    // Of a plain http server that is not there the guard itself tells, as any proxy does.
    page.goto("http://refusing.demo.localhost/", Some(PATIENCE)).await.unwrap();
    assert!(page.text("css=body", Some(PATIENCE)).await.unwrap().contains("egress guard"));
    let silence = page.goto("http://silent.demo.localhost/", Some(SHORT)).await;
    assert!(matches!(silence, Err(PageError::Timeout(_))), "{silence:?}");
    page.back_to_entry(Some(PATIENCE)).await.unwrap();
    assert_eq!(page.title().await.unwrap(), "a page");
    instance.stop().await;
}

#[tokio::test]
async fn dialogs_are_answered_at_once_and_told() {
    let site = Site::start(|asked| match asked {
        "chat.demo.localhost/ask" => {
            html("<script>document.title = confirm('Really?') + ' ' + prompt('Name?')</script>")
        }
        "chat.demo.localhost/leave" => html("<button onclick='onbeforeunload = (e) => e.preventDefault()'>b</button>"),
        _ => html("hello"),
    })
    .await;
    let instance = instance(&site).await;
    let page = page(&instance).await;
    page.begin_call();
    page.goto(&format!("{CHAT}/ask"), Some(PATIENCE)).await.unwrap();
    let mut told = Vec::new();
    while told.len() < 2 {
        let event = page.next(PATIENCE).await.unwrap().expect("a dialog is told");
        if let EventBody::Dialog(DialogInfo { kind, message }) = event.body {
            told.push(format!("{kind} {message}"));
        }
    }
    assert_eq!(told, ["confirm Really?", "prompt Name?"]);
    assert_eq!(page.title().await.unwrap(), "false null");
    page.goto(&format!("{CHAT}/leave"), Some(PATIENCE)).await.unwrap();
    page.click("button", 1, Some(PATIENCE)).await.unwrap();
    page.back_to_entry(Some(PATIENCE)).await.unwrap();
    page.end_call();
    instance.stop().await;
}

#[tokio::test]
async fn the_stop_button_is_pressed() {
    let site = Site::start(|asked| match asked {
        "chat.demo.localhost/" => {
            html("<button id=stop onclick='document.title = 1; this.hidden = true'>Stop</button>")
        }
        _ => missing(),
    })
    .await;
    let instance = instance(&site).await;
    let mut spec = spec();
    page(&instance).await.press_stop().await.unwrap();
    spec.stop_button = Some("#stop".into());
    let page = instance.open_page(spec).await.unwrap();
    page.back_to_entry(Some(PATIENCE)).await.unwrap();
    page.press_stop().await.unwrap();
    assert_eq!(page.title().await.unwrap(), "1");
    page.press_stop().await.unwrap();
    instance.stop().await;
}

#[tokio::test]
async fn a_click_meant_for_one_document_never_lands_on_the_next() {
    let button = |id: &str, then: &str| {
        format!("<style>button {{ position: fixed; inset: 0 }}</style><button id={id} onclick=\"{then}\">{id}</button>")
    };
    let site = Site::start(move |asked| match asked.strip_prefix("chat.demo.localhost/") {
        Some(path) if path.starts_with('a') => {
            let wait = &path[1..];
            html(
                &(button("a", "")
                    + &format!("<script>onload = () => setTimeout(() => location.href = '/b', {wait})</script>")),
            )
        }
        Some("b") => html(&button("b", "fetch('/wrong')")),
        _ => missing(),
    })
    .await;
    let instance = instance(&site).await;
    let page = instance.open_page(spec()).await.unwrap();
    for wait in (0..60).step_by(4) {
        page.begin_call();
        page.goto(&format!("{CHAT}/a{wait}"), Some(PATIENCE)).await.unwrap();
        // Whether the click comes in time is the race; where it lands is not.
        page.click("#a", 1, Some(Duration::from_millis(200))).await.ok();
        eventually("the next document", async || page.count("#b").await == Ok(1)).await;
        page.end_call();
    }
    assert_eq!(site.hits("chat.demo.localhost/wrong"), 0);
    instance.stop().await;
}

#[tokio::test]
async fn nothing_is_downloaded_and_nothing_is_permitted() {
    const QUERY: &str = "<script>
        Promise.all(['geolocation', 'notifications', 'clipboard-read', 'camera']
            .map((name) => navigator.permissions.query({ name }).then((p) => p.state, (e) => 'none')))
            .then((states) => { document.title = states.join(' '); });
    </script>";
    let site = Site::start(|asked| match asked {
        "chat.demo.localhost/" => html(QUERY),
        "chat.demo.localhost/file" => {
            ([("content-disposition", "attachment; filename=x.bin"), ("content-type", "application/x-y")], "data")
                .into_response()
        }
        _ => missing(),
    })
    .await;
    let instance = instance(&site).await;
    let page = page(&instance).await;
    eventually("no permission", async || {
        let title = page.title().await.unwrap();
        title != "a page" && title.split(' ').all(|state| matches!(state, "denied" | "none"))
    })
    .await;
    let download = page.goto(&format!("{CHAT}/file"), Some(PATIENCE)).await;
    assert!(is_code(&download, "navigation-failed"), "{download:?}");
    // A document that was let through and never shown must not keep later acts waiting.
    page.click("html", 1, Some(PATIENCE)).await.unwrap();
    instance.stop().await;
}

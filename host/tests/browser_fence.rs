//! Where a page may go, in a real Chromium, with pages that try to leave.

mod egress;
mod races;

use crate::browser_support::*;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use webai2api::browser::{Page, PageError};

const SECRET: &str = "?secret=1";

/// Ways to leave that a page takes by itself, by their path; `TO` stands for the address outside.
const LEAVES: [(&str, &str); 15] = [
    ("/assign", "<script>location.href = 'TO'</script>"),
    ("/meta", "<meta http-equiv=refresh content='0;url=TO'>"),
    ("/form", "<form method=post action='TO'><input name=a></form><script>document.forms[0].submit()</script>"),
    ("/link", "<a href='TO'>go</a><script>document.querySelector('a').click()</script>"),
    ("/blank", "<script>location.href = 'about:blank'</script>"),
    (
        "/blob",
        "<script>location.href = URL.createObjectURL(new Blob(['<title>a page</title>'], {type: 'text/html'}))</script>",
    ),
    ("/frame", "<iframe srcdoc='<script>top.location.href = \"TO\"</script>'></iframe>"),
    ("/later", "<script>addEventListener('load', () => setTimeout(() => location.replace('TO')))</script>"),
    ("/popup", "<script>window.open('TO'); window.open('about:blank').document.write('<img src=TO>')</script>"),
    ("/noopener", "<script>window.open('TO', '', 'noopener'); window.open('TO', '', 'popup,noreferrer')</script>"),
    ("/new-tab", "<a target=_blank rel=noopener href='TO'>go</a><script>document.querySelector('a').click()</script>"),
    ("/new-form", "<form action='TO' target=_blank><input name=a></form><script>document.forms[0].submit()</script>"),
    ("/frame-popup", "<iframe srcdoc='<script>window.open(\"TO\")</script>'></iframe>"),
    ("/data", "<script>location.href = 'data:text/html,<title>a page</title>'</script>"),
    (
        "/script",
        "<script>open('javascript:location.href=\"TO\"'); location.href = 'javascript:location.assign(\"TO\")'</script>",
    ),
];

/// Ways to leave that a script takes again and again; `n` is a number of its own.
fn ways_out(to: &str) -> [String; 4] {
    [
        format!("location.href = `{to}?${{n++}}`"),
        format!("location.replace(`{to}?${{n++}}`)"),
        format!("open(`{to}?${{n++}}`, '_self')"),
        format!(
            "const a = document.createElement('a'); a.href = `{to}?${{n++}}`; document.body.append(a); a.click(); a.remove()"
        ),
    ]
}

fn pages(asked: &str) -> Response {
    let evil = format!("{EVIL}/landed{SECRET}");
    let Some(path) = asked.strip_prefix("chat.demo.localhost") else {
        return match asked {
            "accounts.demo.localhost/in" => html("<title>sign in</title>"),
            _ => html("outside"),
        };
    };
    if let Some((_, body)) = LEAVES.iter().find(|(name, _)| *name == path) {
        return html(&body.replace("TO", &evil));
    }
    match path {
        "/redirect" => redirect(&evil),
        "/redirect-twice" => redirect("/redirect"),
        "/in" | "/in?secret" => redirect(&format!("{ACCOUNTS}{path}")),
        "/refresh" => ([(header::REFRESH, format!("0;url={evil}"))], html("")).into_response(),
        "/signal" => html("still here"),
        _ => html("hello"),
    }
}

async fn at(page: &Page, path: &str) -> Result<(), PageError> {
    page.goto(&format!("{CHAT}{path}"), Some(PATIENCE / 4)).await
}

#[tokio::test]
async fn redirects_outside_are_never_followed() {
    let site = Site::start(pages).await;
    let instance = instance(&site).await;
    let page = page(&instance).await;
    for path in ["/redirect", "/redirect-twice"] {
        assert_eq!(at(&page, path).await, Err(PageError::OriginDenied(EVIL.into())), "{path}");
        assert_eq!(page.url().await.unwrap(), format!("{CHAT}/"), "it stays where it was");
    }
    for url in [
        format!("{EVIL}/"),
        format!("{ACCOUNTS}/in"),
        "about:blank".into(),
        "javascript:alert(1)".into(),
        "file:///etc/passwd".into(),
        "x".into(),
    ] {
        let denied = page.goto(&url, Some(PATIENCE)).await;
        assert!(matches!(denied, Err(PageError::OriginDenied(_))), "{url}: {denied:?}");
    }
    assert_eq!(site.hits("evil."), 0);
    assert_eq!(site.hits("accounts."), 0);
    instance.stop().await;
}

#[tokio::test]
async fn what_a_page_does_by_itself_does_not_lead_outside() {
    let site = Site::start(pages).await;
    let instance = instance(&site).await;
    let page = page(&instance).await;
    for (path, _) in LEAVES.iter().chain([&("/refresh", "")]) {
        // Whether the page is led away while or after it loads is a race that the fence does not care for.
        let opened = at(&page, path).await;
        assert!(
            matches!(opened, Ok(()) | Err(PageError::OriginDenied(_) | PageError::Other { .. })),
            "{path}: {opened:?}"
        );
        eventually(path, async || {
            let url = page.url().await.unwrap();
            match *path {
                // The fence leads the page away from what no request announced.
                "/blank" | "/blob" => url == "about:blank",
                _ => url == format!("{CHAT}{path}"),
            }
        })
        .await;
        if matches!(*path, "/blank" | "/blob") {
            assert!(matches!(page.title().await, Err(PageError::OriginDenied(_))), "{path}");
        }
        page.back_to_entry(Some(PATIENCE)).await.unwrap();
        assert_eq!(page.title().await.unwrap(), "a page", "{path}: it is of use again");
    }
    assert_eq!(site.hits("evil."), 0, "no request left");
    instance.stop().await;
}

#[tokio::test]
async fn sign_in_pages_are_reached_from_the_entry_only_and_tell_nothing() {
    let site = Site::start(pages).await;
    let instance = instance(&site).await;
    let mut spec = spec();
    spec.entry = format!("{CHAT}/in").parse().unwrap();
    let page = instance.open_page(spec).await.unwrap();
    // The site leads on from there as it does from the entry, with the secret: not to be followed.
    for path in ["/in?secret", "/in#secret"] {
        assert_eq!(at(&page, path).await, Err(PageError::OriginDenied(ACCOUNTS.into())), "{path}");
    }
    assert_eq!((site.hits("chat.demo.localhost/in?secret"), site.hits("accounts.")), (1, 0));
    page.back_to_entry(Some(PATIENCE)).await.unwrap();
    assert_eq!(page.url().await.unwrap(), format!("{ACCOUNTS}/"), "the origin alone");
    assert_eq!(page.title().await, Err(PageError::OriginDenied(ACCOUNTS.into())));
    assert!(matches!(page.reload(Some(PATIENCE)).await, Err(PageError::OriginDenied(_))));
    // From the sign-in page neither.
    assert_eq!(at(&page, "/in?secret").await, Err(PageError::OriginDenied(ACCOUNTS.into())));
    assert_eq!(site.hits("accounts.demo.localhost/in?"), 0);
    at(&page, "/signal").await.unwrap();
    assert_eq!(page.title().await.unwrap(), "a page");
    instance.stop().await;
}

#[tokio::test]
async fn history_does_not_lead_back_to_a_sign_in_page() {
    let site = Site::start(|asked| match asked {
        "chat.demo.localhost/" => redirect(&format!("{ACCOUNTS}/in")),
        // A document that is about to be left is asked first. This one is still there a while later.
        "chat.demo.localhost/back" => html(
            "<script>onbeforeunload = () => { fetch('/asked', {keepalive: true}); setTimeout(() => fetch('/stayed'), 300) };
                onload = () => setTimeout(() => history.back())</script>",
        ),
        _ => html("x"),
    })
    .await;
    let instance = instance(&site).await;
    let page = page(&instance).await;
    assert_eq!(page.url().await.unwrap(), format!("{ACCOUNTS}/"));
    let visits = site.hits("accounts.");
    page.goto(&format!("{CHAT}/back"), Some(PATIENCE)).await.unwrap();
    eventually("it has tried to go back", async || site.hits("chat.demo.localhost/asked") > 0).await;
    eventually("that has come to its end", async || site.hits("chat.demo.localhost/stayed") > 0).await;
    assert_eq!(page.url().await.unwrap(), format!("{CHAT}/back"));
    assert_eq!(page.title().await.unwrap(), "a page");
    page.goto(&format!("{CHAT}/other"), Some(PATIENCE)).await.unwrap();
    assert_eq!(page.url().await.unwrap(), format!("{CHAT}/other"));
    assert_eq!(site.hits("accounts."), visits);
    instance.stop().await;
}

/// A page that has documents fetched and rendered ahead, in every way, its own and others'.
fn speculating(asked: &str) -> Response {
    let own = ["/ahead", "/out", "/in"].map(|path| format!("\"{CHAT}{path}\"")).join(",");
    let rule = format!("[{{\"urls\":[\"{EVIL}/landed\",{own}],\"eagerness\":\"immediate\"}}]");
    let rules = format!("{{\"prerender\":{rule},\"prefetch\":{rule}}}");
    let links = format!(
        "<link rel=prerender href='{EVIL}/landed'><link rel=next href='{EVIL}/landed'>
            <a id=evil href='{EVIL}/landed'>1</a><a id=out href=/out>2</a><a id=in href=/in>3</a><a id=ahead href=/ahead>4</a>"
    );
    match asked.strip_prefix("chat.demo.localhost") {
        Some("/script") => {
            let script = format!("<script type=speculationrules>{rules}</script>{links}");
            html(&format!("{script}<script>onload = () => fetch('/settled-script')</script>"))
        }
        Some("/header") => {
            let body = html(&format!("{links}<script>onload = () => fetch('/settled-header')</script>"));
            ([("speculation-rules", "\"/rules.json\"")], body).into_response()
        }
        Some("/rules.json") => ([(header::CONTENT_TYPE, "application/speculationrules+json")], rules).into_response(),
        Some("/out") => redirect(&format!("{EVIL}/landed")),
        Some("/in") => redirect(&format!("{ACCOUNTS}/in")),
        Some(_) => html("<script>if (document.prerendering) fetch('/prerendered')</script>"),
        None => html("outside"),
    }
}

/// What was fetched ahead would be shown without a request that could be stopped: so nothing is.
#[tokio::test]
async fn no_document_is_fetched_ahead() {
    let site = Site::start(speculating).await;
    let instance = instance(&site).await;
    for way in ["script", "header"] {
        let page = page(&instance).await;
        at(&page, &format!("/{way}")).await.unwrap();
        let settled = format!("chat.demo.localhost/settled-{way}");
        eventually("the page has settled", async || site.hits(&settled) > 0).await;
        for link in ["evil", "out", "in"] {
            page.click(&format!("css=#{link}"), 1, Some(PATIENCE / 4)).await.unwrap();
            // Looking at the document comes after what was refused.
            assert_eq!(page.count("css=a").await, Ok(4), "{way}: {link}");
            assert_eq!(page.url().await.unwrap(), format!("{CHAT}/{way}"), "{link}");
        }
        let before = site.hits("chat.demo.localhost/ahead");
        page.click("css=#ahead", 1, Some(PATIENCE / 4)).await.unwrap();
        eventually("it goes on", async || page.url().await.is_ok_and(|url| url.ends_with("/ahead"))).await;
        assert_eq!(site.hits("chat.demo.localhost/ahead"), before + 1, "{way}: asked for when it was to be shown");
    }
    assert_eq!(site.hits("chat.demo.localhost/ahead"), 2);
    assert_eq!(site.hits("chat.demo.localhost/prerendered"), 0);
    assert_eq!((site.hits("evil."), site.hits("accounts.")), (0, 0));
    instance.stop().await;
}

/// Chromium keeps documents that were left, as they were, and shows them again without a request. Here it keeps none.
#[tokio::test]
async fn no_document_comes_back_from_a_cache() {
    let site = Site::start(|asked| match asked {
        "chat.demo.localhost/left" => {
            html("<script>onpageshow = (e) => fetch(`/shown?kept=${e.persisted}`, {cache: 'no-store'})</script>")
        }
        "chat.demo.localhost/back" => html("<script>onload = () => setTimeout(() => history.back())</script>"),
        _ => html("x"),
    })
    .await;
    let instance = instance(&site).await;
    let page = page(&instance).await;
    let shown = "chat.demo.localhost/shown?kept=";
    at(&page, "/left").await.unwrap();
    eventually("it is shown", async || site.hits(shown) == 1).await;
    at(&page, "/back").await.unwrap();
    eventually("it is shown again", async || site.hits(shown) == 2).await;
    assert_eq!(site.hits("chat.demo.localhost/shown?kept=false"), 2, "both times it was loaded");
    instance.stop().await;
}

#[tokio::test]
async fn frames_outside_load_and_hurt_nobody() {
    let site = Site::start(|asked| match asked {
        "chat.demo.localhost/" => html(&format!("<iframe src='{EVIL}/frame'></iframe>")),
        "evil.demo.localhost/frame" => html("<script>top.postMessage('x', '*')</script><title>evil</title>"),
        _ => missing(),
    })
    .await;
    let instance = instance(&site).await;
    let page = page(&instance).await;
    assert_eq!(site.hits("evil.demo.localhost/frame"), 1);
    assert_eq!(page.title().await.unwrap(), "a page");
    instance.stop().await;
}

/// A service worker answers for the site: what it says is a document like every other.
#[tokio::test]
async fn a_service_worker_leads_nowhere() {
    let site = Site::start(|asked| match asked {
        "chat.demo.localhost/sw" => html(
            "<script>navigator.serviceWorker.register('/sw.js').then(() => navigator.serviceWorker.ready)
                .then(() => location.href = '/left')</script>",
        ),
        "chat.demo.localhost/sw.js" => {
            let worker = format!(
                "onfetch = event => {{ const path = new URL(event.request.url).pathname;
                    if (path.startsWith('/left')) event.respondWith(fetch('/asked').then(() => Response.redirect('{EVIL}/landed')));
                    if (path === '/made') event.respondWith(new Response('<title>made</title><iframe src=/left-frame></iframe>',
                        {{headers: {{'content-type': 'text/html'}}}})) }}"
            );
            ([(header::CONTENT_TYPE, "text/javascript")], worker).into_response()
        }
        _ => html("x"),
    })
    .await;
    let instance = instance(&site).await;
    let page = page(&instance).await;
    at(&page, "/sw").await.unwrap();
    eventually("the worker was asked", async || site.hits("chat.demo.localhost/asked") > 0).await;
    eventually("the page is back", async || page.url().await.is_ok_and(|url| url.starts_with(CHAT))).await;
    let denied = at(&page, "/left").await;
    assert_eq!(denied, Err(PageError::OriginDenied(EVIL.into())));
    assert_eq!(site.hits("evil.demo.localhost/landed"), 0);

    // A document that the worker made is one of the site's. What it leads a frame to is loaded there, and read by nobody.
    at(&page, "/made").await.unwrap();
    assert_eq!(site.hits("chat.demo.localhost/made"), 0, "the site has none");
    assert_eq!((page.url().await.unwrap(), page.title().await.unwrap()), (format!("{CHAT}/made"), "made".into()));
    let frame = "css=iframe >> in-frame >> css=body";
    let denied = PageError::OriginDenied(format!("{EVIL} (the frame of {frame})"));
    eventually("the frame was led on", async || page.count(frame).await == Err(denied.clone())).await;
    assert_eq!(page.text(frame, Some(PATIENCE / 4)).await, Err(denied));
    assert_eq!(page.texts("css=body").await.unwrap().len(), 1, "the document around it is read");
    // Its own script leads no further than another's.
    assert_eq!(at(&page, "/left").await, Err(PageError::OriginDenied(EVIL.into())));
    assert_eq!(page.url().await.unwrap(), format!("{CHAT}/made"));
    instance.stop().await;
}

/// A guest cannot write what it knows into the address of a sign-in page by pressing the page's own buttons.
#[tokio::test]
async fn what_is_typed_never_goes_to_a_sign_in_page() {
    let site = Site::start(|asked| match asked {
        "chat.demo.localhost/form" => html(&format!(
            "<form action='{ACCOUNTS}/in'><input name=q><button>Go</button></form>
                <form method=post action='{ACCOUNTS}/in'><input name=p></form>
                <a id=in href='{ACCOUNTS}/in' ping='{ACCOUNTS}/in {EVIL}/ping'>in</a>
                <a id=own href='#here' ping='{ACCOUNTS}/in {EVIL}/ping'>here</a>"
        )),
        _ => html("x"),
    })
    .await;
    let instance = instance(&site).await;
    let page = page(&instance).await;
    at(&page, "/form").await.unwrap();
    let wait = Some(PATIENCE / 4);
    page.fill("css=[name=q]", "secret", wait).await.unwrap();
    page.click("css=button", 1, wait).await.unwrap();
    page.press("css=[name=q]", "Enter", wait).await.unwrap();
    page.fill("css=[name=p]", "secret", wait).await.unwrap();
    page.press("css=[name=p]", "Enter", wait).await.unwrap();
    page.click("css=#in", 1, wait).await.unwrap();
    // The document is the one it was: what is done to it comes after what was refused.
    assert_eq!(page.count("css=form").await, Ok(2));
    assert_eq!(page.url().await.unwrap(), format!("{CHAT}/form"));
    // A link that leads nowhere would tell others of it, too.
    page.click("css=#own", 1, wait).await.unwrap();
    eventually("it was followed", async || page.url().await.is_ok_and(|url| url.ends_with("#here"))).await;
    // Another request of the page's comes after whatever the clicks have sent.
    at(&page, "/after").await.unwrap();
    assert_eq!((site.hits("accounts."), site.hits("evil.")), (0, 0));
    instance.stop().await;
}

/// A form may have its answer shown in a frame of the page. That is the page's own affair, like whatever its frames load: the page stays
/// where it is, and what the frame then shows is read and touched by nobody.
#[tokio::test]
async fn a_form_that_answers_into_a_frame_leads_the_page_nowhere() {
    let site = Site::start(|asked| match asked {
        "chat.demo.localhost/framed" => html(&format!(
            "<form action='{EVIL}/get' target=answer><input name=q><button id=get>Get</button></form>
                <form method=post action='{EVIL}/post' target=answer><input name=p><button id=post>Post</button></form>
                <iframe name=answer></iframe>"
        )),
        asked if asked.starts_with("evil.") => html(&format!(
            "<b>secret</b><script>for (const way of ['_top', '_parent']) open('{EVIL}/landed', way);
                top.location = '{EVIL}/landed'</script>"
        )),
        _ => html("x"),
    })
    .await;
    let instance = instance(&site).await;
    let page = page(&instance).await;
    at(&page, "/framed").await.unwrap();
    let wait = Some(PATIENCE / 4);
    let frame = "css=iframe >> in-frame >> css=b";
    let denied = PageError::OriginDenied(format!("{EVIL} (the frame of {frame})"));
    for (button, path) in [("css=#get", "get"), ("css=#post", "post")] {
        page.click(button, 1, wait).await.unwrap();
        eventually("the frame shows it", async || {
            site.hits(&format!("evil.demo.localhost/{path}")) > 0 && page.count(frame).await == Err(denied.clone())
        })
        .await;
        assert_eq!(page.text(frame, wait).await, Err(denied.clone()));
        assert_eq!(page.click(frame, 1, wait).await, Err(denied.clone()));
        assert_eq!(page.count("css=form").await, Ok(2), "the page is the one it was");
        assert_eq!(page.url().await.unwrap(), format!("{CHAT}/framed"));
    }
    assert_eq!(site.hits("evil.demo.localhost/landed"), 0, "nor is it led there from the frame");
    instance.stop().await;
}

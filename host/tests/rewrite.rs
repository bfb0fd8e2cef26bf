//! What a page sends is changed where the manifest declares it, and nowhere else: in a real Chromium, against a real site.

use crate::capture::lab::{HOST, Lab, OTHER, PATIENCE, everything, run, run_at, spec, test, test_without_fission};
use crate::capture::site::{self, events};
use webai2api::browser::{
    Edit, Ending, EventBody, Page, PageError, PageEvent, PageSpec, Pointer, RewriteGrant, Rewriting, UrlPattern,
};

fn pointer(text: &str) -> Pointer {
    Pointer::parse(text).unwrap()
}

fn rewriting_spec() -> PageSpec {
    let grant = |url: &str| RewriteGrant {
        url: UrlPattern::parse(url).unwrap(),
        pointers: ["/model", "/tools", "/gone"].map(pointer).into(),
    };
    PageSpec { rewrite: vec![grant(&format!("{HOST}/api/**"))], ..spec() }
}

async fn page(lab: &Lab) -> Page {
    lab.page_of(rewriting_spec()).await
}

/// Sets the model in bodies to this address.
fn set_model(url: &str) -> Rewriting {
    let edits = vec![Edit::set(pointer("/model"), "\"chosen\"").unwrap(), Edit::Remove(pointer("/gone"))];
    Rewriting { url: url.into(), method: None, edits }
}

fn echo() -> Rewriting {
    set_model(&format!("{HOST}/api/echo"))
}

/// The next event of one source.
async fn next_of(page: &Page, source: u32) -> EventBody {
    loop {
        match page.next(PATIENCE).await {
            Ok(Some(event)) if event.source == source => return event.body,
            Ok(Some(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// All that is told of one rewrite until this many listened streams are over.
async fn until_over(page: &Page, rewrite: u32, mut streams: usize) -> (Vec<EventBody>, Vec<EventBody>) {
    let (mut told, mut heard) = (Vec::new(), Vec::new());
    while streams > 0 {
        match page.next(PATIENCE).await.unwrap().expect("an event") {
            PageEvent { source, body, .. } if source == rewrite => told.push(body),
            PageEvent { source: 0, .. } => {}
            PageEvent { body, .. } => {
                streams -= usize::from(matches!(body, EventBody::End(_) | EventBody::Failed(_)));
                heard.push(body);
            }
        }
    }
    (told, heard)
}

fn bytes(heard: &[EventBody]) -> String {
    let parts =
        heard.iter().filter_map(|body| if let EventBody::Bytes(bytes) = body { Some(&bytes[..]) } else { None });
    String::from_utf8(parts.collect::<Vec<_>>().concat()).unwrap()
}

const BODY: &str = r#"{"prompt":"é€你😀 \"quoted\"","model":"auto","gone":{"x":[1,2]},"temperature":1.0,"id":12345678901234567890123}"#;
const CHANGED: &str =
    r#"{"prompt":"é€你😀 \"quoted\"","model":"chosen","temperature":1.0,"id":12345678901234567890123}"#;

#[test]
fn a_changed_body_arrives_and_its_answer_is_heard_byte_for_byte() {
    for how in [
        "fetch('/api/echo?n', {method: 'POST', body, headers: {'content-type': 'application/json', 'x-own': '1'}}).then(r => r.text())",
        "fetch(new Request('/api/echo?n', {method: 'POST', body: new Blob([body])})).then(r => r.text())",
        "fetch('/api/echo?n', {method: 'POST', body: new TextEncoder().encode(body)}).then(r => r.text())",
        "const x = new XMLHttpRequest(); x.open('POST', '/api/echo?n'); x.send(body)",
    ] {
        test(|lab, site| async move {
            let page = page(&lab).await;
            let listen = page.listen(everything()).unwrap();
            let rewrite = page.rewrite(echo()).await.unwrap();
            run(&site, &page, &format!("const body = {}; {how}", serde_json::Value::from(BODY))).await;
            let (told, heard) = until_over(&page, rewrite, 1).await;
            assert_eq!(told, [EventBody::Reached], "{how}");
            assert_ne!(listen, rewrite);
            assert_eq!(bytes(&heard), CHANGED, "{how}");
            assert_eq!(heard.last(), Some(&EventBody::End(Ending::Complete)));
        });
    }
}

#[test]
fn a_long_stream_after_a_change_comes_as_it_is_sent() {
    test(|lab, site| async move {
        let page = page(&lab).await;
        page.listen(everything()).unwrap();
        let rewrite = page.rewrite(set_model(&format!("{HOST}/api/sse"))).await.unwrap();
        let script = "fetch('/api/sse?n=60&gap=5', {method: 'POST', body: '{\"model\":1}'}).then(r => r.text())";
        run(&site, &page, script).await;
        let (told, heard) = until_over(&page, rewrite, 1).await;
        assert_eq!(told, [EventBody::Reached]);
        assert_eq!(bytes(&heard), events(60));
        let pieces = heard.iter().filter(|body| matches!(body, EventBody::Bytes(_))).count();
        assert!(pieces > 10, "as it came: {pieces}");
    });
}

#[test]
fn what_cannot_be_changed_is_not_sent() {
    for (body, why) in [
        ("'model=auto'", "not JSON"),
        ("'[1]'", "nothing that /model"),
        ("new Uint8Array([123, 255, 125])", "UTF-8"),
        ("JSON.stringify({model: 'auto', x: 'y'.repeat(2.2e6)})", "more than 2 MiB"),
    ] {
        test(|lab, site| async move {
            let page = page(&lab).await;
            page.listen(everything()).unwrap();
            let rewrite = page.rewrite(echo()).await.unwrap();
            let name = why.split(' ').next().unwrap();
            run(&site, &page, &format!("fetch('/api/echo?{name}', {{method: 'POST', body: {body}}})")).await;
            let (told, heard) = until_over(&page, rewrite, 1).await;
            assert!(matches!(&told[..], [EventBody::Failed(said)] if said.contains(why)), "{told:?}");
            assert!(matches!(&heard[..], [EventBody::Failed(_)]), "{heard:?}");
            // The page goes on, and what can be changed is.
            run(&site, &page, &format!("fetch('/api/echo?after-{name}', {{method: 'POST', body: '{{}}'}})")).await;
            site.hit(&format!("after-{name}")).await;
            assert_eq!(next_of(&page, rewrite).await, EventBody::Reached);
            assert!(!site.was_hit(&format!("echo?{name}")), "it was not sent");
        });
    }
}

/// Bodies that, with their copy and as base64, are more than the page's queue may hold.
#[test]
fn a_body_that_is_too_large_hurts_its_own_request_and_not_the_page() {
    test(|lab, site| async move {
        let page = page(&lab).await;
        page.listen(everything()).unwrap();
        let rewrite = page
            .rewrite(Rewriting { method: Some("POST".into()), ..set_model(&format!("{HOST}/api/short")) })
            .await
            .unwrap();
        for size in [3_500_000, 12_000_000] {
            let send = |method: &str| {
                let body = format!("JSON.stringify({{model: 'auto', x: 'y'.repeat({size})}})");
                format!(
                    "fetch('/api/short?{method}-{size}', {{method: '{method}', body: {body}}}).then((r) => r.text())"
                )
            };
            run(&site, &page, &send("POST")).await;
            let (told, heard) = until_over(&page, rewrite, 1).await;
            assert!(matches!(&told[..], [EventBody::Failed(said)] if said.contains("more than 2 MiB")), "{told:?}");
            assert!(matches!(&heard[..], [EventBody::Failed(_)]), "{heard:?}");
            assert!(!site.was_hit(&format!("POST-{size}")), "it was not sent");
            // The same, where the rewrite is not meant: it is paused, and goes on as it was.
            run(&site, &page, &send("PUT")).await;
            assert!(site.hit(&format!("PUT-{size}")).await.body.len() > size);
            until_over(&page, rewrite, 1).await;
        }
        run(&site, &page, "fetch('/api/short?small', {method: 'POST', body: '{}'})").await;
        assert_eq!(site.hit("short?small").await.body, br#"{"model":"chosen"}"#);
        assert_eq!(next_of(&page, rewrite).await, EventBody::Reached);
    });
}

#[test]
fn what_does_not_match_is_left_alone() {
    test(|lab, site| async move {
        let page = page(&lab).await;
        let rewrite = page.rewrite(Rewriting { method: Some("POST".into()), ..echo() }).await.unwrap();
        let script = "(async () => {
            await fetch('/api/echo?put', {method: 'PUT', body: 'model=auto'});
            await fetch('/api/echo?get');
            await fetch('/api/echo?empty', {method: 'POST'});
            await fetch('/api/echo/below', {method: 'POST', body: 'model=auto'});
            await fetch('/api/echo?last', {method: 'POST', body: '{}'});
        })()";
        run(&site, &page, script).await;
        assert_eq!(next_of(&page, rewrite).await, EventBody::Reached);
        assert_eq!(site.hit("echo?last").await.body, br#"{"model":"chosen"}"#);
        assert_eq!(site.hit("echo?put").await.body, b"model=auto");
        assert_eq!(site.hit("echo/below").await.body, b"model=auto");
        assert!(site.was_hit("echo?get") && site.was_hit("echo?empty"));
    });
}

#[test]
fn url_method_and_headers_stay() {
    test(|lab, site| async move {
        let page = page(&lab).await;
        page.rewrite(echo()).await.unwrap();
        let script = "fetch('/api/echo?headers=%20é&b', {method: 'PATCH', body: '{\"model\":1}',
            headers: {'content-type': 'application/json', 'x-signature': 'abc', authorization: 'Bearer t'}})";
        run(&site, &page, script).await;
        let hit = site.hit("echo?headers").await;
        let head = hit.head.to_ascii_lowercase();
        assert!(hit.head.starts_with("PATCH ") && hit.head.contains("/api/echo?headers=%20%C3%A9&b "), "{}", hit.head);
        for line in
            ["content-type: application/json", "x-signature: abc", "authorization: bearer t", "content-length: 18"]
        {
            assert!(head.contains(line), "{line}: {head}");
        }
        assert_eq!(hit.body, br#"{"model":"chosen"}"#);
    });
}

#[test]
fn workers_are_changed_and_service_workers_are_passed_by() {
    test(|lab, site| async move {
        site.put("/worker.js", "text/javascript", "fetch('/api/echo?worker', {method: 'POST', body: '{\"w\":1}'})");
        let sw = "oninstall = () => skipWaiting(); onactivate = e => e.waitUntil(clients.claim());
            onfetch = e => { if (e.request.url.includes('/api/')) e.respondWith(fetch(e.request)); }";
        site.put("/sw.js", "text/javascript", sw);
        let page = page(&lab).await;
        let script = "navigator.serviceWorker.addEventListener('controllerchange', () => document.body.id = 'ready');
            navigator.serviceWorker.register('/sw.js', {scope: '/rewritten/'})";
        run_at(&site, &page, "/rewritten/page", script).await;
        page.attribute("css=#ready", "id", Some(PATIENCE)).await.unwrap();
        let rewrite = page.rewrite(echo()).await.unwrap();
        let script = "fetch('/api/echo?served', {method: 'POST', body: '{\"s\":1}'}); new Worker('/worker.js')";
        run_at(&site, &page, "/rewritten/again", script).await;
        assert_eq!(site.hit("echo?served").await.body, br#"{"s":1,"model":"chosen"}"#);
        assert_eq!(site.hit("echo?worker").await.body, br#"{"w":1,"model":"chosen"}"#);
        assert_eq!(next_of(&page, rewrite).await, EventBody::Reached);
        assert_eq!(next_of(&page, rewrite).await, EventBody::Reached);
    });
}

#[test]
fn a_redirected_body_is_changed_once() {
    test(|lab, site| async move {
        let page = page(&lab).await;
        let append = Rewriting {
            url: format!("{HOST}/api/**"),
            method: None,
            edits: vec![Edit::set(pointer("/tools/-"), "\"search\"").unwrap()],
        };
        let rewrite = page.rewrite(append).await.unwrap();
        run(&site, &page, "fetch('/api/redirect?to=/api/echo?hop', {method: 'POST', body: '{\"tools\":[]}'})").await;
        assert_eq!(site.hit("echo?hop").await.body, br#"{"tools":["search"]}"#);
        assert_eq!(next_of(&page, rewrite).await, EventBody::Reached);
    });
}

#[test]
fn it_ends_when_it_is_stopped_and_with_the_call() {
    test(|lab, site| async move {
        let page = page(&lab).await;
        let rewrite = page.rewrite(echo()).await.unwrap();
        let send = |n: &str| format!("fetch('/api/echo?{n}', {{method: 'POST', body: '{{}}'}})");
        run(&site, &page, &send("first-ending")).await;
        assert_eq!(site.hit("first-ending").await.body, br#"{"model":"chosen"}"#);
        page.stop_listening(rewrite);
        run(&site, &page, &send("second-ending")).await;
        assert_eq!(site.hit("second-ending").await.body, b"{}");
        page.rewrite(echo()).await.unwrap();
        page.end_call();
        page.begin_call();
        run(&site, &page, &send("third-ending")).await;
        assert_eq!(site.hit("third-ending").await.body, b"{}");
    });
}

#[test]
fn only_documents_of_the_grant_are_changed() {
    let body = |lab: std::sync::Arc<Lab>, site: std::sync::Arc<site::Site>| async move {
        let page = page(&lab).await;
        let rewrite = page.rewrite(echo()).await.unwrap();
        let framed = format!(
            "<script>fetch('{HOST}/api/echo?foreign', {{method: 'POST', body: '{{}}', mode: 'no-cors'}})</script>"
        );
        site.put("/framed", "text/html", &framed);
        let sandboxed = framed.replace("foreign", "sandboxed");
        site.put("/sandboxed", "text/html", &sandboxed);
        let own = framed.replace("foreign", "own-frame");
        site.put("/own", "text/html", &own);
        let script = format!(
            "for (const [src, sandbox] of [['{OTHER}/framed'], ['/sandboxed', 'allow-scripts'], ['/own']]) {{
                const frame = document.createElement('iframe');
                if (sandbox) frame.sandbox = sandbox;
                frame.src = src;
                document.documentElement.append(frame);
            }}"
        );
        run(&site, &page, &script).await;
        assert_eq!(site.hit("echo?foreign").await.body, b"{}");
        assert_eq!(site.hit("echo?sandboxed").await.body, b"{}");
        assert_eq!(site.hit("echo?own-frame").await.body, br#"{"model":"chosen"}"#);
        assert_eq!(next_of(&page, rewrite).await, EventBody::Reached);
    };
    test(body);
    test_without_fission(body);
}

#[test]
fn the_fence_stands_while_bodies_are_changed() {
    test(|lab, site| async move {
        let page = page(&lab).await;
        page.rewrite(set_model(&format!("{HOST}/api/**"))).await.unwrap();
        site.put("/outside", "text/html", "outside");
        run(&site, &page, &format!("setTimeout(() => location = '{OTHER}/outside')")).await;
        // A form's body is a document's request: it goes by, unchanged, by the fence's rules alone.
        run(&site, &page, &format!("setTimeout(() => location = '{OTHER}/outside'); fetch('/api/echo?fence', {{method: 'POST', body: '{{}}'}})")).await;
        assert_eq!(site.hit("echo?fence").await.body, br#"{"model":"chosen"}"#);
        assert!(page.goto(&format!("{OTHER}/outside"), Some(PATIENCE)).await.is_err());
        assert!(!site.was_hit("/outside"));
        assert!(page.url().await.unwrap().starts_with(HOST));
    });
}

#[test]
fn what_is_not_granted_cannot_be_asked_for() {
    test(|lab, _| async move {
        let page = lab.page().await;
        assert!(matches!(page.rewrite(echo()).await, Err(PageError::NotGranted(_))));
        let page = self::page(&lab).await;
        let prompt = Rewriting { edits: vec![Edit::Remove(pointer("/prompt"))], ..echo() };
        assert!(matches!(page.rewrite(prompt).await, Err(PageError::NotGranted(_))));
    });
}

//! Files of an answer are kept from wherever a page has them, and fetched from nowhere that was not declared: in a real Chromium.

use std::time::Duration;

use crate::capture::lab::{HOST, Lab, OTHER, PATIENCE, everything, run, spec, test};
use crate::capture::site::{self, Site, big};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use webai2api::browser::{EventBody, Page, PageError, PageSpec, Pointer, SavedFile, Source, UrlPattern};

const CDN: &str = "http://cdn.demo.localhost";
const MAX: usize = 8 << 20;
/// One pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

fn png() -> Vec<u8> {
    STANDARD.decode(PNG).unwrap()
}

/// May save from the CDN and from one folder of its own.
fn saving_spec() -> PageSpec {
    let pattern = |url: &str| UrlPattern::parse(url).unwrap();
    PageSpec { save: vec![pattern(&format!("{CDN}/**")), pattern(&format!("{HOST}/files/**"))], ..spec() }
}

async fn page(lab: &Lab) -> Page {
    lab.page_of(saving_spec()).await
}

async fn save(page: &Page, source: Source) -> Result<SavedFile, PageError> {
    page.save(source, MAX, Some(PATIENCE)).await
}

fn element(selector: &str) -> Source {
    Source::Element(selector.into())
}

fn is(result: &Result<SavedFile, PageError>, wanted: &str) -> bool {
    match result {
        Err(PageError::Other { code, .. }) => *code == wanted,
        Err(PageError::NotGranted(_)) => wanted == "not-granted",
        Err(PageError::NotFound(_)) => wanted == "not-found",
        Err(PageError::Timeout(_)) => wanted == "timeout",
        _ => false,
    }
}

/// Shows these elements in a document of its own, with a policy that forbids it nearly everything.
async fn show(site: &Site, page: &Page, policy: bool, body: &str) {
    static LAST: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let path = format!("/shown/{}", LAST.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    let policy = if policy {
        "\r\ncontent-security-policy: default-src 'none'; script-src 'unsafe-inline'; img-src * blob: data:; media-src blob:"
    } else {
        ""
    };
    let html = format!("<!doctype html><link rel=icon href=data:,><title>shown</title>{body}");
    site.put(&path, &format!("text/html; charset=utf-8{policy}"), &html);
    page.goto(&format!("{HOST}{path}"), Some(PATIENCE)).await.unwrap();
}

#[test]
fn a_picture_from_the_network_is_fetched_with_the_pages_cookies() {
    test(|lab, site| async move {
        // The server lies about what it is.
        site.put_file("/one.png", "text/plain\r\nset-cookie: own=1; SameSite=Strict", &png());
        let page = page(&lab).await;
        for policy in [false, true] {
            show(&site, &page, policy, &format!("<img src='{CDN}/one.png?shown'>")).await;
            let saved = save(&page, element("css=img")).await.unwrap();
            assert_eq!((saved.mime.as_str(), &saved.bytes[..]), ("image/png", &png()[..]));
        }
        let fetched = save(&page, Source::Url(format!("{CDN}/one.png?again"))).await.unwrap();
        assert_eq!(fetched.bytes, png());
        let head = site.hit("one.png?again").await.head.to_ascii_lowercase();
        assert!(head.contains("cookie: ") && head.contains("own=1"), "{head}");
        assert!(head.contains(&format!("referer: {HOST}/")), "{head}");
        assert!(page.title().await.unwrap() == "shown", "the page stays where it was");
    });
}

#[test]
fn blobs_data_urls_and_canvases_are_kept() {
    test(|lab, site| async move {
        let page = page(&lab).await;
        let long = 5_000_001;
        let body = format!(
            "<img id=data src='data:image/png;base64,{PNG}'><img id=blob><canvas id=canvas width=9 height=7></canvas>
            <audio id=long></audio><canvas id=bad></canvas><p id=text>text</p><img id=never src='{OTHER}/never?gate=never' loading=eager>
            <script>
                const bytes = Uint8Array.from(atob('{PNG}'), (c) => c.charCodeAt(0));
                blob.src = URL.createObjectURL(new Blob([bytes], {{type: 'image/png'}}));
                const many = new Uint8Array({long}).map((_, i) => Math.imul(i, 31) >>> 3);
                const long = document.getElementById('long');
                long.src = URL.createObjectURL(new Blob([many], {{type: 'audio/ogg'}}));
                canvas.getContext('2d').fillRect(1, 1, 3, 3);
            </script>"
        );
        show(&site, &page, false, &body).await;
        for id in ["css=#data", "css=#blob"] {
            let saved = save(&page, element(id)).await.unwrap();
            assert_eq!((saved.mime.as_str(), &saved.bytes[..]), ("image/png", &png()[..]), "{id}");
        }
        let canvas = save(&page, element("css=#canvas")).await.unwrap();
        let drawn = image_size(&canvas.bytes);
        assert_eq!((canvas.mime.as_str(), drawn), ("image/png", (9, 7)));
        let long_one = save(&page, element("css=#long")).await.unwrap();
        assert_eq!(long_one.mime, "audio/ogg");
        assert!(long_one.bytes == big(long), "{} bytes", long_one.bytes.len());
        let small = page.save(element("css=#long"), 1000, Some(PATIENCE)).await;
        assert!(is(&small, "too-large"), "{small:?}");
        let soon = Some(Duration::from_millis(300));
        for (selector, wanted) in
            [("css=#text", "nothing-to-save"), ("css=#none", "not-found"), ("css=#never", "timeout")]
        {
            let saved = page.save(element(selector), MAX, soon).await;
            assert!(is(&saved, wanted), "{selector}: {saved:?}");
        }
    });
}

/// Of a PNG.
fn image_size(png: &[u8]) -> (u32, u32) {
    let at = |n: usize| u32::from_be_bytes(png[n..n + 4].try_into().unwrap());
    (at(16), at(20))
}

#[test]
fn a_blob_is_kept_where_the_pages_policy_forbids_it_to_fetch() {
    test(|lab, site| async move {
        let page = page(&lab).await;
        let body = format!(
            "<img id=blob><script>
                const bytes = Uint8Array.from(atob('{PNG}'), (c) => c.charCodeAt(0));
                blob.src = URL.createObjectURL(new Blob([bytes], {{type: 'image/png'}}));
                blob.onload = () => {{ URL.revokeObjectURL(blob.src); blob.title = 'loaded'; }};
            </script>"
        );
        show(&site, &page, true, &body).await;
        page.attribute("css=#blob[title=loaded]", "id", Some(PATIENCE)).await.unwrap();
        let saved = save(&page, element("css=#blob")).await.unwrap();
        assert_eq!((saved.mime.as_str(), &saved.bytes[..]), ("image/png", &png()[..]));
    });
}

#[test]
fn what_another_origin_drew_is_not_read() {
    test(|lab, site| async move {
        site.put_file("/files/plain.png", "image/png", &png());
        let page = page(&lab).await;
        let body = "<canvas id=canvas width=2 height=2></canvas><script>
            const picture = new Image();
            picture.onload = () => { canvas.getContext('2d').drawImage(picture, 0, 0); canvas.title = 'drawn'; };
            picture.src = 'http://other.demo.localhost/files/plain.png';
        </script>";
        show(&site, &page, false, body).await;
        page.attribute("css=#canvas[title=drawn]", "id", Some(PATIENCE)).await.unwrap();
        let saved = save(&page, element("css=#canvas")).await;
        assert!(is(&saved, "nothing-to-save"), "{saved:?}");
    });
}

#[test]
fn each_redirect_is_checked_before_it_is_followed() {
    test(|lab, site| async move {
        site.put_file("/files/end.pdf", "application/pdf\r\ncontent-disposition: attachment", b"%PDF-1.7 end");
        site.put_file("/elsewhere.pdf", "application/pdf", b"%PDF-1.7 not yours");
        let page = page(&lab).await;
        run(&site, &page, "").await;
        let to = |hop: &str, url: &str| Source::Url(format!("{CDN}/api/redirect?{hop}&to={url}"));
        let saved = save(&page, to("in", &format!("{HOST}/files/end.pdf"))).await.unwrap();
        assert_eq!((saved.mime.as_str(), &saved.bytes[..]), ("application/pdf", &b"%PDF-1.7 end"[..]));
        for outside in
            [format!("{OTHER}/elsewhere.pdf"), format!("{HOST}/elsewhere.pdf?secret"), "file:///etc/passwd".into()]
        {
            let saved = save(&page, to("out", &outside)).await;
            assert!(
                is(&saved, "not-granted") || (outside.starts_with("file") && is(&saved, "save-failed")),
                "{outside}: {saved:?}"
            );
            assert!(!format!("{saved:?}").contains("secret"));
        }
        let twice = save(&page, to("twice", &format!("{CDN}/api/redirect?to={OTHER}/elsewhere.pdf"))).await;
        assert!(is(&twice, "not-granted"), "{twice:?}");
        assert!(!site.was_asked_for("/elsewhere.pdf"), "it was never asked for");
    });
}

#[test]
fn what_cannot_be_had_is_said() {
    test(|lab, site| async move {
        let page = page(&lab).await;
        run(&site, &page, "").await;
        for (url, wanted) in [
            (format!("{OTHER}/x"), "not-granted"),
            (format!("{HOST}/x"), "not-granted"),
            ("https://cdn.demo.localhost/x".into(), "not-granted"),
            ("nonsense".into(), "not-granted"),
            ("file:///etc/passwd".into(), "not-granted"),
            (format!("{CDN}/missing"), "save-failed"),
            (format!("{CDN}/api/short?status=204"), "save-failed"),
            (format!("{CDN}/api/big?bytes=9000000"), "too-large"),
        ] {
            let saved = save(&page, Source::Url(url.clone())).await;
            assert!(is(&saved, wanted), "{url}: {saved:?}");
        }
        // Of a length that nobody told.
        let chunked = page.save(Source::Url(format!("{CDN}/api/sse?n=200")), 1000, Some(PATIENCE)).await;
        assert!(is(&chunked, "too-large"), "{chunked:?}");
        let held = page.save(Source::Url(format!("{CDN}/x?gate=shut")), MAX, Some(Duration::from_millis(400))).await;
        assert!(is(&held, "timeout"), "{held:?}");
        let whole = save(&page, Source::Url(format!("{CDN}/api/big?bytes=7000000"))).await.unwrap();
        assert!(whole.bytes == big(7_000_000) && whole.mime == "application/octet-stream");
        let gzip = save(&page, Source::Url(format!("{CDN}/api/sse?n=3&gzip"))).await.unwrap();
        assert_eq!(gzip.bytes, site::events(3));
    });
}

/// Folders that a download leaves behind.
fn leftovers() -> usize {
    let entries = std::fs::read_dir(std::env::temp_dir()).unwrap();
    let own = entries.filter_map(Result::ok).filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with("webai2api-download-")
    });
    own.count()
}

#[test]
fn what_a_click_downloads_is_kept_and_leaves_nothing_behind() {
    test(|lab, site| async move {
        let attachment = "application/pdf\r\ncontent-disposition: attachment; filename=\"../../x.pdf\"";
        for path in ["/files/report", "/cdn-report", "/elsewhere"] {
            site.put_file(path, attachment, format!("%PDF-1.7 {path}").as_bytes());
        }
        let page = page(&lab).await;
        let body = format!(
            "<a id=own href='/files/report'>own</a> <a id=cdn href='{CDN}/cdn-report'>cdn</a>
            <a id=outside href='{OTHER}/elsewhere'>outside</a> <a id=undeclared href='/elsewhere'>undeclared</a>
            <button id=made onclick=\"const a = document.createElement('a'); a.download = 'x';
                a.href = window.URL.createObjectURL(new Blob(['%PDF-made'])); a.click()\">made</button>
            <button id=large onclick=\"const a = document.createElement('a'); a.download = 'x';
                a.href = window.URL.createObjectURL(new Blob(['x'.repeat(9e6)])); a.click()\">large</button>
            <button id=none>none</button>"
        );
        show(&site, &page, false, &body).await;
        for (id, bytes) in [("own", "%PDF-1.7 /files/report"), ("made", "%PDF-made"), ("cdn", "%PDF-1.7 /cdn-report")] {
            let saved = save(&page, Source::Download(format!("css=#{id}"))).await.unwrap();
            assert_eq!((saved.mime.as_str(), &saved.bytes[..]), ("application/pdf", bytes.as_bytes()), "{id}");
        }
        for (id, wanted) in [("outside", "not-granted"), ("undeclared", "not-granted"), ("large", "too-large")] {
            let saved = save(&page, Source::Download(format!("css=#{id}"))).await;
            assert!(is(&saved, wanted), "{id}: {saved:?}");
        }
        let none = page.save(Source::Download("css=#none".into()), MAX, Some(Duration::from_secs(1))).await;
        assert!(is(&none, "timeout"), "{none:?}");
        // Without being asked for, nothing is downloaded; and it goes on.
        page.click("css=#own", 1, None).await.unwrap();
        site.asked_for("/files/report", 2).await;
        let saved = save(&page, Source::Download("css=#made".into())).await.unwrap();
        assert_eq!(&saved.bytes[..], b"%PDF-made");
        let gone = async {
            while leftovers() > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, gone).await.is_ok(), "{} folders are left", leftovers());
        assert_eq!(page.title().await.unwrap(), "shown");
        assert!(!site.hit("/elsewhere").await.host.starts_with("other"));
    });
}

#[test]
fn a_file_in_the_body_of_an_answer_is_kept() {
    test(|lab, site| async move {
        let large = STANDARD.encode(big(1_500_000));
        let json = format!(
            r#"{{"data": [{{"b64_json": "{PNG}", "url": "data:image/webp;base64,{PNG}", "n": 3}}], "é": "{large}"}}"#
        );
        site.put("/api/pictures", "application/json", &json);
        let page = page(&lab).await;
        let listen = page.listen(everything()).unwrap();
        run(&site, &page, "fetch('/api/pictures').then(r => r.json()); fetch('/api/sse?n=1&hold').then(r => r.text())")
            .await;
        let (mut ended, mut open) = (None, None);
        while ended.is_none() || open.is_none() {
            let event = page.next(PATIENCE).await.unwrap().unwrap();
            match event.body {
                EventBody::End(_) => ended = Some(event.stream),
                EventBody::Response(head) if head.url.contains("hold") => open = Some(event.stream),
                _ => {}
            }
        }
        let at = |stream: Option<u32>, pointer: &str| Source::Body {
            source: listen,
            stream: stream.unwrap(),
            pointer: Pointer::parse(pointer).unwrap(),
        };
        for pointer in ["/data/0/b64_json", "/data/0/url"] {
            let saved = save(&page, at(ended, pointer)).await.unwrap();
            assert_eq!((saved.mime.as_str(), &saved.bytes[..]), ("image/png", &png()[..]), "{pointer}");
        }
        assert!(save(&page, at(ended, "/é")).await.unwrap().bytes == big(1_500_000));
        for (source, wanted) in [
            (at(ended, "/data/0/n"), "save-failed"),
            (at(ended, "/nothing"), "save-failed"),
            (at(Some(999), ""), "save-failed"),
            (at(open, ""), "not-ended"),
        ] {
            let saved = save(&page, source.clone()).await;
            assert!(is(&saved, wanted), "{source:?}: {saved:?}");
        }
        let small = page.save(at(ended, "/é"), 1000, Some(PATIENCE)).await;
        assert!(is(&small, "too-large"), "{small:?}");
        page.end_call();
        page.begin_call();
        assert!(is(&save(&page, at(ended, "/data/0/url")).await, "save-failed"), "it went with the call");
    });
}

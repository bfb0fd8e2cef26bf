//! Questions, acts and watches within frames, in a real Chromium: of the same process, of another, nested, scrolled, sandboxed;
//! and frames that nobody granted.

use std::time::Duration;

use crate::browser_support::{CHAT, EVIL, PATIENCE, Site, eventually, html, is_code, missing, options, ready, spec};
use axum::response::Response;
use bytes::Bytes;
use webai2api::browser::{Condition, EventBody, Instance, Origin, Page, PageError, PageSpec, Profile, UploadFile};

/// Granted too, and of another process where that is asked for.
const WIDGET: &str = "http://widget.demo.localhost";
const SHORT: Option<Duration> = Some(Duration::from_millis(900));
const LONG: Option<Duration> = Some(PATIENCE);
/// The frame in which most of it happens.
const IN: &str = "css=iframe.chat >> in-frame >> ";

const TELL: &str = "<p id=out style='height:1em'></p><script>const say = (t) => out.textContent += t + ' ';</script>";

fn pages(asked: &str) -> Response {
    let body = match asked {
        "chat.demo.localhost/" => "entry".to_owned(),
        // The frame is far below, has a border and padding, is scaled, and its document is scrolled itself.
        "chat.demo.localhost/frames" => format!(
            "<div style='height:1500px'></div><iframe class=chat src='{WIDGET}/widget' style='width:500px; height:260px;
                margin-left:90px; border:11px solid; padding:9px; transform:scale(0.8); transform-origin:0 0'></iframe>
                <div style='height:1500px'></div>"
        ),
        "widget.demo.localhost/widget" => format!(
            "<div style='height:900px'></div><button onclick='say(\"clicked\")'>Go</button>
            <button id=near onmouseenter='say(\"near\")'>Near</button>
            <input id=line value=old><textarea id=area onkeydown='say(event.key)'></textarea>
            <div id=editor contenteditable>old</div>
            <select id=one><option>a</option><option value=b>Big</option></select>
            <input id=files type=file onchange='say(this.files[0].name + this.files[0].size)'>
            <h2>Title</h2><div style='height:900px'></div>
            <iframe class=deep src='{CHAT}/deep' style='border:3px solid; width:200px; height:90px'></iframe>"
        ),
        "chat.demo.localhost/deep" => "<div style='height:400px'></div><button onclick='say(\"deep\")'>Go</button>
            <input id=line>"
            .to_owned(),
        "chat.demo.localhost/kinds" => format!(
            "<div id=none>no frame</div>
            <iframe id=evil src='{EVIL}/secret'></iframe>
            <iframe id=opaque sandbox='allow-scripts' srcdoc='<b>opaque</b>'></iframe>
            <iframe id=same sandbox='allow-scripts allow-same-origin' srcdoc='<b>same</b>'></iframe>
            <iframe id=quiet sandbox='allow-same-origin' src='/deep'></iframe>
            <iframe id=doc srcdoc='<b>doc</b>'></iframe>
            <iframe id=blank></iframe>
            <object id=object data='/deep'></object>"
        ),
        "evil.demo.localhost/secret" => "<b>secret</b>".to_owned(),
        "chat.demo.localhost/covered" => "<iframe class=chat srcdoc='<button>Go</button>'></iframe>
            <div class=veil style='position:fixed;inset:0'></div>"
            .to_owned(),
        "chat.demo.localhost/none" => "<p>nothing</p>".to_owned(),
        // As soon as the pointer comes, the frame goes elsewhere.
        "chat.demo.localhost/leaving" => format!("<iframe class=chat src='{WIDGET}/leaving' style='height:200px'></iframe>"),
        "widget.demo.localhost/leaving" => format!(
            "<button style='position:fixed;inset:0' onclick='say(1)'>Go</button>
            <script>addEventListener('mousemove', () => location = '{EVIL}/trap')</script>"
        ),
        "evil.demo.localhost/trap" => "<button style='position:fixed;inset:0'>Go</button>
            <script>for (const type of ['pointerdown', 'pointerup', 'keydown', 'beforeinput'])
                addEventListener(type, () => fetch('/sprung'))</script>"
            .to_owned(),
        // The same without the network, which nothing can hold.
        path if path.starts_with("chat.demo.localhost/swapping?") => SWAPPING.to_owned(),
        "chat.demo.localhost/late" => "<div id=place></div><script>
            const put = (html) => { place.innerHTML = `<iframe class=chat srcdoc='${html}'></iframe>`; };
            const go = { one: () => put('<p id=answer>one</p>'),
                two: () => { document.querySelector('iframe').contentDocument.querySelector('#answer').textContent = 'two'; },
                three: () => put('<p id=answer>three</p>'), gone: () => place.replaceChildren() };
            </script><button onclick='go.one()'>one</button><button onclick='go.two()'>two</button>
            <button onclick='go.three()'>three</button><button onclick='go.gone()'>gone</button>"
            .to_owned(),
        _ => return missing(),
    };
    html(&format!("{TELL}{body}"))
}

/// So many milliseconds after the pointer has come there is another document in the frame, and another frame.
const SWAPPING: &str = "<iframe class=chat style='height:200px'></iframe>
    <script>
        const after = Number(location.search.slice(1));
        const trap = `<button style='position:fixed;inset:0'>Trap</button><script>
            for (const type of ['pointerdown', 'pointerup', 'click', 'keydown', 'keyup', 'beforeinput'])
                addEventListener(type, (event) => event.isTrusted && parent.say('trapped by ' + type))<\\/script>`;
        const frame = document.querySelector('iframe');
        frame.srcdoc = `<button style='position:fixed;inset:0'>Go</button><textarea></textarea>
            <script>addEventListener('mousemove', () => parent.swap()); addEventListener('focusin', () => parent.swap())<\\/script>`;
        const swap = () => { setTimeout(() => { if (after % 2) frame.srcdoc = trap;
            else { const other = frame.cloneNode(); other.srcdoc = trap; frame.replaceWith(other); } }, after); };
    </script>";

/// With the widget in a process of its own, or in the page's.
async fn start(isolated: bool) -> (Site, Instance, Page) {
    let site = Site::start(pages).await;
    let mut options = options("frames", Profile::Throwaway, Some(site.guard()));
    if isolated {
        options.launch.extra_args = vec![format!("--isolate-origins={WIDGET},{EVIL}")];
    }
    let instance = Instance::spawn(options);
    ready(&instance).await;
    let origins = vec![Origin::parse_lab(CHAT).unwrap(), Origin::parse_lab(WIDGET).unwrap()];
    let page = instance.open_page(PageSpec { page: origins, ..spec() }).await.unwrap();
    page.begin_call();
    (site, instance, page)
}

async fn open(page: &Page, path: &str) {
    page.goto(&format!("{CHAT}/{path}"), LONG).await.unwrap();
}

async fn says(page: &Page, frame: &str, wanted: &str) {
    eventually(wanted, async || page.text(&format!("{frame}#out"), LONG).await.unwrap().trim() == wanted).await;
}

async fn renderers(instance: &Instance) -> usize {
    let (_, pid) = ready(instance).await;
    let is_renderer = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("--type=renderer")
    };
    crate::browser_support::descendants(pid).iter().filter(|pid| is_renderer(pid)).count()
}

#[tokio::test]
async fn a_frame_of_the_same_process_is_used_like_the_page() {
    let (_site, instance, page) = start(false).await;
    use_the_frame(&page).await;
    instance.stop().await;
}

#[tokio::test]
async fn a_frame_of_another_process_is_used_like_the_page() {
    let (_site, instance, page) = start(true).await;
    open(&page, "none").await;
    let before = renderers(&instance).await;
    use_the_frame(&page).await;
    assert!(renderers(&instance).await > before, "the frame has a process of its own");
    instance.stop().await;
}

async fn use_the_frame(page: &Page) {
    open(page, "frames").await;
    let at = |selector: &str| format!("{IN}{selector}");
    assert_eq!(page.text(&at("h2"), LONG).await.unwrap(), "Title");
    assert_eq!(page.count(&at("button")).await.unwrap(), 2);
    assert_eq!(page.count("button").await.unwrap(), 0, "the page itself has none");
    assert!(page.visible(&at("role=button[name=\"Go\"]")).await.unwrap());
    assert_eq!(page.texts(&at("button")).await.unwrap(), ["Go", "Near"]);
    assert_eq!(page.markdown(&at("h2"), LONG).await.unwrap().trim(), "## Title");

    page.click(&at("text=Go"), 1, LONG).await.unwrap();
    says(page, IN, "clicked").await;
    page.hover(&at("#near"), LONG).await.unwrap();
    says(page, IN, "clicked near").await;

    page.fill(&at("#line"), "你好 new", LONG).await.unwrap();
    assert_eq!(page.attribute(&at("#line"), "value", LONG).await.unwrap().as_deref(), Some("你好 new"));
    page.fill(&at("#editor"), "edited", LONG).await.unwrap();
    assert_eq!(page.text(&at("#editor"), LONG).await.unwrap(), "edited");
    page.type_text(&at("#area"), "typed", LONG).await.unwrap();
    assert_eq!(page.attribute(&at("#area"), "value", LONG).await.unwrap().as_deref(), Some("typed"));
    page.press(&at("#area"), "Enter", LONG).await.unwrap();
    says(page, IN, "clicked near Enter").await;
    page.select(&at("#one"), &["Big".into()], LONG).await.unwrap();
    assert_eq!(page.attribute(&at("#one"), "value", LONG).await.unwrap().as_deref(), Some("b"));
    let file = UploadFile { name: "a.txt".into(), mime: "text/plain".into(), bytes: Bytes::from_static(b"abc") };
    page.attach(&at("#files"), vec![file], LONG).await.unwrap();
    says(page, IN, "clicked near Enter a.txt3").await;

    // Where it is drawn is told in the window's measure: the frame is scaled.
    let outer = page.bounds("iframe.chat", LONG).await.unwrap();
    let inner = page.bounds(&at("#line"), LONG).await.unwrap();
    assert!(inner.x > outer.x + 15.0 && inner.x + inner.width < outer.x + outer.width, "{outer:?} {inner:?}");
    assert!(inner.y > outer.y && inner.y < outer.y + outer.height, "{outer:?} {inner:?}");

    let deep = format!("{IN}css=iframe.deep >> in-frame >> ");
    page.click(&format!("{deep}button"), 1, LONG).await.unwrap();
    says(page, &deep, "deep").await;
    page.fill(&format!("{deep}#line"), "far", LONG).await.unwrap();
    assert_eq!(page.attribute(&format!("{deep}#line"), "value", LONG).await.unwrap().as_deref(), Some("far"));
    // And back: what has the focus in the deep frame is left.
    page.type_text(&at("#area"), "again", LONG).await.unwrap();
    let area = page.attribute(&at("#area"), "value", LONG).await.unwrap().unwrap();
    assert!(area.contains("again"), "{area}");
}

#[tokio::test]
async fn only_granted_documents_are_looked_into() {
    for isolated in [false, true] {
        let (_site, instance, page) = start(isolated).await;
        open(&page, "kinds").await;
        for (frame, text) in [("same", "same"), ("doc", "doc")] {
            assert_eq!(page.text(&format!("#{frame} >> in-frame >> b"), LONG).await.unwrap(), text);
        }
        assert_eq!(page.count("#quiet >> in-frame >> button").await.unwrap(), 1, "a frame without scripts");
        assert_eq!(page.count("#object >> in-frame >> button").await.unwrap(), 1);
        assert_eq!(page.count("#blank >> in-frame >> body").await.unwrap(), 1);
        for (frame, origin) in [("evil", EVIL), ("opaque", "null")] {
            let selector = format!("#{frame} >> in-frame >> b");
            let denied = PageError::OriginDenied(format!("{origin} (the frame of {selector})"));
            assert_eq!(page.text(&selector, LONG).await, Err(denied.clone()));
            assert_eq!(page.count(&selector).await, Err(denied.clone()));
            assert_eq!(page.click(&selector, 1, LONG).await, Err(denied.clone()));
            assert_eq!(page.watch(&selector).await, Err(denied));
        }
        let none = page.click("#none >> in-frame >> b", 1, SHORT).await;
        assert!(is_code(&none, "not-a-frame"), "{none:?}");
        assert_eq!(page.count("#missing >> in-frame >> b").await, Ok(0));
        assert_eq!(page.visible("#missing >> in-frame >> b").await, Ok(false));
        let missing = "#missing >> in-frame >> b".to_owned();
        assert_eq!(page.click(&missing, 1, SHORT).await, Err(PageError::NotFound(missing)));
        let missing = "#doc >> in-frame >> i".to_owned();
        assert_eq!(page.click(&missing, 1, SHORT).await, Err(PageError::NotFound(missing)));
        instance.stop().await;
    }
}

#[tokio::test]
async fn a_click_into_a_frame_hits_it_or_nothing() {
    for isolated in [false, true] {
        let (site, instance, page) = start(isolated).await;
        open(&page, "covered").await;
        let Err(PageError::Timeout(why)) = page.click(&format!("{IN}button"), 1, SHORT).await else { panic!() };
        assert!(why.contains("veil") && why.contains(IN), "{why}");

        for _ in 0..3 {
            open(&page, "leaving").await;
            // It may have gone before, or be denied as soon as it has left; what matters is what was not hit.
            let left = page.click(&format!("{IN}button"), 1, LONG).await;
            assert!(matches!(left, Ok(()) | Err(PageError::OriginDenied(_))), "{left:?}");
            eventually("the frame to leave", async || {
                page.count(&format!("{IN}button")).await.is_err_and(|e| matches!(e, PageError::OriginDenied(_)))
            })
            .await;
        }
        assert_eq!(site.hits("evil.demo.localhost/sprung"), 0);

        for after in 0..12 {
            open(&page, &format!("swapping?{after}")).await;
            // Whether it lands before depends on the time; after, there is no such button.
            match after % 3 {
                0 => page.type_text(&format!("{IN}textarea"), "secret", SHORT).await.ok(),
                1 => page.press(&format!("{IN}textarea"), "Enter", SHORT).await.ok(),
                _ => page.click(&format!("{IN}text=Go"), 1, SHORT).await.ok(),
            };
            assert_eq!(page.text("#out", LONG).await.unwrap(), "", "after {after} ms");
        }
        instance.stop().await;
    }
}

#[tokio::test]
async fn watches_follow_their_frame() {
    for isolated in [false, true] {
        let (_site, instance, page) = start(isolated).await;
        open(&page, "late").await;
        let answer = format!("{IN}#answer");
        let watch = page.watch(&answer).await.unwrap();
        let come = page.expect(Condition::Visible(answer.clone())).await.unwrap();
        page.click("text=one", 1, LONG).await.unwrap();
        let mut seen = vec![next(&page).await, next(&page).await];
        seen.sort_by_key(|(source, _)| *source);
        assert_eq!(seen, [(watch, Some("one".to_owned())), (come, None)]);
        page.click("text=two", 1, LONG).await.unwrap();
        assert_eq!(next(&page).await, (watch, Some("two".to_owned())));
        page.click("text=three", 1, LONG).await.unwrap();
        assert_eq!(next(&page).await, (watch, Some("three".to_owned())));
        let gone = page.expect(Condition::Detached(answer.clone())).await.unwrap();
        page.click("text=gone", 1, LONG).await.unwrap();
        assert_eq!(next(&page).await, (gone, None));
        let never_there = page.expect(Condition::Hidden(answer)).await.unwrap();
        assert_eq!(next(&page).await, (never_there, None));
        page.stop_listening(watch);
        page.click("text=one", 1, LONG).await.unwrap();
        assert_eq!(page.next(Duration::from_millis(300)).await.unwrap(), None);

        open(&page, "frames").await;
        let far = page.watch(&format!("{IN}#out")).await.unwrap();
        assert_eq!(next(&page).await, (far, Some(String::new())));
        page.click(&format!("{IN}text=Go"), 1, LONG).await.unwrap();
        assert_eq!(next(&page).await, (far, Some("clicked".to_owned())));
        instance.stop().await;
    }
}

/// What came of a watch (its text) or an expectation.
async fn next(page: &Page) -> (u32, Option<String>) {
    loop {
        let event = page.next(PATIENCE).await.unwrap().unwrap();
        match event.body {
            EventBody::Watched(text) => return (event.source, Some(text)),
            EventBody::Reached => return (event.source, None),
            EventBody::Navigated(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

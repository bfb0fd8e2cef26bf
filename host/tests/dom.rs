//! Acts and questions in a real Chromium, through `Page`.

use std::time::Duration;

use crate::browser_support::{CHAT, PATIENCE, Site, html, instance, missing, page};
use axum::response::Response;
use bytes::Bytes;
use webai2api::browser::{Instance, Page, PageError, UploadFile};

const SHORT: Option<Duration> = Some(Duration::from_millis(700));
const LONG: Option<Duration> = Some(PATIENCE);

const TELL: &str = "<p id=out style='height:1em'></p><script>const say = (t) => out.textContent += t + ' ';</script>";

/// Each page says in `#out` what it got.
fn pages(asked: &str) -> Response {
    let Some(path) = asked.strip_prefix("chat.demo.localhost/") else { return missing() };
    let body = match path {
        "" => "entry",
        "late" => "<script>setTimeout(() => document.body.insertAdjacentHTML('beforeend',
            '<button onclick=\"say(1)\">Go</button>'), 300)</script>",
        "disabled" => "<fieldset disabled><button onclick='say(1)'>Go</button></fieldset>
            <script>setTimeout(() => document.querySelector('fieldset').disabled = false, 300)</script>",
        "aria-disabled" => "<div aria-disabled=true><span role=button onclick='say(1)'>Go</span></div>",
        "moving" => "<style>@keyframes go { to { transform: translateX(300px) } } button { animation: go 700ms linear }</style>
            <button onclick='say(1)'>Go</button>",
        "restless" => "<style>@keyframes go { to { transform: translateX(300px) } } button { animation: go 1s linear infinite }</style>
            <button onclick='say(1)'>Go</button>",
        "covered" => "<button onclick='say(1)'>Go</button><div id=cover style='position:fixed;inset:0' onclick='say(0)'></div>
            <script>setTimeout(() => cover.remove(), 400)</script>",
        "buried" => "<button onclick='say(1)'>Go</button><div id=cover class=veil style='position:fixed;inset:0' onclick='say(0)'></div>",
        "frame" => "<button onclick='say(1)'>Go</button><iframe style='position:fixed;inset:0;width:100%;height:100%;opacity:.1'></iframe>",
        "hidden" => "<button style='visibility:hidden'>Go</button>",
        "below" => "<div style='height:3000px'></div><div style='height:200px;overflow:auto'><div style='height:900px'></div>
            <button onclick='say(1)'>Go</button></div><div style='height:3000px'></div>",
        // A hostile page: as soon as the pointer comes near, or the button goes down, another button is there.
        "decoy" => "<button onpointerdown='say(1)'>Go</button><button id=buy onclick='say(\"bought\")' onpointerdown='say(\"bought\")'
            style='position:fixed;inset:0;display:none'>Buy</button>
            <script>addEventListener('mousemove', () => buy.style.display = 'block')</script>",
        // The same by frames, which the page's own listeners do not see into.
        "decoy-frame" => "<button onclick='say(1)'>Go</button><iframe id=buy style='position:fixed;inset:0;width:100%;height:100%;display:none'
            srcdoc='<body onpointerdown=\"parent.say(&quot;bought&quot;)\">'></iframe>
            <script>addEventListener('mousemove', () => buy.style.display = 'block')</script>",
        // The focus goes elsewhere as soon as it comes.
        "thief" => "<textarea id=mine onfocus='setTimeout(() => theirs.focus(), 0)'></textarea><input id=theirs oninput='say(1)' onkeydown='say(2)'>",
        "menu" => "<button onpointerdown='say(1); cover.style.display = \"block\"'>Go</button>
            <div id=cover style='position:fixed;inset:0;display:none' onpointerup='say(2)'></div>",
        "shadow" => "<x-a></x-a><script>class A extends HTMLElement { constructor() { super();
            this.attachShadow({mode: 'open'}).innerHTML = '<div><button><i>Go</i></button><input></div>';
            this.shadowRoot.querySelector('button').onclick = () => say(this.shadowRoot.querySelector('input').value || 1); } }
            customElements.define('x-a', A)</script>",
        "label" => "<label><input type=checkbox style='opacity:0;position:absolute' onchange='say(this.checked)'><b>Go</b></label>
            <button aria-pressed=true>Think</button><a href=/ role=switch aria-checked=false>S</a>",
        "double" => "<button onclick='say(event.detail)' ondblclick='say(\"double\")'>Go</button>",
        "hover" => "<button onmouseenter='say(1)'>Go</button>",
        "slow" => {
            std::thread::sleep(Duration::from_secs(3));
            "<button onclick='say(3)'>Slow</button>"
        }
        "slow-link" => "<a href=/slow>Go</a>",
        "link" => "<a href=/next>Go</a>",
        "next" => "<button onclick='say(2)'>Next</button>",
        "dialog" => "<button onclick='alert(1); say(1)'>Go</button>",
        "hostile" => "<form onsubmit='event.preventDefault(); say(message.value)'><textarea id=message name=getAttribute></textarea>
            <input name=parentNode><input name=matches><input name=getBoundingClientRect><input name=contains><input name=focus>
            <input name=nodeType><input name=closest><input name=getRootNode><input name=firstChild><input name=isConnected>
            <img name=querySelectorAll><img name=activeElement><img name=elementFromPoint><img name=execCommand><img name=body>
            <p id=webai></p><button>Go</button></form>",
        "fields" => FIELDS,
        "editors" => EDITORS,
        "files" => FILES,
        _ => return missing(),
    };
    html(&format!("{TELL}{body}"))
}

const FIELDS: &str = "<textarea id=area>old\ntext</textarea><input id=line value=old><input id=short maxlength=5>
  <input id=date type=date><input id=number type=number><input id=fixed readonly value=x>
  <input id=controlled><select id=one><option value=a>Apple</option><option value=b>Big  Banana</option></select>
  <select id=many multiple><option>x</option><option>y</option><option>z</option></select><label for=line>Line</label>
  <div id=keys tabindex=0 style='height:20px'></div>
  <script>
    // As React holds a field: its state counts, and only an input event changes it.
    let state = ''; controlled.addEventListener('input', () => { state = controlled.value; controlled.value = state; });
    setInterval(() => { if (controlled.value !== state) controlled.value = state; }, 20);
    one.onchange = () => say(one.value); many.onchange = () => say([...many.selectedOptions].map((o) => o.value));
    for (const el of [keys, area]) el.onkeydown = (e) => say([e.ctrlKey && 'C', e.shiftKey && 'S', e.key, e.code, e.keyCode].filter(Boolean).join('-'));
  </script>";

/// A plain one; one that keeps a model of its own and draws it later, as ProseMirror and Lexical do; one that ignores a
/// selection that it was not told of by keys.
const EDITORS: &str = "<div id=plain contenteditable>old <b>text</b></div>
  <div id=model contenteditable=true class=ProseMirror role=textbox><p>old</p><p>text</p></div>
  <div id=keys contenteditable><p>old</p></div>
  <script>
    let lines = ['old', 'text'], all = false;
    const draw = () => requestAnimationFrame(() => { model.replaceChildren(...lines.map((l) => {
      const p = document.createElement('p'); p.append(l || document.createElement('br')); return p; })); });
    document.addEventListener('selectionchange', () => {
      all = document.activeElement === model && String(getSelection()).replace(/\\s/g, '') === lines.join('').replace(/\\s/g, ''); });
    model.addEventListener('beforeinput', (e) => { e.preventDefault(); if (all) lines = [''];
      const text = e.data ?? e.dataTransfer?.getData('text/plain') ?? ''; all = false;
      const parts = text.split('\\n'); lines[lines.length - 1] += parts[0]; lines.push(...parts.slice(1)); draw(); });
    let selected = false;
    keys.addEventListener('keydown', (e) => { selected = e.ctrlKey && e.key === 'a' || (selected && e.key === 'Control');
      if (e.key === 'Delete') { e.preventDefault(); if (selected || true) keys.textContent = ''; } });
    keys.addEventListener('beforeinput', (e) => { e.preventDefault(); keys.append(e.data ?? ''); });
  </script>";

const FILES: &str = "<input id=many type=file multiple style='display:none'><input id=one type=file>
  <script>many.onchange = async () => { for (const f of many.files) {
      const bytes = new Uint8Array(await f.arrayBuffer()); say(`${f.name}|${f.type}|${f.size}|${bytes[bytes.length - 1]}`); }
    say('done'); };</script>";

async fn start() -> (Site, Instance, Page) {
    let site = Site::start(pages).await;
    let instance = instance(&site).await;
    let page = page(&instance).await;
    page.begin_call();
    (site, instance, page)
}

async fn open(page: &Page, path: &str) {
    page.goto(&format!("{CHAT}/{path}"), LONG).await.unwrap();
}

async fn out(page: &Page) -> String {
    page.text("#out", LONG).await.unwrap()
}

fn timed_out(result: Result<(), PageError>) -> String {
    match result {
        Err(PageError::Timeout(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_click_waits_until_it_can_land() {
    let (_site, _instance, page) = start().await;
    for path in ["late", "disabled", "moving", "covered", "below", "menu", "shadow", "hover", "dialog"] {
        open(&page, path).await;
        match path {
            "hover" => page.hover("text=Go", LONG).await.unwrap(),
            _ => page.click("role=button[name=\"Go\"]", 1, LONG).await.unwrap_or_else(|e| panic!("{path}: {e}")),
        }
        let said = out(&page).await;
        assert!(said.starts_with('1'), "{path}: {said}");
    }
    open(&page, "double").await;
    page.click("text=Go", 2, LONG).await.unwrap();
    assert_eq!(out(&page).await, "1 2 double");
    open(&page, "label").await;
    assert!(!page.checked("text=Go", LONG).await.unwrap());
    page.click("role=checkbox", 1, LONG).await.unwrap();
    assert!(page.checked("role=checkbox[name=\"Go\"]", LONG).await.unwrap());
    assert!(page.checked("text=Think", LONG).await.unwrap());
    assert!(!page.checked("role=switch", LONG).await.unwrap());
    assert!(matches!(page.checked("#out", LONG).await, Err(PageError::Other { code: "not-checkable", .. })));
    assert_eq!(out(&page).await, "true");
}

#[tokio::test]
async fn a_click_that_cannot_land_says_why() {
    let (_site, _instance, page) = start().await;
    for (path, why) in [
        ("aria-disabled", "it is disabled"),
        ("restless", "it is moving"),
        ("buried", "<div id=\"cover\" class=\"veil\"> lies over it"),
        ("frame", "a frame lies over it"),
        ("hidden", "it is not visible"),
        ("decoy", "lies over it"),
        ("decoy-frame", "a frame lies over it"),
    ] {
        open(&page, path).await;
        let clicked = page.click("css=:is(button, [role=button])", 1, SHORT).await;
        assert!(clicked.is_err(), "{path}: clicked");
        let told = timed_out(clicked);
        assert!(told.contains(why), "{path}: {told}");
        assert_eq!(out(&page).await, "", "{path}");
    }
    open(&page, "buried").await;
    let none = page.click("role=button[name=\"No\"]", 1, SHORT).await;
    assert_eq!(none, Err(PageError::NotFound("role=button[name=\"No\"]".into())));
    assert_eq!(page.text("#none", SHORT).await, Err(PageError::NotFound("#none".into())));
    let invalid = page.click("role=", 1, SHORT).await;
    assert!(matches!(invalid, Err(PageError::Other { code: "invalid-selector", .. })));
    let invalid = page.count("css=a:nope").await;
    assert!(matches!(invalid, Err(PageError::Other { code: "invalid-selector", .. })), "{invalid:?}");
}

#[tokio::test]
async fn what_is_typed_goes_to_no_other_element() {
    let (_site, _instance, page) = start().await;
    open(&page, "thief").await;
    for result in [
        page.fill("#mine", "secret", SHORT).await,
        page.type_text("#mine", "secret", SHORT).await,
        page.press("#mine", "Enter", SHORT).await,
    ] {
        timed_out(result);
    }
    assert_eq!(page.attribute("#theirs", "value", LONG).await.unwrap().as_deref(), Some(""));
    assert_eq!(out(&page).await, "");
}

#[tokio::test]
async fn a_click_that_leads_away_is_done_and_the_next_finds_the_new_document() {
    let (_site, _instance, page) = start().await;
    open(&page, "link").await;
    page.click("text=Go", 1, LONG).await.unwrap();
    page.click("text=Next", 1, LONG).await.unwrap();
    assert_eq!(out(&page).await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_navigation_is_waited_for_by_the_next_act_only() {
    let (_site, _instance, page) = start().await;
    open(&page, "slow-link").await;
    let begun = std::time::Instant::now();
    page.click("text=Go", 1, LONG).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    page.click("text=Slow", 1, LONG).await.unwrap();
    assert_eq!(out(&page).await, "3");
}

#[tokio::test]
async fn forms_with_fields_named_like_methods_are_forms() {
    let (_site, _instance, page) = start().await;
    open(&page, "hostile").await;
    page.fill("css=form >> css=textarea", "hello", LONG).await.unwrap();
    assert_eq!(page.attribute("#message", "value", LONG).await.unwrap().as_deref(), Some("hello"));
    assert_eq!(page.count("form >> role=button").await.unwrap(), 1);
    assert!(page.visible("css=form").await.unwrap());
    assert!(page.bounds("css=form", LONG).await.unwrap().width > 10.0);
    assert_eq!(page.attribute("css=form", "getAttribute", LONG).await.unwrap(), None);
    page.markdown("css=form", LONG).await.unwrap();
    page.click("css=form >> text=Go", 1, LONG).await.unwrap();
    assert_eq!(out(&page).await, "hello");
}

#[tokio::test]
async fn fields_hold_what_they_were_filled_with() {
    let (_site, _instance, page) = start().await;
    open(&page, "fields").await;
    let long = "Zeile é 你好 👩‍💻 \"x\" <b>\n\n\t".repeat(800);
    for (selector, text) in [
        ("#area", "two\nlines"),
        ("#area", long.as_str()),
        ("#area", ""),
        ("#line", "new"),
        ("label=Line", "by its label"),
        ("text=Line", "by the label itself"),
        ("#date", "2026-11-23"),
        ("#number", "42"),
        ("#controlled", "held by a state"),
        ("#controlled", "replaced"),
    ] {
        page.fill(selector, text, LONG).await.unwrap_or_else(|e| panic!("{selector}: {e}"));
        let field = if selector.contains("ine") { "#line" } else { selector };
        assert_eq!(page.attribute(field, "value", LONG).await.unwrap().unwrap(), text, "{selector}");
    }
    let cut = page.fill("#short", "too long", LONG).await;
    assert!(matches!(cut, Err(PageError::Other { code: "fill-mismatch", .. })), "{cut:?}");
    assert!(timed_out(page.fill("#fixed", "x", SHORT).await).contains("not editable"));
    assert!(timed_out(page.fill("#out", "x", SHORT).await).contains("not editable"));
    page.fill("#line", "a", LONG).await.unwrap();
    page.type_text("#line", "b 你", LONG).await.unwrap();
    page.press("#line", "c", LONG).await.unwrap();
    assert_eq!(page.attribute("#line", "value", LONG).await.unwrap().as_deref(), Some("ab 你c"));
}

#[tokio::test]
async fn keys_and_options_reach_the_page() {
    let (_site, _instance, page) = start().await;
    open(&page, "fields").await;
    page.focus("#keys", LONG).await.unwrap();
    for key in ["Enter", "Control+Enter", "ArrowDown", "Shift+a", "Escape"] {
        page.press("#keys", key, LONG).await.unwrap();
    }
    let said = out(&page).await;
    let expected = "Enter-Enter-13 C-Control-ControlLeft-17 C-Enter-Enter-13 ArrowDown-ArrowDown-40 \
                    S-Shift-ShiftLeft-16 S-A-KeyA-65 Escape-Escape-27";
    assert_eq!(said, expected);
    open(&page, "fields").await;
    page.fill("#area", "one", LONG).await.unwrap();
    page.press("#area", "Shift+Enter", LONG).await.unwrap();
    page.press("#area", "x", LONG).await.unwrap();
    page.press("#area", "Control+a", LONG).await.unwrap();
    assert_eq!(page.attribute("#area", "value", LONG).await.unwrap().as_deref(), Some("one\nx"));
    page.press("#area", "Backspace", LONG).await.unwrap();
    assert_eq!(page.attribute("#area", "value", LONG).await.unwrap().as_deref(), Some(""));
    open(&page, "fields").await;
    page.select("#one", &["b".into()], LONG).await.unwrap();
    page.select("#one", &["Apple".into()], LONG).await.unwrap();
    page.select("#one", &["Big Banana".into()], LONG).await.unwrap();
    page.select("#many", &["x".into(), "z".into()], LONG).await.unwrap();
    assert_eq!(out(&page).await, "b a b x,z");
    assert!(timed_out(page.select("#one", &["c".into()], SHORT).await).contains("no option \"c\""));
    let wrong = page.select("#area", &["c".into()], SHORT).await;
    assert!(matches!(wrong, Err(PageError::Other { code: "not-a-select", .. })));
    assert!(matches!(page.press("#area", "Nope", SHORT).await, Err(PageError::Other { code: "invalid-key", .. })));
}

#[tokio::test]
async fn editors_take_a_prompt_in_one_go() {
    let (_site, _instance, page) = start().await;
    open(&page, "editors").await;
    let long = "A line of words, 你好, with * marks *\n\n- and a list\n".repeat(400);
    assert!(long.chars().count() > 19_000);
    for selector in ["#plain", "#model", "#keys", "role=textbox"] {
        for text in ["first", "second\nline", long.as_str(), "last"] {
            page.fill(selector, text, LONG).await.unwrap_or_else(|e| panic!("{selector}: {e}"));
            let got = page.text(selector, LONG).await.unwrap();
            let solid = |s: &str| s.split_whitespace().collect::<String>();
            assert_eq!(solid(&got), solid(text), "{selector}");
        }
    }
    page.fill("#plain", "a\nb\n\nc", LONG).await.unwrap();
    // The browser's own `innerText` counts the line that holds nothing twice.
    assert_eq!(page.text("#plain", LONG).await.unwrap().replace("\n\n\n", "\n\n"), "a\nb\n\nc");
    page.fill("#plain", "", LONG).await.unwrap();
    assert_eq!(page.text("#plain", LONG).await.unwrap(), "");
    open(&page, "shadow").await;
    page.fill("x-a input", "deep", LONG).await.unwrap();
    page.click("x-a >> text=Go", 1, LONG).await.unwrap();
    assert_eq!(out(&page).await, "deep");
}

#[tokio::test]
async fn files_arrive_whole() {
    let (_site, _instance, page) = start().await;
    open(&page, "files").await;
    let file = |name: &str, mime: &str, bytes: Vec<u8>| UploadFile {
        name: name.into(),
        mime: mime.into(),
        bytes: Bytes::from(bytes),
    };
    let mut big = vec![7; 2_000_001];
    big[2_000_000] = 9;
    let files =
        vec![file("a b.png", "image/png", vec![1, 2, 255]), file("大.txt", "text/plain", big), file("e", "", vec![])];
    page.attach("#many", files.clone(), LONG).await.unwrap();
    page.text("#out >> has-text=done", LONG).await.unwrap();
    assert_eq!(out(&page).await, "a b.png|image/png|3|255 大.txt|text/plain|2000001|9 e||0|undefined done");
    let many = page.attach("#one", files.clone(), SHORT).await;
    assert!(matches!(many, Err(PageError::Other { code: "too-many-files", .. })), "{many:?}");
    let wrong = page.attach("#out", files, SHORT).await;
    assert!(matches!(wrong, Err(PageError::Other { code: "not-a-file-input", .. })), "{wrong:?}");
}

//! File choosers and Copy buttons in a real Chromium.

use std::time::Duration;

use crate::browser_support::{CHAT, PATIENCE, Site, eventually, html, instance, is_code, missing, page};
use axum::response::Response;
use bytes::Bytes;
use webai2api::browser::{Instance, Page, PageError, UploadFile};

const SHORT: Option<Duration> = Some(Duration::from_millis(900));
const LONG: Option<Duration> = Some(PATIENCE);

const TELL: &str = "<p id=out style='height:1em'></p><script>const say = (t) => out.textContent += t + ' ';</script>";

const CHOOSERS: &str = "<input id=shown type=file>
  <button id=many>Many</button><button id=detached>Detached</button><button id=late>Late</button><button id=none>None</button>
  <button id=picker>Picker</button>
  <script>
    const names = async (files) => { for (const f of files) say(`${f.name}|${f.type}|${await f.text()}`); say('done'); };
    shown.onchange = () => names(shown.files);
    const ask = (multiple) => { const input = document.createElement('input'); input.type = 'file'; input.multiple = multiple;
      input.onchange = () => names(input.files); input.click(); };
    many.onclick = () => ask(true); detached.onclick = () => ask(false); late.onclick = () => setTimeout(() => ask(false), 200);
    none.onclick = () => say('clicked');
    picker.onclick = () => showOpenFilePicker().catch(() => say('cancelled'));
  </script>";

const COPIERS: &str = "<textarea id=field>before **this** after</textarea><p id=rich>rich <b>text</b></p><iframe
    srcdoc=\"<button onclick='navigator.clipboard.writeText(&quot;framed&quot;)'>Framed</button>\"></iframe>
  <script>
    const original = { writeText: Clipboard.prototype.writeText, write: Clipboard.prototype.write, exec: document.execCommand };
    const kept = navigator.clipboard.writeText.bind(navigator.clipboard);
    const before = Object.getOwnPropertyNames(window).join();
    const blob = (text, type) => new Blob([text], { type });
    // What a page can see of a hook, afterwards.
    window.untouched = () => Clipboard.prototype.writeText === original.writeText && Clipboard.prototype.write === original.write
      && document.execCommand === original.exec && /native code/.test(Function.prototype.toString.call(navigator.clipboard.writeText))
      && Object.getOwnPropertyNames(window).filter((n) => !before.split(',').includes(n)).join() === 'untouched,acts';
    window.acts = {
      plain: () => navigator.clipboard.writeText('# plain 你好').catch((e) => say(e.name)),
      kept: () => kept('kept from before').catch(() => {}),
      items: () => navigator.clipboard.write([new ClipboardItem({ 'text/html': blob('<b>x</b>', 'text/html'),
          'text/plain': blob('**x**', 'text/plain') })]).catch(() => {}),
      promised: () => navigator.clipboard.write([new ClipboardItem({
          'text/plain': new Promise((r) => setTimeout(() => r(blob('later', 'text/plain')), 200)) })]).catch(() => {}),
      html: () => navigator.clipboard.write([new ClipboardItem({ 'text/html': blob('<b>y</b>', 'text/html') })]).catch(() => {}),
      event: () => { const give = (e) => { e.clipboardData.setData('text/plain', 'given'); e.preventDefault(); e.stopImmediatePropagation(); };
          document.addEventListener('copy', give, { once: true }); getSelection().selectAllChildren(rich); say(document.execCommand('copy')); },
      field: () => { field.focus(); field.setSelectionRange(7, 15); document.execCommand('copy'); },
      selection: () => { getSelection().selectAllChildren(rich); document.execCommand('copy'); },
      waited: () => setTimeout(() => navigator.clipboard.writeText('waited').catch(() => {}), 200),
      nothing: () => say('clicked'),
      stops: () => { debugger; navigator.clipboard.writeText('did not stop').catch(() => {}); },
      paste: () => navigator.clipboard.readText().then((t) => say('read:' + t), () => say('refused')),
    };
    for (const name of Object.keys(acts)) { const b = document.createElement('button'); b.id = 'b-' + name; b.textContent = name;
      b.onclick = acts[name]; document.body.append(b); }
    const check = document.createElement('button'); check.id = 'check'; check.textContent = 'check';
    check.onclick = () => say('untouched:' + untouched()); document.body.append(check);
  </script>";

fn pages(asked: &str) -> Response {
    let body = match asked {
        "chat.demo.localhost/" => "entry",
        "chat.demo.localhost/choosers" => CHOOSERS,
        "chat.demo.localhost/copiers" => COPIERS,
        // Writes all the time, without any click.
        "chat.demo.localhost/eager" => {
            "<button onclick='0'>Go</button>
            <script>setInterval(() => document.execCommand('copy'), 5)</script>"
        }
        _ => return missing(),
    };
    html(&format!("{TELL}{body}"))
}

async fn start(path: &str) -> (Site, Instance, Page) {
    let site = Site::start(pages).await;
    let instance = instance(&site).await;
    let page = page(&instance).await;
    page.begin_call();
    page.goto(&format!("{CHAT}/{path}"), LONG).await.unwrap();
    (site, instance, page)
}

fn file(name: &str, text: &'static str) -> UploadFile {
    UploadFile { name: name.into(), mime: "text/plain".into(), bytes: Bytes::from_static(text.as_bytes()) }
}

async fn says(page: &Page, wanted: &str) {
    let mut said = String::new();
    let found = eventually(wanted, async || {
        said = page.text("#out", LONG).await.unwrap();
        said.trim() == wanted
    });
    found.await;
}

#[tokio::test]
async fn choosers_are_answered() {
    let (_site, instance, page) = start("choosers").await;
    page.choose_files("#shown", vec![file("a.txt", "A")], LONG).await.unwrap();
    says(&page, "a.txt|text/plain|A done").await;
    page.choose_files("#many", vec![file("b.txt", "B"), file("c.txt", "C")], LONG).await.unwrap();
    says(&page, "a.txt|text/plain|A done b.txt|text/plain|B c.txt|text/plain|C done").await;

    page.reload(LONG).await.unwrap();
    page.choose_files("#detached", vec![file("d.txt", "D")], LONG).await.unwrap();
    page.choose_files("#late", vec![file("e.txt", "E")], LONG).await.unwrap();
    says(&page, "d.txt|text/plain|D done e.txt|text/plain|E done").await;

    let many = page.choose_files("#detached", vec![file("f", "F"), file("g", "G")], LONG).await;
    assert!(is_code(&many, "too-many-files"), "{many:?}");
    let none = page.choose_files("#none", vec![file("h", "H")], SHORT).await;
    assert_eq!(none, Err(PageError::Timeout("#none: no file chooser opened".into())));
    // A chooser that opens with nobody waiting for it is Chromium's own, and answered by nobody.
    page.click("#detached", 1, LONG).await.unwrap();
    page.click("#none", 1, LONG).await.unwrap();
    says(&page, "d.txt|text/plain|D done e.txt|text/plain|E done clicked clicked").await;
    instance.stop().await;
}

#[tokio::test]
async fn copies_are_told_and_leave_no_trace() {
    let (_site, instance, page) = start("copiers").await;
    for (button, text) in [
        ("plain", "# plain 你好"),
        ("kept", "kept from before"),
        ("items", "**x**"),
        ("promised", "later"),
        ("html", "<b>y</b>"),
        ("event", "given"),
        ("field", "**this**"),
        ("selection", "rich text"),
        ("waited", "waited"),
        ("stops", "did not stop"),
    ] {
        assert_eq!(page.copy(&format!("#b-{button}"), LONG).await.as_deref(), Ok(text), "{button}");
    }
    assert_eq!(page.copy("css=iframe >> in-frame >> button", LONG).await.as_deref(), Ok("framed"));
    let none = page.copy("#b-nothing", SHORT).await;
    assert_eq!(none, Err(PageError::Timeout("#b-nothing: nothing was copied".into())));
    page.click("#check", 1, LONG).await.unwrap();
    eventually("no trace", async || page.text("#out", LONG).await.unwrap().contains("untouched:true")).await;
    // A debugger that stayed would hear of this.
    page.click("#b-plain", 1, LONG).await.unwrap();
    page.click("#b-paste", 1, LONG).await.unwrap();
    eventually("the clipboard cannot be read", async || page.text("#out", LONG).await.unwrap().contains("refused"))
        .await;
    instance.stop().await;
}

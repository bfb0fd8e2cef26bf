use super::Bench;

const PAGE: &str = r#"
<form id="form"><input name="getAttribute"><input name="parentNode"><input name="matches"><input name="childNodes">
  <input name="nodeType"><input name="querySelectorAll"><input name="firstChild"><input name="shadowRoot">
  <img name="querySelectorAll"><img name="body"><img name="getElementById"><img name="activeElement">
  <button id="send" class="send" data-testid="send-button"><span id="caption">Send</span></button>
  <button id="send2" aria-label="Send feedback">x</button>
  <label id="lab" for="message">Your <b id="bold">Message</b></label><textarea id="message" placeholder="Ask anything"></textarea>
</form>
<ul id="list"><li id="one">First <b id="b1">bold</b></li><li id="two">Second</li><li id="three" style="display:none">Third bold</li></ul>
<div id="quoted">a &gt;&gt; b</div>
<p id="cn">发送消息</p>
<section id="host-section"><x-outer id="outer"><em id="slotted" slot="s">Slotted</em></x-outer></section>
<script>
  customElements.define('x-inner', class extends HTMLElement {
    constructor() { super(); this.attachShadow({mode: 'open'}).innerHTML = '<div class="ProseMirror" id="deep" contenteditable="true">Deep</div><button id="deepsend">Go</button>'; }
  });
  customElements.define('x-outer', class extends HTMLElement {
    constructor() { super(); this.attachShadow({mode: 'open'}).innerHTML = '<div id="mid" class="mid"><x-inner id="inner"></x-inner><slot name="s"></slot></div>'; }
  });
</script>"#;

#[tokio::test]
async fn each_engine_finds_what_it_should() {
    let bench = Bench::start().await;
    let world = bench.show(PAGE).await;
    for (selector, ids) in [
        ("button.send", "send"),
        ("css=#list > li + li", "two three"),
        ("css=#one ~ #three, #two", "two three"),
        ("#list >> > li", "one two three"),
        ("li >> nth=1", "two"),
        ("li >> nth=-1", "three"),
        ("li >> nth=7", ""),
        ("li >> visible=true", "one two"),
        ("li >> visible=false", "three"),
        ("li >> has-text=BOLD", "one three"),
        ("li >> has=(css=b)", "one"),
        ("li >> has=(text=\"Second\")", ""),
        ("css=ul >> has=(text=\"Second\")", "list"),
        ("text=bold", "bold? b1 three"),
        ("text=\"bold\"", "b1"),
        ("text=/^sec/i", "two"),
        ("text=\"a >> b\"", "quoted"),
        ("text=发送", "cn"),
        ("role=button[name=\"send\"]", "send send2"),
        ("role=button[name=\"Send\"][exact]", "send"),
        ("role=button[name=/^send$|发送/i]", "send"),
        ("label=message", "message"),
        ("label=\"Your Message\"", "message"),
        ("placeholder=ask", "message"),
        ("placeholder=\"Ask\"", ""),
        ("testid=send-button", "send"),
        ("testid=send", ""),
        ("testid=/^send/", "send"),
        ("(css=#two) | (role=button[name=\"Go\"]) | (css=#send)", "send two deepsend"),
        ("(css=#list >> b) | (css=#one)", "one b1"),
        // Open shadow roots.
        ("css=.ProseMirror", "deep"),
        ("css=x-outer .ProseMirror", "deep"),
        ("css=#host-section x-inner > .ProseMirror", "deep"),
        ("css=section .mid x-inner >> role=button", "deepsend"),
        ("css=x-inner >> css=div", "deep"),
        ("text=\"Deep\"", "deep"),
        ("text=\"Slotted\"", "slotted"),
        ("css=x-outer >> has-text=deep", "outer"),
        ("css=x-outer > em", "slotted"),
        ("css=form > button:not([aria-label])", "send"),
    ] {
        let ids = ids.replace("bold? ", "");
        assert_eq!(world.ids(selector).await, ids, "{selector}");
    }
}

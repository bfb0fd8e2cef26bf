use serde_json::json;

use super::Bench;

/// HTML of one element with the id `x` (and what it needs), its role, and its accessible name.
const TABLE: &[(&str, &str, &str)] = &[
    ("<button id=x>Send <b>now</b></button>", "button", "Send now"),
    ("<button id=x aria-label='Send it'>x</button>", "button", "Send it"),
    ("<button id=x title='Tip'></button>", "button", "Tip"),
    ("<button id=x title='Tip'><svg aria-hidden=true><title>no</title></svg></button>", "button", "Tip"),
    ("<button id=x><svg><title>Icon</title></svg></button>", "button", "Icon"),
    ("<button id=x><img alt='Up'> load</button>", "button", "Up load"),
    ("<button id=x><span style='display:none'>no</span>yes</button>", "button", "yes"),
    ("<button id=x><span aria-hidden=true>no</span>yes</button>", "button", "yes"),
    ("<button id=x><div>a</div><div>b</div></button>", "button", "a b"),
    ("<style>#x::before{content:'pre '}</style><button id=x>fix</button>", "button", "pre fix"),
    ("<div id=x role=button>Go</div>", "button", "Go"),
    ("<div id=x role='fancy button'>Go</div>", "button", "Go"),
    ("<span id=l hidden>Hidden label</span><button id=x aria-labelledby=l>no</button>", "button", "Hidden label"),
    (
        "<span id=l>One</span><span id=m>Two</span><div id=x role=dialog aria-labelledby='l m'></div>",
        "dialog",
        "One Two",
    ),
    ("<button id=x aria-label=Delete aria-labelledby='x f'></button><a id=f href=/>File</a>", "button", "Delete File"),
    ("<input id=x type=submit>", "button", "Submit"),
    ("<input id=x type=button value=Press>", "button", "Press"),
    ("<input id=x type=image alt=Go>", "button", "Go"),
    ("<summary id=x>More</summary>", "button", "More"),
    ("<a id=x href=/>Home</a>", "link", "Home"),
    ("<label>Name <input id=x></label>", "textbox", "Name"),
    ("<label for=x>Name</label><input id=x placeholder=no>", "textbox", "Name"),
    ("<input id=x placeholder=Ask>", "textbox", "Ask"),
    ("<textarea id=x title=T placeholder=P></textarea>", "textbox", "T"),
    ("<input id=x type=search aria-label=Find>", "searchbox", "Find"),
    ("<label><input id=x type=checkbox> Flash <input value=3> times</label>", "checkbox", "Flash 3 times"),
    ("<label><input id=x type=radio>Red</label>", "radio", "Red"),
    ("<button id=x role=switch aria-checked=true>Think</button>", "switch", "Think"),
    ("<input id=x type=range aria-label=Effort>", "slider", "Effort"),
    ("<input id=x type=number aria-label=N>", "spinbutton", "N"),
    ("<label for=x>Model</label><select id=x><option>a</select>", "combobox", "Model"),
    ("<select aria-label=M><option id=x>GPT</select>", "option", "GPT"),
    ("<h2 id=x>Title</h2>", "heading", "Title"),
    ("<nav id=x aria-label=Main></nav>", "navigation", "Main"),
    ("<img id=x src=# alt=Cat>", "img", "Cat"),
    ("<fieldset id=x><legend>Group</legend></fieldset>", "group", "Group"),
    ("<table id=x><caption>Prices</caption><tr><td>1</table>", "table", "Prices"),
    ("<table><tr><td id=x>1</table>", "cell", "1"),
    ("<ul><li id=x>item</ul>", "listitem", ""),
    ("<div id=x role=textbox contenteditable aria-label=Prompt></div>", "textbox", "Prompt"),
    ("<div id=x role=menuitemradio>Fast <span>Quick answers</span></div>", "menuitemradio", "Fast Quick answers"),
    ("<form><button id=x>In</button><input name=getAttribute></form>", "button", "In"),
    ("<button id=x role=none>Focusable</button>", "none", ""),
    ("<button id=x role=presentation tabindex=0>Kept</button>", "button", "Kept"),
    ("<dialog open id=x aria-label=D></dialog>", "dialog", "D"),
    ("<output id=x aria-label=O></output>", "status", "O"),
];

#[tokio::test]
async fn roles_and_names_follow_the_standard() {
    let bench = Bench::start().await;
    for (html, role, name) in TABLE {
        let world = bench.show(html).await;
        let selector = json!([{"role": {"role": role, "name": (!name.is_empty()).then(|| json!({"exact": name}))}}]);
        let ids = world.call("attribute", json!({"selector": selector, "name": "id", "until": 0})).await;
        let all = world.call("count", json!({"selector": selector})).await["ok"].as_u64().unwrap_or(0);
        assert!(all > 0 && (ids["ok"] == "x" || all > 1), "{html} is no {role} named {name:?}: {ids}");
    }
}

#[tokio::test]
async fn what_is_hidden_has_no_role() {
    let bench = Bench::start().await;
    let hidden = [
        "<div style='display:none'><button>x</button></div>",
        "<div aria-hidden=true><button>x</button></div>",
        "<button style='visibility:hidden'>x</button>",
        "<details><summary></summary><div role=button></div></details><input>",
    ];
    for html in hidden {
        let world = bench.show(html).await;
        let count = world.call("count", json!({"selector": "role=button[name=\"x\"]"})).await;
        assert_eq!(count["ok"], 0, "{html}");
    }
    let world = bench.show("<div style='display:contents'><button style='display:contents'>x</button></div>").await;
    assert_eq!(world.call("count", json!({"selector": "role=button[name=\"x\"]"})).await["ok"], 1);
}

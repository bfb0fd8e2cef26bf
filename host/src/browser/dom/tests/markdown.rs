use serde_json::json;

use super::Bench;
use crate::browser::Selector;

const PAGE: &str = include_str!("answer.html");
const EXPECTED: &str = include_str!("answer.md");

#[tokio::test]
async fn a_rich_answer_comes_back_as_it_was_written() {
    let bench = Bench::start().await;
    let world = bench.show(PAGE).await;
    let markdown = world.call("markdown", json!({"selector": "#answer", "until": 0})).await;
    let markdown = markdown["ok"].as_str().unwrap_or_else(|| panic!("{markdown}"));
    assert_eq!(markdown, EXPECTED.trim_end(), "\n--- got\n{markdown}\n---");
}

/// The answer is read in the very task that wrote it, before the browser has chosen the picture's source.
#[tokio::test]
async fn a_picture_that_has_not_begun_to_load_is_not_lost() {
    let bench = Bench::start().await;
    let world = bench.show("<p id=answer></p>").await;
    let write = r#"answer.innerHTML = '<img src="https://example.com/cat.png" alt="A cat">'"#;
    let read = r##"webai.markdown({ selector: SELECTOR, until: 0 })"##
        .replace("SELECTOR", &serde_json::to_string(&"#answer".parse::<Selector>().unwrap()).unwrap());
    let markdown = world.evaluate(&format!("{write}; {read}")).await;
    assert_eq!(markdown["ok"], "![A cat](https://example.com/cat.png)", "{markdown}");
}

use serde_json::json;

use super::Bench;

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

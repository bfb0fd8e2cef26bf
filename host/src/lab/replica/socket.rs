//! WebSockets of a replica.

use std::sync::Arc;

use axum::body::Body;
use futures::{SinkExt as _, StreamExt as _};
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role};

use super::body;
use super::script::Step;
use super::site::{Incoming, Site};
use super::stream;

/// Messages of the page's that may wait for a `receive`.
const WAITING: usize = 1_024;

/// Whether a request wants a WebSocket.
pub(super) fn is_wanted(headers: &hyper::HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The answer that opens it (RFC 6455, 4.2.2).
pub(super) fn accept(incoming: &Incoming) -> Option<Response<Body>> {
    let key = incoming.headers.get("sec-websocket-key")?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()?);
    // The first of those that the page offers.
    let offered = incoming.headers.get(SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    if let Some(first) = offered.and_then(|all| all.split(',').next()) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(first.trim()).ok()?);
    }
    Some(response)
}

/// Plays the steps on the open socket; ends when the page closes it.
pub(super) async fn serve(site: Arc<Site>, incoming: Incoming, upgrade: OnUpgrade, steps: Vec<Step>) {
    let Ok(upgraded) = upgrade.await else { return };
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
    let (mut outgoing, mut messages) = socket.split();
    let (sender, mut received) = mpsc::channel::<Vec<u8>>(WAITING);
    let mut tap = site.tap(&incoming.url, false);
    let reading = async {
        while let Some(Ok(message)) = messages.next().await {
            let bytes = match message {
                Message::Text(text) => text.as_bytes().to_vec(),
                Message::Binary(bytes) => bytes.to_vec(),
                Message::Close(_) => return,
                _ => continue,
            };
            site.message(&incoming.url, &incoming.headers, &bytes);
            // Nobody waits for so many; the rest has been noted.
            let _ = sender.try_send(bytes);
        }
    };
    let playing = async {
        for step in &steps {
            match step {
                Step::Send { chunks, pause } => {
                    for piece in chunks.pieces(|text| site.fill(text)) {
                        let length = piece.bytes.len();
                        let message = match (piece.binary, String::from_utf8(piece.bytes.to_vec())) {
                            (false, Ok(text)) => Message::text(text),
                            _ => Message::binary(piece.bytes),
                        };
                        outgoing.send(message).await.ok()?;
                        tap.sent(length);
                        if piece.pause {
                            tokio::time::sleep((*pause).max(site.least_pause())).await;
                        }
                    }
                }
                Step::Receive(wanted) => loop {
                    let message = received.recv().await?;
                    if body::has_values(&message, wanted.iter().map(|(pointer, value)| (pointer, value))) {
                        break;
                    }
                },
                Step::Abort => return None,
                Step::Close(code) => {
                    let frame = CloseFrame { code: CloseCode::from(*code), reason: "".into() };
                    outgoing.send(Message::Close(Some(frame))).await.ok()?;
                    return None;
                }
                step => stream::wait(&site, step).await,
            }
        }
        // The steps are over, the socket stays open.
        std::future::pending::<Option<()>>().await
    };
    tokio::select! {
        () = reading => {}
        _ = playing => tap.complete(),
    }
}

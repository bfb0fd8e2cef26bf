//! A small website on loopback that streams in every way that chat sites do. It is also the browser's proxy, so that it answers
//! under any host name.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};

/// A request as the site saw it.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    pub(crate) head: String,
    /// Of requests that tell its length.
    pub(crate) body: Vec<u8>,
}

impl Hit {
    fn number(&self, name: &str) -> Option<u64> {
        self.query.get(name)?.parse().ok()
    }

    fn has(&self, name: &str) -> bool {
        self.query.contains_key(name)
    }
}

pub(crate) struct Site {
    pub(crate) addr: SocketAddr,
    pages: Mutex<HashMap<String, (String, Vec<u8>)>>,
    hits: watch::Sender<Vec<Hit>>,
    gates: watch::Sender<Vec<String>>,
}

impl Site {
    pub(crate) async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let site = Arc::new(Self {
            addr: listener.local_addr().unwrap(),
            pages: Mutex::default(),
            hits: watch::Sender::new(Vec::new()),
            gates: watch::Sender::new(Vec::new()),
        });
        let server = Arc::clone(&site);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Small pieces must leave at once, as they do from a real site.
                stream.set_nodelay(true).unwrap();
                let server = Arc::clone(&server);
                tokio::spawn(async move { server.serve(stream).await.ok() });
            }
        });
        site
    }

    /// Serves a document or script under a path of its own.
    pub(crate) fn put(&self, path: &str, content_type: &str, text: &str) {
        self.put_file(path, content_type, text.as_bytes());
    }

    /// The same for bytes. After the content type further header lines may come.
    pub(crate) fn put_file(&self, path: &str, content_type: &str, bytes: &[u8]) {
        self.pages.lock().unwrap().insert(path.to_owned(), (content_type.to_owned(), bytes.to_owned()));
    }

    /// Lets requests with `gate=<name>` be answered.
    pub(crate) fn open_gate(&self, name: &str) {
        self.gates.send_modify(|gates| gates.push(name.to_owned()));
    }

    /// Waits until a request came whose path and query contain this text.
    pub(crate) async fn hit(&self, text: &str) -> Hit {
        let mut hits = self.hits.subscribe();
        let hit = |hits: &Vec<Hit>| hits.iter().find(|hit| hit.head.lines().next().unwrap().contains(text)).cloned();
        let seen = hits.wait_for(|hits| hit(hits).is_some());
        let seen = tokio::time::timeout(Duration::from_secs(30), seen).await.expect("the request comes").unwrap();
        hit(&seen).unwrap()
    }

    /// Whether a request came whose path and query contain this text.
    pub(crate) fn was_hit(&self, text: &str) -> bool {
        self.hits.borrow().iter().any(|hit| hit.head.lines().next().unwrap().contains(text))
    }

    /// Whether a request came for this path.
    pub(crate) fn was_asked_for(&self, path: &str) -> bool {
        self.hits.borrow().iter().any(|hit| hit.path == path)
    }

    /// Waits until so many requests came for this path.
    pub(crate) async fn asked_for(&self, path: &str, times: usize) {
        let mut hits = self.hits.subscribe();
        let seen = hits.wait_for(|hits| hits.iter().filter(|hit| hit.path == path).count() >= times);
        drop(tokio::time::timeout(Duration::from_secs(30), seen).await.expect("the requests come").unwrap());
    }

    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        loop {
            let Some(head) = read_head(&mut stream).await? else { return Ok(()) };
            if head.starts_with("CONNECT ") {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
                continue;
            }
            let mut hit = parse(&head);
            hit.body = read_body(&mut stream, &head).await?;
            self.hits.send_modify(|hits| hits.push(hit.clone()));
            if let Some(gate) = hit.query.get("gate") {
                self.gates.subscribe().wait_for(|gates| gates.contains(gate)).await.unwrap();
            }
            return self.answer(stream, hit).await;
        }
    }

    async fn answer(&self, mut stream: TcpStream, hit: Hit) -> std::io::Result<()> {
        let page = self.pages.lock().unwrap().get(&hit.path).cloned();
        if let Some((content_type, bytes)) = page {
            return whole(&mut stream, 200, &content_type, &bytes).await;
        }
        match hit.path.as_str() {
            "/api/sse" => sse(&mut stream, &hit).await,
            "/api/echo" => echo(&mut stream, &hit).await,
            "/api/dribble" => dribble(&mut stream).await,
            "/api/big" => {
                let length = usize::try_from(hit.number("bytes").unwrap()).unwrap();
                whole(&mut stream, 200, "application/octet-stream", &big(length)).await
            }
            "/api/short" => {
                let status = hit.number("status").map_or(200, |status| u16::try_from(status).unwrap());
                let text = format!("short answer {}: é€你😀", hit.query.get("n").map_or("", String::as_str));
                whole(&mut stream, status, "text/plain", text.as_bytes()).await
            }
            "/api/redirect" => {
                let head =
                    format!("HTTP/1.1 307 x\r\nlocation: {}\r\n{COMMON}content-length: 0\r\n\r\n", hit.query["to"]);
                stream.write_all(head.as_bytes()).await
            }
            "/api/ws" => web_socket(stream, &hit).await,
            _ => whole(&mut stream, 404, "text/plain", b"not here").await,
        }
    }
}

const COMMON: &str = "connection: close\r\naccess-control-allow-origin: *\r\naccess-control-allow-headers: *\r\n\
    set-cookie: secret=hunter2\r\nx-csrf-token: hunter2\r\ncache-control: no-store\r\n";

/// Bytes that show when one is missing or in the wrong place.
pub(crate) fn big(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i.wrapping_mul(31) >> 3) as u8).collect()
}

/// What `/api/sse` streams in `n` events.
pub(crate) fn events(n: u64) -> String {
    (0..n).map(|i| format!("data: {i} é€你😀\n\n")).chain(["data: [DONE]\n\n".to_owned()]).collect()
}

/// What `/api/dribble` sends, a byte at a time.
pub(crate) const DRIBBLE: &str = "é€你😀 👩‍👩‍👧‍👦 नि";

async fn read_head(stream: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

async fn read_body(stream: &mut TcpStream, head: &str) -> std::io::Result<Vec<u8>> {
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// Streams the request's body back, in pieces that cut characters.
async fn echo(stream: &mut TcpStream, hit: &Hit) -> std::io::Result<()> {
    let head =
        format!("HTTP/1.1 200 OK\r\n{COMMON}content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let size = usize::try_from(hit.number("piece").unwrap_or(7)).unwrap();
    for piece in hit.body.chunks(size) {
        chunk(stream, piece).await?;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    stream.write_all(b"0\r\n\r\n").await
}

fn parse(head: &str) -> Hit {
    let target = head.split(' ').nth(1).unwrap_or_default();
    let host = head.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap_or_default();
    let url = url::Url::parse(target).or_else(|_| url::Url::parse(&format!("http://{host}{target}"))).unwrap();
    Hit {
        host: url.host_str().unwrap_or_default().to_owned(),
        path: url.path().to_owned(),
        query: url.query_pairs().into_owned().collect(),
        head: head.to_owned(),
        body: Vec::new(),
    }
}

async fn whole(stream: &mut TcpStream, status: u16, content_type: &str, body: &[u8]) -> std::io::Result<()> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} x\r\n{COMMON}content-type: {content_type}\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).await
}

async fn chunk(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let framed = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    stream.write_all(&framed).await
}

/// Streams `n` events with `gap` ms between them. `cut`: the connection breaks instead of ending; `hold`: it stays open;
/// `gzip`: compressed.
async fn sse(stream: &mut TcpStream, hit: &Hit) -> std::io::Result<()> {
    let gzip = hit.has("gzip");
    let encoding = if gzip { "content-encoding: gzip\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 200 OK\r\n{COMMON}{encoding}content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    if gzip {
        chunk(stream, &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]).await?;
    }
    let text = events(hit.number("n").unwrap_or(5));
    for event in text.split_inclusive("\n\n") {
        if let Some(gap) = hit.number("gap") {
            tokio::time::sleep(Duration::from_millis(gap)).await;
        }
        if gzip {
            // A stored block.
            let length = u16::try_from(event.len()).unwrap();
            let block = [&[0][..], &length.to_le_bytes(), &(!length).to_le_bytes(), event.as_bytes()].concat();
            chunk(stream, &block).await?;
        } else {
            chunk(stream, event.as_bytes()).await?;
        }
    }
    if hit.has("cut") {
        return Ok(());
    }
    if hit.has("hold") {
        // Until the browser goes away.
        return read_head(stream).await.map(drop);
    }
    if gzip {
        let length = u32::try_from(text.len()).unwrap();
        let end = [&[1, 0, 0, 0xff, 0xff][..], &crc32(text.as_bytes()).to_le_bytes(), &length.to_le_bytes()].concat();
        chunk(stream, &end).await?;
    }
    stream.write_all(b"0\r\n\r\n").await
}

async fn dribble(stream: &mut TcpStream) -> std::io::Result<()> {
    let head =
        format!("HTTP/1.1 200 OK\r\n{COMMON}content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    for byte in DRIBBLE.bytes() {
        chunk(stream, &[byte]).await?;
        tokio::time::sleep(Duration::from_millis(8)).await;
    }
    stream.write_all(b"0\r\n\r\n").await
}

/// Sends text and binary messages in turn, then closes; `cut` breaks the connection instead, `hold` waits for the browser.
async fn web_socket(mut stream: TcpStream, hit: &Hit) -> std::io::Result<()> {
    let key = hit.head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\nset-cookie: secret=hunter2\r\n\
         sec-websocket-accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    stream.write_all(head.as_bytes()).await?;
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    for i in 0..hit.number("n").unwrap_or(4) {
        let message = if i % 2 == 0 { Message::text(ws_text(i)) } else { Message::binary(ws_binary(i)) };
        socket.send(message).await.map_err(std::io::Error::other)?;
    }
    if hit.has("cut") {
        return Ok(());
    }
    if hit.has("hold") {
        while let Some(Ok(_)) = socket.next().await {}
        return Ok(());
    }
    socket.close(None).await.map_err(std::io::Error::other)?;
    while let Some(Ok(_)) = socket.next().await {}
    Ok(())
}

pub(crate) fn ws_text(i: u64) -> String {
    format!("{i} é€你😀")
}

pub(crate) fn ws_binary(i: u64) -> Vec<u8> {
    let i = u8::try_from(i).unwrap();
    vec![0, 255, i, 128, 10]
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

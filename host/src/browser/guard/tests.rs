use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::*;

const SOON: Duration = Duration::from_secs(10);

async fn guard(to: SocketAddr, port: u16) -> Guard {
    let mappings = vec![Mapping { host: "*.site.example".into(), port, to }];
    Guard::start(GuardOptions { mappings, unmapped: Unmapped::Refuse, upstream: None }).await.unwrap()
}

async fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Reads until the text ends so.
async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut got = Vec::new();
    while !got.ends_with(end.as_bytes()) {
        let byte = timeout(SOON, stream.read_u8()).await;
        got.push(
            byte.unwrap_or_else(|_| panic!("waited for {end:?} after {:?}", String::from_utf8_lossy(&got))).unwrap(),
        );
    }
    String::from_utf8(got).unwrap()
}

/// One request and its whole answer.
async fn exchange(addr: SocketAddr, request: &str) -> String {
    let mut stream = connect(addr).await;
    send(&mut stream, request).await;
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

async fn accepted(listener: &TcpListener) -> TcpStream {
    let (stream, _) = timeout(SOON, listener.accept()).await.unwrap().unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

#[tokio::test]
async fn a_stream_passes_piece_by_piece() {
    let (listener, to) = listen().await;
    let guard = guard(to, 80).await;
    let mut browser = connect(guard.addr()).await;
    let request = "GET http://a.site.example/x?y=1 HTTP/1.1\r\nHost: other.example\r\nCookie: c=1\r\n\
        Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n";
    send(&mut browser, request).await;
    let mut server = accepted(&listener).await;
    let head = read_until(&mut server, "\r\n\r\n").await.to_ascii_lowercase();
    assert!(head.starts_with("get /x?y=1 http/1.1\r\n"), "{head}");
    assert!(head.contains("host: a.site.example\r\n") && head.contains("cookie: c=1\r\n"), "{head}");
    assert!(!head.contains("proxy-") && !head.contains("hop"), "{head}");
    send(&mut server, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    read_until(&mut browser, "\r\n\r\n").await;
    for n in 0..20 {
        // The next is not sent before this one has come, so nothing on the way may wait for more.
        send(&mut server, &format!("a\r\ndata: {n:02}\n\n\r\n")).await;
        read_until(&mut browser, &format!("data: {n:02}\n\n\r\n")).await;
    }
    drop(browser);
    assert_eq!(
        timeout(SOON, server.read(&mut [0])).await.unwrap().unwrap_or(0),
        0,
        "the server learns that nobody reads"
    );
}

#[tokio::test]
async fn a_request_body_passes_piece_by_piece() {
    let (listener, to) = listen().await;
    let guard = guard(to, 80).await;
    let mut browser = connect(guard.addr()).await;
    send(&mut browser, "POST http://a.site.example/ HTTP/1.1\r\nHost: a.site.example\r\nContent-Length: 6\r\n\r\nabc")
        .await;
    let mut server = accepted(&listener).await;
    read_until(&mut server, "\r\n\r\nabc").await;
    send(&mut browser, "def").await;
    read_until(&mut server, "def").await;
}

#[tokio::test]
async fn tunnels_carry_both_ways_and_end_with_the_guard() {
    let (listener, to) = listen().await;
    let guard = guard(to, 443).await;
    let mut browser = connect(guard.addr()).await;
    send(&mut browser, "CONNECT b.site.example:443 HTTP/1.1\r\nHost: b.site.example:443\r\n\r\n").await;
    assert!(read_until(&mut browser, "\r\n\r\n").await.starts_with("HTTP/1.1 200"));
    let mut server = accepted(&listener).await;
    send(&mut browser, "ping").await;
    read_until(&mut server, "ping").await;
    send(&mut server, "pong").await;
    read_until(&mut browser, "pong").await;
    drop(guard);
    assert_eq!(timeout(SOON, browser.read(&mut [0])).await.unwrap().unwrap_or(0), 0);
    assert_eq!(timeout(SOON, server.read(&mut [0])).await.unwrap().unwrap_or(0), 0);
}

#[tokio::test]
async fn a_websocket_in_plain_http_is_upgraded() {
    let (listener, to) = listen().await;
    let guard = guard(to, 80).await;
    let mut browser = connect(guard.addr()).await;
    let request = "GET http://a.site.example/ws HTTP/1.1\r\nHost: a.site.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    send(&mut browser, request).await;
    let mut server = accepted(&listener).await;
    let head = read_until(&mut server, "\r\n\r\n").await.to_ascii_lowercase();
    assert!(head.contains("upgrade: websocket") && head.contains("connection: upgrade"), "{head}");
    send(&mut server, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    assert!(read_until(&mut browser, "\r\n\r\n").await.contains("101"));
    send(&mut browser, "ping").await;
    read_until(&mut server, "ping").await;
    send(&mut server, "pong").await;
    read_until(&mut browser, "pong").await;
}

#[tokio::test]
async fn addresses_of_this_machine_and_network_are_refused() {
    // A server that is really there: what refuses is the guard.
    let (_listener, local) = listen().await;
    let guard = Guard::start(GuardOptions::default()).await.unwrap();
    for host in [
        "127.0.0.1",
        "[::1]",
        "0x7f.1",
        "2130706433",
        "localhost",
        "x.localhost",
        "169.254.169.254",
        "10.0.0.1",
        "[fc00::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "100.64.0.1",
        "224.0.0.1",
    ] {
        let port = local.port();
        let get = format!("GET http://{host}:{port}/secret?q HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let tunnel = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        for request in [get, tunnel] {
            let answer = exchange(guard.addr(), &request).await;
            assert!(answer.starts_with("HTTP/1.1 403"), "{host}: {answer}");
            assert!(answer.contains("egress guard: ") && !answer.contains("secret"), "{host}: {answer}");
        }
    }
}

#[tokio::test]
async fn what_is_not_mapped_stays_here_in_tests() {
    let (_listener, to) = listen().await;
    let guard = guard(to, 80).await;
    for host in ["example.com", "8.8.8.8", "site.example", "a.site.example:8080"] {
        let request = format!("GET http://{host}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = exchange(guard.addr(), &request).await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("no mapping"), "{host}: {answer}");
    }
}

#[tokio::test]
async fn it_is_a_proxy_and_no_server() {
    let (_listener, to) = listen().await;
    let guard = guard(to, 80).await;
    for line in ["GET / HTTP/1.1", "GET ftp://a.site.example/ HTTP/1.1", "GET http://u:p@a.site.example/ HTTP/1.1"] {
        let answer = exchange(guard.addr(), &format!("{line}\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{line}: {answer}");
    }
    let flood = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(2 * HEAD_BYTES_MAX));
    let mut stream = connect(guard.addr()).await;
    // It may hang up before all is written.
    let _ = stream.write_all(flood.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn mappings_lead_to_this_machine_only() {
    let mappings = vec![Mapping { host: "a.example".into(), port: 80, to: "8.8.8.8:80".parse().unwrap() }];
    let started = Guard::start(GuardOptions { mappings, ..GuardOptions::default() }).await;
    assert_eq!(started.unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

async fn behind(upstream: String) -> Guard {
    let upstream = Some(Upstream::parse(&upstream).unwrap());
    Guard::start(GuardOptions { upstream, ..GuardOptions::default() }).await.unwrap()
}

#[tokio::test]
async fn an_http_proxy_gets_its_credentials() {
    let (listener, to) = listen().await;
    let guard = behind(format!("http://me:secret@{to}")).await;
    let mut browser = connect(guard.addr()).await;
    send(&mut browser, "GET http://far.example/x HTTP/1.1\r\nHost: far.example\r\n\r\n").await;
    let mut proxy = accepted(&listener).await;
    let head = read_until(&mut proxy, "\r\n\r\n").await.to_ascii_lowercase();
    assert!(head.starts_with("get http://far.example/x http/1.1"), "{head}");
    assert!(head.contains("proxy-authorization: basic bwu6c2vjcmv0"), "{head}");
    send(&mut proxy, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert!(read_until(&mut browser, "ok").await.starts_with("HTTP/1.1 200"));

    let mut browser = connect(guard.addr()).await;
    send(&mut browser, "CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\n\r\n").await;
    let mut proxy = accepted(&listener).await;
    let head = read_until(&mut proxy, "\r\n\r\n").await;
    assert!(head.starts_with("CONNECT far.example:443 HTTP/1.1") && head.contains("Basic bWU6c2VjcmV0"), "{head}");
    send(&mut proxy, "HTTP/1.1 200 Connection established\r\n\r\nhello").await;
    read_until(&mut browser, "hello").await;
}

#[tokio::test]
async fn a_proxy_that_refuses_is_said_without_its_password() {
    let (listener, to) = listen().await;
    let guard = behind(format!("http://me:secret@{to}")).await;
    let mut browser = connect(guard.addr()).await;
    send(&mut browser, "CONNECT far.example:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let mut proxy = accepted(&listener).await;
    read_until(&mut proxy, "\r\n\r\n").await;
    send(&mut proxy, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
    let mut answer = String::new();
    timeout(SOON, browser.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 502") && answer.contains("407") && !answer.contains("secret"), "{answer}");
    // Even with a proxy, this machine is not to be had.
    let answer = exchange(guard.addr(), "CONNECT 127.0.0.1:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[tokio::test]
async fn a_socks_proxy_gets_name_and_credentials() {
    let (listener, to) = listen().await;
    let guard = behind(format!("socks5://me:secret@{to}")).await;
    let mut browser = connect(guard.addr()).await;
    send(&mut browser, "CONNECT far.example:443 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut proxy = accepted(&listener).await;
    // RFC 1928 and RFC 1929.
    let mut greeting = [0; 2];
    proxy.read_exact(&mut greeting).await.unwrap();
    let mut methods = vec![0; greeting[1].into()];
    proxy.read_exact(&mut methods).await.unwrap();
    assert!(greeting[0] == 5 && methods.contains(&2));
    proxy.write_all(&[5, 2]).await.unwrap();
    let mut sign_in = [0; 11];
    proxy.read_exact(&mut sign_in).await.unwrap();
    assert_eq!(&sign_in, b"\x01\x02me\x06secret");
    proxy.write_all(&[1, 0]).await.unwrap();
    let mut request = [0; 18];
    proxy.read_exact(&mut request).await.unwrap();
    assert_eq!(&request, b"\x05\x01\x00\x03\x0bfar.example\x01\xbb");
    proxy.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
    read_until(&mut browser, "\r\n\r\n").await;
    send(&mut browser, "ping").await;
    read_until(&mut proxy, "ping").await;
}

/// A proxy's end of TLS, and the certificate that it shows.
fn identity() -> (tokio_rustls::TlsAcceptor, tokio_rustls::rustls::pki_types::CertificateDer<'static>) {
    use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use tokio_rustls::rustls::{ServerConfig, crypto::ring};
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap().self_signed(&key).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(std::sync::Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    (tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config)), certificate.der().clone())
}

#[tokio::test]
async fn an_https_proxy_is_spoken_to_over_tls_and_only_if_it_is_who_it_says() {
    let (listener, to) = listen().await;
    let (acceptor, certificate) = identity();
    let at = Upstream::parse(&format!("https://me:secret@localhost:{}", to.port())).unwrap();
    let trusting = GuardOptions { upstream: Some(at.clone().trusting(certificate)), ..GuardOptions::default() };
    let guard = Guard::start(trusting).await.unwrap();
    let mut browser = connect(guard.addr()).await;
    send(&mut browser, "CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\n\r\n").await;
    let mut proxy = timeout(SOON, acceptor.accept(accepted(&listener).await)).await.unwrap().unwrap();
    let head = read_until(&mut proxy, "\r\n\r\n").await;
    assert!(head.starts_with("CONNECT far.example:443 HTTP/1.1") && head.contains("Basic bWU6c2VjcmV0"), "{head}");
    proxy.write_all(b"HTTP/1.1 200 Connection established\r\n\r\nhello").await.unwrap();
    proxy.flush().await.unwrap();
    read_until(&mut browser, "hello").await;

    // A certificate that nobody vouches for: neither the request nor the password reaches whoever is there.
    let wary = Guard::start(GuardOptions { upstream: Some(at), ..GuardOptions::default() }).await.unwrap();
    let asking = exchange(wary.addr(), "CONNECT far.example:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let refusing = async { acceptor.accept(accepted(&listener).await).await.map(drop) };
    let (answer, refused) = tokio::join!(asking, timeout(SOON, refusing));
    assert!(answer.starts_with("HTTP/1.1 502") && !answer.contains("secret"), "{answer}");
    assert!(refused.unwrap().is_err(), "the handshake was broken off");
}

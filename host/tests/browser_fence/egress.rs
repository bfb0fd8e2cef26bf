//! A page that tries to reach this machine, in every way and spelling: nobody here hears of it.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::browser_support::*;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;
use webai2api::browser::guard::{Guard, GuardOptions, Mapping};
use webai2api::browser::{Instance, Profile};

/// Counts who comes to some port of this machine, at each of its addresses.
struct Ears {
    port: u16,
    at: Vec<SocketAddr>,
    connections: Arc<AtomicUsize>,
    datagrams: Arc<AtomicUsize>,
    listening: Vec<AbortOnDropHandle<()>>,
}

impl Ears {
    async fn open() -> Self {
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = first.local_addr().unwrap().port();
        let mut ears = Self {
            port,
            at: Vec::new(),
            connections: Arc::default(),
            datagrams: Arc::default(),
            listening: Vec::new(),
        };
        ears.listen(first).await;
        // Where there is no IPv6, or no network at all, nobody can come that way either.
        for ip in ["::1".parse().ok(), own_address()].into_iter().flatten() {
            if let Ok(listener) = TcpListener::bind((ip, port)).await {
                ears.listen(listener).await;
            }
        }
        ears
    }

    async fn listen(&mut self, listener: TcpListener) {
        let at = listener.local_addr().unwrap();
        self.at.push(at);
        let count = Arc::clone(&self.connections);
        self.listening.push(AbortOnDropHandle::new(tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        })));
        let socket = tokio::net::UdpSocket::bind(at).await.unwrap();
        let count = Arc::clone(&self.datagrams);
        self.listening.push(AbortOnDropHandle::new(tokio::spawn(async move {
            while socket.recv_from(&mut [0; 2048]).await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        })));
    }

    /// That nobody came but the one who asks: who came before is counted before him.
    async fn assert_nobody_came(&self) {
        for at in &self.at {
            drop(TcpStream::connect(at).await.unwrap());
            let unspecified: IpAddr = if at.is_ipv4() { [0, 0, 0, 0].into() } else { [0_u16; 8].into() };
            tokio::net::UdpSocket::bind((unspecified, 0)).await.unwrap().send_to(b"here", at).await.unwrap();
        }
        let own = self.at.len();
        let counted = || (self.connections.load(Ordering::SeqCst), self.datagrams.load(Ordering::SeqCst));
        eventually("the test's own are counted", async || counted().0 >= own && counted().1 >= own).await;
        assert_eq!(counted(), (own, own), "connections and datagrams, the test's own among them");
    }
}

/// The address of this machine in its network, if that is one that a page must not reach. Nothing is sent for it.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let IpAddr::V4(ip) = socket.local_addr().ok()?.ip() else { return None };
    ip.is_private().then_some(ip.into())
}

/// Tells when each try has come to its end, however it ended. `PORT` and `HOSTS` are put in.
const TRIES: &str = "<form method=post target=posted><input name=a></form><iframe name=posted></iframe><script>
    const ended = (element, url) => new Promise((done) => {
      element.onload = element.onerror = done;
      document.body.append(element);
      element.src = url;
    });
    const socket = (url) => new Promise((done) => {
      try { const s = new WebSocket(url); s.onclose = s.onerror = s.onopen = done; } catch (error) { done(); }
    });
    const events = (url) => new Promise((done) => { const s = new EventSource(url); s.onerror = s.onopen = () => { s.close(); done(); }; });
    const fetched = (url, more) => fetch(url, { mode: 'no-cors', ...more }).catch(() => {});
    const all = (host) => {
      const url = `http://${host}:PORT/secret`;
      navigator.sendBeacon(url, 'x');
      return [
        fetched(url), fetched(url, { method: 'POST', body: 'x', keepalive: true }), fetched(`https://${host}:PORT/`),
        fetched(`/moved?${encodeURIComponent(url)}`),
        ended(document.createElement('img'), url), ended(document.createElement('script'), url),
        ended(document.createElement('iframe'), url), ended(document.createElement('video'), url),
        socket(`ws://${host}:PORT/`), socket(`wss://${host}:PORT/`), events(url),
      ];
    };
    const posted = (host) => new Promise((done) => {
      const frame = document.querySelector('iframe');
      frame.onload = done;
      document.forms[0].action = `http://${host}:PORT/`;
      document.forms[0].submit();
    });
    // Candidates are gathered by asking each of these servers.
    const called = async (host) => {
      const turn = { username: 'u', credential: 'c' };
      const iceServers = [{ urls: `stun:${host}:PORT` }, { urls: `turn:${host}:PORT`, ...turn }, { urls: `turn:${host}:PORT?transport=tcp`, ...turn }];
      const call = new RTCPeerConnection({ iceServers, iceCandidatePoolSize: 2 });
      call.createDataChannel('x');
      await call.setLocalDescription(await call.createOffer());
      while (call.iceGatheringState !== 'complete') await new Promise((done) => { call.onicegatheringstatechange = done; });
      // And one that the other side is said to have.
      const other = new RTCPeerConnection();
      await other.setRemoteDescription(call.localDescription);
      await call.setRemoteDescription(await other.createAnswer().then(async (a) => { await other.setLocalDescription(a); return a; }));
      await call.addIceCandidate({ candidate: `candidate:1 1 udp 2122260223 ${host} PORT typ host`, sdpMid: '0' });
      await call.addIceCandidate({ candidate: `candidate:2 1 tcp 1518280447 ${host} PORT typ host tcptype passive`, sdpMid: '0' });
      await new Promise((done) => {
        call.oniceconnectionstatechange = () => { if (call.iceConnectionState === 'failed') done(); };
        setTimeout(done, 2000);
      });
    };
    const limited = (tried) => Promise.race([tried, new Promise((done) => setTimeout(done, 4000))]);
    onload = async () => {
      const hosts = HOSTS;
      await Promise.all(hosts.map(async (host) => { await Promise.all(all(host).map(limited)); }));
      for (const host of hosts.slice(0, 4)) await limited(posted(host));
      await fetch('/fetched');
      // Literal addresses alone are taken by candidates.
      const literal = ['127.0.0.1', ...hosts.filter((host) => /^[1-9][0-9]*(\\.[0-9]+){3}$/.test(host))];
      await Promise.all(literal.map((host) => limited(called(host).catch((error) => fetch(`/odd?${error}`)))));
      await fetch('/called');
    };
  </script>";

#[tokio::test]
async fn a_page_reaches_nobody_on_this_machine() {
    let ears = Ears::open().await;
    let mut hosts: Vec<String> = [
        "127.0.0.1",
        "127.1",
        "127.8.8.8",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "localhost.",
        "x.localhost",
    ]
    .map(str::to_owned)
    .into();
    hosts.extend(own_address().map(|ip| ip.to_string()));
    let tries = TRIES.replace("PORT", &ears.port.to_string()).replace("HOSTS", &serde_json::to_string(&hosts).unwrap());
    let site = Site::start(move |asked| match asked.strip_prefix("chat.demo.localhost") {
        Some("/tries") => html(&tries),
        Some(path) if path.starts_with("/moved?") => {
            let to = percent_encoding::percent_decode_str(&path["/moved?".len()..]).decode_utf8_lossy();
            redirect(&to)
        }
        Some(_) => html("x"),
        None => missing(),
    })
    .await;
    // As it is outside of tests: what no mapping knows is resolved, and dialled if it may be.
    let mapping = Mapping { host: "*.demo.localhost".into(), port: 80, to: site.addr };
    let guard = Guard::start(GuardOptions { mappings: vec![mapping], ..GuardOptions::default() }).await.unwrap();
    let instance = Instance::spawn(options("test", Profile::Throwaway, Some(guard.addr())));
    ready(&instance).await;
    let page = page(&instance).await;
    page.goto(&format!("{CHAT}/tries"), Some(PATIENCE)).await.unwrap();
    let hits = |path: &str| site.hits(&format!("chat.demo.localhost/{path}"));
    eventually("everything was tried", async || hits("fetched") > 0).await;
    assert!(hits("moved") >= hosts.len(), "{}", hits("moved"));
    eventually("calls were tried", async || hits("called") > 0).await;
    let odd = site.asked("chat.demo.localhost/odd");
    assert!(odd.is_empty(), "a call was not made as it was meant: {odd:?}");
    ears.assert_nobody_came().await;
    assert_eq!(page.title().await.unwrap(), "a page");
    instance.stop().await;
}

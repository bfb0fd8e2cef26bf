//! An application of `scripts/lab`: started for one test, and ended with it.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{Builder, Server};

/// Open WebUI takes ten seconds to start on an idle machine.
const START: Duration = Duration::from_secs(120);

pub(crate) struct App {
    id: &'static str,
    child: Child,
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

impl App {
    pub(crate) fn llama_cpp() -> Self {
        Self::start("llama-cpp", &[])
    }

    pub(crate) fn open_webui(backend: &str) -> Self {
        Self::start("open-webui", &["data", backend])
    }

    fn start(id: &'static str, more: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        // Free a moment ago; neither application can say which one it took.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/lab");
        let child = Command::new(script)
            .arg(id)
            .arg(address.port().to_string())
            .args(more)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { id, child, address, folder }
    }

    /// Waits until it answers.
    pub(crate) async fn ready(mut self) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let deadline = Instant::now() + START;
        loop {
            let asked = http.get(format!("http://{}/health", self.address)).send().await;
            if asked.is_ok_and(|answer| answer.status().is_success()) {
                return self;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{}: {ended:?}\n{}", self.id, self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A webai2api that knows where it is.
    pub(crate) fn server(&self) -> Builder {
        let Self { id, address, .. } = self;
        let hosts = format!("browser: {{hosts: {{{id}.localhost: \"{address}\"}}}}");
        Server::builder().config(&format!("adapters: {{enabled: [{id}]}}\nqueue: {{queueBuffer: 8}}\n{hosts}\n"))
    }
}

impl Drop for App {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

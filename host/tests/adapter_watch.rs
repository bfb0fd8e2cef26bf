//! `adapter watch`: what an author writes is built and served at every save, and its log is in the terminal.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::support::client::{Client, ask};
use crate::support::{Server, guest};
use rustix::process::{Pid, Signal, kill_process};

/// Building an adapter twice over, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(150);

/// A copy of a test's adapter, as a project that an author has.
fn project(folder: &Path) {
    let data = guest::source("data");
    std::fs::create_dir_all(folder.join("src")).unwrap();
    for file in ["Cargo.toml", "Cargo.lock", "adapter.toml", "src/lib.rs"] {
        std::fs::copy(data.join(file), folder.join(file)).unwrap();
    }
    let sdk = guest::repository().join("adapters-wasm/sdk");
    edit(&folder.join("Cargo.toml"), "../../../../adapters-wasm/sdk", sdk.to_str().unwrap());
}

fn edit(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{from}: {text}");
    std::fs::write(file, text.replacen(from, to, 1)).unwrap();
}

struct Watch {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Watch {
    fn start(folder: &Path, into: &Path, server: &Server) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_webai2api"));
        command.env("CARGO", guest::cargo()).env("GUEST_QUIET", "1").env("CARGO_TARGET_DIR", guest::target());
        command.args(["adapter", "watch"]).arg(folder).arg("--into").arg(into);
        command.args(["--url", &server.url(""), "--key", &server.key]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line, and gives it.
    fn says(&mut self, part: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|_| panic!("{part:?} was not said: {:#?}", self.seen));
            self.seen.push(line.clone());
            if line.contains(part) {
                return line;
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn answer(client: &Client, version: &str) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = client.ask(&ask("demo/script", "log hello")).await;
        if answer.header("x-webai-adapter") == Some(&format!("demo@{version}")) {
            assert_eq!(answer.status, 200, "{answer:?}");
            return answer.text().to_owned();
        }
        assert!(Instant::now() < until, "{version} does not serve: {answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_is_served_and_what_it_logs_is_shown() {
    let home = tempfile::tempdir().unwrap();
    let (folder, into) = (home.path().join("project"), home.path().join("served"));
    std::fs::create_dir(&into).unwrap();
    project(&folder);
    let config = format!("adapters: {{dir: {}, allowUnapproved: true}}", into.display());
    let server = Server::builder().config(&config).start_ready();
    let client = Client::of(&server);

    let mut watch = Watch::start(&folder, &into, &server);
    watch.says("built in");
    assert_eq!(answer(&client, "7.0.0").await, "the first version");
    let line = watch.says("asked to log hello");
    assert!(line.contains("info") && line.contains("7.0.0"), "{line}");

    // What does not build leaves the version that serves where it is.
    let source = folder.join("src/lib.rs");
    edit(&source, "\"the first version\"", "the second version");
    watch.says("not built");
    assert_eq!(answer(&client, "7.0.0").await, "the first version");
    edit(&folder.join("adapter.toml"), "version = \"7.0.0\"", "version = \"7.1.0\"");
    edit(&source, "the second version", "\"the second version\"");
    watch.says("built in");
    assert_eq!(answer(&client, "7.1.0").await, "the second version");

    kill_process(Pid::from_child(&watch.child), Signal::INT).unwrap();
    let ended = watch.child.wait().unwrap();
    assert!(!ended.success());
}

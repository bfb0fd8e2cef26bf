//! Starts the real program for a test: a free port, a data folder of its own, its log captured; ended when dropped.

pub(crate) mod client;
pub(crate) mod guest;
pub(crate) mod process;
pub(crate) mod site;

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

/// No start of the program, and no end of it, may take longer.
const PATIENCE: Duration = Duration::from_secs(40);

const READYZ: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// How a server is to be started.
#[derive(Default)]
pub(crate) struct Builder {
    config: Option<String>,
    env: Vec<(String, String)>,
    args: Vec<String>,
    data_dir: Option<PathBuf>,
}

impl Builder {
    /// The text of the configuration file.
    pub(crate) fn config(mut self, yaml: &str) -> Self {
        self.config = Some(yaml.to_owned());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// In place of a fresh temporary folder.
    pub(crate) fn data_dir(mut self, path: &Path) -> Self {
        self.data_dir = Some(path.to_owned());
        self
    }

    /// Starts it and waits until it listens.
    pub(crate) fn start(self) -> Server {
        let home = TempDir::new().unwrap();
        let mut child =
            self.command(&home).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = Captured::of(child.stdout.take().unwrap());
        let log = Captured::of(child.stderr.take().unwrap());
        let mut server =
            Server { child, stdout, log, address: SocketAddr::from(([127, 0, 0, 1], 0)), key: String::new(), home };
        let banner = server.wait_for(|server| server.stdout.text().contains("try "));
        assert!(banner, "it did not start: {}{}", server.stdout.text(), server.log.text());
        server.address = word_after(&server.stdout.text(), "http://").trim_end_matches('/').parse().unwrap();
        server.key = server.admin_key();
        server
    }

    /// Starts it and waits until it can answer.
    pub(crate) fn start_ready(self) -> Server {
        let server = self.start();
        server.until_ready();
        server
    }

    /// Runs it to its end, which is expected to come by itself.
    pub(crate) fn run(self) -> Ended {
        let home = TempDir::new().unwrap();
        let mut child =
            self.command(&home).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (Captured::of(child.stdout.take().unwrap()), Captured::of(child.stderr.take().unwrap()));
        let status = wait(&mut child).unwrap_or_else(|| {
            child.kill().unwrap();
            panic!("it did not end: {}{}", stdout.text(), stderr.text());
        });
        Ended { status, stdout: stdout.whole(), stderr: stderr.whole() }
    }

    fn command(&self, home: &TempDir) -> Command {
        let mut command = Command::new(program());
        // Nothing of the caller's settings may reach it.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("WEBAI_") && name != "WEBAI_BUNDLED" {
                command.env_remove(name);
            }
        }
        for name in ["PORT", "AUTH_TOKEN", "LOG_FORMAT", "LOG_LEVEL", "RUST_LOG"] {
            command.env_remove(name);
        }
        let data = self.data_dir.clone().unwrap_or_else(|| fresh_data(home));
        command
            .current_dir(home.path())
            .env("WEBAI_DATA_DIR", data)
            .env("PORT", "0")
            .env("WEBAI_SERVER_HOST", "127.0.0.1");
        if let Some(yaml) = &self.config {
            std::fs::write(home.path().join("config.yaml"), yaml).unwrap();
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value))).args(&self.args);
        command
    }
}

/// A data folder where nothing is yet, but for adapters that another test had compiled: that takes more processor time than most tests.
/// One that is about compiling has a folder of its own.
fn fresh_data(home: &TempDir) -> PathBuf {
    let (data, compiled) = (home.path().join("data"), guest::repository().join("target/test-cache"));
    if std::fs::DirBuilder::new().mode(0o700).create(&data).is_ok() {
        std::fs::create_dir_all(&compiled).unwrap();
        std::os::unix::fs::symlink(compiled, data.join("cache")).unwrap();
    }
    data
}

/// The program: this build's, or the one that the long runs name.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("TEST_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_webai2api").into(), PathBuf::from)
}

/// The configuration of instances with so many workers of the demo's each; `more` is said of each beside.
pub(crate) fn instances(names: &[&str], workers: usize, more: &str) -> String {
    let workers: Vec<String> = (0..workers).map(|n| format!("{{name: w{n}, type: demo}}")).collect();
    let of = |name: &&str| format!("      - {{name: {name}, workers: [{}]{more}}}\n", workers.join(", "));
    format!("backend:\n  pool:\n    instances:\n{}", names.iter().map(of).collect::<String>())
}

/// A number that the environment sets, as the long runs do.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A running webai2api. Killed and reaped when dropped.
pub(crate) struct Server {
    child: Child,
    stdout: Captured,
    log: Captured,
    pub(crate) address: SocketAddr,
    /// The admin key.
    pub(crate) key: String,
    home: TempDir,
}

impl Server {
    pub(crate) fn builder() -> Builder {
        Builder::default()
    }

    /// `http://127.0.0.1:<port>`
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The working folder, with `data` in it.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// All that was logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Waits until it can answer.
    pub(crate) fn until_ready(&self) {
        let ready = self.wait_for(|server| server.raw(READYZ).starts_with("HTTP/1.1 200"));
        assert!(ready, "it is not ready: {}{}", self.raw(READYZ), self.log());
    }

    /// Waits for a condition; false if it does not come about in time.
    pub(crate) fn wait_for(&self, condition: impl Fn(&Self) -> bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if condition(self) {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Whether it still answers.
    pub(crate) fn is_alive(&self) -> bool {
        self.raw(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 200")
    }

    /// Sends bytes and reads to the end of the connection, or until nothing has come for a while.
    pub(crate) fn raw(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        let mut sender = stream.try_clone().unwrap();
        let request = request.to_vec();
        // The answer may come before all was sent; then sending fails, and that is all right.
        let sending = thread::spawn(move || drop(sender.write_all(&request)));
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            answer.extend_from_slice(&buffer[..n]);
        }
        drop(stream.shutdown(std::net::Shutdown::Both));
        sending.join().unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        stream
    }

    pub(crate) fn signal_term(&self) {
        self.signal(Signal::TERM);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Replaces the configuration file that it was started with.
    pub(crate) fn configure(&self, yaml: &str) {
        std::fs::write(self.home.path().join("config.yaml"), yaml).unwrap();
    }

    /// The same, and has it read again.
    pub(crate) fn reload(&self, yaml: &str) {
        self.configure(yaml);
        self.signal(Signal::HUP);
    }

    /// Sends SIGTERM, if it was not sent yet, and waits for the end.
    pub(crate) fn terminate(mut self) -> (ExitStatus, String) {
        // A second signal would end it at once.
        if !self.log().contains("SIGTERM") {
            self.signal_term();
        }
        let status = wait(&mut self.child).expect("it ends on SIGTERM");
        (status, self.log.whole())
    }

    /// Waits until the program has ended by itself.
    pub(crate) fn wait_end(&mut self) -> Option<ExitStatus> {
        wait(&mut self.child)
    }

    fn admin_key(&self) -> String {
        let file = self.home.path().join("data/admin-key");
        std::fs::read_to_string(file).map(|key| key.trim().to_owned()).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn wait(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(5));
    }
    None
}

fn word_after(text: &str, mark: &str) -> String {
    let (_, rest) = text.split_once(mark).unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

/// What a process writes, read as it comes so that it never blocks.
struct Captured {
    text: Arc<Mutex<String>>,
    reader: thread::JoinHandle<()>,
}

impl Captured {
    fn of(source: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut lines = BufReader::new(source);
            let mut line = Vec::new();
            while let Ok(1..) = lines.read_until(b'\n', &mut line) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self { text, reader }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    /// All of it, once the process has ended.
    fn whole(&self) -> String {
        let deadline = Instant::now() + PATIENCE;
        while !self.reader.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
        self.text()
    }
}

//! Accounts of the real program: in, out, over a kill and at the start, by the command line; and signing in by hand.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::Server;
use base64::Engine as _;
use serde_json::json;
use webai2api::browser::cdp;
use webai2api::session::{Secret, archive};

const PASSPHRASE: &str = "correct horse battery";
const DEMO: &str = "http://demo.localhost";

/// What a browser extension exports of the demo site, and of another.
fn cookies() -> String {
    json!([
        { "name": "demo_session", "value": "SECRET-1", "domain": "demo.localhost", "hostOnly": true, "path": "/",
          "httpOnly": true, "secure": false, "session": true, "sameSite": "lax" },
        { "name": "keep", "value": "SECRET-2", "domain": "demo.localhost", "hostOnly": true, "path": "/",
          "httpOnly": false, "secure": false, "expirationDate": 4e9 },
        { "name": "else", "value": "SECRET-3", "domain": ".other.example", "path": "/", "secure": true },
    ])
    .to_string()
}

/// `webai2api account ...` against a server.
fn account(server: &Server, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_webai2api"));
    command.current_dir(server.home()).args(["account"]).args(args);
    command.args(["--url", &server.url(""), "--key", &server.key]).env("WEBAI_PASSPHRASE", PASSPHRASE);
    command.stdin(Stdio::null()).output().unwrap()
}

fn done(output: &Output) -> String {
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    said
}

fn refused(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The value of a cookie in an archive.
fn value(file: &Path, name: &str) -> Option<String> {
    let account = archive::open(&std::fs::read(file).unwrap(), &Secret::new(PASSPHRASE)).unwrap();
    account.cookies.into_iter().find(|cookie| cookie.name == name).map(|cookie| cookie.value)
}

#[test]
fn an_account_survives_a_kill_and_moves_by_file_and_by_environment() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::builder().data_dir(data.path()).env("AUTH_TOKEN", "admin").start_ready();
    let server = with_key(server);
    std::fs::write(server.home().join("cookies.json"), cookies()).unwrap();
    assert!(done(&account(&server, &["list"])).contains("default  ready"));
    let said = done(&account(&server, &["import", "default", "cookies.json"]));
    assert!(said.contains("2 cookies and 0 entries") && said.contains("1 of sites that no adapter"), "{said}");
    let wrong = refused(&account(&server, &["export", "nobody"]));
    assert!(wrong.contains("there is no instance \"nobody\""), "{wrong}");
    assert!(!server.log().contains("SECRET-"), "a cookie is in the log");
    // Killed, and its browser with it.
    drop(server);

    let server = with_key(Server::builder().data_dir(data.path()).env("AUTH_TOKEN", "admin").start_ready());
    let said = done(&account(&server, &["export", "default", "-o", "mine"]));
    assert!(said.contains("Not in it:") && said.contains("IndexedDB"), "{said}");
    let file = server.home().join("mine");
    assert_eq!(mode(&file), 0o600);
    assert_eq!(value(&file, "demo_session").as_deref(), Some("SECRET-1"));
    assert_eq!(value(&file, "keep").as_deref(), Some("SECRET-2"));
    let again = refused(&account(&server, &["export", "default", "-o", "mine"]));
    assert!(again.contains("is there already"), "{again}");
    std::fs::write(server.home().join("broken"), &std::fs::read(&file).unwrap()[..200]).unwrap();
    let broken = refused(&account(&server, &["import", "default", "broken"]));
    assert!(broken.contains("damaged or incomplete"), "{broken}");
    for path in ["sessions/default.session", "session-key"] {
        assert_eq!(mode(&data.path().join(path)), 0o600, "{path}");
    }

    // Elsewhere, from the environment.
    let packed = base64::engine::general_purpose::STANDARD.encode(std::fs::read(&file).unwrap());
    let elsewhere = tempfile::tempdir().unwrap();
    let start = || {
        let builder = Server::builder().data_dir(elsewhere.path()).env("AUTH_TOKEN", "admin");
        let builder = builder.env("WEBAI_SESSION_DEFAULT", &packed).env("WEBAI_PASSPHRASE", PASSPHRASE);
        with_key(builder.start_ready())
    };
    let server = start();
    assert!(server.log().contains("an account was imported"), "{}", server.log());
    assert!(!server.log().contains("sets nothing"), "{}", server.log());
    // Signed in anew since.
    std::fs::write(server.home().join("newer.json"), cookies().replace("SECRET-1", "NEWER")).unwrap();
    done(&account(&server, &["import", "default", "newer.json"]));
    let (status, log) = server.terminate();
    assert!(status.success(), "{log}");
    let server = start();
    done(&account(&server, &["export", "default", "-o", "mine"]));
    let file = server.home().join("mine");
    assert_eq!(value(&file, "demo_session").as_deref(), Some("NEWER"), "the old archive was imported again");
}

fn with_key(mut server: Server) -> Server {
    server.key = "admin".into();
    server
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn only_the_admin_key_opens_accounts_and_nothing_is_cached() {
    let server = Server::builder().start_ready();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = server.url("/admin/api/accounts/default/export");
    let post = |key: &str, body: &str| {
        let request = http.post(&url).bearer_auth(key).header("content-type", "application/json");
        request.body(body.to_owned()).send()
    };
    assert_eq!(post("wrong", "{}").await.unwrap().status(), 401);
    let answer = post(&server.key, "{\"passphrase\": \"short\"}").await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert!(answer.status().is_client_error());
    let answer = post(&server.key, "{\"passphrase\": \"SECRET PHRASE\", \"more\": 1}").await.unwrap();
    assert_eq!(answer.status(), 400);
    assert!(!answer.text().await.unwrap().contains("SECRET"));
    assert!(!server.log().contains("SECRET"));
}

/// A screen in memory.
struct Screen {
    child: std::process::Child,
    name: String,
}

impl Screen {
    /// On a number that is free.
    fn start() -> Self {
        let mut child = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is installed: scripts/setup clients");
        let mut number = String::new();
        let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut stdout, &mut number).unwrap();
        Self { child, name: format!(":{}", number.trim()) }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < until, "not so in {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Where the browser of a profile takes commands.
fn devtools(profile: &Path) -> Option<String> {
    let text = std::fs::read_to_string(profile.join("DevToolsActivePort")).ok()?;
    let (port, path) = text.split_once('\n')?;
    Some(format!("ws://127.0.0.1:{port}{}", path.trim()))
}

/// Signs in as a person would in the window, if the sign-in form is there.
async fn sign_in(ws: &str) -> Option<()> {
    use chromiumoxide::cdp::browser_protocol::target::{AttachToTargetParams, GetTargetsParams};
    use chromiumoxide::cdp::js_protocol::runtime::EvaluateParams;
    let root = cdp::connect(ws, PATIENCE).await.ok()?.root;
    let targets = root.execute_value(GetTargetsParams::default(), PATIENCE).await.ok()?;
    let targets = targets["targetInfos"].as_array()?.clone();
    let page =
        targets.iter().find(|t| t["type"] == "page" && t["url"].as_str().is_some_and(|url| url.starts_with(DEMO)))?;
    let mut attach = AttachToTargetParams::new(page["targetId"].as_str()?.to_owned());
    attach.flatten = Some(true);
    let session = root.execute_value(attach, PATIENCE).await.ok()?;
    let session = root.child(session["sessionId"].as_str()?);
    let mut script = EvaluateParams::new(
        "document.querySelector('[type=password]')?.checkVisibility()
            ? fetch('/api/login', {method: 'POST', headers: {'content-type': 'application/json'},
                body: JSON.stringify({email: 'ada@example.com', password: 'demo'})}).then(() => { location.reload(); return true; })
            : false",
    );
    script.await_promise = Some(true);
    let answer = session.execute_value(script, PATIENCE).await.ok()?;
    (answer["result"]["value"] == true).then_some(())
}

#[tokio::test]
async fn somebody_signs_in_by_hand_in_a_window() {
    let (data, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let login = |screen: Option<&str>| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_webai2api"));
        command.current_dir(home.path()).env("WEBAI_DATA_DIR", data.path()).env("WEBAI_PASSPHRASE", PASSPHRASE);
        command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").stdin(Stdio::null()).kill_on_drop(true);
        command.args(["login", "default", "--adapter", "demo", "--export", "mine"]);
        if let Some(screen) = screen {
            command.env("DISPLAY", screen);
        }
        command
    };
    let refused = login(None).output().await.unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("there is no desktop here") && said.contains("account import"),
        "{said}"
    );

    let screen = Screen::start();
    let running = Server::builder().data_dir(data.path()).start();
    let refused = login(Some(&screen.name)).output().await.unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("a server runs on the data folder"), "{said}");
    running.terminate();

    let log = home.path().join("log");
    let stderr = std::fs::File::create(&log).unwrap();
    let child = login(Some(&screen.name)).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
    let site = eventually("the demo site listens", async || {
        let log = std::fs::read_to_string(&log).unwrap();
        let (_, rest) = log.split_once("the demo site listens address=")?;
        rest.split_once(char::is_whitespace).map(|(address, _)| address.to_owned())
    });
    let site = site.await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let out = http.post(format!("http://{site}/control")).header("content-type", "application/json");
    assert!(out.body("{\"state\": \"signed-out\"}").send().await.unwrap().status().is_success());
    let profile: PathBuf = data.path().join("profiles/default");
    eventually("the sign-in form is there", async || sign_in(&devtools(&profile)?).await).await;
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success(), "{said}{}", std::fs::read_to_string(&log).unwrap());
    assert!(said.contains("Sign in to Demo site") && said.contains("Signed in as ada@example.com"), "{said}");
    assert!(value(&home.path().join("mine"), "demo_session").is_some(), "{said}");
}

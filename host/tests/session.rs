//! An account's session in a real Chromium: over crashes and restarts, into another profile, and out of every one when signed out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::browser_support::*;
use axum::response::{AppendHeaders, IntoResponse, Response};
use webai2api::accounts::{AccountError, Accounts, Holder};
use webai2api::browser::{Instance, Keeping, Origin, PageSpec, Profile};
use webai2api::session::archive::ArchiveError;
use webai2api::session::{Cookie, Secret, Session, Storage, Vault};

/// A site that signs everybody in at `/in`, and out at `/out`.
fn pages(asked: &str) -> Response {
    let path = asked.split_once('/').map_or("", |(_, path)| path);
    let set = |cookies: &[&'static str], body: &str| {
        let headers: Vec<_> = cookies.iter().map(|cookie| (axum::http::header::SET_COOKIE, *cookie)).collect();
        (AppendHeaders(headers), html(body)).into_response()
    };
    match path {
        "in" => set(
            &[
                "short=1; Path=/; HttpOnly",
                "long=2; Path=/; HttpOnly; Max-Age=86400; SameSite=Lax",
                "strict=3; Path=/in; Max-Age=86400; SameSite=Strict; Secure",
                "wide=4; Domain=chat.demo.localhost; Path=/; Max-Age=86400",
                "jar=5; Path=/; Max-Age=86400; SameSite=None; Secure; Partitioned",
                "__Host-own=6; Path=/; Secure; Max-Age=86400",
                "brief=7; Path=/; Max-Age=1",
            ],
            "<script>localStorage.setItem('token', 'T\u{20AC}\"<'); localStorage.setItem('__proto__', 'p')</script>in",
        ),
        "out" => set(
            &["short=; Path=/; Max-Age=0", "long=; Path=/; Max-Age=0"],
            "<script>localStorage.removeItem('token')</script>out",
        ),
        _ => html("<p>here</p>"),
    }
}

/// A place for profiles and snapshots, and the site.
struct Place {
    folder: tempfile::TempDir,
    site: Site,
}

impl Place {
    async fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), site: Site::start(pages).await }
    }

    fn profile(&self, name: &str) -> PathBuf {
        self.folder.path().join("profiles").join(name)
    }

    fn vault(&self) -> Vault {
        Vault::new(self.folder.path().join("sessions"), self.folder.path().join("session-key"))
    }

    /// An instance with this profile, whose session is kept under this name.
    async fn instance(&self, name: &str, profile: &Path) -> Instance {
        let origins = Arc::new(|| vec![Origin::parse_lab(CHAT).unwrap()]);
        let keeping = Keeping { vault: Arc::new(self.vault()), origins, imports: Vec::new() };
        let options = options(name, Profile::Dir(profile.to_owned()), Some(self.site.guard()));
        let instance = Instance::spawn_kept(options, keeping);
        ready(&instance).await;
        instance
    }

    /// What the last snapshot holds.
    fn kept(&self, name: &str) -> Session {
        self.vault().load(name).unwrap().unwrap().session().clone()
    }
}

async fn visit(instance: &Instance, path: &str) {
    let page = instance.open_page(PageSpec { throwaway: false, ..spec() }).await.unwrap();
    page.goto(&format!("{CHAT}/{path}"), Some(PATIENCE)).await.unwrap();
}

async fn session(instance: &Instance) -> Session {
    instance.read_session(vec![Origin::parse_lab(CHAT).unwrap()]).await.unwrap().session
}

fn value<'a>(session: &'a Session, name: &str) -> Option<&'a str> {
    session.cookies.iter().find(|cookie| cookie.name == name).map(|cookie| cookie.value.as_str())
}

/// Everything of a session but the cookie that is over soon.
fn lasting(session: &Session) -> (BTreeMap<String, Cookie>, &Storage) {
    let cookies = session.cookies.iter().filter(|cookie| cookie.name != "brief");
    (cookies.map(|cookie| (cookie.name.clone(), cookie.clone())).collect(), &session.storage)
}

fn assert_same(found: &Session, wanted: &Session, when: &str) {
    let ((found, storage), (wanted, wanted_storage)) = (lasting(found), lasting(wanted));
    for (name, cookie) in &wanted {
        let other = found.get(name).unwrap_or_else(|| panic!("{name} is lost {when}"));
        // Chromium keeps times to the microsecond.
        let near = |cookie: &Cookie| cookie.expires.map(|at| at.round());
        assert_eq!(near(other), near(cookie), "{name} {when}");
        let timeless = |cookie: &Cookie| Cookie { expires: None, ..cookie.clone() };
        assert!(timeless(other) == timeless(cookie), "{name} {when}: {other:?}, not {cookie:?}");
    }
    assert_eq!(found.len(), wanted.len(), "{when}");
    assert_eq!(storage, wanted_storage, "{when}");
}

/// What the site gives at `/in`, as it should be.
fn check_signed_in(session: &Session) {
    let (cookies, storage) = lasting(session);
    let names: Vec<&str> = cookies.keys().map(String::as_str).collect();
    assert_eq!(names, ["__Host-own", "jar", "long", "short", "strict", "wide"]);
    assert!(cookies["short"].expires.is_none() && cookies["short"].http_only && cookies["short"].is_host_only());
    assert_eq!((cookies["strict"].path.as_str(), cookies["strict"].same_site.as_deref()), ("/in", Some("Strict")));
    assert_eq!(cookies["wide"].domain, ".chat.demo.localhost");
    assert!(cookies["jar"].partition_key.is_some() && cookies["__Host-own"].secure);
    let token = |key: &str| storage[CHAT].get(key).map(String::as_str);
    assert_eq!((token("token"), token("__proto__")), (Some("T\u{20AC}\"<"), Some("p")));
}

#[tokio::test]
async fn a_session_survives_the_browsers_crash_the_programs_and_a_restart() {
    let place = Place::new().await;
    let profile = place.profile("a");
    let instance = place.instance("a", &profile).await;
    visit(&instance, "in").await;
    instance.keep_session().await.unwrap();
    let before = session(&instance).await;
    check_signed_in(&before);

    let (_, pid) = ready(&instance).await;
    kill(pid);
    until(&instance, |state| !matches!(state, webai2api::browser::InstanceState::Ready { .. })).await;
    ready(&instance).await;
    assert_same(&session(&instance).await, &before, "after the browser's crash");

    // As if the program were killed: the browser is not closed in order.
    let (_, pid) = ready(&instance).await;
    drop(instance);
    eventually("the browser is gone", async || !is_alive(pid)).await;
    let instance = place.instance("a", &profile).await;
    assert_same(&session(&instance).await, &before, "after the program's crash");

    instance.stop().await;
    let instance = place.instance("a", &profile).await;
    assert_same(&session(&instance).await, &before, "after a restart");
    instance.stop().await;

    // A lost disk: the snapshot alone is left.
    std::fs::remove_dir_all(&profile).unwrap();
    let hits = place.site.hits("");
    let instance = place.instance("a", &profile).await;
    assert_same(&session(&instance).await, &before, "in a new profile");
    assert_eq!(place.site.hits(""), hits, "storage was read and written without a request");
    instance.stop().await;
}

#[tokio::test]
async fn who_has_signed_out_is_not_signed_in_again_by_a_crash() {
    for _ in 0..5 {
        if a_sign_out_outlives_a_crash().await {
            return;
        }
    }
    panic!("this test shows nothing: the browser itself wrote the sign-out down in time, again and again");
}

/// False where it shows nothing: the browser writes cookies down every now and then, and did so just before it was killed.
async fn a_sign_out_outlives_a_crash() -> bool {
    let place = Place::new().await;
    let profile = place.profile("a");
    let instance = place.instance("a", &profile).await;
    visit(&instance, "in").await;
    // A restart, so that all of it is on the browser's disk.
    instance.stop().await;
    let instance = place.instance("a", &profile).await;
    assert_eq!(value(&session(&instance).await, "long"), Some("2"));
    visit(&instance, "out").await;
    let knows = |kept: &Session| value(kept, "long").is_none() && !kept.storage[CHAT].contains_key("token");
    eventually("the snapshot knows it", async || knows(&place.kept("a"))).await;
    let (_, pid) = ready(&instance).await;
    kill(pid);
    drop(instance);
    eventually("the browser is gone", async || !is_alive(pid)).await;

    // The browser itself would have forgotten the sign-out: it had not written it down.
    let copy = place.profile("copy");
    let status = std::process::Command::new("cp").arg("-a").arg(&profile).arg(&copy).status().unwrap();
    assert!(status.success());
    let other = place.instance("other", &copy).await;
    let had_written = value(&session(&other).await, "long").is_none();
    other.stop().await;
    if had_written {
        return false;
    }

    let instance = place.instance("a", &profile).await;
    let found = session(&instance).await;
    assert_eq!((value(&found, "long"), value(&found, "short")), (None, None));
    assert_eq!(found.storage[CHAT].get("token"), None);
    assert_eq!(value(&found, "wide"), Some("4"), "what the site left is still there");
    instance.stop().await;
    true
}

#[tokio::test]
async fn a_signed_out_session_does_not_come_back_after_a_restart() {
    let place = Place::new().await;
    let profile = place.profile("a");
    let instance = place.instance("a", &profile).await;
    visit(&instance, "in").await;
    instance.keep_session().await.unwrap();
    assert_eq!(value(&place.kept("a"), "short"), Some("1"));
    // Nobody has looked at it when the browser is closed.
    visit(&instance, "out").await;
    instance.stop().await;
    let instance = place.instance("a", &profile).await;
    let found = session(&instance).await;
    assert_eq!((value(&found, "long"), value(&found, "short")), (None, None));
    assert_eq!(found.storage[CHAT].get("token"), None);
    instance.stop().await;
}

fn accounts(instance: &Arc<Instance>) -> Accounts {
    let instance = Arc::clone(instance);
    let origins = vec![Origin::parse_lab(CHAT).unwrap()];
    Accounts::new(Box::new(move || {
        vec![Holder { instance: Arc::clone(&instance), adapters: vec!["chat".into()], origins: origins.clone() }]
    }))
}

#[tokio::test]
async fn an_account_moves_to_another_profile_as_one_sealed_file() {
    let place = Place::new().await;
    let one = Arc::new(place.instance("one", &place.profile("one")).await);
    assert!(matches!(accounts(&one).export("one", Secret::new("a passphrase")).await, Err(AccountError::Empty)));
    visit(&one, "in").await;
    let before = session(&one).await;
    let exported = accounts(&one).export("one", Secret::new("a passphrase")).await.unwrap();
    assert!(exported.left_out.iter().any(|what| what.contains("IndexedDB")));
    one.stop().await;

    let two = Arc::new(place.instance("two", &place.profile("two")).await);
    let wrong = accounts(&two).import("two", exported.archive.clone(), Some(Secret::new("not this one"))).await;
    assert!(matches!(wrong, Err(AccountError::Archive(ArchiveError::Passphrase))), "{wrong:?}");
    let none = accounts(&two).import("two", exported.archive.clone(), None).await;
    assert!(matches!(none, Err(AccountError::NoPassphrase)), "{none:?}");
    // Somebody else is signed in there.
    let cookies = "chat.demo.localhost\tFALSE\t/\tFALSE\t0\tsomebody\telse\nother.example\tFALSE\t/\tFALSE\t0\ta\tb\n\
        chat.demo.localhost\tFALSE\t/\tFALSE\t1000\told\tv\n";
    let imported = accounts(&two).import("two", cookies.into(), None).await.unwrap();
    assert_eq!((imported.format, imported.cookies, imported.foreign, imported.expired), ("cookies.txt", 1, 1, 1));
    assert_eq!(value(&session(&two).await, "somebody"), Some("else"));

    let imported = accounts(&two).import("two", exported.archive, Some(Secret::new("a passphrase"))).await.unwrap();
    assert_eq!((imported.refused, imported.unwritten.len()), (0, 0));
    assert_same(&session(&two).await, &before, "after the move");
    assert_same(&place.kept("two"), &before, "in the snapshot, at once");
    // The site's own pages see it.
    let page = two.open_page(PageSpec { throwaway: false, ..spec() }).await.unwrap();
    page.goto(&format!("{CHAT}/"), Some(PATIENCE)).await.unwrap();
    assert_eq!(page.text("css=p", Some(PATIENCE)).await.unwrap(), "here");
    two.stop().await;
}

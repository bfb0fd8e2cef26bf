use proptest::prelude::*;

use super::*;

pub(in crate::session) fn cookie(name: &str, value: &str, expires: Option<f64>) -> Cookie {
    Cookie {
        name: name.into(),
        value: value.into(),
        domain: "a.example".into(),
        path: "/".into(),
        expires,
        secure: true,
        http_only: true,
        same_site: None,
        priority: None,
        source_scheme: None,
        source_port: None,
        partition_key: None,
    }
}

const LATER: Option<f64> = Some(9e9);

fn session(cookies: &[Cookie]) -> Session {
    Session { cookies: cookies.to_vec(), ..Session::default() }
}

fn stored(entries: &[(&str, &str)]) -> Session {
    let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Session { storage: [("https://a.example".to_owned(), entries)].into(), ..Session::default() }
}

fn names(cookies: &[Cookie]) -> Vec<&str> {
    cookies.iter().map(|cookie| cookie.name.as_str()).collect()
}

#[test]
fn after_an_orderly_end_only_cookies_without_an_expiry_come_back() {
    let seen = session(&[cookie("short", "1", None), cookie("long", "1", LATER)]);
    let snapshot = Snapshot::first("p", 1000, seen).closed();
    assert_eq!(snapshot.how(Some("p")), How::Closed);
    let plan = snapshot.plan(How::Closed, 2000, &Session::default());
    assert_eq!((names(&plan.set), plan.delete), (vec!["short"], vec![]));
}

#[test]
fn after_a_crash_what_was_new_comes_back_and_what_was_deleted_does_not() {
    let old = cookie("old", "1", LATER);
    let snapshot = Snapshot::first("p", 1000, session(std::slice::from_ref(&old)));
    let snapshot = snapshot.next(2000, session(&[old, cookie("new", "1", LATER), cookie("over", "1", Some(2001.0))]));
    assert_eq!(snapshot.how(Some("p")), How::Died);
    // The profile lacks both: the old one was deleted after the snapshot.
    assert_eq!(names(&snapshot.plan(How::Died, 2010, &Session::default()).set), ["new"]);
}

#[test]
fn who_has_signed_out_stays_signed_out() {
    let (signed_in, other) = (cookie("sid", "1", LATER), cookie("theme", "dark", LATER));
    let snapshot = Snapshot::first("p", 1000, session(&[signed_in.clone(), other.clone()]));
    let snapshot = snapshot.next(2000, session(std::slice::from_ref(&other)));
    // The browser died before it wrote that down.
    let plan = snapshot.plan(How::Died, 2005, &session(&[signed_in, other]));
    assert_eq!((names(&plan.set), names(&plan.delete)), (vec![], vec!["sid"]));
    // Signed in again since, and written: that is newer than the snapshot.
    let plan = snapshot.plan(How::Died, 2005, &session(&[cookie("sid", "2", LATER)]));
    assert_eq!(names(&plan.delete), [""; 0]);
}

#[test]
fn the_older_of_two_values_goes() {
    let snapshot = Snapshot::first("p", 1000, session(&[cookie("sid", "1", LATER)]));
    let snapshot = snapshot.next(1010, session(&[cookie("sid", "2", LATER)]));
    let set = |found: &str| snapshot.plan(How::Died, 1015, &session(&[cookie("sid", found, LATER)])).set;
    assert_eq!(set("1"), [cookie("sid", "2", LATER)]);
    assert_eq!(set("2"), []);
    assert_eq!(set("3"), [], "newer than the snapshot");
}

#[test]
fn a_second_crash_right_after_the_first_changes_nothing() {
    let (out, theme) = (cookie("sid", "1", LATER), cookie("theme", "1", LATER));
    let snapshot = Snapshot::first("p", 1000, session(std::slice::from_ref(&out)));
    let snapshot = snapshot.next(2000, session(std::slice::from_ref(&theme)));
    let profile = session(std::slice::from_ref(&out));
    let plan = snapshot.plan(How::Died, 9000, &profile);
    assert_eq!((names(&plan.set), names(&plan.delete)), (vec!["theme"], vec!["sid"]));
    let resumed = snapshot.resumed(How::Died, "p", 9000, session(std::slice::from_ref(&theme)), &plan);
    // Nothing of that was on the disk yet.
    assert_eq!(resumed.plan(How::Died, 9010, &profile), plan);
    assert_eq!(resumed.next(9010, session(&[theme])).plan(How::Died, 9010, &profile), plan);
}

/// It cannot be told from one that came after the last look.
#[test]
fn what_came_and_went_between_two_looks_stays_as_the_disk_has_it() {
    let snapshot = Snapshot::first("p", 1000, Session::default()).next(1016, Session::default());
    let written = session(&[cookie("sid", "1", LATER)]);
    assert_eq!(snapshot.plan(How::Died, 1017, &written), Plan::default());
}

#[test]
fn another_profile_gets_what_it_lacks_and_keeps_what_it_has() {
    let snapshot = Snapshot::first("p", 1000, session(&[cookie("a", "1", LATER), cookie("b", "1", None)]));
    assert_eq!((snapshot.how(Some("q")), snapshot.how(None)), (How::OtherProfile, How::OtherProfile));
    let plan = snapshot.plan(How::OtherProfile, 2000, &session(&[cookie("a", "2", LATER)]));
    assert_eq!((names(&plan.set), plan.delete), (vec!["b"], vec![]));
}

#[test]
fn storage_follows_the_same_rules() {
    let snapshot = Snapshot::first("p", 1000, stored(&[("old", "1"), ("token", "1")]));
    assert_eq!(snapshot.origins_to_compare(How::Closed).len(), 0);
    let snapshot = snapshot.next(2000, stored(&[("old", "1"), ("new", "1")]));
    assert_eq!(snapshot.origins_to_compare(How::Died).len(), 1);
    let plan = snapshot.plan(How::Died, 2001, &stored(&[("token", "1")]));
    assert_eq!(plan.write["https://a.example"], BTreeMap::from([("new".to_owned(), "1".to_owned())]));
    assert_eq!(plan.remove["https://a.example"], ["token"]);
    // When all has been written, there is nothing to compare.
    let later = snapshot.next(3000, stored(&[("old", "1"), ("new", "1")]));
    assert!(later.is_worth_writing(&snapshot));
    assert_eq!(later.origins_to_compare(How::Died).len(), 0);
    assert!(!later.next(3003, later.session().clone()).is_worth_writing(&later));
}

#[test]
fn an_import_is_remembered() {
    let mut snapshot = Snapshot::first("p", 1, Session::default());
    snapshot.note_import("h");
    assert!(snapshot.next(2, Session::default()).has_imported("h") && !snapshot.has_imported("i"));
}

/// What happens to a browser.
#[derive(Debug, Clone)]
enum Act {
    Set(u8, u8),
    Delete(u8),
    Pass(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (0..4u8, 0..3u8).prop_map(|(name, value)| Act::Set(name, value)),
        (0..4u8).prop_map(Act::Delete),
        (1..50u64).prop_map(Act::Pass),
    ];
    proptest::collection::vec(act, 0..60)
}

type Jar = BTreeMap<u8, u8>;

fn jar(jar: &Jar) -> Session {
    let cookies: Vec<_> =
        jar.iter().map(|(name, value)| cookie(&name.to_string(), &value.to_string(), LATER)).collect();
    session(&cookies)
}

proptest! {
    /// A browser that writes its cookies every 30 s and dies at any time. Whatever did not change since it was looked at last is
    /// then as it was, but where the disk was written while something was otherwise for less than the time between two looks.
    #[test]
    fn a_crash_changes_nothing_that_was_seen(acts in acts(), look_every in 1..20u64) {
        let (mut memory, mut disk, mut seen) = (Jar::new(), Jar::new(), Jar::new());
        let mut now = 10_000;
        let mut kept = Snapshot::first("p", now, Session::default());
        let mut touched = BTreeSet::new();
        let (mut unseen, mut unseen_on_disk) = (BTreeSet::new(), BTreeSet::new());
        for act in acts {
            match act {
                Act::Set(name, value) => { memory.insert(name, value); touched.insert(name); unseen.insert(name); }
                Act::Delete(name) => { memory.remove(&name); touched.insert(name); unseen.insert(name); }
                Act::Pass(seconds) => for _ in 0..seconds {
                    now += 1;
                    if now % 30 == 0 { disk = memory.clone(); unseen_on_disk = unseen.clone(); }
                    if now % look_every == 0 {
                        unseen.clear();
                        unseen_on_disk.retain(|name| memory.get(name) != disk.get(name));
                        let next = kept.next(now, jar(&memory));
                        if next.is_worth_writing(&kept) { kept = next; }
                        seen = memory.clone();
                        touched.clear();
                    }
                },
            }
        }
        let kept: Snapshot = serde_json::from_slice(&serde_json::to_vec(&kept).unwrap()).unwrap();
        let plan = kept.plan(How::Died, now, &jar(&disk));
        for cookie in &plan.delete { disk.remove(&cookie.name.parse().unwrap()); }
        for cookie in &plan.set { disk.insert(cookie.name.parse().unwrap(), cookie.value.parse().unwrap()); }
        for name in (0..4).filter(|name| !touched.contains(name) && !unseen_on_disk.contains(name)) {
            prop_assert_eq!(disk.get(&name), seen.get(&name), "cookie {}", name);
        }
    }
}

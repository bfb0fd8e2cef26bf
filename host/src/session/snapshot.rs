//! What a browser's session was when it was last looked at, and what of it to bring back into a browser that has lost some.
//!
//! A browser writes cookies to its disk about half a minute late, local storage up to a minute late, and cookies without an
//! expiry never. So after a crash two states are at hand: the snapshot's, a few seconds old, and the profile's, which may be
//! older in one place and newer in another. Which of the two holds is decided for each cookie and each entry alone:
//!
//! - what the profile has and no snapshot ever saw is newer: it stays;
//! - what the profile has and an earlier snapshot saw, before it changed or went, is older: the snapshot holds. So nobody who has
//!   signed out is signed in again by a crash;
//! - what the profile lacks is brought back if it was new when it was seen last, so that the profile need not have it yet. If
//!   it was not new, the profile had it and lost it: it was deleted since, and stays away.
//!
//! After an orderly end the profile knows all but the cookies without an expiry. A profile that is not the one that was looked at
//! (a new machine, a lost disk) gets all that it lacks.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::cookie::fingerprint;
use super::{Cookie, Session};

/// In seconds: what has been so for this long is on the browser's disk. Chromium writes cookies every 30 s, storage every 60 s at
/// most.
const WRITTEN: u64 = 90;
/// Changes that are remembered; more in one and a half minutes is no site's way of signing anybody out.
const GONE_MAX: usize = 4096;
/// Archives whose import is remembered.
const IMPORTED_MAX: usize = 64;

/// A session at one time, with what is needed to compare it with a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The mark of the profile that was looked at.
    pub profile: String,
    /// When, in seconds since 1970.
    made: u64,
    /// Whether the browser was closed in order afterwards.
    clean: bool,
    session: Session,
    /// Since when each cookie and entry is as it is.
    since: BTreeMap<String, u64>,
    /// What was seen lately and is no more.
    gone: Vec<Gone>,
    /// Hashes of the archives that were imported at a start.
    #[serde(default)]
    imported: Vec<String>,
}

/// A value that a cookie or an entry had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Gone {
    id: String,
    hash: String,
    at: u64,
    /// Of an entry of local storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
}

/// What happened between a snapshot and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The browser was closed in order.
    Closed,
    /// It died.
    Died,
    /// The profile is another one, and may be empty.
    OtherProfile,
}

/// What to do in a browser so that it has the session again.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    pub set: Vec<Cookie>,
    pub delete: Vec<Cookie>,
    /// By origin: entries to write.
    pub write: BTreeMap<String, BTreeMap<String, String>>,
    /// By origin: keys to remove.
    pub remove: BTreeMap<String, Vec<String>>,
}

/// A cookie's or an entry's id, its hash, and the origin of an entry.
type Item<'a> = (String, String, Option<&'a str>);

fn cookie_id(cookie: &Cookie) -> String {
    let id = cookie.id();
    format!("c{}", fingerprint(&[&id.name, &id.domain, &id.path, id.partition.as_deref().unwrap_or_default()]))
}

fn entry_id(origin: &str, key: &str) -> String {
    format!("s{}", fingerprint(&[origin, key]))
}

fn items(session: &Session) -> impl Iterator<Item = Item<'_>> {
    let cookies = session.cookies.iter().map(|cookie| (cookie_id(cookie), cookie.hash(), None));
    let entries = session.storage.iter().flat_map(|(origin, entries)| {
        let item =
            move |(key, value): (&String, &String)| (entry_id(origin, key), fingerprint(&[value]), Some(&**origin));
        entries.iter().map(item)
    });
    cookies.chain(entries)
}

impl Snapshot {
    /// The first of a profile.
    pub fn first(profile: &str, now: u64, session: Session) -> Self {
        let since = items(&session).map(|(id, ..)| (id, now)).collect();
        let (profile, gone, imported) = (profile.to_owned(), Vec::new(), Vec::new());
        Self { profile, made: now, clean: false, session, since, gone, imported }
    }

    /// The one that follows: the same browser, looked at again.
    pub fn next(&self, now: u64, session: Session) -> Self {
        let before: BTreeMap<String, (String, Option<&str>)> =
            items(&self.session).map(|(id, hash, origin)| (id, (hash, origin))).collect();
        let present: BTreeMap<String, String> = items(&session).map(|(id, hash, _)| (id, hash)).collect();
        let as_before = |id: &String, hash: &String| before.get(id).is_some_and(|(was, _)| was == hash);
        let since = |(id, hash): (&String, &String)| {
            let since = self.since.get(id).filter(|_| as_before(id, hash)).copied().unwrap_or(now);
            (id.clone(), since)
        };
        let changed = before.iter().filter(|(id, (hash, _))| present.get(*id) != Some(hash));
        let went = changed.map(|(id, (hash, origin))| Gone {
            id: id.clone(),
            hash: hash.clone(),
            at: now,
            origin: origin.map(str::to_owned),
        });
        let still = self.gone.iter().filter(|gone| now.saturating_sub(gone.at) < WRITTEN).cloned();
        // What came back is no longer gone.
        let mut gone: Vec<Gone> = still.chain(went).filter(|gone| present.get(&gone.id) != Some(&gone.hash)).collect();
        gone.drain(..gone.len().saturating_sub(GONE_MAX));
        let since = present.iter().map(since).collect();
        let (profile, imported) = (self.profile.clone(), self.imported.clone());
        Self { profile, made: now, clean: false, session, since, gone, imported }
    }

    /// The same, after the browser was closed in order: all of it is on the browser's disk.
    pub fn closed(mut self) -> Self {
        self.clean = true;
        self.gone.clear();
        self
    }

    /// The same, for a browser that runs.
    pub fn opened(mut self) -> Self {
        self.clean = false;
        self
    }

    /// The first of a browser that has just got its session back: `session` is what it has now, `plan` what was done for it. That
    /// is as new as anything can be.
    pub fn resumed(&self, how: How, mark: &str, now: u64, session: Session, plan: &Plan) -> Self {
        if how == How::OtherProfile {
            return Self { imported: self.imported.clone(), ..Self::first(mark, now, session) };
        }
        let cookies = plan.set.iter().map(cookie_id);
        let entries = plan.write.iter().flat_map(|(origin, entries)| entries.keys().map(|key| entry_id(origin, key)));
        let restored: Vec<String> = cookies.chain(entries).collect();
        // What was deleted here may still be on the browser's disk, however long ago it was.
        let gone = self.gone.iter().map(|gone| Gone { at: now, ..gone.clone() }).collect();
        let mut next = Self { gone, ..self.clone() }.next(now, session);
        for id in restored {
            next.since.entry(id).and_modify(|since| *since = now);
        }
        next
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Whether the next one must be written, given the last that was: something changed, or what was new then is no longer.
    pub fn is_worth_writing(&self, last: &Self) -> bool {
        let youngest =
            last.since.values().max().copied().unwrap_or(0).max(last.gone.iter().map(|g| g.at).max().unwrap_or(0));
        let settled = youngest + WRITTEN > last.made && youngest + WRITTEN <= self.made;
        settled
            || self.session != last.session
            || self.gone.iter().any(|gone| !last.gone.contains(gone))
            || (&self.profile, self.clean, &self.imported) != (&last.profile, last.clean, &last.imported)
    }

    /// Notes an archive as imported.
    pub fn note_import(&mut self, hash: &str) {
        if !self.has_imported(hash) {
            self.imported.push(hash.to_owned());
            self.imported.drain(..self.imported.len().saturating_sub(IMPORTED_MAX));
        }
    }

    pub fn has_imported(&self, hash: &str) -> bool {
        self.imported.iter().any(|known| known == hash)
    }

    /// What happened since, given the mark of the profile that is there now.
    pub fn how(&self, profile: Option<&str>) -> How {
        match profile {
            Some(mark) if mark == self.profile && self.clean => How::Closed,
            Some(mark) if mark == self.profile => How::Died,
            _ => How::OtherProfile,
        }
    }

    /// The origins whose storage must be looked at before it is known what to do.
    pub fn origins_to_compare(&self, how: How) -> BTreeSet<String> {
        let entries = self.session.storage.iter().filter(|(origin, entries)| match how {
            How::Closed => false,
            How::Died => entries.keys().any(|key| self.is_new(&entry_id(origin, key))),
            How::OtherProfile => !entries.is_empty(),
        });
        let gone = self.gone.iter().filter(|_| how == How::Died).filter_map(|gone| gone.origin.clone());
        entries.map(|(origin, _)| origin.clone()).chain(gone).collect()
    }

    /// What a browser lacks that now has `found`. Storage of origins that are not in `found` is left as it is.
    pub fn plan(&self, how: How, now: u64, found: &Session) -> Plan {
        let mut plan = Plan::default();
        let there: BTreeMap<String, &Cookie> = found.cookies.iter().map(|cookie| (cookie_id(cookie), cookie)).collect();
        let mut known = BTreeSet::new();
        for cookie in self.session.cookies.iter().filter(|cookie| !cookie.is_expired(now)) {
            let id = cookie_id(cookie);
            let restore = match there.get(&id) {
                Some(other) => other.hash() != cookie.hash() && self.is_stale(how, &id, &other.hash()),
                None => cookie.expires.is_none() || self.is_lost(how, &id),
            };
            known.insert(id);
            if restore {
                plan.set.push(cookie.clone());
            }
        }
        let stale = there.iter().filter(|(id, cookie)| !known.contains(*id) && self.is_stale(how, id, &cookie.hash()));
        plan.delete.extend(stale.map(|(_, cookie)| (*cookie).clone()));
        for (origin, entries) in &found.storage {
            self.plan_storage(how, origin, entries, &mut plan);
        }
        plan
    }

    fn plan_storage(&self, how: How, origin: &str, there: &BTreeMap<String, String>, plan: &mut Plan) {
        let nothing = BTreeMap::new();
        let mine = self.session.storage.get(origin).unwrap_or(&nothing);
        let lacks = |(key, value): &(&String, &String)| {
            let id = entry_id(origin, key);
            match there.get(*key) {
                Some(other) => other != *value && self.is_stale(how, &id, &fingerprint(&[other])),
                None => self.is_lost(how, &id),
            }
        };
        let write: BTreeMap<_, _> =
            mine.iter().filter(lacks).map(|(key, value)| (key.clone(), value.clone())).collect();
        let stale = |(key, value): &(&String, &String)| {
            !mine.contains_key(*key) && self.is_stale(how, &entry_id(origin, key), &fingerprint(&[value]))
        };
        let remove: Vec<_> = there.iter().filter(stale).map(|(key, _)| key.clone()).collect();
        if !write.is_empty() {
            plan.write.insert(origin.to_owned(), write);
        }
        if !remove.is_empty() {
            plan.remove.insert(origin.to_owned(), remove);
        }
    }

    /// Whether something of this snapshot that a profile lacks was lost, and not deleted.
    fn is_lost(&self, how: How, id: &str) -> bool {
        match how {
            How::Closed => false,
            How::Died => self.is_new(id),
            How::OtherProfile => true,
        }
    }

    /// Whether what a profile has is older than this snapshot.
    fn is_stale(&self, how: How, id: &str, hash: &str) -> bool {
        how == How::Died && self.gone.iter().any(|gone| gone.id == id && gone.hash == hash)
    }

    /// Whether it was too new for the browser to have written it.
    fn is_new(&self, id: &str) -> bool {
        self.since.get(id).is_some_and(|since| since + WRITTEN > self.made)
    }
}

#[cfg(test)]
pub(super) mod tests;

//! Sums by day, model and account. They stay when the requests themselves are deleted.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;

use super::requests::{count as unsigned, int};
use super::{Database, DatabaseError, RequestRecord};

/// Upper bounds of the buckets in milliseconds; what is above the last has a bucket of its own.
const BOUNDS: [i64; 10] = [250, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000, 180_000, 600_000];
const UNBOUNDED: i64 = -1;
/// A day has no more rows: a client that makes up models fills no disk.
const ROWS_MAX: i64 = 1000;
const OTHER: &str = "(other)";
/// In characters.
const NAME_MAX: usize = 100;

/// The sums of one day (UTC), model and account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatisticsRow {
    /// `2026-11-28`
    pub day: String,
    pub model: String,
    /// None: no account came to be used.
    pub instance: Option<String>,
    pub requests: u64,
    /// How many ended so: `ok`, or an error's code.
    pub outcomes: BTreeMap<String, u64>,
    pub tokens_in: u64,
    pub tokens_out: u64,
    /// To the first piece of the answer, of the requests that came so far.
    pub first: Latency,
    /// To the end.
    pub total: Latency,
}

/// How long something took.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Latency {
    pub count: u64,
    pub sum_ms: u64,
    pub buckets: Vec<Bucket>,
}

/// How many took at most so long, and longer than the bucket before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// In milliseconds; none for all that took longer than any bound.
    pub le_ms: Option<u64>,
    pub count: u64,
}

impl Database {
    /// The last days, the newest first; today is one of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn statistics(&self, days: u32) -> Result<Vec<StatisticsRow>, DatabaseError> {
        let now = self.shared.clock.now().ms;
        self.read(move |connection| read(connection, now, days)).await
    }
}

/// The day of a time, and the one so many days before it.
pub(super) fn day(connection: &Connection, ms: i64, before: u32) -> rusqlite::Result<String> {
    let mut statement = connection.prepare("SELECT date(?1 / 1000, 'unixepoch', '-' || ?2 || ' days')")?;
    let day: Option<String> = statement.query_row(params![ms, before], |row| row.get(0))?;
    // A time that is no date.
    Ok(day.unwrap_or_else(|| "1970-01-01".into()))
}

/// Adds a request to the day's sums.
pub(super) fn count(connection: &Connection, record: &RequestRecord, created: i64) -> rusqlite::Result<()> {
    let day = day(connection, created, 0)?;
    let cut = |name: &str| name.chars().take(NAME_MAX).collect::<String>();
    let instance = record.instance.as_deref().map(cut).unwrap_or_default();
    let outcome = cut(&record.outcome);
    let mut model = cut(&record.model);
    if !has_room(connection, &day, &model, &instance, &outcome)? {
        model = OTHER.to_owned();
    }
    let first = record.stages.first_ms.map(int);
    let total = int(record.stages.total_ms);
    let mut statement = connection.prepare(
        "INSERT INTO statistics VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO UPDATE SET \
         requests = requests + 1, tokens_in = tokens_in + excluded.tokens_in, \
         tokens_out = tokens_out + excluded.tokens_out, first_count = first_count + excluded.first_count, \
         first_sum = first_sum + excluded.first_sum, total_sum = total_sum + excluded.total_sum",
    )?;
    let (tokens_in, tokens_out) = (int(record.tokens.input), int(record.tokens.output));
    let first_count = i64::from(first.is_some());
    let row = params![day, model, instance, outcome, tokens_in, tokens_out, first_count, first.unwrap_or(0), total];
    statement.execute(row)?;
    let mut statement = connection.prepare(
        "INSERT INTO latencies VALUES (?1, ?2, ?3, ?4, ?5, 1) ON CONFLICT DO UPDATE SET requests = requests + 1",
    )?;
    for (stage, ms) in [("first", first), ("total", Some(total))] {
        if let Some(ms) = ms {
            let bound = BOUNDS.into_iter().find(|bound| ms <= *bound).unwrap_or(UNBOUNDED);
            statement.execute(params![day, model, instance, stage, bound])?;
        }
    }
    Ok(())
}

fn has_room(connection: &Connection, day: &str, model: &str, instance: &str, outcome: &str) -> rusqlite::Result<bool> {
    let mut statement = connection
        .prepare("SELECT 1 FROM statistics WHERE day = ?1 AND model = ?2 AND instance = ?3 AND outcome = ?4")?;
    if statement.query_row([day, model, instance, outcome], |_| Ok(())).optional()?.is_some() {
        return Ok(true);
    }
    let mut statement = connection.prepare("SELECT count(*) FROM statistics WHERE day = ?1")?;
    Ok(statement.query_row([day], |row| row.get::<_, i64>(0))? < ROWS_MAX)
}

type Key = (String, String, String);

fn read(connection: &Connection, now: i64, days: u32) -> rusqlite::Result<Vec<StatisticsRow>> {
    // One moment for both tables.
    let transaction = connection.unchecked_transaction()?;
    let since = day(&transaction, now, days.saturating_sub(1))?;
    let mut rows: BTreeMap<Key, StatisticsRow> = BTreeMap::new();
    let mut statement = transaction.prepare("SELECT * FROM statistics WHERE day >= ?1")?;
    let mut found = statement.query([&since])?;
    while let Some(row) = found.next()? {
        let number = |name: &str| row.get::<_, i64>(name).map(unsigned);
        let key: Key = (row.get("day")?, row.get("model")?, row.get("instance")?);
        let sums = rows.entry(key).or_insert_with_key(blank);
        let requests = number("requests")?;
        sums.requests += requests;
        *sums.outcomes.entry(row.get("outcome")?).or_default() += requests;
        sums.tokens_in += number("tokens_in")?;
        sums.tokens_out += number("tokens_out")?;
        sums.first.count += number("first_count")?;
        sums.first.sum_ms += number("first_sum")?;
        sums.total.count += requests;
        sums.total.sum_ms += number("total_sum")?;
    }
    let mut statement = transaction.prepare("SELECT * FROM latencies WHERE day >= ?1")?;
    let mut found = statement.query([&since])?;
    while let Some(row) = found.next()? {
        let key: Key = (row.get("day")?, row.get("model")?, row.get("instance")?);
        let Some(sums) = rows.get_mut(&key) else { continue };
        let latency = if row.get_ref("stage")?.as_str()? == "first" { &mut sums.first } else { &mut sums.total };
        let (bound, requests): (i64, i64) = (row.get("bound")?, row.get("requests")?);
        let le_ms = u64::try_from(bound).ok();
        if let Some(bucket) = latency.buckets.iter_mut().find(|bucket| bucket.le_ms == le_ms) {
            bucket.count = unsigned(requests);
        }
    }
    Ok(rows.into_values().rev().collect())
}

fn blank((day, model, instance): &Key) -> StatisticsRow {
    let bounds = BOUNDS.into_iter().map(|bound| Some(unsigned(bound))).chain([None]);
    let buckets = bounds.map(|le_ms| Bucket { le_ms, count: 0 }).collect();
    let latency = Latency { buckets, ..Latency::default() };
    StatisticsRow {
        day: day.clone(),
        model: model.clone(),
        instance: Some(instance.clone()).filter(|instance| !instance.is_empty()),
        requests: 0,
        outcomes: BTreeMap::new(),
        tokens_in: 0,
        tokens_out: 0,
        first: latency.clone(),
        total: latency,
    }
}

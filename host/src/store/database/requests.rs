//! The table of requests, and that of their tries.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::writer::Pass;
use super::{Database, DatabaseError, RequestQuery, RequestRecord, Sizes, Stages, StoredRequest, Tokens, TryRecord};
use super::{clock, statistics};
use crate::config::HistoryMode;

/// Requests that are given at once.
const LIMIT_MAX: usize = 500;
/// All but the texts.
const COLUMNS: &str = "number, id, created, key, dialect, model, adapter, adapter_version, instance, stream, outcome, \
    status, finish, prompt_chars, answer_chars, attachments, media, queue_ms, submit_ms, first_ms, total_ms, tokens_in, \
    tokens_out, attempts";

impl Database {
    /// Keeps a request, and counts it in the day's statistics. Never waits, never fails: what cannot be kept is counted and
    /// told in the log.
    pub fn record(&self, mut record: RequestRecord) {
        if !self.keeps_text() {
            (record.prompt, record.answer) = (None, None);
        }
        self.write_later(record.weight(), move |pass| insert(pass, &record));
    }

    /// The newest requests first, without their tries and texts.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn requests(&self, query: RequestQuery) -> Result<Vec<StoredRequest>, DatabaseError> {
        self.read(move |connection| list(connection, &query)).await
    }

    /// One request with all that is known of it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn request(&self, id: &str) -> Result<Option<StoredRequest>, DatabaseError> {
        let id = id.to_owned();
        self.read(move |connection| one(connection, &id)).await
    }

    /// Forgets one request; false if there is none. The statistics stay.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn delete_request(&self, id: &str) -> Result<bool, DatabaseError> {
        let id = id.to_owned();
        self.write(move |pass| Ok(pass.connection.execute("DELETE FROM requests WHERE id = ?1", [id])? > 0)).await
    }

    /// Forgets all requests, and says how many. The statistics stay.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn delete_requests(&self) -> Result<u64, DatabaseError> {
        let deleted = self.write(|pass| pass.connection.execute("DELETE FROM requests", [])).await?;
        // The disk gets its room back.
        self.tend_soon();
        Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
    }
}

fn insert(pass: &mut Pass<'_>, record: &RequestRecord) -> rusqlite::Result<()> {
    let created = clock::stamp(record.created, pass.now);
    if pass.history.mode == HistoryMode::Off {
        return statistics::count(pass.connection, record, created);
    }
    let mut statement = pass.connection.prepare(
        "INSERT INTO requests (id, created, key, dialect, model, adapter, adapter_version, instance, stream, outcome, \
         status, finish, prompt_chars, answer_chars, attachments, media, queue_ms, submit_ms, first_ms, total_ms, \
         tokens_in, tokens_out, attempts, prompt, answer) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, \
         ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25) ON CONFLICT (id) DO NOTHING",
    )?;
    let RequestRecord { sizes, stages, tokens, .. } = record;
    let texts = pass.history.mode == HistoryMode::Full;
    let inserted = statement.execute(params![
        record.id,
        created,
        record.key,
        record.dialect,
        record.model,
        record.adapter,
        record.adapter_version,
        record.instance,
        record.stream,
        record.outcome,
        record.status,
        record.finish,
        int(sizes.prompt_chars),
        int(sizes.answer_chars),
        int(sizes.attachments),
        int(sizes.media),
        stages.queue_ms.map(int),
        stages.submit_ms.map(int),
        stages.first_ms.map(int),
        int(stages.total_ms),
        int(tokens.input),
        int(tokens.output),
        i64::try_from(record.tries.len()).unwrap_or(i64::MAX),
        record.prompt.as_ref().filter(|_| texts),
        record.answer.as_ref().filter(|_| texts),
    ])?;
    if inserted == 0 {
        return Ok(());
    }
    insert_tries(pass.connection, pass.connection.last_insert_rowid(), &record.tries)?;
    statistics::count(pass.connection, record, created)
}

fn insert_tries(connection: &Connection, request: i64, tries: &[TryRecord]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("INSERT INTO tries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    for (position, one) in (0i64..).zip(tries) {
        statement.execute(params![
            request,
            position,
            one.adapter,
            one.adapter_version,
            one.instance,
            one.worker,
            one.stage,
            one.outcome,
            int(one.ms),
        ])?;
    }
    Ok(())
}

fn list(connection: &Connection, query: &RequestQuery) -> rusqlite::Result<Vec<StoredRequest>> {
    let mut statement = connection.prepare(&format!(
        "SELECT {COLUMNS} FROM requests WHERE number < ?1 AND (?2 IS NULL OR model = ?2) AND (?3 IS NULL OR outcome = ?3) \
         AND (?4 IS NULL OR instance = ?4) ORDER BY number DESC LIMIT ?5"
    ))?;
    let limit = i64::try_from(query.limit.min(LIMIT_MAX)).unwrap_or(0);
    let before = query.before.unwrap_or(i64::MAX);
    let rows = statement.query_map(params![before, query.model, query.outcome, query.instance, limit], stored)?;
    rows.collect()
}

fn one(connection: &Connection, id: &str) -> rusqlite::Result<Option<StoredRequest>> {
    // One moment for both tables.
    let transaction = connection.unchecked_transaction()?;
    let mut statement =
        transaction.prepare(&format!("SELECT {COLUMNS}, prompt, answer FROM requests WHERE id = ?1"))?;
    let found = statement.query_row([id], |row| {
        let mut found = stored(row)?;
        (found.record.prompt, found.record.answer) = (row.get("prompt")?, row.get("answer")?);
        Ok(found)
    });
    let Some(mut found) = found.optional()? else { return Ok(None) };
    let mut statement = transaction.prepare("SELECT * FROM tries WHERE request = ?1 ORDER BY position")?;
    found.record.tries = statement.query_map([found.number], tried)?.collect::<rusqlite::Result<_>>()?;
    Ok(Some(found))
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredRequest> {
    let optional = |name: &str| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(name)?.map(count));
    let record = RequestRecord {
        id: row.get("id")?,
        created: row.get("created")?,
        key: row.get("key")?,
        dialect: row.get("dialect")?,
        model: row.get("model")?,
        adapter: row.get("adapter")?,
        adapter_version: row.get("adapter_version")?,
        instance: row.get("instance")?,
        stream: row.get("stream")?,
        outcome: row.get("outcome")?,
        status: row.get("status")?,
        finish: row.get("finish")?,
        sizes: Sizes {
            prompt_chars: count(row.get("prompt_chars")?),
            answer_chars: count(row.get("answer_chars")?),
            attachments: count(row.get("attachments")?),
            media: count(row.get("media")?),
        },
        stages: Stages {
            queue_ms: optional("queue_ms")?,
            submit_ms: optional("submit_ms")?,
            first_ms: optional("first_ms")?,
            total_ms: count(row.get("total_ms")?),
        },
        tokens: Tokens { input: count(row.get("tokens_in")?), output: count(row.get("tokens_out")?) },
        tries: Vec::new(),
        prompt: None,
        answer: None,
    };
    Ok(StoredRequest { number: row.get("number")?, attempts: count(row.get("attempts")?), record })
}

fn tried(row: &Row<'_>) -> rusqlite::Result<TryRecord> {
    Ok(TryRecord {
        adapter: row.get("adapter")?,
        adapter_version: row.get("adapter_version")?,
        instance: row.get("instance")?,
        worker: row.get("worker")?,
        stage: row.get("stage")?,
        outcome: row.get("outcome")?,
        ms: count(row.get("ms")?),
    })
}

/// SQLite's numbers have a sign.
pub(super) fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn count(int: i64) -> u64 {
    u64::try_from(int).unwrap_or(0)
}

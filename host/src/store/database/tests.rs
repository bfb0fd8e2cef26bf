//! On real files.

mod conversations;
mod disk;
mod requests;
mod retention;
mod statistics;
mod stress;
mod trouble;

use tempfile::TempDir;

use super::*;

/// No wait of a test may take longer.
const LONG: Duration = Duration::from_secs(30);

fn history(mode: HistoryMode) -> History {
    let day = Duration::from_secs(24 * 3600);
    History { mode, max_age: 30 * day, max_size: 256 << 20, media_ttl: day, media_max_size: 512 << 20 }
}

/// A database that is open.
async fn open(folder: &Path) -> Database {
    let database = Database::open_with(folder, &history(HistoryMode::Full), Duration::from_millis(100));
    database.flush(LONG).await.unwrap();
    database
}

async fn fresh() -> (TempDir, Database) {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path()).await;
    (folder, database)
}

/// A record in which everything says its number.
fn record(number: u64) -> RequestRecord {
    let one = |attempt: u64| TryRecord {
        adapter: "demo".into(),
        adapter_version: "0.1.0".into(),
        instance: format!("account-{}", number % 3),
        worker: format!("w{attempt}"),
        stage: "done".into(),
        outcome: if attempt == number % 3 { "ok".into() } else { "browser_failed".into() },
        ms: number,
    };
    RequestRecord {
        id: format!("req_{number}"),
        created: clock::wall(),
        key: "one".into(),
        dialect: "openai".into(),
        model: format!("demo/model-{}", number % 2),
        adapter: Some("demo".into()),
        adapter_version: Some("0.1.0".into()),
        instance: Some(format!("account-{}", number % 3)),
        stream: number.is_multiple_of(2),
        outcome: "ok".into(),
        status: 200,
        finish: Some("stop".into()),
        sizes: Sizes { prompt_chars: number, answer_chars: number, attachments: 1, media: 2 },
        stages: Stages { queue_ms: Some(1), submit_ms: None, first_ms: Some(number), total_ms: number + 1 },
        tokens: Tokens { input: number, output: 2 * number },
        tries: (0..=number % 3).map(one).collect(),
        prompt: Some(format!("prompt {number}")),
        answer: Some(format!("answer {number}")),
    }
}

async fn found(database: &Database, id: &str) -> RequestRecord {
    database.request(id).await.unwrap().unwrap_or_else(|| panic!("{id} is not there")).record
}

/// Nothing is torn: SQLite says so, and each record fits its tries.
fn assert_whole(folder: &Path) {
    let connection = open::open_reader(&open::path(folder)).unwrap();
    let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let torn: i64 = connection
        .query_row(
            "SELECT count(*) FROM requests WHERE attempts <> (SELECT count(*) FROM tries WHERE request = number)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let orphans: i64 = connection
        .query_row("SELECT count(*) FROM tries WHERE request NOT IN (SELECT number FROM requests)", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!((torn, orphans), (0, 0));
}

/// Work that holds the writer up until the sender is dropped.
fn hold(database: &Database) -> std::sync::mpsc::Sender<()> {
    let (release, held) = std::sync::mpsc::channel::<()>();
    database.write_later(0, move |_| {
        let _ = held.recv_timeout(LONG);
        Ok(())
    });
    release
}

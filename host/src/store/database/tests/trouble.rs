use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use super::*;

/// What lies in the folder, but for SQLite's own files beside the database.
fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.retain(|name| !name.ends_with("-wal") && !name.ends_with("-shm"));
    names
}

/// A closed database with some requests.
async fn filled() -> (TempDir, std::path::PathBuf) {
    let (folder, database) = fresh().await;
    for number in 0..200 {
        database.record(record(number));
    }
    assert!(database.close(LONG).await);
    let path = open::path(folder.path());
    (folder, path)
}

#[tokio::test]
async fn its_files_are_the_owners_alone() {
    let (folder, database) = fresh().await;
    database.record(record(1));
    database.flush(LONG).await.unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_a_new_one_begun() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 5] = [
        ("header", |bytes| bytes[..100].fill(b'x')),
        ("page size", |bytes| bytes[16..18].fill(0xff)),
        ("first page", |bytes| bytes[100..2000].fill(0xff)),
        ("middle", |bytes| {
            let size = bytes.len();
            bytes[8192..size / 2].fill(0xa5);
        }),
        ("truncated", |bytes| bytes.truncate(bytes.len() / 2 + 100)),
    ];
    for (name, damage) in damages {
        let (folder, path) = filled().await;
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        let database = open(folder.path()).await;
        assert_eq!(database.state(), DatabaseState::Open, "{name}");
        assert_eq!(
            database.requests(RequestQuery { limit: 1, ..RequestQuery::default() }).await.unwrap(),
            [],
            "{name}"
        );
        database.record(record(7));
        database.flush(LONG).await.unwrap();
        found(&database, "req_7").await;
        assert_whole(folder.path());
        let files = files(folder.path());
        let [whole, aside] = files.as_slice() else { panic!("{name}: {files:?}") };
        assert_eq!(whole, "webai2api.db");
        assert!(aside.starts_with("webai2api.db.damaged-"), "{aside}");
        assert_eq!(fs::read(folder.path().join(aside)).unwrap(), bytes, "{name}: as it was found");
    }
}

#[tokio::test]
async fn a_log_of_garbage_costs_nothing_that_was_in_the_file() {
    let (folder, path) = filled().await;
    let wal = format!("{}-wal", path.display());
    for garbage in [vec![0xa5; 100_000], vec![], b"\x37\x7f\x06\x82".repeat(5000)] {
        fs::write(&wal, garbage).unwrap();
        let database = open(folder.path()).await;
        found(&database, "req_199").await;
        assert!(database.close(LONG).await);
        assert_eq!(files(folder.path()), ["webai2api.db"]);
        assert_whole(folder.path());
    }
}

#[tokio::test]
async fn damage_while_it_runs_is_found_and_set_aside() {
    let (folder, database) = fresh().await;
    database.record(record(1));
    database.flush(LONG).await.unwrap();
    let damage = |_: &mut Pass<'_>| -> rusqlite::Result<()> {
        Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), None))
    };
    // As SQLite says it when it finds some; the file is made so, too.
    let path = open::path(folder.path());
    let wal = format!("{}-wal", path.display());
    database.write(damage).await.unwrap_err();
    assert!(matches!(database.state(), DatabaseState::Closed(_)));
    fs::write(&path, [0xa5; 9000]).unwrap();
    drop(fs::remove_file(wal));
    database.record(record(2));
    database.flush(LONG).await.unwrap();
    assert_eq!(database.state(), DatabaseState::Open);
    found(&database, "req_2").await;
    assert_eq!(database.request("req_1").await.unwrap(), None);
    assert!(files(folder.path()).iter().any(|name| name.contains("damaged")));
}

#[tokio::test]
async fn a_newer_programs_database_is_left_as_it_is() {
    let (folder, path) = filled().await;
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", schema::version() + 1).unwrap();
    connection.close().unwrap();
    let bytes = fs::read(&path).unwrap();
    let database = Database::open(folder.path(), &history(HistoryMode::Full));
    database.record(record(1000));
    let error = database.flush(LONG).await.unwrap_err().to_string();
    assert!(error.contains("of version 2") && error.contains("knows 1"), "{error}");
    assert!(matches!(database.request("req_1").await, Err(DatabaseError::Unavailable(_))));
    assert!(matches!(database.state(), DatabaseState::Refused(_)));
    database.close(LONG).await;
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_eq!(files(folder.path()), ["webai2api.db"]);
}

#[tokio::test]
async fn what_cannot_be_opened_now_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = open::path(folder.path());
    fs::create_dir(&path).unwrap();
    let database = Database::open_with(folder.path(), &history(HistoryMode::Full), Duration::from_millis(20));
    assert!(matches!(database.flush(LONG).await, Err(DatabaseError::Unavailable(_))));
    fs::remove_dir(&path).unwrap();
    let deadline = Instant::now() + LONG;
    while database.flush(LONG).await.is_err() {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    database.record(record(1));
    database.flush(LONG).await.unwrap();
    found(&database, "req_1").await;
}

#[tokio::test]
async fn a_request_never_waits_and_what_does_not_fit_is_counted() {
    let (folder, database) = fresh().await;
    let release = hold(&database);
    let (sent, began) = (u64::try_from(WAITING).unwrap() + 1000, Instant::now());
    for number in 0..sent {
        database.record(record(number));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let dropped = database.counts().dropped;
    // The writer had taken some before it was held up.
    assert!((700..=1000).contains(&dropped), "{dropped}");
    assert_eq!(database.flush(Duration::from_millis(50)).await, Err(DatabaseError::Timeout));
    // Reading goes on all the while.
    assert_eq!(database.request("req_0").await.unwrap(), None);
    drop(release);
    database.flush(LONG).await.unwrap();
    let kept = database
        .write(|pass| pass.connection.query_row("SELECT count(*) FROM requests", [], |row| row.get::<_, i64>(0)));
    assert_eq!(kept.await.unwrap(), i64::try_from(sent - dropped).unwrap());
    assert_whole(folder.path());
}

#[tokio::test]
async fn what_waits_is_bounded_in_bytes() {
    let (_folder, database) = fresh().await;
    let release = hold(&database);
    for number in 0..20 {
        database.record(RequestRecord { prompt: Some("x".repeat(8 << 20)), ..record(number) });
    }
    let dropped = database.counts().dropped;
    assert!((11..=12).contains(&dropped), "{dropped}");
    drop(release);
    database.flush(LONG).await.unwrap();
    assert_eq!(database.shared.counters.waiting.load(Ordering::Relaxed), 0);
    database.record(record(100));
    database.flush(LONG).await.unwrap();
    found(&database, "req_100").await;
}

#[tokio::test]
async fn what_refuses_writes_hurts_nobody_and_recovers_by_itself() {
    let (folder, database) = fresh().await;
    database.record(record(1));
    let limit = |pages: i64| {
        database.write(move |pass| {
            let now: i64 = pass.connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
            pass.connection.pragma_update(None, "max_page_count", now + pages)
        })
    };
    limit(0).await.unwrap();
    for number in 2..10 {
        database.record(RequestRecord { answer: Some("x".repeat(100_000)), ..record(number) });
    }
    let error = database.put_conversation(&key(), &"c".repeat(100_000), 1).await.unwrap_err();
    assert!(matches!(&error, DatabaseError::Failed(why) if why.contains("full")), "{error}");
    assert_eq!(database.counts().failed, 9);
    found(&database, "req_1").await;
    limit(1 << 20).await.unwrap();
    database.put_conversation(&key(), "c", 1).await.unwrap();
    database.record(record(10));
    database.flush(LONG).await.unwrap();
    found(&database, "req_10").await;
    assert_whole(folder.path());
}

fn key() -> ConversationKey {
    ConversationKey { instance: "a".into(), adapter: "b".into(), model: "c".into(), prefix: [0; 32] }
}

#[tokio::test]
async fn one_piece_of_work_that_fails_takes_no_other_with_it() {
    let (folder, database) = fresh().await;
    let release = hold(&database);
    database.record(record(1));
    database.write_later(0, |pass| {
        pass.connection.execute("DELETE FROM requests", [])?;
        pass.connection.execute("INSERT INTO tries (request) VALUES (77)", []).map(drop)
    });
    database.record(record(2));
    drop(release);
    database.flush(LONG).await.unwrap();
    found(&database, "req_1").await;
    found(&database, "req_2").await;
    assert_eq!(database.counts().failed, 1);
    assert_whole(folder.path());
}

#[tokio::test]
async fn a_closed_database_takes_nothing_and_says_so() {
    let (folder, database) = fresh().await;
    database.record(record(1));
    assert!(database.close(LONG).await && database.close(LONG).await);
    database.record(record(2));
    assert_eq!(database.counts().dropped, 1);
    assert!(matches!(database.flush(LONG).await, Err(DatabaseError::Unavailable(_))));
    assert!(matches!(database.request("req_1").await, Err(DatabaseError::Unavailable(_))));
    assert_eq!(files(folder.path()), ["webai2api.db"]);
    assert!(!folder.path().join("webai2api.db-wal").exists(), "all is in the one file");
}

#[tokio::test]
async fn what_was_given_is_written_when_the_last_handle_goes() {
    let (folder, database) = fresh().await;
    for number in 0..500 {
        database.record(record(number));
    }
    let mut state = database.shared.state.clone();
    drop(database);
    tokio::time::timeout(LONG, state.wait_for(|state| matches!(state, DatabaseState::Closed(_))))
        .await
        .unwrap()
        .unwrap();
    let database = open(folder.path()).await;
    found(&database, "req_499").await;
}

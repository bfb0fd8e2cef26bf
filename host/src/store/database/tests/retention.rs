use super::*;
use crate::store::database::clock::Now;
use crate::store::database::retention;

const DAY: i64 = 24 * 3600 * 1000;

fn tend(connection: &mut Connection, ms: i64, certain: bool, history: &History, folder: &Path) {
    retention::tend(connection, Now { ms, certain }, history, folder).unwrap();
}

fn count(connection: &Connection, table: &str) -> i64 {
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

/// Ten requests, a day apart, the last of them now.
async fn ten_days(folder: &Path) -> (Connection, i64) {
    let database = open(folder).await;
    let now = clock::wall();
    for number in 0..10 {
        database.record(record(number));
    }
    let aged = move |pass: &mut Pass<'_>| {
        pass.connection.execute("UPDATE requests SET created = ?1 - (10 - number) * ?2", [now, DAY])
    };
    database.write(aged).await.unwrap();
    assert!(database.close(LONG).await);
    (open::open(&open::path(folder)).unwrap(), now)
}

#[tokio::test]
async fn what_is_older_than_allowed_goes_and_the_sums_stay() {
    let folder = tempfile::tempdir().unwrap();
    let (mut connection, now) = ten_days(folder.path()).await;
    let history = History { max_age: Duration::from_secs(3 * 24 * 3600 + 60), ..history(HistoryMode::Full) };
    tend(&mut connection, now, true, &history, folder.path());
    assert_eq!(count(&connection, "requests"), 4);
    let sums: i64 = connection.query_row("SELECT sum(requests) FROM statistics", [], |row| row.get(0)).unwrap();
    assert_eq!(sums, 10);
    tend(&mut connection, now + 500 * DAY, true, &history, folder.path());
    assert_eq!(
        (count(&connection, "requests"), count(&connection, "statistics"), count(&connection, "latencies")),
        (0, 0, 0)
    );
}

#[tokio::test]
async fn requests_of_a_clock_that_was_ahead_are_not_kept_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let (mut connection, now) = ten_days(folder.path()).await;
    connection.execute("UPDATE requests SET created = ?1", [now + 3650 * DAY]).unwrap();
    let history = history(HistoryMode::Full);
    tend(&mut connection, now, false, &history, folder.path());
    let latest = |connection: &Connection| -> i64 {
        connection.query_row("SELECT max(created) FROM requests", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(latest(&connection), now + 3650 * DAY, "it may be the clock that is wrong now");
    tend(&mut connection, now, true, &history, folder.path());
    assert_eq!(latest(&connection), now);
    tend(&mut connection, now + 31 * DAY, true, &history, folder.path());
    assert_eq!(count(&connection, "requests"), 0);
}

#[tokio::test]
async fn the_time_that_was_believed_is_known_in_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let (mut connection, now) = ten_days(folder.path()).await;
    let history = history(HistoryMode::Full);
    // Believed once: as if the last run had been under a clock years ahead.
    tend(&mut connection, now + 3650 * DAY, true, &history, folder.path());
    assert_eq!(retention::last_seen(&connection), Some(now + 3650 * DAY));
    tend(&mut connection, now, false, &history, folder.path());
    assert_eq!(retention::last_seen(&connection), Some(now + 3650 * DAY), "doubt is not noted");
    drop(connection);
    let database = open(folder.path()).await;
    assert!(!database.shared.clock.now().certain);
}

#[tokio::test]
async fn the_oldest_go_where_all_are_too_large_and_the_disk_gets_its_room_back() {
    let (folder, database) = fresh().await;
    for number in 0..60 {
        let answer = Some("x".repeat(100_000));
        database.record(RequestRecord { answer, ..record(number) });
    }
    assert!(database.close(LONG).await);
    let path = open::path(folder.path());
    let before = std::fs::metadata(&path).unwrap().len();
    assert!(before > 6_000_000);
    let mut connection = open::open(&path).unwrap();
    let history = History { max_size: 2_000_000, ..history(HistoryMode::Full) };
    tend(&mut connection, clock::wall(), true, &history, folder.path());
    let oldest: i64 = connection.query_row("SELECT min(number) FROM requests", [], |row| row.get(0)).unwrap();
    let left = count(&connection, "requests");
    assert!((10..20).contains(&left) && oldest == 61 - left, "{left} left, from {oldest}");
    drop(connection);
    assert!(std::fs::metadata(&path).unwrap().len() < 2_000_000);
    assert_whole(folder.path());
}

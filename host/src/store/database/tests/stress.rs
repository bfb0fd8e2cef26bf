//! Killed in the middle, with fifty at it: all that was acknowledged is there, and nothing is torn.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use super::*;

const WRITERS: u64 = 50;
const FOLDER: &str = "STORE_STRESS_FOLDER";
const FROM: &str = "STORE_STRESS_FROM";

/// This test binary again, running [`child`] alone.
fn again(folder: &Path, from: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "store::database::tests::stress::child", "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder).env(FROM, from.to_string()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// What is killed. Without the variables it is no test at all.
#[test]
fn child() {
    let (Some(folder), Ok(from)) = (std::env::var_os(FOLDER), std::env::var(FROM)) else { return };
    let from: u64 = from.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let database = open(Path::new(&folder)).await;
        let writers: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(write(database.clone(), from, writer))).collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

async fn write(database: Database, from: u64, writer: u64) {
    for turn in 0u64.. {
        let number = from + turn * WRITERS + writer;
        database.record(record(number));
        if turn % 4 == 3 {
            let key = ConversationKey {
                instance: format!("i{writer}"),
                adapter: "demo".into(),
                model: "echo".into(),
                prefix: [u8::try_from(writer).unwrap(); 32],
            };
            database.put_conversation(&key, &format!("c{number}"), turn).await.unwrap();
        } else {
            database.flush(LONG).await.unwrap();
        }
        // One write for each line, so that none is cut.
        std::io::stdout().write_all(format!("\nacknowledged {number}\n").as_bytes()).unwrap();
    }
}

#[tokio::test]
async fn fifty_writers_killed_in_the_middle_tear_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..4u64 {
        let mut child = again(folder.path(), round * 1_000_000).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut killed = false;
        let before = acknowledged.len();
        for line in &mut lines {
            let Ok(line) = line else { break };
            acknowledged.extend(line.strip_prefix("acknowledged ").and_then(|number| number.parse::<u64>().ok()));
            if !killed && acknowledged.len() - before >= 500 + 137 * usize::try_from(round).unwrap() {
                child.kill().unwrap();
                killed = true;
            }
        }
        let status = child.wait().unwrap();
        assert!(killed && status.code().is_none(), "it was to be killed, and ended by itself: {status}");
        let database = open(folder.path()).await;
        assert_eq!(database.state(), DatabaseState::Open);
        assert_whole(folder.path());
        for number in &acknowledged {
            let expected = record(*number);
            let got = found(&database, &expected.id).await;
            assert_eq!(got, RequestRecord { created: got.created, ..expected });
        }
        let sums = "SELECT (SELECT count(*) FROM requests) - (SELECT sum(requests) FROM statistics)";
        let off = database.write(|pass| pass.connection.query_row(sums, [], |row| row.get::<_, i64>(0))).await.unwrap();
        assert_eq!(off, 0, "each request is in the day's sums, once");
        assert!(database.close(LONG).await);
    }
    let aside = std::fs::read_dir(folder.path()).unwrap().filter_map(Result::ok);
    assert!(!aside.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().contains("damaged")));
    println!("{} acknowledged records in four rounds", acknowledged.len());
}

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;

fn query(limit: usize, before: Option<i64>) -> RequestQuery {
    RequestQuery { limit, before, ..RequestQuery::default() }
}

#[tokio::test]
async fn what_is_recorded_is_found_again_in_another_run() {
    let (folder, database) = fresh().await;
    for number in 0..10 {
        database.record(record(number));
    }
    assert!(database.close(LONG).await);
    let database = open(folder.path()).await;
    for number in 0..10 {
        let expected = record(number);
        let got = found(&database, &expected.id).await;
        assert_eq!(got, RequestRecord { created: got.created, ..expected });
    }
    assert_eq!(database.request("req_10").await.unwrap(), None);
    assert_whole(folder.path());
}

#[tokio::test]
async fn the_newest_come_first_page_by_page_and_by_what_is_asked_for() {
    let (_folder, database) = fresh().await;
    for number in 0..25 {
        database
            .record(RequestRecord { created: clock::wall() - 1000 * i64::try_from(number).unwrap(), ..record(number) });
    }
    database.flush(LONG).await.unwrap();
    let (mut before, mut ids) = (None, Vec::new());
    loop {
        let page = database.requests(query(10, before)).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.number);
        assert!(page.iter().all(|one| one.record.tries.is_empty() && one.record.prompt.is_none() && one.attempts > 0));
        ids.extend(page.into_iter().map(|one| one.record.id));
    }
    // By the order in which they came, whatever their times say.
    assert_eq!(ids, (0..25).rev().map(|number| format!("req_{number}")).collect::<Vec<_>>());
    for (filter, count) in [
        (RequestQuery { model: Some("demo/model-1".into()), ..query(100, None) }, 12),
        (RequestQuery { instance: Some("account-0".into()), ..query(100, None) }, 9),
        (RequestQuery { outcome: Some("ok".into()), ..query(100, None) }, 25),
        (RequestQuery { outcome: Some("' OR 1 --".into()), ..query(100, None) }, 0),
    ] {
        assert_eq!(database.requests(filter.clone()).await.unwrap().len(), count, "{filter:?}");
    }
}

#[tokio::test]
async fn texts_and_requests_are_kept_only_as_the_history_says() {
    let (_folder, database) = fresh().await;
    for (number, mode) in [HistoryMode::Off, HistoryMode::Metadata, HistoryMode::Full].into_iter().enumerate() {
        database.configure(&history(mode));
        assert_eq!(database.keeps_text(), mode == HistoryMode::Full);
        database.record(record(u64::try_from(number).unwrap()));
        database.flush(LONG).await.unwrap();
    }
    assert_eq!(database.request("req_0").await.unwrap(), None);
    let metadata = found(&database, "req_1").await;
    assert_eq!((metadata.prompt, metadata.answer), (None, None));
    assert_eq!(found(&database, "req_2").await.answer.as_deref(), Some("answer 2"));
    let counted: u64 = database.statistics(1).await.unwrap().iter().map(|row| row.requests).sum();
    assert_eq!(counted, 3, "the day's sums are kept in any case");
}

#[tokio::test]
async fn a_request_counts_once() {
    let (_folder, database) = fresh().await;
    database.record(record(1));
    database.record(RequestRecord { outcome: "timeout".into(), ..record(1) });
    database.flush(LONG).await.unwrap();
    assert_eq!(found(&database, "req_1").await.outcome, "ok");
    assert_eq!(database.statistics(1).await.unwrap()[0].requests, 1);
    assert_eq!(database.counts(), DatabaseCounts { written: 4, ..DatabaseCounts::default() });
}

#[tokio::test]
async fn what_is_deleted_is_gone_with_its_tries_and_leaves_the_sums() {
    let (folder, database) = fresh().await;
    for number in 0..5 {
        database.record(record(number));
    }
    assert!(database.delete_request("req_3").await.unwrap());
    assert!(!database.delete_request("req_3").await.unwrap());
    assert_eq!(database.request("req_3").await.unwrap(), None);
    assert_whole(folder.path());
    assert_eq!(database.delete_requests().await.unwrap(), 4);
    assert_eq!(database.requests(query(10, None)).await.unwrap(), []);
    let counted: u64 = database.statistics(1).await.unwrap().iter().map(|row| row.requests).sum();
    assert_eq!(counted, 5);
    database.record(record(9));
    database.flush(LONG).await.unwrap();
    assert_eq!(database.requests(query(10, None)).await.unwrap()[0].number, 6, "numbers are not given twice");
    assert!(database.close(LONG).await);
    let bytes = std::fs::read(open::path(folder.path())).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("prompt 9") && !text.contains("prompt 2"), "what was deleted is not left in the file");
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "\\PC{0,20}",
        Just("a\0b\0".to_owned()),
        Just("'; DROP TABLE requests; --".to_owned()),
        Just("汉字 🧑‍🚀 \u{202e}\u{fffd}".to_owned()),
        (1usize..1 << 20).prop_map(|size| "é\0x".repeat(size / 4)),
    ]
}

fn optional(text: impl Strategy<Value = String>) -> impl Strategy<Value = Option<String>> {
    proptest::option::of(text)
}

fn any_record() -> impl Strategy<Value = RequestRecord> {
    let names = (text(), text(), text(), optional(text()), optional(text()), text());
    let number = 0..u64::try_from(i64::MAX).unwrap();
    let tries = proptest::collection::vec((text(), text(), number.clone()), 0..4);
    (names, optional(text()), optional(text()), proptest::array::uniform4(number), any::<u16>(), tries).prop_map(
        |((key, model, outcome, adapter, instance, dialect), prompt, answer, numbers, status, tries)| RequestRecord {
            key,
            model,
            outcome,
            adapter,
            instance,
            dialect,
            prompt,
            answer,
            status,
            sizes: Sizes { prompt_chars: numbers[0], ..Sizes::default() },
            stages: Stages { first_ms: Some(numbers[1] / 1000), total_ms: numbers[2] / 1000, ..Stages::default() },
            tokens: Tokens { input: numbers[3] / 1000, output: 0 },
            tries: tries
                .into_iter()
                .map(|(worker, stage, ms)| TryRecord { worker, stage, ms, ..TryRecord::default() })
                .collect(),
            ..RequestRecord::default()
        },
    )
}

#[test]
fn whatever_is_put_is_found_again() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (folder, database) = runtime.block_on(fresh());
    let number = std::cell::Cell::new(0);
    let config = ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() };
    let run = |record: RequestRecord| {
        number.set(number.get() + 1);
        let record = RequestRecord { id: format!("\0{}", number.get()), created: clock::wall(), ..record };
        let got = runtime.block_on(async {
            database.record(record.clone());
            database.flush(LONG).await.unwrap();
            found(&database, &record.id).await
        });
        prop_assert!(got == record, "not as it was put");
        Ok(())
    };
    TestRunner::new(config).run(&any_record(), run).unwrap();
    assert_whole(folder.path());
}

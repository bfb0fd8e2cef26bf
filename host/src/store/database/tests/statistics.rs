use super::*;

#[tokio::test]
async fn sums_are_by_day_model_and_account() {
    let (folder, database) = fresh().await;
    let of = |id: u64, outcome: &str, first: Option<u64>, total: u64| RequestRecord {
        model: "demo/echo".into(),
        instance: Some("a".into()),
        outcome: outcome.into(),
        stages: Stages { first_ms: first, total_ms: total, ..Stages::default() },
        tokens: Tokens { input: 10, output: 1 },
        ..record(id)
    };
    database.record(of(1, "ok", Some(250), 900));
    database.record(of(2, "ok", Some(251), 5000));
    database.record(of(3, "timeout", None, 1_000_000));
    database.record(RequestRecord { instance: None, ..of(4, "server_busy", None, 0) });
    assert!(database.close(LONG).await);
    let database = open(folder.path()).await;
    let rows = database.statistics(1).await.unwrap();
    let [one, none] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((none.instance.as_deref(), none.requests), (None, 1));
    assert_eq!((one.model.as_str(), one.instance.as_deref(), one.requests), ("demo/echo", Some("a"), 3));
    assert_eq!(one.outcomes, [("ok".to_owned(), 2), ("timeout".to_owned(), 1)].into());
    assert_eq!((one.tokens_in, one.tokens_out), (30, 3));
    assert_eq!((one.first.count, one.first.sum_ms), (2, 501));
    assert_eq!((one.total.count, one.total.sum_ms), (3, 1_005_900));
    let filled = |latency: &Latency| -> Vec<(Option<u64>, u64)> {
        latency.buckets.iter().filter(|bucket| bucket.count > 0).map(|bucket| (bucket.le_ms, bucket.count)).collect()
    };
    assert_eq!(filled(&one.first), [(Some(250), 1), (Some(500), 1)]);
    assert_eq!(filled(&one.total), [(Some(1000), 1), (Some(5000), 1), (None, 1)]);
    assert_eq!(one.first.buckets.len(), 11);
}

#[tokio::test]
async fn made_up_models_do_not_fill_the_disk() {
    let (_folder, database) = fresh().await;
    for number in 0..3000 {
        database.record(RequestRecord { model: format!("{}{number}", "x".repeat(50)), ..record(number) });
        if number % 1000 == 999 {
            database.flush(LONG).await.unwrap();
        }
    }
    let rows = database.statistics(1).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.requests).sum::<u64>(), 3000);
    assert!(rows.len() <= 1003, "{}", rows.len());
    let other: u64 = rows.iter().filter(|row| row.model == "(other)").map(|row| row.requests).sum();
    assert_eq!(other, 2000);
}

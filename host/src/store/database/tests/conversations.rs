use super::*;
use crate::store::database::conversations::bound;

fn key(prefix: u8) -> ConversationKey {
    ConversationKey { instance: "a".into(), adapter: "demo".into(), model: "echo".into(), prefix: [prefix; 32] }
}

#[tokio::test]
async fn a_conversation_is_found_by_all_of_its_key_in_another_run() {
    let (folder, database) = fresh().await;
    database.put_conversation(&key(1), "c1", 2).await.unwrap();
    // It is on the disk without any closing.
    drop(database);
    let database = open(folder.path()).await;
    let found = database.find_conversation(&key(1)).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.turns), ("c1", 2));
    for other in [
        key(2),
        ConversationKey { instance: "b".into(), ..key(1) },
        ConversationKey { adapter: "b".into(), ..key(1) },
        ConversationKey { model: "b".into(), ..key(1) },
    ] {
        assert_eq!(database.find_conversation(&other).await.unwrap(), None, "{other:?}");
    }
}

#[tokio::test]
async fn a_conversation_has_one_end() {
    let (_folder, database) = fresh().await;
    database.put_conversation(&key(1), "c1", 2).await.unwrap();
    let created = database.find_conversation(&key(1)).await.unwrap().unwrap().created;
    database.put_conversation(&key(2), "c1", 4).await.unwrap();
    assert_eq!(database.find_conversation(&key(1)).await.unwrap(), None, "it has gone on from there");
    let found = database.find_conversation(&key(2)).await.unwrap().unwrap();
    assert_eq!((found.created, found.turns), (created, 4));
    database.put_conversation(&key(2), "c2", 4).await.unwrap();
    assert_eq!(database.find_conversation(&key(2)).await.unwrap().unwrap().id, "c2", "a key leads to one");
}

#[tokio::test]
async fn of_many_that_take_it_one_gets_it() {
    let (_folder, database) = fresh().await;
    database.put_conversation(&key(1), "c1", 2).await.unwrap();
    let takers: Vec<_> = (0..30)
        .map(|_| {
            let database = database.clone();
            tokio::spawn(async move { database.take_conversation(&key(1)).await.unwrap() })
        })
        .collect();
    let mut got = 0;
    for taker in takers {
        got += usize::from(taker.await.unwrap().is_some());
    }
    assert_eq!(got, 1);
}

#[tokio::test]
async fn what_is_forgotten_or_old_is_gone() {
    let (_folder, database) = fresh().await;
    for number in 1..=4 {
        database.put_conversation(&key(number), &format!("c{number}"), 2).await.unwrap();
    }
    database.forget_conversation("a", "demo", "c1").await.unwrap();
    database.forget_conversation("b", "demo", "c2").await.unwrap();
    assert_eq!(database.find_conversation(&key(1)).await.unwrap(), None);
    assert!(database.find_conversation(&key(2)).await.unwrap().is_some(), "another account's");
    assert_eq!(database.expire_conversations(Duration::from_secs(3600)).await.unwrap(), 0);
    let aged = |pass: &mut Pass<'_>| {
        pass.connection.execute("UPDATE conversations SET used = used - 7200000 WHERE conversation = 'c3'", [])
    };
    database.write(aged).await.unwrap();
    assert_eq!(database.expire_conversations(Duration::from_secs(3600)).await.unwrap(), 1);
    assert_eq!(database.find_conversation(&key(3)).await.unwrap(), None);
    assert_eq!(database.forget_conversations("a").await.unwrap(), 2);
}

#[tokio::test]
async fn the_least_recently_used_go_first() {
    let (_folder, database) = fresh().await;
    for number in 1..=5 {
        database.put_conversation(&key(number), &format!("c{number}"), 2).await.unwrap();
    }
    database.put_conversation(&key(11), "c1", 3).await.unwrap();
    database.write(|pass| bound(pass.connection, 3)).await.unwrap();
    let mut left = Vec::new();
    for number in [1, 2, 3, 4, 5, 11] {
        if database.find_conversation(&key(number)).await.unwrap().is_some() {
            left.push(number);
        }
    }
    assert_eq!(left, [4, 5, 11]);
}

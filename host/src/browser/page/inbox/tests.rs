use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;

use super::*;

const SOON: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(60);

fn open() -> Inbox {
    let inbox = Inbox::default();
    inbox.begin();
    inbox
}

fn watched(source: u32, text: &str) -> PageEvent {
    PageEvent { source, stream: 0, body: EventBody::Watched(text.into()) }
}

fn bytes(length: usize) -> PageEvent {
    PageEvent { source: 1, stream: 1, body: EventBody::Bytes(Bytes::from(vec![0; length])) }
}

#[tokio::test]
async fn keeps_order_and_tells_that_time_is_over() {
    let inbox = open();
    for length in 1..=3 {
        inbox.push(bytes(length));
    }
    for length in 1..=3 {
        assert_eq!(inbox.next(LONG).await, Ok(Some(bytes(length))));
    }
    assert_eq!(inbox.next(SOON).await, Ok(None));
    assert_eq!(inbox.next(Duration::ZERO).await, Ok(None));
}

#[tokio::test]
async fn wakes_who_waits() {
    let inbox = Arc::new(open());
    let reader = tokio::spawn({
        let inbox = Arc::clone(&inbox);
        async move { inbox.next(LONG).await }
    });
    tokio::task::yield_now().await;
    inbox.push(bytes(1));
    assert_eq!(reader.await.unwrap(), Ok(Some(bytes(1))));
}

#[tokio::test]
async fn a_cancelled_read_loses_nothing() {
    let inbox = open();
    for length in 1..200 {
        let mut waiting = Box::pin(inbox.next(LONG));
        assert!(waiting.as_mut().now_or_never().is_none());
        inbox.push(bytes(length));
        drop(waiting);
        assert_eq!(inbox.next(LONG).await, Ok(Some(bytes(length))));
    }
}

#[tokio::test]
async fn too_much_ends_the_call_and_no_other() {
    let inbox = open();
    let piece = 256 << 10;
    for _ in 0..MAX_BYTES / piece + 1 {
        inbox.push(bytes(piece));
    }
    for _ in 0..2 {
        let Err(PageError::Other { code, .. }) = inbox.next(LONG).await else { panic!("an error") };
        assert_eq!(code, "client_too_slow");
    }
    inbox.begin();
    inbox.push(bytes(1));
    assert_eq!(inbox.next(LONG).await, Ok(Some(bytes(1))));
}

#[tokio::test]
async fn a_flood_of_empty_events_is_bounded_too() {
    let inbox = open();
    for _ in 0..=MAX_BYTES / OVERHEAD {
        inbox.push(PageEvent { source: 0, stream: 0, body: EventBody::Reached });
    }
    assert!(inbox.next(LONG).await.is_err());
}

#[tokio::test]
async fn what_was_read_no_longer_counts() {
    let inbox = open();
    for _ in 0..100 {
        inbox.push(bytes(1 << 20));
        assert!(inbox.next(LONG).await.is_ok());
    }
}

#[tokio::test]
async fn of_unread_texts_the_last_is_kept() {
    let inbox = open();
    for event in [watched(1, "a"), watched(1, "ab"), watched(2, "x"), watched(1, "abc")] {
        inbox.push(event);
    }
    assert_eq!(inbox.next(LONG).await, Ok(Some(watched(1, "ab"))));
    assert_eq!(inbox.next(LONG).await, Ok(Some(watched(2, "x"))));
    assert_eq!(inbox.next(LONG).await, Ok(Some(watched(1, "abc"))));
}

#[tokio::test]
async fn nothing_leaks_from_one_call_to_the_next() {
    let inbox = open();
    let old = inbox.new_source();
    inbox.push(watched(old, "secret"));
    inbox.end();
    inbox.push(watched(old, "later"));
    inbox.begin();
    assert_eq!(inbox.next(SOON).await, Ok(None));
    assert_ne!(inbox.new_source(), old);
}

#[tokio::test]
async fn a_stopped_source_is_silent() {
    let inbox = open();
    inbox.push(watched(1, "a"));
    inbox.push(watched(2, "b"));
    inbox.forget(1);
    assert_eq!(inbox.next(LONG).await, Ok(Some(watched(2, "b"))));
    assert_eq!(inbox.next(SOON).await, Ok(None));
}

#[tokio::test]
async fn a_closed_page_is_told_after_what_it_said() {
    let inbox = open();
    inbox.push(bytes(1));
    inbox.close();
    assert_eq!(inbox.next(LONG).await, Ok(Some(bytes(1))));
    assert_eq!(inbox.next(LONG).await, Err(PageError::Closed));
}

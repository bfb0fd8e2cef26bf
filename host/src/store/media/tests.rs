use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::config::{History, HistoryMode};

const LONG: Duration = Duration::from_secs(30);

fn history() -> History {
    let day = Duration::from_secs(24 * 3600);
    History { mode: HistoryMode::Off, max_age: day, max_size: 1 << 30, media_ttl: day, media_max_size: 1 << 20 }
}

fn fresh() -> (TempDir, Media) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path(), &history());
    let media = Media::new(folder.path(), database);
    (folder, media)
}

/// All files that are kept.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.join("media")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

#[tokio::test]
async fn the_same_bytes_take_room_once_behind_links_of_their_own() {
    let (folder, media) = fresh();
    let one = media.put(Bytes::from_static(b"abc"), "image/png").await.unwrap();
    let two = media.put(Bytes::from_static(b"abc"), "text/plain").await.unwrap();
    assert!(one != two && one.len() == 22, "{one}");
    let (found, other) = (media.find(&one).await.unwrap().unwrap(), media.find(&two).await.unwrap().unwrap());
    assert_eq!((found.mime.as_str(), found.size), ("image/png", 3));
    assert_eq!((other.mime.as_str(), &other.path), ("text/plain", &found.path));
    assert_eq!(fs::read(&found.path).unwrap(), b"abc");
    let name = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(files(folder.path()), [folder.path().join("media/ba").join(name)]);
    assert_eq!(fs::metadata(&found.path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(found.left() > Duration::from_secs(23 * 3600));
}

#[tokio::test]
async fn the_secret_is_nowhere_on_the_disk() {
    let (folder, media) = fresh();
    let token = media.put(Bytes::from_static(b"abc"), "image/png").await.unwrap();
    let raw = URL_SAFE_NO_PAD.decode(&token).unwrap();
    for name in ["webai2api.db", "webai2api.db-wal"] {
        let bytes = fs::read(folder.path().join(name)).unwrap();
        assert!(!bytes.windows(16).any(|window| window == raw) && !bytes.windows(22).any(|w| w == token.as_bytes()));
    }
}

#[tokio::test]
async fn what_is_no_secret_leads_nowhere() {
    let (_folder, media) = fresh();
    let token = media.put(Bytes::from_static(b"abc"), "image/png").await.unwrap();
    let long = "A".repeat(10_000);
    for wrong in ["", "x", "../../lock", "AAAAAAAAAAAAAAAAAAAAAA", &token[..21], &format!("{token}A"), &long] {
        assert_eq!(media.find(wrong).await.unwrap(), None, "{wrong}");
    }
}

#[tokio::test]
async fn an_expired_link_leads_nowhere_and_its_file_goes() {
    let (folder, media) = fresh();
    let short = History { media_ttl: Duration::from_millis(30), ..history() };
    media.database.configure(&short);
    let gone = media.put(Bytes::from_static(b"gone"), "image/png").await.unwrap();
    media.database.configure(&history());
    let stays = media.put(Bytes::from_static(b"stays"), "image/png").await.unwrap();
    let deadline = Instant::now() + LONG;
    while media.find(&gone).await.unwrap().is_some() {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    assert_eq!(files(folder.path()).len(), 2);
    media.database.tend_soon();
    for _ in 0..2 {
        media.database.flush(LONG).await.unwrap();
    }
    assert_eq!(files(folder.path()), [media.find(&stays).await.unwrap().unwrap().path]);
}

#[tokio::test]
async fn the_first_to_end_make_room() {
    let (folder, media) = fresh();
    let mut tokens = Vec::new();
    for number in 0..5u8 {
        tokens.push(media.put(Bytes::from(vec![number; 300_000]), "image/png").await.unwrap());
    }
    let mut left = Vec::new();
    for token in &tokens {
        left.push(media.find(token).await.unwrap().is_some());
    }
    assert_eq!(left, [false, false, true, true, true]);
    assert_eq!(files(folder.path()).len(), 3);
    let error = media.put(Bytes::from(vec![0; 2 << 20]), "image/png").await.unwrap_err();
    assert_eq!(error, DatabaseError::TooLarge(2 << 20));
    assert_eq!(files(folder.path()).len(), 3, "nothing is left of what was refused");
}

#[tokio::test]
async fn a_file_that_makes_room_for_itself_is_there() {
    let (_folder, media) = fresh();
    let puts = (0..40u8).map(|number| media.put(Bytes::from(vec![number % 5; 300_000]), "image/png"));
    let tokens = futures::future::try_join_all(puts).await.unwrap();
    let mut there = 0;
    for token in &tokens {
        if let Some(found) = media.find(token).await.unwrap() {
            assert_eq!(fs::read(&found.path).unwrap().len(), 300_000);
            there += 1;
        }
    }
    assert!(there >= 3, "{there}");
}

#[tokio::test]
async fn what_no_link_leads_to_is_swept_at_the_next_start() {
    let (folder, media) = fresh();
    let token = media.put(Bytes::from_static(b"abc"), "image/png").await.unwrap();
    assert!(media.database.close(LONG).await);
    let lost = folder.path().join("media/ab/abcd");
    fs::create_dir_all(lost.parent().unwrap()).unwrap();
    fs::write(&lost, "x").unwrap();
    let unfinished = folder.path().join("media/new/1");
    fs::write(&unfinished, "x").unwrap();
    let media = Media::new(folder.path(), Database::open(folder.path(), &history()));
    let found = media.find(&token).await.unwrap().unwrap();
    assert_eq!(fs::read(found.path).unwrap(), b"abc");
    assert!(!lost.exists());
    assert!(unfinished.exists(), "it may be one that is being written");
}

#[test]
fn whatever_is_put_is_found_again() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let guard = runtime.enter();
    let (_folder, media) = fresh();
    drop(guard);
    let config = ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() };
    let any_file = (proptest::collection::vec(any::<u8>(), 0..5000), any::<String>());
    proptest::test_runner::TestRunner::new(config)
        .run(&any_file, |(bytes, mime)| {
            let found = runtime.block_on(async {
                let token = media.put(Bytes::from(bytes.clone()), &mime).await.unwrap();
                media.find(&token).await.unwrap().unwrap()
            });
            prop_assert_eq!(fs::read(&found.path).unwrap(), bytes);
            prop_assert_eq!(found.mime, mime);
            Ok(())
        })
        .unwrap();
}

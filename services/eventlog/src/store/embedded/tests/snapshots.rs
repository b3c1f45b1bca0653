//! Starting from a snapshot of the index, and from everything that only looks like one.

use sha2::{Digest, Sha256};

use super::*;

fn open(dir: &TempDir) -> Embedded {
    Embedded::open(dir.path(), EmbeddedOptions::default()).unwrap()
}

fn read(dir: &TempDir) -> Vec<u8> {
    fs::read(snapshot::path(dir.path())).unwrap()
}

fn replace(dir: &TempDir, bytes: &[u8]) {
    fs::write(snapshot::path(dir.path()), bytes).unwrap();
}

/// The single place that says how a start is checked: so much came from the snapshot, the log is whole,
/// and reads by stream, which go through the index, find every event.
async fn starts(dir: &TempDir, from_snapshot: u64, events: usize) {
    let store = open(dir);
    assert_eq!((store.shared.from_snapshot, verify(&store).await.len()), (from_snapshot, events));
    store.close().await;
    assert_eq!(futures_util::FutureExt::now_or_never(store.failed()), None);
}

#[tokio::test]
async fn a_closed_log_is_opened_from_its_snapshot() {
    let dir = given_a_closed_log().await;
    starts(&dir, 5, 5).await;
}

#[tokio::test]
async fn an_empty_log_has_no_snapshot() {
    let Opened { store, dir } = Opened::create().await;
    store.close().await;
    assert!(!snapshot::path(dir.path()).exists());
    starts(&dir, 0, 0).await;
}

#[tokio::test]
async fn only_what_follows_the_snapshot_is_read() {
    let dir = given_a_closed_log().await;
    let old = read(&dir);
    let store = open(&dir);
    store.append(&stream("c"), NoStream, batch(2)).await.unwrap();
    store.append(&stream("a"), Exact(Revision(2)), batch(1)).await.unwrap();
    store.close().await;
    replace(&dir, &old);
    starts(&dir, 5, 8).await;
    starts(&dir, 8, 8).await;
}

#[tokio::test]
async fn a_log_that_is_to_be_verified_is_read_from_its_beginning() {
    let dir = given_a_closed_log().await;
    let options = EmbeddedOptions { verify: true, ..EmbeddedOptions::default() };
    let store = Embedded::open(dir.path(), options).unwrap();
    assert_eq!((store.shared.from_snapshot, verify(&store).await.len()), (0, 5));
    store.close().await;
}

#[tokio::test]
async fn a_snapshot_with_any_byte_changed_or_missing_is_not_used() {
    let dir = given_a_closed_log().await;
    let db = schema::open_writer(dir.path(), &EmbeddedOptions::default()).unwrap();
    let whole = read(&dir);
    let used = || snapshot::load(dir.path(), &db).unwrap().is_some();
    assert!(used());
    for place in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[place] ^= 0x10;
        replace(&dir, &flipped);
        assert!(!used(), "byte {place}");
        replace(&dir, &whole[..place]);
        assert!(!used(), "{place} bytes");
    }
    replace(&dir, &[&whole[..], &[0]].concat());
    assert!(!used(), "one byte more");
}

#[tokio::test]
async fn a_damaged_snapshot_is_replaced_by_a_good_one() {
    let dir = given_a_closed_log().await;
    let whole = read(&dir);
    for damaged in [&whole[..whole.len() - 1], b"", &[7; 4096]] {
        replace(&dir, damaged);
        starts(&dir, 0, 5).await;
        assert_eq!(read(&dir), whole);
    }
}

/// The content with its hash made to hold again, as no accident would.
fn forged(content: &[u8]) -> Vec<u8> {
    [content, &Sha256::digest(content)].concat()
}

/// The beginning of the file up to the first stream.
const HEAD: usize = 14 + 4 + 4 + 8 + 32 + 8;

#[tokio::test]
async fn a_snapshot_of_another_version_or_format_or_with_impossible_positions_is_not_used() {
    let dir = given_a_closed_log().await;
    let whole = read(&dir);
    let content = &whole[..whole.len() - 32];
    // Behind the head: the length of the first stream and its positions 0, 1, 4.
    assert_eq!(content[HEAD..HEAD + 11], [0, 0, 0, 0, 0, 0, 0, 3, 0, 1, 3]);
    for (place, byte) in
        [(17, 9), (21, 9), (29, 4), (61 + 8, 1), (HEAD + 7, 2), (HEAD + 9, 0), (HEAD + 10, 9)]
    {
        let mut content = content.to_vec();
        content[place] = byte;
        replace(&dir, &forged(&content));
        starts(&dir, 0, 5).await;
    }
}

#[tokio::test]
async fn a_forged_snapshot_fails_the_store_once_it_is_compared_with_the_log() {
    let dir = given_a_closed_log().await;
    let whole = read(&dir);
    let mut content = whole[..whole.len() - 32].to_vec();
    // As if stream `a` had events 0, 1 and 3, and `b` 2 and 4.
    content[HEAD + 10] = 2;
    let last = content.len() - 1;
    content[last] = 2;
    replace(&dir, &forged(&content));
    let store = open(&dir);
    assert_eq!(store.shared.from_snapshot, 5);
    has_failed(&store, "the snapshot of the index is not what the log says").await;
    store.close().await;
    starts(&dir, 0, 5).await;
    assert_eq!(read(&dir), whole);
}

#[tokio::test]
async fn damage_below_the_snapshot_fails_the_store_and_stops_the_next_start() {
    let dir = given_a_closed_log().await;
    damage(&dir, "DELETE FROM events WHERE position = 2");
    let store = open(&dir);
    assert_eq!(store.shared.from_snapshot, 5);
    has_failed(&store, "damaged at position 2: the event is missing").await;
    store.close().await;
    let error = Embedded::open(dir.path(), EmbeddedOptions::default()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("damaged at position 2: the event is missing"), "{error}");
}

#[tokio::test]
async fn damage_behind_the_snapshot_is_named_by_the_scan_of_the_whole_log() {
    let dir = given_a_closed_log().await;
    let old = read(&dir);
    let store = open(&dir);
    store.append(&stream("c"), NoStream, batch(3)).await.unwrap();
    store.close().await;
    replace(&dir, &old);
    damage(&dir, "UPDATE events SET revision = 9 WHERE position = 6");
    let error = Embedded::open(dir.path(), EmbeddedOptions::default()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("damaged at position 6: revision 9 of stream c"), "{error}");
}

#[tokio::test]
async fn the_snapshot_of_another_log_is_not_used() {
    let (one, other) = (given_a_closed_log().await, given_a_closed_log().await);
    replace(&one, &read(&other));
    starts(&one, 0, 5).await;
}

#[tokio::test]
async fn a_log_restored_from_an_older_backup_does_not_use_the_newer_snapshot() {
    let dir = given_a_closed_log().await;
    let database = schema::database(dir.path());
    let backup = fs::read(&database).unwrap();
    let store = open(&dir);
    store.append(&stream("a"), Exact(Revision(2)), batch(3)).await.unwrap();
    store.close().await;
    let newer = read(&dir);
    fs::write(&database, &backup).unwrap();
    starts(&dir, 0, 5).await;

    // Grown again to the same size, with other events.
    let store = open(&dir);
    store.append(&stream("b"), Exact(Revision(1)), batch(3)).await.unwrap();
    store.close().await;
    replace(&dir, &newer);
    starts(&dir, 0, 8).await;
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_written_costs_only_the_next_start() {
    let Opened { store, dir } = Opened::create().await;
    fs::create_dir(dir.path().join("events.index.new")).unwrap();
    store.append(&stream("a"), NoStream, batch(2)).await.unwrap();
    store.close().await;
    starts(&dir, 0, 2).await;
    fs::remove_dir(dir.path().join("events.index.new")).unwrap();
    fs::write(dir.path().join("events.index.new"), "left by a crash").unwrap();
    starts(&dir, 0, 2).await;
    starts(&dir, 2, 2).await;
}

/// Every snapshot written while four writers append is the index of some moment, and continues to that
/// of the whole log.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_written_between_appends_is_the_index_of_one_moment() {
    let Opened { store, dir } =
        Opened::new(EmbeddedOptions { snapshot_events: 1, ..EmbeddedOptions::default() });
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for number in 0..300u64 {
                    let name = stream(&format!("w{writer}-{}", number / 100));
                    let expected = ExpectedRevision::of((number % 100).checked_sub(1).map(Revision));
                    store.append(&name, expected, batch(1)).await.unwrap();
                }
            })
        })
        .collect();
    let mut seen: Vec<Vec<u8>> = Vec::new();
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        // Absent until the first is written; never half written.
        if let Ok(bytes) = fs::read(snapshot::path(dir.path()))
            && seen.last() != Some(&bytes)
        {
            seen.push(bytes);
        }
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    store.close().await;
    seen.push(read(&dir));
    let db = schema::open_writer(dir.path(), &EmbeddedOptions::default()).unwrap();
    let scanned = Index::default().extend(&db).unwrap();
    for bytes in seen {
        replace(&dir, &bytes);
        let beginning = snapshot::load(dir.path(), &db).unwrap().expect("it can be trusted");
        let index = beginning.extend(&db).unwrap();
        assert_eq!((index.events(), index.streams()), (1200, 12));
        for number in 0..12 {
            assert_eq!(index.name(number), scanned.name(number));
            assert!(index.positions(number, 0).eq(scanned.positions(number, 0)));
        }
    }
}

use super::super::file::{LogCopy, LogFile, forget_checkpoint};
use super::*;
use crate::store::ReadError;

/// Three streams, appended to by turns.
async fn grown(store: &Embedded, rounds: std::ops::Range<u64>) {
    for round in rounds {
        for name in ["a", "b", "c"] {
            let expected = ExpectedRevision::of((2 * round).checked_sub(1).map(Revision));
            store.append(&stream(name), expected, batch(2)).await.unwrap();
        }
    }
}

fn copied(log: &mut LogFile, copy: &mut LogCopy, events: std::ops::Range<u64>) {
    let mut next = events.start;
    while next < events.end {
        let page = log.read(next..events.end.min(next + 7)).unwrap();
        next += page.len() as u64;
        copy.append(&page).unwrap();
    }
}

fn empty_file(dir: &Path) -> PathBuf {
    let path = schema::database(dir);
    File::create_new(&path).unwrap();
    path
}

#[tokio::test]
async fn given_a_copy_under_way_when_the_log_is_closed_and_opened_then_neither_waits_for_it() {
    let Opened { store, dir } = Opened::create().await;
    grown(&store, 0..10).await;
    let mut log = LogFile::open(&schema::database(dir.path())).unwrap();
    let to = tempfile::tempdir().unwrap();
    let path = empty_file(to.path());
    let mut copy = LogCopy::create(&path).unwrap();
    copied(&mut log, &mut copy, 0..23);
    grown(&store, 10..20).await;
    store.close().await;
    // Nobody is asked to wait for a reader.
    let options = EmbeddedOptions { lock_wait: Duration::ZERO, ..EmbeddedOptions::default() };
    let store = Embedded::open(dir.path(), options).unwrap();
    grown(&store, 20..30).await;
    store.swap_checkpoint(None, Bytes::from_static(b"note")).await.unwrap();
    let events = log.events().unwrap();
    assert_eq!(events, 180);
    copied(&mut log, &mut copy, 23..events);
    copy.finish(&path, log.checkpoint().unwrap().as_deref()).unwrap();

    let there: Vec<_> = std::fs::read_dir(to.path()).unwrap().collect();
    assert_eq!(there.len(), 1, "the copy is one file");
    let again = Embedded::open(to.path(), EmbeddedOptions::default()).unwrap();
    assert_eq!(all(&again).await, all(&store).await);
    assert_eq!(again.checkpoint().await, Ok(Some(Bytes::from_static(b"note"))));
    again.close().await;
    forget_checkpoint(&path).unwrap();
    let again = Embedded::open(to.path(), EmbeddedOptions::default()).unwrap();
    assert_eq!(again.checkpoint().await, Ok(None));
    grown(&again, 30..31).await;
}

#[tokio::test]
async fn given_a_log_with_a_hole_when_it_is_copied_then_the_position_is_named() {
    let opened = Opened::create().await;
    grown(&opened.store, 0..2).await;
    opened.store.close().await;
    opened
        .raw()
        .execute_batch("DROP TRIGGER events_are_never_deleted; DELETE FROM events WHERE position = 5")
        .unwrap();
    let mut log = LogFile::open(&schema::database(opened.dir.path())).unwrap();
    assert!(matches!(log.read(0..12), Err(ReadError::Damaged { position: Position(5), .. })));
    assert_eq!(log.read(6..12).unwrap().len(), 6);
}

#[test]
fn given_a_file_that_is_no_log_then_it_is_not_read_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = empty_file(dir.path());
    assert!(matches!(LogFile::open(&path), Err(OpenError::Foreign(_))));
    assert!(LogFile::open(&dir.path().join("missing")).is_err());
}

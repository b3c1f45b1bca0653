//! What only this engine can get wrong; the contract is tested by the conformance suite.

mod copies;
mod snapshots;

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::*;
use crate::ExpectedRevision::{Exact, NoStream};
use crate::store::Written;
use crate::store::conformance::{Durable, Fixture, all, batch, event, stream, verify};
use crate::store::memory::Memory;

/// A store in a directory that goes away with it.
struct Opened {
    store: Arc<Embedded>,
    dir: TempDir,
}

impl Opened {
    fn new(options: EmbeddedOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { store: Arc::new(Embedded::open(dir.path(), options).unwrap()), dir }
    }

    fn raw(&self) -> Connection {
        Connection::open(schema::database(self.dir.path())).unwrap()
    }
}

impl Fixture for Opened {
    async fn create() -> Self {
        Self::new(EmbeddedOptions::default())
    }

    fn store(&self) -> Arc<dyn EventStore> {
        Arc::clone(&self.store) as Arc<dyn EventStore>
    }
}

impl Durable for Opened {
    async fn reopen(self) -> Self {
        let store = Embedded::open(self.dir.path(), EmbeddedOptions::default()).unwrap();
        Self { store: Arc::new(store), dir: self.dir }
    }
}

mod conforms {
    crate::conformance_tests!(super::Opened);
    crate::durability_tests!(super::Opened);
}

/// Groups of one, one reader, and a queue that hardly holds anything still keep the contract.
mod conforms_in_the_smallest_size {
    use super::*;

    struct Smallest(Opened);

    impl Fixture for Smallest {
        async fn create() -> Self {
            Self(Opened::new(EmbeddedOptions {
                queue_bytes: 1024 * 1024,
                group_size: 1,
                readers: 1,
                ..EmbeddedOptions::default()
            }))
        }

        fn store(&self) -> Arc<dyn EventStore> {
            self.0.store()
        }
    }

    crate::conformance_tests!(Smallest);
}

// Opening.

/// Three events of stream `a` around two of `b`, closed.
async fn given_a_closed_log() -> TempDir {
    let Opened { store, dir } = Opened::create().await;
    store.append(&stream("a"), NoStream, batch(2)).await.unwrap();
    store.append(&stream("b"), NoStream, batch(2)).await.unwrap();
    store.append(&stream("a"), Exact(Revision(1)), batch(1)).await.unwrap();
    store.close().await;
    dir
}

/// Does what the triggers refuse, then puts the layout back as it was.
fn damage(dir: &TempDir, sql: &str) {
    let db = Connection::open(schema::database(dir.path())).unwrap();
    let triggers: Vec<(String, String)> = db
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map((), |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    triggers.iter().for_each(|(name, _)| db.execute_batch(&format!("DROP TRIGGER {name}")).unwrap());
    db.execute_batch(sql).unwrap();
    triggers.iter().for_each(|(_, sql)| db.execute_batch(sql).unwrap());
}

/// The single place that says how a refused start is checked.
fn refuses_to_open(dir: &TempDir, because: &str) {
    let options = EmbeddedOptions { verify: true, ..EmbeddedOptions::default() };
    let error = Embedded::open(dir.path(), options).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains(because), "expected {because:?} in {error:?}");
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_has_closed() {
    let Opened { store, dir } = Opened::create().await;
    refuses_to_open(&dir, "is held by another process");
    store.append(&stream("a"), NoStream, batch(1)).await.unwrap();
    store.close().await;
    let again = Embedded::open(dir.path(), EmbeddedOptions::default()).unwrap();
    assert_eq!(again.head(), Some(Position(0)));
}

#[tokio::test]
async fn a_directory_is_created_with_its_parents() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b/c");
    let store = Embedded::open(&deep, EmbeddedOptions::default()).unwrap();
    store.append(&stream("a"), NoStream, batch(1)).await.unwrap();
    assert!(schema::database(&deep).is_file());
}

#[tokio::test]
async fn a_directory_that_cannot_be_created_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Embedded::open(&file.join("log"), EmbeddedOptions::default()).map(|_| ()).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
    assert!(error.to_string().contains("file/log"), "{error}");
}

#[test]
fn the_writer_has_the_promised_settings() {
    let dir = tempfile::tempdir().unwrap();
    let writer = schema::open_writer(dir.path(), &EmbeddedOptions::default()).unwrap();
    let pragma = |name| writer.pragma_query_value(None, name, |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(pragma("journal_mode"), "wal");
    let number = |name| writer.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(number("page_size"), 16 * 1024);
    assert_eq!(number("synchronous"), 2, "an fsync for every commit");
    assert_eq!(number("wal_autocheckpoint"), 500);
    let indexes = "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'events'";
    assert_eq!(writer.query_row(indexes, (), |row| row.get::<_, i64>(0)).unwrap(), 0);
}

#[tokio::test]
async fn a_closed_log_leaves_nothing_in_the_write_ahead_log() {
    let dir = given_a_closed_log().await;
    assert!(fs::metadata(dir.path().join("events.db-wal")).map_or(0, |wal| wal.len()) == 0);
}

#[tokio::test]
async fn a_missing_event_is_named() {
    let dir = given_a_closed_log().await;
    damage(&dir, "DELETE FROM events WHERE position = 2");
    refuses_to_open(&dir, "damaged at position 2: the event is missing");
}

#[tokio::test]
async fn a_missing_first_event_is_named() {
    let dir = given_a_closed_log().await;
    damage(&dir, "DELETE FROM events WHERE position = 0");
    refuses_to_open(&dir, "damaged at position 0: the event is missing");
}

#[tokio::test]
async fn a_changed_revision_is_named() {
    let dir = given_a_closed_log().await;
    damage(&dir, "UPDATE events SET revision = 7 WHERE position = 3");
    refuses_to_open(&dir, "damaged at position 3: revision 7 of stream b, where 1 must follow");
}

#[tokio::test]
async fn an_event_moved_to_another_stream_is_named() {
    let dir = given_a_closed_log().await;
    damage(&dir, "UPDATE events SET stream = 1 WHERE position = 1");
    refuses_to_open(&dir, "damaged at position 1: revision 1 of stream b, where 0 must follow");
}

#[tokio::test]
async fn an_event_of_an_unknown_stream_is_named() {
    let dir = given_a_closed_log().await;
    damage(&dir, "UPDATE events SET stream = 9 WHERE position = 4");
    refuses_to_open(&dir, "damaged at position 4: its stream has the unknown number 9");
}

#[tokio::test]
async fn a_tail_that_took_a_whole_stream_with_it_is_noticed() {
    let dir = given_a_closed_log().await;
    damage(&dir, "DELETE FROM events WHERE position >= 2");
    refuses_to_open(&dir, "damaged at position 2: the log ends here, but stream b");
}

#[tokio::test]
async fn a_missing_stream_number_is_noticed() {
    let dir = given_a_closed_log().await;
    damage(&dir, "DELETE FROM streams WHERE id = 0");
    refuses_to_open(&dir, "stream number 0 is missing");
}

#[tokio::test]
async fn a_dropped_trigger_is_noticed() {
    let dir = given_a_closed_log().await;
    let db = Connection::open(schema::database(dir.path())).unwrap();
    db.execute_batch("DROP TRIGGER events_are_never_deleted").unwrap();
    refuses_to_open(&dir, "events_are_never_deleted is missing");
}

#[tokio::test]
async fn an_added_index_is_noticed() {
    let dir = given_a_closed_log().await;
    let db = Connection::open(schema::database(dir.path())).unwrap();
    db.execute_batch("CREATE INDEX by_stream ON events (stream)").unwrap();
    refuses_to_open(&dir, "by_stream does not belong");
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let dir = given_a_closed_log().await;
    let db = Connection::open(schema::database(dir.path())).unwrap();
    db.pragma_update(None, "user_version", 3).unwrap();
    refuses_to_open(&dir, "its format is 3, this program knows 2");
}

#[tokio::test]
async fn a_log_of_format_1_gets_a_place_for_its_checkpoint() {
    let dir = given_a_closed_log().await;
    damage(&dir, "DROP TABLE checkpoint; PRAGMA user_version = 1");
    let store = Embedded::open(dir.path(), EmbeddedOptions::default()).unwrap();
    assert_eq!((store.head(), store.checkpoint().await), (Some(Position(4)), Ok(None)));
    let note = bytes::Bytes::from_static(b"checkpoint");
    assert_eq!(store.swap_checkpoint(None, note.clone()).await, Ok(true));
    store.close().await;
    let store = Embedded::open(dir.path(), EmbeddedOptions::default()).unwrap();
    assert_eq!(store.checkpoint().await, Ok(Some(note)));
    store.close().await;
}

#[tokio::test]
async fn a_foreign_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = Connection::open(schema::database(dir.path())).unwrap();
    db.execute_batch("CREATE TABLE notes (text TEXT)").unwrap();
    refuses_to_open(&dir, "belongs to another application");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(schema::database(dir.path()), "not a database, but long enough to look at".repeat(100))
        .unwrap();
    refuses_to_open(&dir, "file is not a database");
}

// What is recorded stays.

#[tokio::test]
async fn recorded_rows_are_neither_updated_nor_deleted() {
    let opened = Opened::create().await;
    opened.store.append(&stream("a"), NoStream, batch(2)).await.unwrap();
    let raw = opened.raw();
    for (sql, because) in [
        ("UPDATE events SET data = x'00'", "events are never updated"),
        ("UPDATE events SET position = position + 10", "events are never updated"),
        ("DELETE FROM events WHERE position = 1", "events are never deleted"),
        ("UPDATE streams SET name = 'b'", "streams are never updated"),
        ("DELETE FROM streams", "streams are never deleted"),
    ] {
        let error = raw.execute_batch(sql).unwrap_err().to_string();
        assert!(error.contains(because), "{sql}: {error}");
    }
    verify(&*opened.store).await;
}

#[tokio::test]
async fn damage_behind_the_stores_back_is_an_error_and_not_an_answer() {
    // Opened anew, because what was just written is answered from memory.
    let dir = given_a_closed_log().await;
    let store = Embedded::open(dir.path(), EmbeddedOptions::default()).unwrap();
    damage(&dir, "DELETE FROM events WHERE position = 1");
    let damaged = |read: Result<Vec<Recorded>, ReadError>| match read {
        Err(ReadError::Damaged { position, .. }) => position,
        other => panic!("expected damage, got {other:?}"),
    };
    assert_eq!(damaged(store.read_all(None, 10).await), Position(1));
    assert_eq!(damaged(store.read_stream(&stream("a"), Revision(0), 10).await), Position(1));
    assert_eq!(store.read_all(Some(Position(1)), 10).await.unwrap().len(), 3);
    store.close().await;
}

// The queue.

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_stores_nothing_of_it() {
    let opened = Opened::new(EmbeddedOptions { queue_length: 4, ..EmbeddedOptions::default() });
    let raw = opened.raw();
    // The writer waits for this lock with one group in hand, so the queue behind it fills up.
    raw.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut accepted = Vec::new();
    let refused = loop {
        let append = opened.store.append(&stream("a"), NoStream, batch(1));
        match futures_util::FutureExt::now_or_never(append) {
            Some(answer) => break answer,
            None => accepted.push(()),
        }
        assert!(accepted.len() <= 8, "one group of at most the queue, and the queue");
    };
    assert_eq!((refused, opened.store.queued()), (Err(AppendError::Busy), 4));
    raw.execute_batch("ROLLBACK").unwrap();
    let behind = loop {
        match opened.store.append(&stream("b"), NoStream, batch(1)).await {
            Err(AppendError::Busy) => tokio::task::yield_now().await,
            answer => break answer,
        }
    };
    assert_eq!(behind.unwrap().first_position, Position(1));
    verify(&*opened.store).await;
}

#[derive(Debug, Default)]
struct Transactions(Mutex<Vec<usize>>);

impl Observer for Transactions {
    fn written(&self, group: Written) {
        self.0.lock().unwrap().push(group.events);
    }
}

#[tokio::test]
async fn an_observer_hears_of_each_transaction_before_its_callers_and_of_none_that_stored_nothing() {
    let heard = Arc::<Transactions>::default();
    let observer: Arc<dyn Observer> = heard.clone();
    let opened = Opened::new(EmbeddedOptions { observer: Some(observer), ..EmbeddedOptions::default() });
    opened.store.append(&stream("a"), NoStream, batch(2)).await.unwrap();
    assert_eq!(*heard.0.lock().unwrap(), [2]);
    opened.store.append(&stream("a"), NoStream, batch(1)).await.unwrap_err();
    opened.store.append(&stream("b"), NoStream, batch(3)).await.unwrap();
    assert_eq!(*heard.0.lock().unwrap(), [2, 3]);
    assert_eq!(opened.store.queued(), 0);
}

// The write-ahead log.

fn wal_bytes(opened: &Opened) -> u64 {
    fs::metadata(opened.dir.path().join("events.db-wal")).unwrap().len()
}

/// One append of 100 KB after the other, from revision `from` on.
async fn append_100_kb(opened: &Opened, appends: std::ops::Range<u64>) {
    for n in appends {
        let expected = ExpectedRevision::of(n.checked_sub(1).map(Revision));
        let big = NewEvent { data: vec![b'x'; 100_000].into(), ..event() };
        opened.store.append(&stream("a"), expected, vec![big]).await.unwrap();
    }
}

const SMALL_WAL: u64 = 1024 * 1024;

#[tokio::test]
async fn a_write_ahead_log_above_its_bound_is_emptied() {
    let opened = Opened::new(EmbeddedOptions { wal_bytes: SMALL_WAL, ..EmbeddedOptions::default() });
    append_100_kb(&opened, 0..60).await;
    assert!(wal_bytes(&opened) > SMALL_WAL, "less than the automatic checkpoint waits for");
    append_100_kb(&opened, 60..66).await;
    assert!(wal_bytes(&opened) <= SMALL_WAL, "{}", wal_bytes(&opened));
    verify(&*opened.store).await;
}

#[tokio::test]
async fn a_long_read_delays_emptying_the_write_ahead_log_but_not_appends() {
    let opened = Opened::new(EmbeddedOptions { wal_bytes: SMALL_WAL, ..EmbeddedOptions::default() });
    append_100_kb(&opened, 0..1).await;
    let raw = opened.raw();
    raw.execute_batch("BEGIN; SELECT count(*) FROM events").unwrap();
    append_100_kb(&opened, 1..66).await;
    assert!(wal_bytes(&opened) > SMALL_WAL);
    raw.execute_batch("ROLLBACK").unwrap();
    append_100_kb(&opened, 66..196).await;
    assert!(wal_bytes(&opened) <= SMALL_WAL, "{}", wal_bytes(&opened));
    verify(&*opened.store).await;
}

// Failure.

/// Fails for good and stays readable: nothing is tried again, and what was acknowledged is there.
async fn has_failed(store: &Embedded, reason: &str) {
    let told = store.failed().await;
    assert!(told.contains(reason), "expected {reason:?} in {told:?}");
    let later = store.append(&stream("later"), NoStream, batch(1)).await;
    assert_eq!(later, Err(AppendError::Closed));
}

#[tokio::test]
async fn a_writer_that_cannot_begin_fails_for_good() {
    let opened =
        Opened::new(EmbeddedOptions { lock_wait: Duration::from_millis(20), ..EmbeddedOptions::default() });
    opened.store.append(&stream("a"), NoStream, batch(2)).await.unwrap();
    let raw = opened.raw();
    raw.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = [
        opened.store.append(&stream("a"), Exact(Revision(1)), batch(1)),
        opened.store.append(&stream("b"), NoStream, batch(1)),
        opened.store.append(&stream("a"), NoStream, batch(1)),
    ];
    for append in waiting {
        // Those that the failure finds in the queue; it may have come before the last of them.
        let answer = append.await;
        assert!(matches!(answer, Err(AppendError::Unknown(_) | AppendError::Closed)), "{answer:?}");
    }
    has_failed(&opened.store, "locked").await;
    raw.execute_batch("ROLLBACK").unwrap();
    has_failed(&opened.store, "locked").await;
    assert_eq!(verify(&*opened.store).await.len(), 2);

    opened.store.close().await;
    let again = opened.reopen().await;
    assert_eq!(verify(&*again.store).await.len(), 2);
    again.store.append(&stream("a"), Exact(Revision(1)), batch(1)).await.unwrap();
}

#[tokio::test]
async fn a_writer_that_finds_a_foreign_event_at_its_position_fails_for_good() {
    let opened = Opened::create().await;
    opened.store.append(&stream("a"), NoStream, batch(1)).await.unwrap();
    let raw = opened.raw();
    raw.execute_batch("INSERT INTO events VALUES (1, 0, 1, zeroblob(16), x'', x'')").unwrap();
    let answer = opened.store.append(&stream("a"), Exact(Revision(0)), batch(1)).await;
    assert!(matches!(answer, Err(AppendError::Unknown(_))), "{answer:?}");
    has_failed(&opened.store, "UNIQUE constraint failed").await;
    assert_eq!(all(&*opened.store).await.len(), 1, "what this store did not write it does not show");
}

#[tokio::test]
async fn a_store_in_good_health_never_says_that_it_failed() {
    let opened = Opened::create().await;
    let failed = opened.store.failed();
    opened.store.close().await;
    assert_eq!(futures_util::FutureExt::now_or_never(failed), None);
}

// Crashes. A child process, which is this test binary again, writes and says what was acknowledged.

const CHILD_DIR: &str = "EVENTLOG_TEST_CHILD_DIR";

/// The child: four writers append without end and print each acknowledged event's id and position.
/// Ends when the store fails, having printed that too.
#[test]
#[ignore = "runs only as the child of another test"]
fn child_that_appends_until_it_is_stopped() {
    let Some(dir) = env::var_os(CHILD_DIR) else { return };
    let store = Arc::new(Embedded::open(Path::new(&dir), EmbeddedOptions::default()).unwrap());
    Runtime::new().unwrap().block_on(async {
        let writers: Vec<_> =
            (0..4).map(|writer| tokio::spawn(append_forever(Arc::clone(&store), writer))).collect();
        for writer in writers {
            let error = writer.await.unwrap();
            let expected = matches!(error, AppendError::Unknown(_) | AppendError::Closed);
            assert!(expected, "{error}");
        }
        println!("\nfailed {}", store.failed().await.replace('\n', " "));
    });
}

async fn append_forever(store: Arc<Embedded>, writer: u128) -> AppendError {
    let process = u128::from(std::process::id());
    let name = stream(&format!("writer-{process}-{writer}"));
    let mut expected = NoStream;
    for number in (0u128..).step_by(3) {
        let ids = [0, 1, 2].map(|offset| Uuid::from_u128(process << 96 | writer << 64 | (number + offset)));
        let events = ids.map(|id| NewEvent { id, data: vec![b'x'; 700].into(), ..event() });
        match store.append(&name, expected, events.into()).await {
            Ok(appended) => {
                for (position, id) in (appended.first_position.0..).zip(ids) {
                    // One write call per line, so that lines of writers do not mix.
                    let line = format!("\nacknowledged {position} {id}\n");
                    io::stdout().write_all(line.as_bytes()).unwrap();
                }
                expected = Exact(appended.last_revision);
            }
            Err(error) => return error,
        }
    }
    unreachable!("the numbers do not end");
}

/// Starts the child, by way of a shell that may set limits first.
fn spawn_child(dir: &TempDir, limits: &str) -> Child {
    Command::new("sh")
        .arg("-c")
        .arg(format!("{limits} exec \"$0\" \"$@\""))
        .arg(env::current_exe().unwrap())
        .args(["store::embedded::tests::child_that_appends_until_it_is_stopped", "--exact"])
        .args(["--ignored", "--nocapture", "--test-threads=1"])
        .env(CHILD_DIR, dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Reads what the child says: acknowledged positions with their ids, and why it failed if it did.
/// `enough` is told the number of acknowledged events at each of them.
fn listen(
    child: &mut Child,
    mut enough: impl FnMut(&mut Child, usize),
) -> (Vec<(u64, String)>, Option<String>) {
    let (mut acknowledged, mut failure) = (Vec::new(), None);
    let output = BufReader::new(child.stdout.take().unwrap());
    for line in output.lines() {
        // A killed child may leave a last line without its end, which acknowledges nothing.
        let Ok(line) = line else { break };
        match line.split_once(' ') {
            Some(("acknowledged", rest)) if rest.len() >= 38 => {
                let (position, id) = rest.split_once(' ').unwrap();
                acknowledged.push((position.parse().unwrap(), id.to_owned()));
                enough(child, acknowledged.len());
            }
            Some(("failed", reason)) => failure = Some(reason.to_owned()),
            _ => {}
        }
    }
    child.wait().unwrap();
    (acknowledged, failure)
}

/// Every acknowledged event is where the child was told it is, in a log without holes that goes on.
async fn holds(dir: &TempDir, acknowledged: &[(u64, String)]) {
    let store = Embedded::open(dir.path(), EmbeddedOptions::default()).unwrap();
    let log = verify(&store).await;
    for (position, id) in acknowledged {
        let event = usize::try_from(*position).ok().and_then(|at| log.get(at));
        assert_eq!(event.map(|event| event.id.to_string()).as_ref(), Some(id), "position {position}");
    }
    let after = stream("after");
    let last = log.iter().rev().find(|event| event.stream == after).map(|event| event.revision);
    store.append(&after, ExpectedRevision::of(last), batch(1)).await.unwrap();
    assert_eq!(verify(&store).await.len(), log.len() + 1);
    store.close().await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_killed_processes() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    // Killed at its first events, in the first write-ahead log, and behind several checkpoints.
    for events in [1, 500, 20_000] {
        let mut child = spawn_child(&dir, "");
        let (heard, _) = listen(&mut child, |child, count| {
            if count == events {
                child.kill().unwrap();
            }
        });
        assert!(heard.len() >= events);
        acknowledged.extend(heard);
        holds(&dir, &acknowledged).await;
    }
}

#[tokio::test]
async fn a_full_disk_fails_the_store_and_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    // No file may grow beyond a few MiB, and exceeding that is an error instead of a signal.
    let mut child = spawn_child(&dir, "trap '' XFSZ; ulimit -f 8192;");
    let (acknowledged, failure) = listen(&mut child, |_, _| {});
    assert!(!acknowledged.is_empty());
    let reason = failure.unwrap();
    assert!(reason.contains("full") || reason.contains("I/O"), "{reason}");
    holds(&dir, &acknowledged).await;
}

// Against the simplest store there is.

#[derive(Debug, Clone)]
enum Step {
    /// To which stream, how far off the right expectation, how many events.
    Append(u8, i8, usize),
    /// An earlier append once more: which one, and how many events of it.
    Again(prop::sample::Index, usize),
    ReadStream(u8, u64, usize),
    ReadAll(Option<u64>, usize),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..3u8, prop_oneof![4 => Just(0i8), 1 => -3..3i8], 1..6usize)
            .prop_map(|(stream, off, count)| Step::Append(stream, off, count)),
        3 => (any::<prop::sample::Index>(), 1..6usize).prop_map(|(which, count)| Step::Again(which, count)),
        2 => (0..4u8, 0..20u64, 0..12usize).prop_map(|(s, from, limit)| Step::ReadStream(s, from, limit)),
        2 => (prop::option::of(0..40u64), 0..30usize).prop_map(|(after, limit)| Step::ReadAll(after, limit)),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..60)
}

/// Takes the same steps with both stores and compares every answer. Appends that follow each other
/// are all called before any is awaited, so that groups of every shape occur.
async fn compare(steps: Vec<Step>) {
    let (mut embedded, memory) = (Opened::create().await, Memory::new());
    let mut lengths = [0i64; 3];
    let mut history: Vec<(StreamId, ExpectedRevision, Vec<NewEvent>)> = Vec::new();
    let mut pending = Vec::new();
    for step in steps {
        let append = match &step {
            Step::Append(which, off, count) => {
                let length = (lengths[usize::from(*which)] + i64::from(*off)).max(0);
                let expected =
                    ExpectedRevision::of(length.checked_sub(1).and_then(|n| n.try_into().ok()).map(Revision));
                let append = (stream(&format!("s{which}")), expected, batch(*count));
                history.push(append.clone());
                Some(append)
            }
            Step::Again(which, count) if !history.is_empty() => {
                let (stream, expected, events) = which.get(&history).clone();
                let mut events: Vec<_> = events.into_iter().take(*count).collect();
                if *count > 4 {
                    events.push(event());
                }
                Some((stream, expected, events))
            }
            _ => None,
        };
        if let Some((name, expected, events)) = append {
            let answer = embedded.store.append(&name, expected, events.clone());
            let model = memory.append(&name, expected, events).await;
            if let Ok(Appended { last_revision, replayed: false, .. }) = &model {
                let which: usize = name.as_str()[1..].parse().unwrap();
                lengths[which] = i64::try_from(last_revision.0).unwrap() + 1;
            }
            pending.push((answer, model));
            continue;
        }
        for (answer, model) in pending.drain(..) {
            assert_eq!(answer.await, model);
        }
        match step {
            Step::ReadStream(which, from, limit) => {
                let name = stream(&format!("s{which}"));
                let read = embedded.store.read_stream(&name, Revision(from), limit).await;
                assert_eq!(read, memory.read_stream(&name, Revision(from), limit).await);
            }
            Step::ReadAll(after, limit) => {
                let read = embedded.store.read_all(after.map(Position), limit).await;
                assert_eq!(read, memory.read_all(after.map(Position), limit).await);
            }
            Step::Reopen => {
                embedded.store.close().await;
                embedded = embedded.reopen().await;
            }
            Step::Append(..) | Step::Again(..) => {}
        }
        assert_eq!(embedded.store.head(), memory.head());
    }
    for (answer, model) in pending {
        assert_eq!(answer.await, model);
    }
    assert_eq!(verify(&*embedded.store).await, verify(&memory).await);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_those_of_the_store_in_memory(steps in steps()) {
        Runtime::new().unwrap().block_on(compare(steps));
    }
}

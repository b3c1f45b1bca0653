//! The network and the server fail in the middle of things.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use super::super::testing::{Cut, Proxy};
use super::*;

/// A store that reaches its database through a network that fails.
struct Cuttable {
    store: Arc<Postgres>,
    proxy: Proxy,
    database: Database,
}

impl Cuttable {
    async fn new(patience: Duration) -> Self {
        let database = Server::shared().database().await;
        let proxy = Proxy::start(&database).await;
        let store = open(&proxy.url(&database), impatient(patience)).await;
        Self { store, proxy, database }
    }

    /// What is stored, as somebody sees it whose network is whole.
    async fn stored(&self) -> Vec<Recorded> {
        verify(&*open(&self.database.url(), PostgresOptions::default()).await).await
    }
}

fn impatient(patience: Duration) -> PostgresOptions {
    PostgresOptions { patience, ..PostgresOptions::default() }
}

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(200);

fn ids(events: &[NewEvent]) -> Vec<Uuid> {
    events.iter().map(|event| event.id).collect()
}

/// The same for every way of losing a commit: the call is answered as if nothing had happened, and everything is
/// stored once.
async fn is_stored_once(how: Cut) {
    let world = Cuttable::new(LONG).await;
    let (before, cut, after) = (batch(1), batch(3), batch(2));
    world.store.append(&stream("a"), NoStream, before.clone()).await.unwrap();
    world.proxy.cut(how);
    let own = world.store.append(&stream("a"), Exact(Revision(0)), cut.clone());
    // In the same group, and decided against what it writes.
    let follows = world.store.append(&stream("a"), Exact(Revision(3)), after.clone());
    let conflicts = world.store.append(&stream("a"), NoStream, batch(1));
    let swap = world.store.swap_checkpoint(None, Bytes::from_static(b"one"));
    let appended = own.await.unwrap();
    assert_eq!((appended.first_position, appended.last_position), (Position(1), Position(3)));
    assert!(!appended.replayed, "it is this call that stored them");
    assert_eq!(follows.await.unwrap().first_position, Position(4));
    assert!(matches!(conflicts.await, Err(AppendError::Conflict { .. })));
    assert_eq!(swap.await, Ok(true));
    assert!(world.proxy.has_cut());
    let log = world.stored().await;
    assert_eq!(log.iter().map(|event| event.id).collect::<Vec<_>>(), ids(&[before, cut, after].concat()));
    assert_eq!(verify(&*world.store).await, log);
    assert_eq!(world.store.trouble(), None);
}

#[tokio::test]
async fn given_the_connection_is_lost_before_the_commit_then_it_is_stored_once() {
    is_stored_once(Cut::Before).await;
}

#[tokio::test]
async fn given_the_answer_to_the_commit_is_lost_then_it_is_stored_once() {
    is_stored_once(Cut::After).await;
}

/// The new connection waits for the lock that the old transaction holds: nobody decides before that one has ended.
#[tokio::test]
async fn given_the_commit_arrives_after_its_connection_was_given_up_then_it_is_stored_once() {
    is_stored_once(Cut::Late(Duration::from_millis(500))).await;
}

#[tokio::test]
async fn given_the_database_stays_away_after_a_commit_then_its_outcome_is_unknown_and_found_later() {
    let world = Cuttable::new(SHORT).await;
    let (cut, later) = (batch(2), batch(1));
    let proxy = &world.proxy;
    proxy.cut(Cut::After);
    let own = world.store.append(&stream("a"), NoStream, cut.clone());
    let going = async {
        while !proxy.has_cut() {
            tokio::task::yield_now().await;
        }
        proxy.away(true);
    };
    let (answer, ()) = tokio::join!(own, going);
    assert!(matches!(answer, Err(AppendError::Unknown(_))), "{answer:?}");
    // What was never sent is known not to be stored.
    let answer = world.store.append(&stream("b"), NoStream, later.clone()).await;
    assert!(matches!(answer, Err(AppendError::Unavailable(_))), "{answer:?}");
    assert!(world.store.trouble().is_some());
    proxy.away(false);
    let settled = until_answered(&world.store, "a", NoStream, &cut).await;
    assert_eq!((settled.first_position, settled.replayed), (Position(0), true));
    until_answered(&world.store, "b", NoStream, &later).await;
    assert_eq!(world.stored().await.len(), 3);
}

/// As a caller does: the very same events again, until it is told what became of them.
async fn until_answered(
    store: &Postgres,
    name: &str,
    expected: ExpectedRevision,
    events: &[NewEvent],
) -> Appended {
    loop {
        match store.append(&stream(name), expected, events.to_vec()).await {
            Ok(appended) => return appended,
            Err(AppendError::Unknown(_) | AppendError::Unavailable(_) | AppendError::Busy) => {}
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn given_the_database_goes_and_comes_back_then_everything_goes_on_by_itself() {
    let world = Cuttable::new(SHORT).await;
    let store = &world.store;
    let mut subscription = store.subscribe(None);
    store.append(&stream("a"), NoStream, batch(2)).await.unwrap();
    world.proxy.away(true);
    let refused = store.append(&stream("a"), Exact(Revision(1)), batch(1)).await;
    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
    let refused = store.swap_checkpoint(None, Bytes::from_static(b"one")).await;
    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
    let refused = store.read_stream(&stream("a"), Revision(0), 10).await;
    assert!(matches!(refused, Err(ReadError::Unavailable(_))), "{refused:?}");
    let refused = store.checkpoint().await;
    assert!(matches!(refused, Err(ReadError::Unavailable(_))), "{refused:?}");
    assert!(store.trouble().is_some());
    world.proxy.away(false);
    // Nobody writes, and still it is known that it could.
    while store.trouble().is_some() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until_answered(store, "a", Exact(Revision(1)), &batch(1)).await;
    for position in 0..3 {
        assert_eq!(subscription.next().await.unwrap().unwrap().position, Position(position));
    }
    world.stored().await;
}

#[tokio::test]
async fn given_the_store_closes_while_the_database_is_away_then_it_ends_all_the_same() {
    let world = Cuttable::new(SHORT).await;
    world.proxy.away(true);
    let waiting = world.store.append(&stream("a"), NoStream, batch(1));
    world.store.close().await;
    assert!(matches!(waiting.await, Err(AppendError::Unavailable(_))));
    assert_eq!(world.store.read_all(None, 1).await, Err(ReadError::Closed));
}

/// Another server answers, one that does not have what was acknowledged: nothing is appended to it.
#[tokio::test]
async fn given_a_server_without_what_was_acknowledged_takes_over_then_the_store_fails() {
    let world = Cuttable::new(LONG).await;
    world.store.append(&stream("a"), NoStream, batch(3)).await.unwrap();
    let client = world.database.raw().await;
    world.proxy.away(true);
    // What a standby looks like that was behind: one event fewer, and others in their place.
    client
        .batch_execute(
            "ALTER TABLE shiplog.events DISABLE TRIGGER ALL;
             UPDATE shiplog.events SET event_id = '00000000-0000-0000-0000-000000000001' WHERE position = 2;
             ALTER TABLE shiplog.events ENABLE TRIGGER ALL",
        )
        .await
        .unwrap();
    world.proxy.away(false);
    let reason = world.store.failed().await;
    assert!(reason.contains("not the same log any more"), "{reason}");
    let refused = world.store.append(&stream("b"), NoStream, batch(1)).await;
    assert_eq!(refused, Err(AppendError::Closed));
    let stored = client.query_one("SELECT count(*) FROM shiplog.events", &[]).await.unwrap();
    assert_eq!(stored.get::<_, i64>(0), 3);
}

/// Writers that go on until they are told to stop; returns what each was told is stored.
fn keep_writing(
    stores: &[Arc<Postgres>],
    writers: usize,
    stop: &Arc<AtomicBool>,
) -> JoinSet<Vec<(StreamId, Revision, Uuid)>> {
    let mut running = JoinSet::new();
    for writer in 0..writers {
        let (store, stop) = (Arc::clone(&stores[writer % stores.len()]), Arc::clone(stop));
        running.spawn(async move {
            let name = format!("writer-{writer}");
            let (mut expected, mut acknowledged) = (NoStream, Vec::new());
            while !stop.load(Ordering::Relaxed) {
                let events = batch(2);
                let appended = until_answered(&store, &name, expected, &events).await;
                acknowledged.push((stream(&name), appended.first_revision, events[0].id));
                acknowledged.push((stream(&name), appended.last_revision, events[1].id));
                expected = Exact(appended.last_revision);
            }
            acknowledged
        });
    }
    running
}

/// Everything that was acknowledged is where it was said to be, once.
fn holds(log: &[Recorded], acknowledged: &[(StreamId, Revision, Uuid)]) {
    let found: std::collections::HashMap<(StreamId, Revision), Uuid> =
        log.iter().map(|event| ((event.stream.clone(), event.revision), event.id)).collect();
    for (stream, revision, id) in acknowledged {
        assert_eq!(found.get(&(stream.clone(), *revision)), Some(id), "{stream} {revision}");
    }
    assert_eq!(log.len(), acknowledged.len(), "nothing is stored twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_the_server_is_killed_under_load_then_no_acknowledged_event_is_lost() {
    let mut server = Server::own();
    let database = server.database().await;
    let stores = [open(&database.url(), impatient(LONG)).await, open(&database.url(), impatient(LONG)).await];
    let mut follower = stores[1].subscribe(None);
    let stop = Arc::new(AtomicBool::new(false));
    let running = keep_writing(&stores, 8, &stop);
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.kill();
        tokio::task::block_in_place(|| server.start_again());
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::Relaxed);
    let acknowledged = running.join_all().await.concat();
    let log = verify(&*stores[0]).await;
    holds(&log, &acknowledged);
    let followed: Vec<_> = (&mut follower).take(log.len()).map(Result::unwrap).collect().await;
    assert_eq!(followed, log, "a follower saw the same, through all of it");
    for store in stores {
        while store.trouble().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        store.close().await;
    }
}

/// Both hosts are named, and the standby has what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_the_standby_takes_over_under_load_then_it_goes_on_with_everything() {
    let mut server = Server::own();
    let database = server.database().await;
    let standby = tokio::task::block_in_place(|| server.standby());
    let primary = database.raw().await;
    primary.batch_execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await.unwrap();
    primary.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let follows = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
    while primary.query(follows, &[]).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let stores = [open(&database.url_with(&standby), impatient(LONG)).await];
    let mut follower = stores[0].subscribe(None);
    let stop = Arc::new(AtomicBool::new(false));
    let running = keep_writing(&stores, 6, &stop);
    while stores[0].head() < Some(Position(50)) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.kill();
    tokio::task::block_in_place(|| standby.promote());
    let taken_over = stores[0].head();
    while stores[0].head() <= taken_over {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let acknowledged = running.join_all().await.concat();
    let log = verify(&*stores[0]).await;
    holds(&log, &acknowledged);
    let followed: Vec<_> = (&mut follower).take(log.len()).map(Result::unwrap).collect().await;
    assert_eq!(followed, log);
    stores[0].close().await;
}

/// Every kind of fault in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_two_hundred_faults_under_load_from_three_nodes_then_one_history_is_left() {
    const FAULTS: u64 = 200;
    let mut server = Server::own();
    let database = server.database().await;
    let (proxy, mut nodes) = (Proxy::start(&database).await, Vec::new());
    for _ in 0..3 {
        nodes.push(open(&proxy.url(&database), impatient(LONG)).await);
    }
    let followers: Vec<_> = nodes.iter().map(|node| node.subscribe(None)).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let running = keep_writing(&nodes, 9, &stop);
    for fault in 0..FAULTS {
        tokio::time::sleep(Duration::from_millis(20 + fault * 7 % 50)).await;
        match fault % 20 {
            19 => {
                server.kill();
                tokio::task::block_in_place(|| server.start_again());
            }
            9 => {
                // Somebody's own session has the lock for a while.
                let lock = "BEGIN; SELECT next_position FROM shiplog.log_head FOR UPDATE; SELECT pg_sleep(0.1); ROLLBACK";
                database.raw().await.batch_execute(lock).await.unwrap();
            }
            14 => {
                proxy.away(true);
                tokio::time::sleep(Duration::from_millis(100)).await;
                proxy.away(false);
            }
            kind => match kind % 4 {
                0 => proxy.cut(Cut::Before),
                1 => proxy.cut(Cut::After),
                2 => proxy.cut(Cut::Late(Duration::from_millis(50))),
                _ => proxy.cut_all(),
            },
        }
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.store(true, Ordering::Relaxed);
    let acknowledged = running.join_all().await.concat();
    let log = verify(&*open(&database.url(), PostgresOptions::default()).await).await;
    holds(&log, &acknowledged);
    for (node, follower) in nodes.iter().zip(followers) {
        let followed: Vec<_> = follower.take(log.len()).map(Result::unwrap).collect().await;
        assert_eq!(followed, log, "every node saw one history");
        assert_eq!(verify(&**node).await, log);
    }
    println!("{FAULTS} faults, {} events acknowledged, all stored once", acknowledged.len());
}

/// Somebody's session holds a snapshot, then the very lock, for as long as it likes, and takes back what it wrote.
#[tokio::test]
async fn given_a_long_open_transaction_then_no_position_is_skipped() {
    let opened = Opened::new(impatient(LONG)).await;
    let another = opened.another().await;
    let mut follower = another.subscribe(None);
    let old = opened.database.raw().await;
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM shiplog.events")
        .await
        .unwrap();
    opened.store.append(&stream("a"), NoStream, batch(2)).await.unwrap();
    let rogue = opened.database.raw().await;
    rogue
        .batch_execute(
            "BEGIN; SELECT next_position FROM shiplog.log_head FOR UPDATE;
             INSERT INTO shiplog.events (position, stream, revision, event_id, header, data)
                 VALUES (2, 'a', 2, '00000000-0000-0000-0000-000000000002', '', '');
             UPDATE shiplog.log_head SET next_position = 3",
        )
        .await
        .unwrap();
    let waiting = opened.store.append(&stream("a"), Exact(Revision(1)), batch(2));
    // Readers wait for nobody, and see nothing of what is not committed.
    assert_eq!(another.read_all(None, 10).await.unwrap().len(), 2);
    rogue.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(waiting.await.unwrap().first_position, Position(2));
    for position in 0..4 {
        assert_eq!(follower.next().await.unwrap().unwrap().position, Position(position));
    }
    old.batch_execute("COMMIT").await.unwrap();
    verify(&*another).await;
}

/// A session that takes the lock and then says nothing, as a machine does that lost its power.
#[tokio::test]
async fn given_a_node_that_vanishes_with_the_lock_then_the_others_go_on() {
    let world = Cuttable::new(LONG).await;
    let another = open(&world.database.url(), impatient(LONG)).await;
    let vanished = another.shared.connect().await.ok().unwrap();
    vanished
        .client
        .batch_execute("BEGIN; SELECT next_position FROM shiplog.log_head FOR UPDATE")
        .await
        .unwrap();
    world.store.append(&stream("a"), NoStream, batch(1)).await.unwrap();
    assert_eq!(world.stored().await.len(), 1);
}

/// A small disk of its own, where this machine lets the test mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(server: &Server) -> Option<Self> {
        let dir = server.dir().join("small");
        std::fs::create_dir(&dir).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m,mode=0777", "tmpfs"])
            .arg(&dir)
            .output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(dir))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

#[tokio::test]
async fn given_the_disk_is_full_then_appends_are_refused_and_go_on_when_there_is_room() {
    let server = Server::own();
    let Some(disk) = SmallDisk::mount(&server) else {
        eprintln!("SKIPPED: no file system can be mounted here, so no disk is filled");
        return;
    };
    let database = server.database().await;
    let place = disk.path().join("tables");
    server.makes(&place);
    let client = database.raw().await;
    client.batch_execute(&format!("CREATE TABLESPACE small LOCATION '{}'", place.display())).await.unwrap();
    client.batch_execute("ALTER TABLE shiplog.events SET TABLESPACE small").await.unwrap();
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![0; 4 << 20]).unwrap();

    let store = open(&database.url(), impatient(SHORT)).await;
    // Bytes that no compression makes smaller.
    let incompressible = |round: u64| {
        let mut state = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let noise = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        });
        noise.take(200 * 1024).collect::<Vec<u8>>()
    };
    let mut stored = 0u64;
    let (refused, waiting) = loop {
        let one = NewEvent { data: Bytes::from(incompressible(stored + 1)), ..event() };
        let expected = ExpectedRevision::of(stored.checked_sub(1).map(Revision));
        match store.append(&stream("a"), expected, vec![one.clone()]).await {
            Ok(_) => stored += 1,
            Err(error) => break (error, one),
        }
        assert!(stored < 100, "the disk is never full");
    };
    assert!(
        matches!(&refused, AppendError::Unavailable(reason) if reason.contains("No space left")),
        "{refused}"
    );
    assert!(stored > 0);
    assert_eq!(verify(&*store).await.len() as u64, stored, "what was acknowledged is read as always");

    std::fs::remove_file(&ballast).unwrap();
    let expected = ExpectedRevision::of(stored.checked_sub(1).map(Revision));
    until_answered(&store, "a", expected, &[waiting]).await;
    assert_eq!(verify(&*store).await.len() as u64, stored + 1);
    store.close().await;
}

//! Nodes, subscriptions and answers fail in the middle of things.

use std::sync::atomic::{AtomicBool, Ordering};

use kurrent_fake::{Answer, Drop, Fault};
use tokio::task::JoinSet;

use super::*;

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(300);

fn impatient(patience: Duration) -> KurrentOptions {
    KurrentOptions { patience, answer: Duration::from_millis(400), ..KurrentOptions::default() }
}

/// The same for every way of failing an append: the calls are answered as if nothing had happened, and everything is
/// stored once, in the order of the calls.
async fn is_stored_once(fault: Fault) {
    let opened = Opened::new(3, impatient(LONG)).await;
    let (before, failed, after, other) = (batch(1), batch(3), batch(2), batch(1));
    opened.store.append(&stream("a"), NoStream, before.clone()).await.unwrap();
    opened.cluster.fail(fault);
    let own = opened.store.append(&stream("a"), Exact(Revision(0)), failed.clone());
    // On their way with it.
    let follows = opened.store.append(&stream("a"), Exact(Revision(3)), after.clone());
    let beside = opened.store.append(&stream("b"), NoStream, other.clone());
    let conflicts = opened.store.append(&stream("a"), NoStream, batch(1));
    let (own, follows, beside) = (own.await.unwrap(), follows.await.unwrap(), beside.await.unwrap());
    assert!(!own.replayed, "it is this call that stored them: {fault:?}");
    assert_eq!((own.first_revision, own.last_revision), (Revision(1), Revision(3)), "{fault:?}");
    assert_eq!((follows.first_revision, follows.replayed), (Revision(4), false), "{fault:?}");
    assert!(matches!(conflicts.await, Err(AppendError::Conflict { .. })));
    assert_eq!(opened.cluster.faults_left(), 0);
    let log = opened.stored().await;
    // A cluster that drops one append of a session, and does those behind it, leaves the order of streams to chance.
    let dropped = matches!(fault.answer, Answer::Busy | Answer::Silence | Answer::TimedOut) && !fault.written;
    let (calls, mut places) = ([before, failed, after, other].concat(), recorded_ids(&log));
    if dropped {
        places.sort_unstable();
    } else {
        assert_eq!((own.first_position, follows.first_position), (Position(1), Position(4)), "{fault:?}");
        assert_eq!(beside.first_position, Position(6), "{fault:?}");
    }
    assert_eq!(places, ids(&calls), "{fault:?}");
    assert_eq!(verify(&*opened.store).await, log);
    while opened.store.trouble().is_some() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_cluster_that_drops_appends_when_a_log_is_copied_into_it_then_every_position_is_the_same() {
    let source = Memory::new();
    for round in 0..20u64 {
        for name in ["a", "b", "c"] {
            let expected = ExpectedRevision::of(round.checked_sub(1).map(Revision));
            source.append(&stream(name), expected, batch(1)).await.unwrap();
        }
    }
    let opened = Opened::new(3, impatient(LONG)).await;
    for answer in [Answer::Busy, Answer::TimedOut, Answer::Silence, Answer::Busy] {
        opened.cluster.fail(Fault { written: false, answer });
    }
    let copied = copy(&source, &*opened.store, |_| ()).await.unwrap();
    assert_eq!((copied.size, opened.cluster.faults_left()), (60, 0));
    assert_eq!(opened.stored().await, all(&source).await);
}

macro_rules! faults {
    ($($name:ident: $written:literal, $answer:ident;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                is_stored_once(Fault { written: $written, answer: Answer::$answer }).await;
            }
        )+
    };
}

faults! {
    given_another_node_is_said_to_lead_then_it_is_stored_once: false, NotLeader;
    given_the_call_ends_before_the_write_then_it_is_stored_once: false, Unavailable;
    given_the_acknowledgement_is_lost_then_it_is_stored_once: true, Unavailable;
    given_the_write_is_aborted_then_it_is_stored_once: false, Aborted;
    given_the_write_is_aborted_and_done_then_it_is_stored_once: true, Aborted;
    given_the_append_times_out_then_it_is_stored_once: false, TimedOut;
    given_the_append_times_out_and_is_done_then_it_is_stored_once: true, TimedOut;
    given_a_busy_server_then_it_is_stored_once: false, Busy;
    given_no_answer_then_it_is_stored_once: false, Silence;
    given_no_answer_and_it_is_done_then_it_is_stored_once: true, Silence;
    given_the_session_ends_without_an_answer_then_it_is_stored_once: false, Ended;
    given_the_session_ends_without_an_answer_and_it_is_done_then_it_is_stored_once: true, Ended;
    given_an_answer_without_a_position_then_it_is_stored_once: true, NoPosition;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_checkpoint_fails_on_its_way_then_it_is_put_there_once() {
    let opened = Opened::new(3, impatient(LONG)).await;
    let mut old = None;
    for (round, (written, answer)) in [
        (false, Answer::Unavailable),
        (true, Answer::Unavailable),
        (false, Answer::Aborted),
        (true, Answer::Aborted),
        (false, Answer::NotLeader),
    ]
    .into_iter()
    .enumerate()
    {
        opened.cluster.fail(Fault { written, answer });
        let new = Bytes::from(format!("checkpoint {round}"));
        assert_eq!(
            opened.store.swap_checkpoint(old.clone(), new.clone()).await,
            Ok(true),
            "{written} {answer:?}"
        );
        assert_eq!(opened.store.swap_checkpoint(old, new.clone()).await, Ok(false));
        assert_eq!(opened.another().await.checkpoint().await, Ok(Some(new.clone())));
        old = Some(new);
    }
    opened.cluster.tamper(|log| assert_eq!(log.stream(CHECKPOINTS).unwrap().len(), 5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_subscriptions_are_dropped_then_nothing_is_missed_or_seen_twice() {
    let opened = Opened::new(1, KurrentOptions { poll: Duration::from_millis(100), ..impatient(LONG) }).await;
    let mut follower = opened.store.subscribe(None);
    let mut expected = NoStream;
    for (round, how) in [Drop::Ended, Drop::Cut, Drop::Silent, Drop::Ended, Drop::Cut].into_iter().enumerate()
    {
        let before = opened.store.append(&stream("a"), expected, batch(2)).await.unwrap();
        opened.cluster.drop_subscriptions(how);
        // Acknowledged by the cluster at once, and answered when it is seen.
        let after = opened.store.append(&stream("a"), Exact(before.last_revision), batch(2)).await.unwrap();
        assert_eq!(after.last_position, Position(round as u64 * 4 + 3), "{how:?}");
        expected = Exact(after.last_revision);
    }
    for position in 0..20 {
        assert_eq!(follower.next().await.unwrap().unwrap().position, Position(position));
    }
    assert!(opened.cluster.seen().subscriptions < 12, "{:?}", opened.cluster.seen());
    opened.stored().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_the_url_names_a_follower_then_the_leader_is_found_and_followed() {
    let opened = Opened::new(3, impatient(LONG)).await;
    let store = open(&opened.cluster.url_of(2), impatient(LONG)).await;
    store.append(&stream("a"), NoStream, batch(1)).await.unwrap();
    // Another one leads, and the old leader is still there.
    opened.cluster.elect(1);
    store.append(&stream("a"), Exact(Revision(0)), batch(1)).await.unwrap();
    assert_eq!(store.swap_checkpoint(None, Bytes::from_static(b"one")).await, Ok(true));
    opened.store.append(&stream("a"), Exact(Revision(1)), batch(1)).await.unwrap();
    assert_eq!(opened.stored().await.len(), 3);
}

/// The client never connects with one attempt, and a follower may be behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_url_that_sets_what_is_set_here_then_the_leader_is_found_all_the_same() {
    let cluster = Cluster::start(3);
    let url = format!("{}&maxDiscoverAttempts=1&nodePreference=follower", cluster.url());
    let store = open(&url, unhurried()).await;
    let appended = store.append(&stream("a"), NoStream, batch(1)).await.unwrap();
    assert_eq!(store.shared().unwrap().latest().await, Ok(Some(appended.last_position)));
}

/// As a caller does: the very same events again, until it is told what became of them.
async fn until_answered(
    store: &Kurrent,
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_the_cluster_goes_and_comes_back_then_everything_goes_on_by_itself() {
    let opened = Opened::new(1, impatient(SHORT)).await;
    let (store, cluster) = (&opened.store, &opened.cluster);
    let mut subscription = store.subscribe(None);
    until_answered(store, "a", NoStream, &batch(2)).await;
    cluster.kill(0);
    let (later, swap) = (batch(1), store.swap_checkpoint(None, Bytes::from_static(b"one")));
    let refused = store.append(&stream("a"), Exact(Revision(1)), later.clone()).await;
    assert!(matches!(refused, Err(AppendError::Unknown(_) | AppendError::Unavailable(_))), "{refused:?}");
    // By now it is known that the cluster is away, and nothing is sent.
    let refused = store.append(&stream("b"), NoStream, batch(1)).await;
    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
    let refused = swap.await;
    assert!(matches!(refused, Err(AppendError::Unavailable(_) | AppendError::Unknown(_))), "{refused:?}");
    let refused = store.read_stream(&stream("a"), Revision(0), 10).await;
    assert!(matches!(refused, Err(ReadError::Unavailable(_))), "{refused:?}");
    let refused = store.checkpoint().await;
    assert!(matches!(refused, Err(ReadError::Unavailable(_))), "{refused:?}");
    assert!(store.trouble().is_some());
    cluster.revive(0);
    // Nobody writes, and still it is known that it could.
    while store.trouble().is_some() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until_answered(store, "a", Exact(Revision(1)), &later).await;
    for position in 0..3 {
        assert_eq!(subscription.next().await.unwrap().unwrap().position, Position(position));
    }
    opened.stored().await;
}

/// As when a cluster has lost its majority, or a user may not write: sessions begin, reads are answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_cluster_that_takes_no_append_then_who_waits_is_told_and_it_is_asked_at_a_measured_pace() {
    let opened = Opened::new(1, impatient(LONG)).await;
    let store = open(&opened.cluster.url(), impatient(Duration::from_secs(1))).await;
    for answer in [Answer::Busy, Answer::TimedOut, Answer::Aborted] {
        for _ in 0..1000 {
            opened.cluster.fail(Fault { written: false, answer });
        }
        let before = opened.cluster.seen();
        let (name, events) = (format!("{answer:?}").to_lowercase(), batch(1));
        let refused = store.append(&stream(&name), NoStream, events.clone()).await;
        assert!(matches!(refused, Err(AppendError::Unknown(_))), "{refused:?}");
        let asked = opened.cluster.seen().batch_appends - before.batch_appends;
        assert!((1..20).contains(&asked), "{answer:?}: {asked} attempts");
        opened.cluster.heal();
        until_answered(&store, &name, NoStream, &events).await;
        while store.trouble().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert_eq!(opened.stored().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_the_store_closes_while_the_cluster_is_away_then_it_ends_all_the_same() {
    let opened = Opened::new(1, impatient(SHORT)).await;
    opened.cluster.kill(0);
    let waiting = opened.store.append(&stream("a"), NoStream, batch(1));
    opened.store.close().await;
    assert!(matches!(waiting.await, Err(AppendError::Unavailable(_) | AppendError::Unknown(_))));
    assert_eq!(opened.store.read_all(None, 1).await, Err(ReadError::Closed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_reads_fail_for_a_moment_then_they_are_asked_again() {
    let opened = Opened::new(1, impatient(LONG)).await;
    opened.store.append(&stream("a"), NoStream, batch(5)).await.unwrap();
    opened.cluster.fail_reads(3);
    assert_eq!(opened.store.read_stream(&stream("a"), Revision(1), 3).await.unwrap().len(), 3);
    opened.stored().await;
}

/// A cluster was restored from a backup, without what it had acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_cluster_without_what_was_acknowledged_then_the_store_fails() {
    let opened = Opened::new(1, impatient(LONG)).await;
    opened.store.append(&stream("a"), NoStream, batch(3)).await.unwrap();
    opened.cluster.kill(0);
    opened.cluster.tamper(|log| {
        let last = log.records_mut().iter_mut().rfind(|record| record.stream == "a").unwrap();
        last.event.id = Uuid::from_u128(1);
    });
    opened.cluster.revive(0);
    let reason = opened.store.failed().await;
    assert!(reason.contains("not the same log any more"), "{reason}");
    let refused = opened.store.append(&stream("b"), NoStream, batch(1)).await;
    assert_eq!(refused, Err(AppendError::Closed));
}

/// Writers that go on until they are told to stop; returns what each was told is stored.
fn keep_writing(
    stores: &[Arc<Kurrent>],
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

/// Every kind of fault in turn, with three nodes of Shiplog over a cluster of three.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_two_hundred_faults_under_load_from_three_nodes_then_one_history_is_left() {
    const FAULTS: u64 = 200;
    let opened = Opened::new(3, impatient(LONG)).await;
    let mut nodes = vec![Arc::clone(&opened.store)];
    for _ in 0..2 {
        nodes.push(open(&opened.cluster.url(), impatient(LONG)).await);
    }
    let followers: Vec<_> = nodes.iter().map(|node| node.subscribe(None)).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let running = keep_writing(&nodes, 9, &stop);
    let cluster = &opened.cluster;
    for fault in 0..FAULTS {
        tokio::time::sleep(Duration::from_millis(10 + fault * 7 % 30)).await;
        let written = fault % 2 == 0;
        match fault % 10 {
            0 => cluster.fail(Fault { written, answer: Answer::Unavailable }),
            1 => cluster.fail(Fault { written, answer: Answer::Aborted }),
            2 => cluster.fail(Fault { written, answer: Answer::TimedOut }),
            3 => cluster.fail(Fault { written: false, answer: Answer::NotLeader }),
            4 => cluster.drop_subscriptions(Drop::Ended),
            5 => cluster.drop_subscriptions(Drop::Cut),
            6 => cluster.fail(Fault { written: true, answer: Answer::Ended }),
            7 => cluster.fail_reads(2),
            8 => cluster.fail(Fault { written: true, answer: Answer::NoPosition }),
            _ => {
                let leader = cluster.leader().unwrap();
                cluster.kill(leader);
                tokio::time::sleep(Duration::from_millis(50)).await;
                cluster.elect((leader + 1) % 3);
                cluster.revive(leader);
            }
        }
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.store(true, Ordering::Relaxed);
    let acknowledged = running.join_all().await.concat();
    let log = opened.stored().await;
    let found: HashMap<(StreamId, Revision), Uuid> =
        log.iter().map(|event| ((event.stream.clone(), event.revision), event.id)).collect();
    for (stream, revision, id) in &acknowledged {
        assert_eq!(found.get(&(stream.clone(), *revision)), Some(id), "{stream} {revision}");
    }
    assert_eq!(log.len(), acknowledged.len(), "nothing is stored twice");
    for (node, follower) in nodes.iter().zip(followers) {
        let followed: Vec<_> = follower.take(log.len()).map(Result::unwrap).collect().await;
        assert_eq!(followed, log, "every node saw one history");
        assert_eq!(verify(&**node).await, log);
    }
    println!("{FAULTS} faults, {} events acknowledged, all stored once", acknowledged.len());
}

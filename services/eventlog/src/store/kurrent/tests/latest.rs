//! What a node knows of what others write.

use std::sync::atomic::{AtomicBool, Ordering};

use kurrent_fake::Drop;
use tokio::task::JoinSet;

use super::*;

/// How often it is asked what others wrote.
const OFTEN: Duration = Duration::from_millis(50);

fn often() -> KurrentOptions {
    KurrentOptions { poll: OFTEN, ..unhurried() }
}

/// The same, and a cluster that is away is soon noticed.
fn impatient() -> KurrentOptions {
    let short = Duration::from_secs(2);
    KurrentOptions { patience: short, answer: short, ..often() }
}

/// Nothing is asked beside what the test asks.
fn seldom() -> KurrentOptions {
    KurrentOptions { poll: Duration::from_secs(3600), ..unhurried() }
}

async fn latest(node: &Kurrent) -> Result<Option<Position>, ReadError> {
    node.shared().unwrap().latest().await
}

fn staleness(node: &Kurrent) -> Duration {
    node.shared().unwrap().staleness()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_two_nodes_when_one_has_written_then_the_other_knows_it_once_it_asks() {
    let opened = Opened::new(3, seldom()).await;
    let other = open(&opened.cluster.url(), seldom()).await;
    assert_eq!((latest(&opened.store).await, latest(&other).await), (Ok(None), Ok(None)));
    let nodes = [&opened.store, &other];
    let mut expected = NoStream;
    for round in 0..30 {
        let (writer, reader) = (nodes[round % 2], nodes[(round + 1) % 2]);
        let written = writer.append(&stream("a"), expected, batch(2)).await.unwrap();
        assert_eq!(latest(reader).await, Ok(Some(written.last_position)));
        assert!(reader.head() >= Some(written.last_position), "what is subscribed to is on its way");
        let read = reader.read_stream(&stream("a"), written.first_revision, 9).await.unwrap();
        assert_eq!(read.last().map(|last| last.position), Some(written.last_position));
        expected = Exact(written.last_revision);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_others_write_behind_the_log_then_it_ends_where_it_ended() {
    let opened = Opened::new(1, seldom()).await;
    // Of our type, in a stream that cannot be ours.
    opened.cluster.write("Orders", "shiplog.order", b"{}");
    assert_eq!(latest(&opened.store).await, Ok(None));
    let written = opened.store.append(&stream("a"), NoStream, batch(2)).await.unwrap();
    for (stream, event_type) in [("Orders", "shiplog.order"), ("orders-1", "order.placed")] {
        opened.cluster.write(stream, event_type, b"{}");
        assert_eq!(latest(&opened.store).await, Ok(Some(written.last_position)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_many_ask_at_once_then_the_cluster_is_asked_for_those_who_wait_together() {
    let opened = Opened::new(1, seldom()).await;
    opened.store.append(&stream("a"), NoStream, batch(3)).await.unwrap();
    let before = opened.cluster.seen().calls;
    let asked = (0..200).map(|_| latest(&opened.store));
    assert!(join_all(asked).await.into_iter().all(|answer| answer == Ok(Some(Position(2)))));
    let calls = opened.cluster.seen().calls - before;
    assert!(calls < 20, "{calls} calls for 200 who asked");
}

/// Whoever waits for what is counted must not keep it from being counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn given_events_come_while_many_wait_for_them_then_all_go_on() {
    const EVENTS: u64 = 300;
    let opened = Opened::new(1, seldom()).await;
    let other = open(&opened.cluster.url(), seldom()).await;
    let writer = tokio::spawn(async move {
        let mut expected = NoStream;
        for _ in 0..EVENTS {
            expected = Exact(other.append(&stream("a"), expected, batch(1)).await.unwrap().last_revision);
        }
    });
    let waiting = (0..8).map(|_| {
        let node = Arc::clone(&opened.store);
        tokio::spawn(async move {
            while latest(&node).await.unwrap() < Some(Position(EVENTS - 1)) {
                let end = node.head().map_or(0, |head| head.0);
                node.read_stream(&stream("a"), Revision(end), 100).await.unwrap();
            }
        })
    });
    join_all(waiting).await.into_iter().for_each(Result::unwrap);
    writer.await.unwrap();
    assert_eq!(verify(&*opened.store).await.len() as u64, EVENTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_the_cluster_is_away_then_what_is_known_grows_old_until_it_is_back() {
    let opened = Opened::new(1, impatient()).await;
    let node = &opened.store;
    let written = node.append(&stream("a"), NoStream, batch(1)).await.unwrap();
    let old = Duration::from_secs(1);
    let is = async |stale: bool| {
        while (staleness(node) >= old) != stale {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    is(false).await;
    opened.cluster.kill(0);
    assert!(matches!(latest(node).await, Err(ReadError::Unavailable(_))));
    is(true).await;
    opened.cluster.revive(0);
    is(false).await;
    assert_eq!(latest(node).await, Ok(Some(written.last_position)));
    node.close().await;
    assert_eq!(latest(node).await, Err(ReadError::Closed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_node_hears_nothing_any_more_then_it_says_so_and_never_guesses() {
    let opened = Opened::new(1, impatient()).await;
    let other = open(&opened.cluster.url(), impatient()).await;
    for round in 0..5u64 {
        let expected = ExpectedRevision::of(round.checked_sub(1).map(Revision));
        opened.cluster.drop_subscriptions(Drop::Silent);
        let missed = loop {
            // The writer's own subscription is silent as well, until it asks.
            match other.append(&stream("a"), expected, events(round)).await {
                Ok(appended) => break appended.last_position,
                Err(AppendError::Unknown(_) | AppendError::Unavailable(_)) => {}
                Err(error) => panic!("{error}"),
            }
        };
        loop {
            match latest(&opened.store).await {
                Ok(told) => break assert_eq!(told, Some(missed)),
                Err(ReadError::Unavailable(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// The same whenever it is sent.
fn events(round: u64) -> Vec<NewEvent> {
    vec![NewEvent { id: Uuid::from_u64_pair(1, round), ..event() }]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_load_from_another_node_then_what_is_known_does_not_grow_old() {
    let opened = Opened::new(3, often()).await;
    let other = open(&opened.cluster.url(), often()).await;
    let (stop, mut writers) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
    for writer in 0..8 {
        let (other, stop) = (Arc::clone(&other), Arc::clone(&stop));
        writers.spawn(async move {
            let (name, mut expected) = (stream(&format!("writer-{writer}")), NoStream);
            while !stop.load(Ordering::Relaxed) {
                expected = Exact(other.append(&name, expected, batch(5)).await.unwrap().last_revision);
            }
        });
    }
    // What is known is smaller than before only when everything of a later moment has come.
    let (mut before, mut renewed) = (Duration::ZERO, 0);
    while renewed < 20 {
        let now = staleness(&opened.store);
        renewed += u32::from(now < before);
        before = now;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.store(true, Ordering::Relaxed);
    writers.join_all().await;
    assert_eq!(latest(&opened.store).await, Ok(other.head()));
}

//! What only this engine can get wrong; the contract is tested by the conformance suite. That one runs against the
//! protocol's fake, or against a real cluster when `SHIPLOG_TEST_KURRENTDB_URL` names one.

mod client;
mod faults;
mod latest;

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::join_all;
use kurrent_fake::Cluster;

use super::*;
use crate::ExpectedRevision::{Exact, NoStream};
use crate::copy::copy;
use crate::store::conformance::{Durable, Fixture, all, batch, event, stream, verify};
use crate::store::memory::Memory;

/// Names a cluster to test with instead of the fake.
const REAL: &str = "SHIPLOG_TEST_KURRENTDB_URL";

/// A machine that is busy is no cluster that is away: how long that may be is waited for where it is what a test is about.
fn unhurried() -> KurrentOptions {
    let long = Duration::from_secs(30);
    KurrentOptions { patience: long, answer: long, ..KurrentOptions::default() }
}

/// A store over a cluster of its own.
struct Opened {
    store: Arc<Kurrent>,
    cluster: Cluster,
    dir: tempfile::TempDir,
}

impl Opened {
    async fn new(nodes: usize, options: KurrentOptions) -> Self {
        let (cluster, dir) = (Cluster::start(nodes), tempfile::tempdir().unwrap());
        let options = KurrentOptions { positions: Some(dir.path().join("positions")), ..options };
        Self { store: open(&cluster.url(), options).await, cluster, dir }
    }

    async fn create() -> Self {
        Self::new(1, unhurried()).await
    }

    /// Another process's store on the same cluster.
    async fn another(&self) -> Arc<Kurrent> {
        open(&self.cluster.url(), unhurried()).await
    }

    /// What is stored, as somebody sees it who comes new.
    async fn stored(&self) -> Vec<Recorded> {
        verify(&*self.another().await).await
    }
}

async fn open(url: &str, options: KurrentOptions) -> Arc<Kurrent> {
    Arc::new(Kurrent::open(&url.parse().unwrap(), options).await.unwrap())
}

/// A store for the suite: an empty log, in a fake or in the cluster that somebody named.
struct Suite {
    store: Arc<Kurrent>,
    url: String,
    options: KurrentOptions,
    _cluster: Option<Cluster>,
    _dir: tempfile::TempDir,
}

impl Fixture for Suite {
    async fn create() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let positions = Some(dir.path().join("positions"));
        let (url, cluster, namespace) = match std::env::var(REAL) {
            // Others have their logs there too, of this run and of earlier ones.
            Ok(url) => {
                let random = dir.path().file_name().unwrap().to_string_lossy();
                (url, None, format!("t{}{random}.", std::process::id()))
            }
            Err(_) => {
                let cluster = Cluster::start(3);
                (cluster.url(), Some(cluster), String::new())
            }
        };
        let options = KurrentOptions { positions, namespace, ..unhurried() };
        let store = open(&url, options.clone()).await;
        Self { store, url, options, _cluster: cluster, _dir: dir }
    }

    fn store(&self) -> Arc<dyn EventStore> {
        Arc::clone(&self.store) as Arc<dyn EventStore>
    }
}

impl Durable for Suite {
    async fn reopen(self) -> Self {
        let store = open(&self.url, self.options.clone()).await;
        Self { store, ..self }
    }
}

mod conforms {
    crate::conformance_tests!(super::Suite);
    crate::durability_tests!(super::Suite);
}

/// Its output is shown also when it passes.
#[test]
fn which_cluster_the_suite_ran_against() {
    match std::env::var(REAL) {
        Ok(_) => eprintln!("The suite ran against the cluster that {REAL} names."),
        Err(_) => eprintln!(
            "\n*** SKIPPED: no real KurrentDB was tested. The suite ran against a fake of its protocol. ***\n\
             *** To test a cluster of yours, one that may keep what tests write to it: ***\n\
             *** {REAL}='esdb://admin:changeit@host:2113?tls=true' cargo nextest run -p eventlog --all-features -E 'test(/kurrent::tests::conforms/)' ***\n"
        ),
    }
}

fn ids(events: &[NewEvent]) -> Vec<Uuid> {
    events.iter().map(|event| event.id).collect()
}

fn recorded_ids(events: &[Recorded]) -> Vec<Uuid> {
    events.iter().map(|event| event.id).collect()
}

// The URL.

#[test]
fn given_a_url_then_it_is_shown_without_its_password() {
    for (url, shown) in [
        ("esdb://rosa:hunter2@db.example", "esdb://rosa@db.example:2113"),
        ("kurrentdb://a:1,b:2,c:3?tls=false", "kurrentdb://a:1,b:2,c:3"),
        ("esdb+discover://rosa:hunter2@db.example:99/?tls=true", "esdb+discover://rosa@db.example:99"),
    ] {
        let parsed: KurrentUrl = url.parse().unwrap();
        assert_eq!((parsed.to_string(), format!("{parsed:?}")), (shown.to_owned(), shown.to_owned()));
    }
}

#[test]
fn given_a_url_that_is_none_then_nothing_of_it_is_repeated() {
    for url in [
        "",
        "esdb://",
        "mysql://u:hunter2@h",
        "esdb://u:hunter2@h:port",
        "esdb://u:hunter2@h?nodePreference=x",
    ] {
        let refused = url.parse::<KurrentUrl>().unwrap_err();
        assert!(!refused.contains("hunter2") && refused.contains("esdb://user:password@host"), "{refused}");
    }
}

// Others in the same cluster.

#[tokio::test]
async fn given_what_others_write_then_it_is_no_part_of_the_log() {
    let opened = Opened::create().await;
    let foreign = |round: u64| {
        opened.cluster.write("$stats-127.0.0.1", "$statsCollected", b"{}");
        opened.cluster.write("orders-1", "order.placed", b"{}");
        opened.cluster.write("orders-1", "shiplogger", b"{}");
        // Of our type, in a stream that cannot be ours.
        opened.cluster.write("Orders", "shiplog.order", b"{}");
        if round == 0 {
            opened.cluster.write("$$orders-1", "$metadata", b"{}");
        }
    };
    let mut expected = NoStream;
    for round in 0..5 {
        foreign(round);
        let appended = opened.store.append(&stream("a"), expected, batch(2)).await.unwrap();
        assert_eq!(appended.first_position, Position(round * 2));
        assert_eq!(
            opened
                .store
                .swap_checkpoint(opened.store.checkpoint().await.unwrap(), Bytes::from(vec![7; 9]))
                .await,
            Ok(true)
        );
        expected = Exact(appended.last_revision);
    }
    foreign(5);
    let log = opened.stored().await;
    assert_eq!((log.len(), verify(&*opened.store).await), (10, log));
}

#[tokio::test]
async fn given_a_foreign_event_in_one_of_our_streams_then_the_log_is_damaged() {
    let opened = Opened::create().await;
    opened.store.append(&stream("a"), NoStream, batch(2)).await.unwrap();
    opened.cluster.write("a", "order.placed", b"{}");
    let read = opened.store.read_stream(&stream("a"), Revision(0), 10).await;
    assert!(matches!(&read, Err(error) if error.is_damage()), "{read:?}");
    // Somebody's program goes on behind it.
    opened.cluster.write("a", "shiplog.event", b"{}");
    let reason = opened.store.failed().await;
    assert!(reason.contains("stream a goes on with revision 3"), "{reason}");
}

#[tokio::test]
async fn given_an_append_then_people_find_it_as_it_is() {
    let opened = Opened::create().await;
    let header = r#"{"id":"x","stream":"a","revision":0,"type":"item.attested","schema":3,"data":{}}"#;
    let data = Bytes::from(r#"{ "item":  "1.4" }"#);
    let told = NewEvent { header: Bytes::from(header), data: data.clone(), ..event() };
    opened.store.append(&stream("a"), NoStream, vec![told.clone(), event()]).await.unwrap();
    opened.cluster.tamper(|log| {
        let records: Vec<_> = log.stream("a").unwrap().cloned().collect();
        let [first, second] = &records[..] else { panic!("{records:?}") };
        assert_eq!(
            (first.event.id, first.event.event_type.as_str(), first.event.json),
            (told.id, "shiplog.item.attested", true)
        );
        assert_eq!((&first.event.data, &first.event.metadata), (&data, &told.header));
        assert_eq!((second.event.event_type.as_str(), second.event.json), ("shiplog.event", false));
    });
    opened.stored().await;
}

// Limits.

#[tokio::test]
async fn given_more_than_the_cluster_takes_at_once_then_it_is_refused_before_or_behind_it() {
    let opened = Opened::create().await;
    let large =
        || (0..5).map(|_| NewEvent { data: vec![b'x'; 250 * 1024].into(), ..event() }).collect::<Vec<_>>();
    let refused = opened.store.append(&stream("a"), NoStream, large()).await;
    assert!(matches!(refused, Err(AppendError::Limit { limit: 1_048_576, .. })), "{refused:?}");
    assert_eq!(opened.cluster.seen().batch_appends, 0);
    // This node believes that the cluster takes more than it does.
    let options = KurrentOptions { max_append_bytes: 8 * 1024 * 1024, ..unhurried() };
    let store = open(&opened.cluster.url(), options).await;
    let (refused, stored) = tokio::join!(
        store.append(&stream("a"), NoStream, large()),
        store.append(&stream("b"), NoStream, batch(3))
    );
    assert!(matches!(refused, Err(AppendError::Limit { .. })), "{refused:?}");
    assert_eq!(stored.unwrap().first_position, Position(0));
    let own = opened.store.append(&stream(CHECKPOINTS), NoStream, batch(1)).await;
    assert!(matches!(own, Err(AppendError::Limit { limit: 0, .. })), "{own:?}");
    assert_eq!(opened.stored().await.len(), 3);
}

// Positions.

#[tokio::test]
async fn given_positions_in_a_file_then_the_next_start_reads_only_what_follows() {
    let opened = Opened::create().await;
    opened.store.append(&stream("a"), NoStream, batch(100)).await.unwrap();
    opened.store.close().await;
    let other = opened.another().await;
    other.append(&stream("a"), Exact(Revision(99)), batch(3)).await.unwrap();
    let log = verify(&*other).await;
    let path = opened.dir.path().join("positions");
    let kept = positions::Positions::open(&path).unwrap();
    assert_eq!(kept.last().map(|(position, _, id)| (position, id)), Some((Position(99), log[99].id)));
    drop(kept);
    let options = KurrentOptions { positions: Some(path), ..unhurried() };
    let store = open(&opened.cluster.url(), options).await;
    // Nothing before them came here.
    assert_eq!(
        store.shared.feed(|feed| feed.recent.after(Some(Position(99)), 10, 1000).map(|page| page.len())),
        Some(3)
    );
    assert_eq!(store.shared.feed(|feed| feed.recent.after(Some(Position(98)), 10, 1000)), None);
    assert_eq!(verify(&*store).await, log);
}

#[tokio::test]
async fn given_the_positions_of_another_cluster_then_everything_is_counted_anew() {
    let (one, other) = (Opened::create().await, Opened::create().await);
    one.store.append(&stream("a"), NoStream, batch(5)).await.unwrap();
    one.store.close().await;
    other.store.append(&stream("b"), NoStream, batch(7)).await.unwrap();
    let options = KurrentOptions { positions: Some(one.dir.path().join("positions")), ..unhurried() };
    let store = open(&other.cluster.url(), options).await;
    assert_eq!(verify(&*store).await, other.stored().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_two_nodes_write_then_both_count_the_same() {
    let opened = Opened::new(3, unhurried()).await;
    let nodes = [Arc::clone(&opened.store), opened.another().await];
    const EACH: u64 = 40;
    let followers: Vec<_> = nodes
        .iter()
        .map(|node| {
            let subscription = node.subscribe(None).take(EACH as usize * 4).map(Result::unwrap);
            tokio::spawn(subscription.collect::<Vec<Recorded>>())
        })
        .collect();
    let writers = (0..4u64).map(|writer| {
        let node = Arc::clone(&nodes[writer as usize % 2]);
        tokio::spawn(async move {
            // Two by two on one stream, each pair from two nodes.
            let name = stream(&format!("shared-{}", writer / 2));
            let mut expected = NoStream;
            for _ in 0..EACH {
                let event = batch(1);
                expected = loop {
                    match node.append(&name, expected, event.clone()).await {
                        Ok(appended) => break Exact(appended.last_revision),
                        Err(AppendError::Conflict { current, .. }) => {
                            expected = ExpectedRevision::of(current)
                        }
                        Err(error) => panic!("{error}"),
                    }
                };
            }
        })
    });
    join_all(writers).await.into_iter().for_each(Result::unwrap);
    let seen: Vec<_> = join_all(followers).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(seen[0], seen[1]);
    for (node, seen) in nodes.iter().zip(seen) {
        assert_eq!(seen, verify(&**node).await);
    }
}

#[tokio::test]
async fn given_an_append_from_another_node_then_the_same_events_are_recognised_here() {
    let opened = Opened::create().await;
    let another = opened.another().await;
    let events = batch(3);
    let first = opened.store.append(&stream("a"), NoStream, events.clone()).await.unwrap();
    // The same ids with other bytes, as when two nodes record one command.
    let bytes = |event: NewEvent| NewEvent { header: Bytes::from_static(b"other"), ..event };
    let again =
        another.append(&stream("a"), NoStream, events.into_iter().map(bytes).collect()).await.unwrap();
    assert_eq!(again, Appended { replayed: true, ..first });
    let swapped = join_all(
        [&opened.store, &another].map(|node| node.swap_checkpoint(None, Bytes::from_static(b"one"))),
    );
    assert_eq!(swapped.await.into_iter().filter(|answer| *answer == Ok(true)).count(), 1);
}

// One log on every engine.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_log_of_another_engine_then_it_is_copied_here_and_back_with_every_position_and_root() {
    let (source, back) = (Memory::new(), Memory::new());
    for round in 0..30u64 {
        for (name, count) in [("a", 1), ("b", 3), ("release-default.checkout-2.4.0", 2)] {
            let expected = ExpectedRevision::of((round * count).checked_sub(1).map(Revision));
            source.append(&stream(name), expected, batch(count as usize)).await.unwrap();
        }
    }
    // Together more than a cluster takes at once.
    let large = |_| NewEvent { data: vec![b'x'; 200 * 1024].into(), ..event() };
    source.append(&stream("large"), NoStream, (0..12).map(large).collect()).await.unwrap();
    assert_eq!(source.swap_checkpoint(None, Bytes::from_static(b"note")).await, Ok(true));
    let opened = Opened::new(3, unhurried()).await;
    let there = copy(&source, &*opened.store, |_| ()).await.unwrap();
    let again = copy(&*opened.store, &back, |_| ()).await.unwrap();
    assert_eq!((there.size, there.root), (again.size, again.root));
    assert_eq!(all(&source).await, all(&back).await);
    assert_eq!(opened.stored().await, all(&source).await);
    assert_eq!(back.checkpoint().await, source.checkpoint().await);
}

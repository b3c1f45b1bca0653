//! What the official client does, and that it makes no difference here. Where a test of these fails because the client
//! was mended, what is built around it can go.

use std::time::Duration;

use eventstore::{BatchAppendOptions, Client, EventData, ReadAllOptions, StreamState};
use kurrent_fake::{Answer, Drop, Fault};
use tokio::time::timeout;

use super::super::subscription::Subscription;
use super::*;

const SOON: Duration = Duration::from_secs(10);

fn client(url: &str) -> Client {
    Client::new(format!("{url}&nodePreference=leader&discoveryInterval=20").parse().unwrap()).unwrap()
}

fn proposed() -> Vec<EventData> {
    vec![EventData::binary("shiplog.event", Bytes::new()).id(event().id)]
}

async fn reads(client: &Client) -> bool {
    let options = ReadAllOptions::default().max_count(1);
    matches!(timeout(SOON, client.read_all(&options)).await, Ok(Ok(_)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_the_server_ends_well_never_returns_and_is_ended_here() {
    let opened = Opened::create().await;
    let filter = opened.store.shared.ours();
    let mut subscription = Subscription::start(&client(&opened.cluster.url()), filter, None);
    opened.store.append(&stream("a"), NoStream, batch(1)).await.unwrap();
    assert!(timeout(SOON, subscription.next()).await.unwrap().is_ok());
    opened.cluster.drop_subscriptions(Drop::Ended);
    // Not an error of the client's: its task was in the middle of its loop.
    let ended = timeout(SOON, subscription.next()).await.unwrap().map(|_| ());
    assert_eq!(ended, Err("the cluster ended the subscription".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_that_end_at_once_are_asked_for_at_a_measured_pace() {
    let opened = Opened::create().await;
    opened.cluster.end_subscriptions_at_once(true);
    let before = opened.cluster.seen();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = opened.cluster.seen();
    assert!(after.subscriptions - before.subscriptions < 12, "{before:?} {after:?}");
    assert!(after.calls - before.calls < 60, "{before:?} {after:?}");
    opened.cluster.end_subscriptions_at_once(false);
    opened.store.append(&stream("a"), NoStream, batch(1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_leader_is_never_left_by_the_client_and_is_left_here() {
    let opened = Opened::new(3, unhurried()).await;
    let old = client(&opened.cluster.url());
    assert!(reads(&old).await);
    opened.cluster.kill(0);
    opened.cluster.elect(1);
    for _ in 0..10 {
        assert!(!reads(&old).await, "the client has left the dead leader by itself");
    }
    assert!(reads(&client(&opened.cluster.url())).await, "another client finds the new leader at once");
    opened.store.append(&stream("a"), NoStream, batch(2)).await.unwrap();
    assert_eq!(opened.store.trouble(), None);
    opened.stored().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_connection_that_failed_stays_closed_and_is_made_again_here() {
    let opened = Opened::create().await;
    opened.cluster.kill(0);
    let old = client(&opened.cluster.url());
    assert!(!reads(&old).await);
    let url = opened.cluster.url();
    let opening = tokio::spawn(async move { open(&url, unhurried()).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    opened.cluster.revive(0);
    for _ in 0..3 {
        assert!(!reads(&old).await, "the client has connected after all");
    }
    timeout(SOON, opening).await.unwrap().unwrap().append(&stream("a"), NoStream, batch(1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_dies_at_the_first_conflict_and_the_others_are_sent_again_here() {
    let opened = Opened::create().await;
    let raw = client(&opened.cluster.url());
    let session = raw.batch_append(&BatchAppendOptions::default()).await.unwrap();
    session.append_to_stream("raw", StreamState::NoStream, proposed()).await.unwrap();
    let (conflict, lost) = tokio::join!(
        session.append_to_stream("raw", StreamState::NoStream, proposed()),
        session.append_to_stream("other", StreamState::NoStream, proposed())
    );
    assert!(conflict.is_err() && lost.is_err(), "an append that has nothing to do with it was answered");
    let dead = session.append_to_stream("third", StreamState::NoStream, proposed()).await;
    assert!(dead.is_err());

    let opened = Opened::create().await;
    let another = opened.another().await;
    another.append(&stream("a"), NoStream, batch(1)).await.unwrap();
    // Ahead of everything known here, so the cluster has to say no.
    let refused = opened.store.append(&stream("unknown"), Exact(Revision(7)), batch(1));
    let others =
        join_all((0..20).map(|at| opened.store.append(&stream(&format!("s{at}")), NoStream, batch(1))));
    let (refused, others) = tokio::join!(refused, others);
    assert!(matches!(refused, Err(AppendError::Conflict { current: None, .. })), "{refused:?}");
    let positions: Vec<u64> = others.into_iter().map(|other| other.unwrap().first_position.0).collect();
    assert_eq!(positions, (1..21).collect::<Vec<_>>(), "in the order of the calls");
    assert_eq!(opened.stored().await.len(), 21);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_the_server_ends_well_answers_nobody_and_is_given_up_here() {
    let opened = Opened::new(1, KurrentOptions { answer: Duration::from_millis(500), ..unhurried() }).await;
    let raw = client(&opened.cluster.url());
    let session = raw.batch_append(&BatchAppendOptions::default()).await.unwrap();
    opened.cluster.fail(Fault { written: false, answer: Answer::Ended });
    let append = session.append_to_stream("raw", StreamState::NoStream, proposed());
    assert!(timeout(Duration::from_secs(1), append).await.is_err(), "the client has noticed");
    opened.cluster.fail(Fault { written: false, answer: Answer::Ended });
    opened.store.append(&stream("a"), NoStream, batch(1)).await.unwrap();
}

/// One round trip through Nagle's algorithm and a delayed acknowledgement takes 40 ms; appends do not wait for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_go_through_one_session_and_reads_only_where_they_must() {
    let opened = Opened::create().await;
    let before = opened.cluster.seen();
    let mut expected = NoStream;
    for _ in 0..50 {
        let appended = opened.store.append(&stream("a"), expected, batch(1)).await.unwrap();
        expected = Exact(appended.last_revision);
    }
    let after = opened.cluster.seen();
    assert_eq!((after.sessions, after.batch_appends - before.batch_appends), (1, 50));
    assert_eq!((after.appends, after.subscriptions), (0, 1));
}

//! The one suite that every adapter passes: the contract of [`EventStore`], sentence by sentence.
//!
//! An adapter implements [`Fixture`] (and [`Durable`] when it can be opened again) for something that
//! owns a store, and writes `conformance_tests!(ItsFixture)` (and `durability_tests!(ItsFixture)`) in
//! a module of its tests. Each function below becomes one test there, named like the function. Every
//! test ends by reading the whole log and checking its order, whatever it was about.
#![expect(clippy::unwrap_used, clippy::panic, reason = "this module is tests; it is compiled for them alone")]

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    AppendError, Appended, EventStore, MAX_BATCH_EVENTS, MAX_CHECKPOINT_BYTES, MAX_DATA_BYTES,
    MAX_HEADER_BYTES, MAX_READ_EVENTS, ReadError,
};
use crate::ExpectedRevision::{Exact, NoStream};
use crate::{ExpectedRevision, NewEvent, Position, Recorded, Revision, StreamId};

/// Owns one empty store and whatever it needs to live; dropped when the test ends.
pub trait Fixture: Sized + Send + Sync + 'static {
    fn create() -> impl Future<Output = Self> + Send;

    fn store(&self) -> Arc<dyn EventStore>;
}

/// A fixture whose store keeps what was appended when it is opened again.
pub trait Durable: Fixture {
    /// Opens the same store again; the suite has closed the one before.
    fn reopen(self) -> impl Future<Output = Self> + Send;
}

/// Makes one test of each function of the suite, for the given [`Fixture`].
#[macro_export]
macro_rules! conformance_tests {
    ($fixture:ty) => {
        $crate::suite_tests! { $fixture:
            an_append_to_a_new_stream_starts_at_revision_zero,
            events_of_one_append_are_consecutive,
            positions_are_dense_across_streams,
            no_stream_on_an_existing_stream_conflicts_with_both_sides,
            an_exact_revision_on_a_missing_stream_conflicts_with_both_sides,
            an_exact_revision_behind_the_head_conflicts_with_both_sides,
            an_exact_revision_ahead_of_the_head_conflicts_with_both_sides,
            a_conflict_stores_no_event_of_its_batch,
            of_many_appends_at_one_revision_exactly_one_wins,
            the_same_batch_again_returns_the_first_success,
            the_same_batch_is_recognised_after_the_stream_has_moved_on,
            the_same_batch_is_recognised_on_a_stream_spread_over_the_log,
            a_batch_that_reaches_beyond_what_is_stored_conflicts,
            a_batch_with_one_other_id_conflicts,
            the_same_ids_in_another_order_conflict,
            the_same_ids_at_another_place_conflict,
            a_replay_right_behind_its_first_append_is_recognised,
            a_conflict_between_two_appends_leaves_both_alone,
            an_empty_batch_is_refused,
            a_batch_of_the_largest_size_is_stored,
            a_batch_above_the_largest_size_is_refused,
            data_of_the_largest_size_is_stored,
            data_above_the_largest_size_is_refused,
            a_header_of_the_largest_size_is_stored,
            a_header_above_the_largest_size_is_refused,
            bytes_come_back_as_they_went_in,
            a_dropped_append_is_stored_all_the_same,
            unpolled_appends_are_decided_in_the_order_of_their_calls,
            an_unknown_stream_reads_as_empty,
            a_stream_is_read_from_a_revision_up_to_a_limit,
            a_long_stream_among_others_is_read_from_any_revision,
            the_log_is_read_after_a_position_up_to_a_limit,
            a_read_returns_no_more_than_the_largest_page,
            an_append_is_visible_when_it_resolves,
            a_subscription_from_the_start_sees_stored_then_live_events,
            a_subscription_after_a_position_begins_behind_it,
            a_subscription_beyond_the_head_waits_for_it,
            subscribers_anywhere_see_each_event_once_while_64_writers_write,
            a_slow_subscriber_misses_nothing,
            a_subscription_ends_when_the_store_closes,
            a_subscription_that_is_behind_ends_when_the_store_closes,
            the_head_is_the_last_position,
            a_checkpoint_takes_the_place_of_the_one_it_names,
            of_many_checkpoints_after_the_same_one_exactly_one_wins,
            a_checkpoint_above_the_largest_size_is_refused,
            a_closed_store_refuses_appends_and_reads,
            closing_finishes_what_was_accepted,
            closing_twice_is_harmless,
        }
    };
}

/// Makes one test of each function about opening again, for the given [`Durable`] fixture.
#[macro_export]
macro_rules! durability_tests {
    ($fixture:ty) => {
        $crate::suite_tests! { $fixture:
            everything_is_there_after_opening_again,
            an_empty_store_is_opened_again,
            a_replay_after_opening_again_returns_the_first_success,
            a_stream_goes_on_after_opening_again,
            appends_accepted_before_closing_are_there_after_opening_again,
            a_subscription_goes_on_after_opening_again,
            a_checkpoint_is_there_after_opening_again,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! suite_tests {
    ($fixture:ty: $($name:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $crate::store::conformance::finish($crate::store::conformance::$name::<$fixture>()).await;
            }
        )+
    };
}

/// Runs one test of the suite; one that waits for something that never comes fails.
#[doc(hidden)]
pub async fn finish(test: impl Future<Output = ()>) {
    assert!(tokio::time::timeout(Duration::from_secs(120), test).await.is_ok(), "the test waits for ever");
}

// What tests are written with.

/// A stream of this name.
pub fn stream(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

/// An event that differs from every other of this process.
pub fn event() -> NewEvent {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    NewEvent {
        id: Uuid::from_u128(u128::from(number) << 64 | 0x8000_0000_0000_0000),
        header: Bytes::from(format!("header {number}")),
        data: Bytes::from(format!("data {number}")),
    }
}

/// So many new events.
pub fn batch(count: usize) -> Vec<NewEvent> {
    (0..count).map(|_| event()).collect()
}

/// Appends what must succeed.
async fn given(
    store: &dyn EventStore,
    to: &str,
    expected: ExpectedRevision,
    events: &[NewEvent],
) -> Appended {
    store.append(&stream(to), expected, events.to_vec()).await.unwrap()
}

/// The single place that says how a conflict is checked.
async fn conflicts(store: &dyn EventStore, at: &str, expected: ExpectedRevision, events: Vec<NewEvent>) {
    let before = all(store).await;
    let current = ExpectedRevision::of(last_revision(&before, at));
    let answer = store.append(&stream(at), expected, events).await;
    let Err(AppendError::Conflict { stream: named, current: told, expected: asked }) = answer else {
        panic!("expected a conflict, got {answer:?}");
    };
    assert_eq!((named, ExpectedRevision::of(told), asked), (stream(at), current, expected));
    assert_eq!(all(store).await, before, "a conflict stores nothing");
}

/// The single place that says how a refused append is checked.
async fn exceeds_a_limit(store: &dyn EventStore, events: Vec<NewEvent>, told: (usize, usize)) {
    given(store, "a", NoStream, &batch(1)).await;
    let answer = store.append(&stream("a"), Exact(Revision(0)), events).await;
    let Err(AppendError::Limit { actual, limit, .. }) = answer else {
        panic!("expected a limit, got {answer:?}");
    };
    assert_eq!((actual, limit), told);
    assert_eq!(verify(store).await.len(), 1, "a refused append stores nothing");
}

fn last_revision(log: &[Recorded], of: &str) -> Option<Revision> {
    log.iter().rev().find(|event| event.stream.as_str() == of).map(|event| event.revision)
}

/// The whole log, page by page.
pub async fn all(store: &dyn EventStore) -> Vec<Recorded> {
    let mut log: Vec<Recorded> = Vec::new();
    loop {
        let page = store.read_all(log.last().map(|event| event.position), MAX_READ_EVENTS).await.unwrap();
        if page.is_empty() {
            return log;
        }
        log.extend(page);
    }
}

/// Reads everything in every way there is and checks that it is one log: positions and revisions are
/// dense, streams hold what the log holds, the head is the last event. Returns the log.
pub async fn verify(store: &dyn EventStore) -> Vec<Recorded> {
    let log = all(store).await;
    let mut streams: HashMap<StreamId, Vec<Recorded>> = HashMap::new();
    for (position, event) in (0..).zip(&log) {
        assert_eq!(event.position, Position(position), "positions are dense from 0");
        let so_far = streams.entry(event.stream.clone()).or_default();
        assert_eq!(event.revision, Revision(so_far.len() as u64), "revisions of {} are dense", event.stream);
        so_far.push(event.clone());
    }
    for (name, events) in streams {
        let mut read: Vec<Recorded> = Vec::new();
        while read.len() < events.len() {
            let page = store.read_stream(&name, Revision(read.len() as u64), MAX_READ_EVENTS).await.unwrap();
            assert!(!page.is_empty(), "{name} ends too early");
            read.extend(page);
        }
        assert_eq!(read, events, "stream {name} reads as the log says");
    }
    assert_eq!(store.head(), log.last().map(|event| event.position));
    log
}

fn ids(events: &[NewEvent]) -> Vec<Uuid> {
    events.iter().map(|event| event.id).collect()
}

fn recorded_ids(events: &[Recorded]) -> Vec<Uuid> {
    events.iter().map(|event| event.id).collect()
}

// Order.

pub async fn an_append_to_a_new_stream_starts_at_revision_zero<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let appended = given(store, "a", NoStream, &batch(1)).await;
    let expected = Appended {
        first_revision: Revision(0),
        last_revision: Revision(0),
        first_position: Position(0),
        last_position: Position(0),
        replayed: false,
    };
    assert_eq!(appended, expected);
    verify(store).await;
}

pub async fn events_of_one_append_are_consecutive<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    given(store, "a", NoStream, &batch(2)).await;
    let events = batch(3);
    let appended = given(store, "a", Exact(Revision(1)), &events).await;
    assert_eq!((appended.first_revision, appended.last_revision), (Revision(2), Revision(4)));
    assert_eq!((appended.first_position, appended.last_position), (Position(2), Position(4)));
    assert_eq!(recorded_ids(&verify(store).await[2..]), ids(&events));
}

pub async fn positions_are_dense_across_streams<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let mut lengths = [0u64; 3];
    for (position, which) in [0, 1, 0, 2, 2, 1, 0, 1].into_iter().enumerate() {
        let expected = ExpectedRevision::of(lengths[which].checked_sub(1).map(Revision));
        let appended = given(store, ["a", "b", "c"][which], expected, &batch(1)).await;
        assert_eq!(appended.first_position, Position(position as u64));
        assert_eq!(appended.first_revision, Revision(lengths[which]));
        lengths[which] += 1;
    }
    assert_eq!(verify(store).await.len(), 8);
}

// Expected revision.

pub async fn no_stream_on_an_existing_stream_conflicts_with_both_sides<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    given(store, "a", NoStream, &batch(3)).await;
    conflicts(store, "a", NoStream, batch(1)).await;
    verify(store).await;
}

pub async fn an_exact_revision_on_a_missing_stream_conflicts_with_both_sides<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    given(store, "other", NoStream, &batch(1)).await;
    conflicts(store, "a", Exact(Revision(0)), batch(1)).await;
    conflicts(store, "a", Exact(Revision(u64::MAX)), batch(1)).await;
    given(store, "a", NoStream, &batch(1)).await;
    verify(store).await;
}

pub async fn an_exact_revision_behind_the_head_conflicts_with_both_sides<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    given(store, "a", NoStream, &batch(3)).await;
    conflicts(store, "a", Exact(Revision(0)), batch(1)).await;
    conflicts(store, "a", Exact(Revision(1)), batch(1)).await;
    verify(store).await;
}

pub async fn an_exact_revision_ahead_of_the_head_conflicts_with_both_sides<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    given(store, "a", NoStream, &batch(3)).await;
    conflicts(store, "a", Exact(Revision(3)), batch(1)).await;
    conflicts(store, "a", Exact(Revision(u64::MAX - 1)), batch(2)).await;
    conflicts(store, "a", Exact(Revision(u64::MAX)), batch(1)).await;
    verify(store).await;
}

pub async fn a_conflict_stores_no_event_of_its_batch<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    given(store, "a", NoStream, &batch(1)).await;
    conflicts(store, "a", NoStream, batch(MAX_BATCH_EVENTS)).await;
    given(store, "a", Exact(Revision(0)), &batch(1)).await;
    assert_eq!(verify(store).await.len(), 2);
}

pub async fn of_many_appends_at_one_revision_exactly_one_wins<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    given(store, "a", NoStream, &batch(1)).await;
    let appends = (0..32).map(|_| store.append(&stream("a"), Exact(Revision(0)), batch(2)));
    let answers = join_all(appends).await;
    let current = Some(Revision(2));
    let lost = AppendError::Conflict { stream: stream("a"), current, expected: Exact(Revision(0)) };
    let won = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(won, 1);
    assert!(answers.into_iter().filter_map(Result::err).all(|error| error == lost));
    assert_eq!(verify(store).await.len(), 3);
}

// Event ids make retries safe.

pub async fn the_same_batch_again_returns_the_first_success<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let (created, grown) = (batch(2), batch(3));
    let first = given(store, "a", NoStream, &created).await;
    let second = given(store, "a", Exact(Revision(1)), &grown).await;
    for _ in 0..2 {
        let again = given(store, "a", NoStream, &created).await;
        assert_eq!(again, Appended { replayed: true, ..first });
        let again = given(store, "a", Exact(Revision(1)), &grown).await;
        assert_eq!(again, Appended { replayed: true, ..second });
    }
    assert_eq!(verify(store).await.len(), 5);
}

pub async fn the_same_batch_is_recognised_after_the_stream_has_moved_on<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    given(store, "a", NoStream, &batch(1)).await;
    let events = batch(2);
    let first = given(store, "a", Exact(Revision(0)), &events).await;
    for head in [2, 302, 602] {
        given(store, "a", Exact(Revision(head)), &batch(300)).await;
    }
    let again = given(store, "a", Exact(Revision(0)), &events).await;
    assert_eq!(again, Appended { replayed: true, ..first });
    verify(store).await;
}

pub async fn the_same_batch_is_recognised_on_a_stream_spread_over_the_log<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let (first, between, second) = (batch(1), batch(4), batch(1));
    let begin = given(store, "a", NoStream, &first).await;
    given(store, "b", NoStream, &between).await;
    let end = given(store, "a", Exact(Revision(0)), &second).await;
    let both = [first, second].concat();
    let again = given(store, "a", NoStream, &both).await;
    let expected = Appended {
        first_revision: begin.first_revision,
        last_revision: end.last_revision,
        first_position: begin.first_position,
        last_position: end.last_position,
        replayed: true,
    };
    assert_eq!(again, expected);
    verify(store).await;
}

pub async fn a_batch_that_reaches_beyond_what_is_stored_conflicts<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let events = batch(3);
    given(store, "a", NoStream, &events[..2]).await;
    conflicts(store, "a", NoStream, events).await;
    verify(store).await;
}

pub async fn a_batch_with_one_other_id_conflicts<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let events = batch(3);
    given(store, "a", NoStream, &events).await;
    for other in 0..3 {
        let mut changed = events.clone();
        changed[other] = event();
        conflicts(store, "a", NoStream, changed).await;
    }
    verify(store).await;
}

pub async fn the_same_ids_in_another_order_conflict<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let mut events = batch(2);
    given(store, "a", NoStream, &events).await;
    events.reverse();
    conflicts(store, "a", NoStream, events).await;
    verify(store).await;
}

pub async fn the_same_ids_at_another_place_conflict<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let events = batch(4);
    given(store, "a", NoStream, &events).await;
    conflicts(store, "a", NoStream, events[1..3].to_vec()).await;
    conflicts(store, "a", Exact(Revision(1)), events[1..3].to_vec()).await;
    conflicts(store, "a", Exact(Revision(4)), events[..2].to_vec()).await;
    given(store, "b", NoStream, &batch(4)).await;
    conflicts(store, "b", NoStream, events).await;
    verify(store).await;
}

pub async fn a_replay_right_behind_its_first_append_is_recognised<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let (created, grown) = (batch(2), batch(2));
    // Nothing is awaited in between, so an adapter that groups appends has them in one group.
    let first = store.append(&stream("a"), NoStream, created.clone());
    let second = store.append(&stream("a"), Exact(Revision(1)), grown.clone());
    let first_again = store.append(&stream("a"), NoStream, created.clone());
    let second_again = store.append(&stream("a"), Exact(Revision(1)), grown.clone());
    let both_again = store.append(&stream("a"), NoStream, [created, grown].concat());
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert!(!first.replayed && !second.replayed);
    assert_eq!(first_again.await, Ok(Appended { replayed: true, ..first }));
    assert_eq!(second_again.await, Ok(Appended { replayed: true, ..second }));
    let Appended { last_revision, last_position, .. } = second;
    assert_eq!(both_again.await, Ok(Appended { last_revision, last_position, replayed: true, ..first }));
    assert_eq!(verify(store).await.len(), 4);
}

pub async fn a_conflict_between_two_appends_leaves_both_alone<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let (first, second) = (batch(2), batch(2));
    let before = store.append(&stream("a"), NoStream, first.clone());
    let conflict = store.append(&stream("a"), NoStream, batch(3));
    let missing = store.append(&stream("b"), Exact(Revision(7)), batch(3));
    let after = store.append(&stream("a"), Exact(Revision(1)), second.clone());
    before.await.unwrap();
    let current = Some(Revision(1));
    let expected = AppendError::Conflict { stream: stream("a"), current, expected: NoStream };
    assert_eq!(conflict.await, Err(expected));
    assert!(matches!(missing.await, Err(AppendError::Conflict { current: None, .. })));
    assert_eq!(after.await.unwrap().first_position, Position(2));
    assert_eq!(recorded_ids(&verify(store).await), ids(&[first, second].concat()));
}

// Limits.

pub async fn an_empty_batch_is_refused<F: Fixture>() {
    exceeds_a_limit(&*F::create().await.store(), Vec::new(), (0, 1)).await;
}

pub async fn a_batch_of_the_largest_size_is_stored<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let appended = given(store, "a", NoStream, &batch(MAX_BATCH_EVENTS)).await;
    assert_eq!(appended.last_revision, Revision(MAX_BATCH_EVENTS as u64 - 1));
    verify(store).await;
}

pub async fn a_batch_above_the_largest_size_is_refused<F: Fixture>() {
    let told = (MAX_BATCH_EVENTS + 1, MAX_BATCH_EVENTS);
    exceeds_a_limit(&*F::create().await.store(), batch(MAX_BATCH_EVENTS + 1), told).await;
}

pub async fn data_of_the_largest_size_is_stored<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let data: Bytes = (0..MAX_DATA_BYTES).map(|n| (n % 251) as u8).collect();
    given(store, "a", NoStream, &[NewEvent { data: data.clone(), ..event() }]).await;
    assert_eq!(verify(store).await[0].data, data);
}

pub async fn data_above_the_largest_size_is_refused<F: Fixture>() {
    let mut events = batch(3);
    events[1].data = vec![b'x'; MAX_DATA_BYTES + 1].into();
    exceeds_a_limit(&*F::create().await.store(), events, (MAX_DATA_BYTES + 1, MAX_DATA_BYTES)).await;
}

pub async fn a_header_of_the_largest_size_is_stored<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let header: Bytes = (0..MAX_HEADER_BYTES).map(|n| (n % 253) as u8).collect();
    given(store, "a", NoStream, &[NewEvent { header: header.clone(), ..event() }]).await;
    assert_eq!(verify(store).await[0].header, header);
}

pub async fn a_header_above_the_largest_size_is_refused<F: Fixture>() {
    let mut events = batch(3);
    events[2].header = vec![b'x'; MAX_HEADER_BYTES + 1].into();
    exceeds_a_limit(&*F::create().await.store(), events, (MAX_HEADER_BYTES + 1, MAX_HEADER_BYTES)).await;
}

// Bytes.

pub async fn bytes_come_back_as_they_went_in<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let every_byte: Vec<u8> = (0..=255).collect();
    let bytes: [&[u8]; 8] = [
        b"",
        b"\0",
        b"\0\0begins and ends with NUL\0",
        b"\xff\xfe is not UTF-8 \xc3\x28",
        b"{\"b\": 1.0, \"a\":1, \"a\":2}\r\n ",
        "\u{feff}Gr\u{fc}\u{df}e \u{1f600}".as_bytes(),
        b"'; DROP TABLE events; --",
        &every_byte,
    ];
    let pairs = bytes.iter().flat_map(|header| bytes.iter().map(move |data| (*header, *data)));
    let events: Vec<NewEvent> = pairs
        .map(|(header, data)| NewEvent {
            header: Bytes::copy_from_slice(header),
            data: Bytes::copy_from_slice(data),
            ..event()
        })
        .collect();
    given(store, "a", NoStream, &events).await;
    for (recorded, event) in verify(store).await.iter().zip(&events) {
        assert_eq!((recorded.id, &recorded.header, &recorded.data), (event.id, &event.header, &event.data));
    }
}

// Futures.

pub async fn a_dropped_append_is_stored_all_the_same<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let events = batch(2);
    drop(store.append(&stream("a"), NoStream, events.clone()));
    // The next append is decided behind the dropped one, so its success says that it is stored.
    given(store, "a", Exact(Revision(1)), &batch(1)).await;
    assert_eq!(recorded_ids(&verify(store).await[..2]), ids(&events));
}

pub async fn unpolled_appends_are_decided_in_the_order_of_their_calls<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let appends: Vec<_> = (0..50u64)
        .map(|n| store.append(&stream("a"), ExpectedRevision::of(n.checked_sub(1).map(Revision)), batch(1)))
        .collect();
    for (n, append) in (0..50).zip(appends).collect::<Vec<_>>().into_iter().rev() {
        assert_eq!(append.await.unwrap().first_revision, Revision(n));
    }
    verify(store).await;
}

// Reads.

pub async fn an_unknown_stream_reads_as_empty<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    assert_eq!(store.read_stream(&stream("a"), Revision(0), 10).await, Ok(Vec::new()));
    given(store, "b", NoStream, &batch(1)).await;
    assert_eq!(store.read_stream(&stream("a"), Revision(0), 10).await, Ok(Vec::new()));
    assert_eq!(store.read_stream(&stream("a"), Revision(u64::MAX), 10).await, Ok(Vec::new()));
}

pub async fn a_stream_is_read_from_a_revision_up_to_a_limit<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let events = batch(5);
    given(store, "other", NoStream, &batch(3)).await;
    given(store, "a", NoStream, &events).await;
    let expect = async |from: u64, limit, expected: &[NewEvent]| {
        let read = store.read_stream(&stream("a"), Revision(from), limit).await.unwrap();
        assert_eq!(recorded_ids(&read), ids(expected), "from {from}, at most {limit}");
        assert!(read.first().is_none_or(|first| first.revision == Revision(from)));
    };
    expect(0, 10, &events).await;
    expect(0, 2, &events[..2]).await;
    expect(2, 2, &events[2..4]).await;
    expect(4, 2, &events[4..]).await;
    expect(0, 0, &[]).await;
    expect(5, 10, &[]).await;
    expect(u64::MAX, usize::MAX, &[]).await;
    expect(1, usize::MAX, &events[1..]).await;
}

pub async fn a_long_stream_among_others_is_read_from_any_revision<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let mut length = 0u64;
    for round in 0..120u64 {
        let expected = ExpectedRevision::of(length.checked_sub(1).map(Revision));
        length = given(store, "a", expected, &batch(7)).await.last_revision.0 + 1;
        let expected = ExpectedRevision::of(round.checked_sub(1).map(Revision));
        given(store, "b", expected, &batch(1)).await;
    }
    let whole: Vec<Recorded> =
        verify(store).await.into_iter().filter(|event| event.stream == stream("a")).collect();
    for from in (0..=length).step_by(17).chain([255, 256, 257, 511, 512, 513, length - 1, length]) {
        let page = store.read_stream(&stream("a"), Revision(from), 20).await.unwrap();
        let begin = usize::try_from(from).unwrap();
        assert_eq!(page, whole[begin..whole.len().min(begin + 20)], "from {from}");
    }
}

pub async fn the_log_is_read_after_a_position_up_to_a_limit<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    assert_eq!(store.read_all(None, 10).await, Ok(Vec::new()));
    assert_eq!(store.read_all(Some(Position(u64::MAX)), 10).await, Ok(Vec::new()));
    let (a, b) = (batch(3), batch(2));
    given(store, "a", NoStream, &a).await;
    given(store, "b", NoStream, &b).await;
    let events = [a, b].concat();
    let expect = async |after: Option<u64>, limit, expected: &[NewEvent]| {
        let read = store.read_all(after.map(Position), limit).await.unwrap();
        assert_eq!(recorded_ids(&read), ids(expected), "after {after:?}, at most {limit}");
    };
    expect(None, 10, &events).await;
    expect(None, 2, &events[..2]).await;
    expect(Some(0), 2, &events[1..3]).await;
    expect(Some(1), 10, &events[2..]).await;
    expect(Some(4), 10, &[]).await;
    expect(Some(5), 10, &[]).await;
    expect(Some(u64::MAX), usize::MAX, &[]).await;
    expect(None, 0, &[]).await;
    expect(None, usize::MAX, &events).await;
}

pub async fn a_read_returns_no_more_than_the_largest_page<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let mut expected = NoStream;
    for _ in 0..=MAX_READ_EVENTS / MAX_BATCH_EVENTS {
        expected = Exact(given(store, "a", expected, &batch(MAX_BATCH_EVENTS)).await.last_revision);
    }
    assert_eq!(store.read_all(None, usize::MAX).await.unwrap().len(), MAX_READ_EVENTS);
    let page = store.read_stream(&stream("a"), Revision(3), usize::MAX).await.unwrap();
    assert_eq!(page.len(), MAX_READ_EVENTS);
    verify(store).await;
}

pub async fn an_append_is_visible_when_it_resolves<F: Fixture>() {
    let fixture = F::create().await;
    let store = fixture.store();
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            let name = stream(&format!("own-{writer}"));
            for round in 0..20u64 {
                let expected = ExpectedRevision::of(round.checked_sub(1).map(Revision));
                let appended = store.append(&name, expected, batch(1)).await.unwrap();
                assert!(store.head() >= Some(appended.last_position));
                let read = store.read_stream(&name, Revision(round), 1).await.unwrap();
                assert_eq!(read[0].position, appended.first_position);
                let before = appended.first_position.0.checked_sub(1).map(Position);
                assert_eq!(store.read_all(before, 1).await.unwrap(), read);
            }
        });
    }
    writers.join_all().await;
    verify(&*store).await;
}

// Subscriptions.

/// The next `count` events of a subscription.
async fn next(
    subscription: &mut (impl futures_util::Stream<Item = Result<Recorded, ReadError>> + Unpin),
    count: usize,
) -> Vec<Recorded> {
    subscription.take(count).map(Result::unwrap).collect().await
}

pub async fn a_subscription_from_the_start_sees_stored_then_live_events<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let (stored, live) = (batch(3), batch(2));
    given(store, "a", NoStream, &stored).await;
    let mut subscription = store.subscribe(None);
    assert_eq!(recorded_ids(&next(&mut subscription, 3).await), ids(&stored));
    given(store, "b", NoStream, &live).await;
    assert_eq!(recorded_ids(&next(&mut subscription, 2).await), ids(&live));
    verify(store).await;
}

pub async fn a_subscription_after_a_position_begins_behind_it<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    given(store, "a", NoStream, &batch(5)).await;
    let mut middle = store.subscribe(Some(Position(2)));
    let mut end = store.subscribe(store.head());
    let live = batch(1);
    given(store, "a", Exact(Revision(4)), &live).await;
    let log = verify(store).await;
    assert_eq!(next(&mut middle, 3).await, log[3..]);
    assert_eq!(next(&mut end, 1).await, log[5..]);
}

pub async fn a_subscription_beyond_the_head_waits_for_it<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let mut subscription = store.subscribe(Some(Position(2)));
    for head in 0..4u64 {
        given(store, "a", ExpectedRevision::of(head.checked_sub(1).map(Revision)), &batch(1)).await;
    }
    assert_eq!(next(&mut subscription, 1).await[0].position, Position(3));
    verify(store).await;
}

const WRITERS: u64 = 64;
const ROUNDS: u64 = 12;

/// 64 writers, each appending to its own stream and, against the others, to one of four shared ones.
/// Returns how many events there are in the end.
fn start_writers(store: &Arc<dyn EventStore>) -> (JoinSet<()>, usize) {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(store);
        writers.spawn(async move {
            let (own, shared) = (stream(&format!("own-{writer}")), stream(&format!("shared-{}", writer % 4)));
            let mut expected_shared = NoStream;
            for round in 0..ROUNDS {
                let expected = ExpectedRevision::of((round * 2).checked_sub(1).map(Revision));
                store.append(&own, expected, batch(2)).await.unwrap();
                let event = batch(1);
                expected_shared = loop {
                    match store.append(&shared, expected_shared, event.clone()).await {
                        Ok(appended) => break Exact(appended.last_revision),
                        Err(AppendError::Conflict { current, .. }) => {
                            expected_shared = ExpectedRevision::of(current);
                        }
                        Err(error) => panic!("{error}"),
                    }
                };
            }
        });
    }
    (writers, (WRITERS * ROUNDS * 3) as usize)
}

pub async fn subscribers_anywhere_see_each_event_once_while_64_writers_write<F: Fixture>() {
    let fixture = F::create().await;
    let store = fixture.store();
    given(&*store, "before", NoStream, &batch(300)).await;
    let (writers, written) = start_writers(&store);
    let total = 300 + written;
    let mut subscribers = JoinSet::new();
    for after in [None, Some(0), Some(150), Some(299), Some(700), Some(total as u64 - 2)] {
        let store = Arc::clone(&store);
        subscribers.spawn(async move {
            let begin = after.map_or(0, |after| after + 1);
            let mut subscription = store.subscribe(after.map(Position));
            for position in begin..total as u64 {
                let event = subscription.next().await.unwrap().unwrap();
                assert_eq!(event.position, Position(position), "no gap, no repeat behind {after:?}");
            }
        });
        // The later ones start somewhere in the middle of the writing, each elsewhere.
        tokio::task::yield_now().await;
    }
    writers.join_all().await;
    subscribers.join_all().await;
    assert_eq!(verify(&*store).await.len(), total);
}

pub async fn a_slow_subscriber_misses_nothing<F: Fixture>() {
    let fixture = F::create().await;
    let store = fixture.store();
    given(&*store, "before", NoStream, &batch(10)).await;
    let mut subscription = store.subscribe(None);
    let mut seen = next(&mut subscription, 1).await;
    // It reads nothing at all until everything is written, which is as slow as can be.
    let (writers, written) = start_writers(&store);
    writers.join_all().await;
    seen.extend(next(&mut subscription, 9 + written).await);
    assert_eq!(seen, verify(&*store).await);
}

pub async fn a_subscription_ends_when_the_store_closes<F: Fixture>() {
    let fixture = F::create().await;
    let store = fixture.store();
    given(&*store, "a", NoStream, &batch(2)).await;
    let mut subscription = store.subscribe(None);
    let (ready, caught_up) = oneshot::channel();
    let subscriber = tokio::spawn(async move {
        next(&mut subscription, 2).await;
        ready.send(()).unwrap();
        subscription.next().await
    });
    caught_up.await.unwrap();
    store.close().await;
    assert_eq!(subscriber.await.unwrap(), None);
    assert_eq!(store.subscribe(None).next().await, None);
}

pub async fn a_subscription_that_is_behind_ends_when_the_store_closes<F: Fixture>() {
    let fixture = F::create().await;
    let store = fixture.store();
    given(&*store, "a", NoStream, &batch(MAX_BATCH_EVENTS)).await;
    given(&*store, "b", NoStream, &batch(MAX_BATCH_EVENTS)).await;
    let mut subscription = store.subscribe(None);
    next(&mut subscription, 1).await;
    store.close().await;
    let rest: Vec<_> = subscription.collect().await;
    let expected = (1..=rest.len() as u64).map(Position);
    assert!(rest.into_iter().map(|event| event.unwrap().position).eq(expected));
}

// Head and close.

pub async fn the_head_is_the_last_position<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    assert_eq!(store.head(), None);
    given(store, "a", NoStream, &batch(1)).await;
    assert_eq!(store.head(), Some(Position(0)));
    given(store, "b", NoStream, &batch(3)).await;
    assert_eq!(store.head(), Some(Position(3)));
    conflicts(store, "b", NoStream, batch(1)).await;
    assert_eq!(store.head(), Some(Position(3)));
}

fn note(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

pub async fn a_checkpoint_takes_the_place_of_the_one_it_names<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    assert_eq!(store.checkpoint().await, Ok(None));
    assert_eq!(store.swap_checkpoint(Some(note("none")), note("one")).await, Ok(false));
    assert_eq!(store.swap_checkpoint(None, note("one")).await, Ok(true));
    assert_eq!(store.swap_checkpoint(None, note("two")).await, Ok(false));
    assert_eq!(store.checkpoint().await, Ok(Some(note("one"))));
    assert_eq!(store.swap_checkpoint(Some(note("one")), note("two")).await, Ok(true));
    assert_eq!(store.checkpoint().await, Ok(Some(note("two"))));
    // It is no event.
    assert_eq!(store.head(), None);
    store.close().await;
    assert_eq!(store.swap_checkpoint(Some(note("two")), note("three")).await, Err(AppendError::Closed));
}

pub async fn of_many_checkpoints_after_the_same_one_exactly_one_wins<F: Fixture>() {
    let fixture = F::create().await;
    let store = &fixture.store();
    let swaps = (0..16).map(|n| store.swap_checkpoint(None, Bytes::from(format!("checkpoint {n}"))));
    let answers = futures_util::future::join_all(swaps).await;
    let won: Vec<_> = (0..16).filter(|n| answers[*n] == Ok(true)).collect();
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(won.len(), 1, "{answers:?}");
    assert_eq!(store.checkpoint().await, Ok(Some(Bytes::from(format!("checkpoint {}", won[0])))));
}

pub async fn a_checkpoint_above_the_largest_size_is_refused<F: Fixture>() {
    let fixture = F::create().await;
    let store = &*fixture.store();
    let too_large = Bytes::from(vec![b'a'; MAX_CHECKPOINT_BYTES + 1]);
    let refused = store.swap_checkpoint(None, too_large).await;
    assert!(matches!(refused, Err(AppendError::Limit { .. })), "{refused:?}");
    assert_eq!(store.checkpoint().await, Ok(None));
}

pub async fn a_closed_store_refuses_appends_and_reads<F: Fixture>() {
    let fixture = F::create().await;
    let store = fixture.store();
    let events = batch(1);
    given(&*store, "a", NoStream, &events).await;
    let closing = store.close();
    // Refused from the call on, even for a batch that is stored already.
    let refused = store.append(&stream("a"), NoStream, events).await;
    assert_eq!(refused, Err(AppendError::Closed));
    closing.await;
    let refused = store.append(&stream("b"), NoStream, batch(1)).await;
    assert_eq!(refused, Err(AppendError::Closed));
    assert_eq!(store.read_all(None, 1).await, Err(ReadError::Closed));
    assert_eq!(store.read_stream(&stream("a"), Revision(0), 1).await, Err(ReadError::Closed));
}

pub async fn closing_finishes_what_was_accepted<F: Fixture>() {
    let fixture = F::create().await;
    let store = fixture.store();
    let appends: Vec<_> =
        (0..200).map(|n| store.append(&stream(&format!("s-{n}")), NoStream, batch(1))).collect();
    store.close().await;
    for (position, append) in (0..).zip(appends) {
        assert_eq!(append.await.unwrap().first_position, Position(position));
    }
}

pub async fn closing_twice_is_harmless<F: Fixture>() {
    let fixture = F::create().await;
    let store = fixture.store();
    tokio::join!(store.close(), store.close());
    store.close().await;
}

// Opening again.

/// Closes and opens again, as a planned restart does.
async fn restart<F: Durable>(fixture: F) -> F {
    fixture.store().close().await;
    fixture.reopen().await
}

pub async fn everything_is_there_after_opening_again<F: Durable>() {
    let fixture = F::create().await;
    let store = fixture.store();
    let (writers, written) = start_writers(&store);
    writers.join_all().await;
    let before = verify(&*store).await;
    assert_eq!(before.len(), written);
    drop(store);
    let mut fixture = fixture;
    for _ in 0..2 {
        fixture = restart(fixture).await;
        assert_eq!(verify(&*fixture.store()).await, before);
    }
}

pub async fn an_empty_store_is_opened_again<F: Durable>() {
    let fixture = restart(F::create().await).await;
    let store = &*fixture.store();
    assert_eq!(store.head(), None);
    given(store, "a", NoStream, &batch(1)).await;
    assert_eq!(verify(store).await.len(), 1);
}

pub async fn a_replay_after_opening_again_returns_the_first_success<F: Durable>() {
    let fixture = F::create().await;
    let (created, grown) = (batch(2), batch(2));
    let first = given(&*fixture.store(), "a", NoStream, &created).await;
    given(&*fixture.store(), "b", NoStream, &batch(5)).await;
    let second = given(&*fixture.store(), "a", Exact(Revision(1)), &grown).await;
    let fixture = restart(fixture).await;
    let store = &*fixture.store();
    assert_eq!(given(store, "a", NoStream, &created).await, Appended { replayed: true, ..first });
    assert_eq!(given(store, "a", Exact(Revision(1)), &grown).await, Appended { replayed: true, ..second });
    conflicts(store, "a", NoStream, batch(2)).await;
    verify(store).await;
}

pub async fn a_stream_goes_on_after_opening_again<F: Durable>() {
    let fixture = F::create().await;
    given(&*fixture.store(), "a", NoStream, &batch(300)).await;
    let fixture = restart(fixture).await;
    let store = &*fixture.store();
    conflicts(store, "a", NoStream, batch(1)).await;
    let appended = given(store, "a", Exact(Revision(299)), &batch(1)).await;
    assert_eq!((appended.first_revision, appended.first_position), (Revision(300), Position(300)));
    assert_eq!(given(store, "b", NoStream, &batch(1)).await.first_position, Position(301));
    verify(store).await;
}

pub async fn appends_accepted_before_closing_are_there_after_opening_again<F: Durable>() {
    let fixture = F::create().await;
    let store = fixture.store();
    for n in 0..200 {
        drop(store.append(&stream(&format!("s-{n}")), NoStream, batch(1)));
    }
    drop(store);
    let fixture = restart(fixture).await;
    assert_eq!(verify(&*fixture.store()).await.len(), 200);
}

pub async fn a_checkpoint_is_there_after_opening_again<F: Durable>() {
    let fixture = F::create().await;
    given(&*fixture.store(), "a", NoStream, &batch(3)).await;
    assert_eq!(fixture.store().swap_checkpoint(None, note("one")).await, Ok(true));
    assert_eq!(fixture.store().swap_checkpoint(Some(note("one")), note("two")).await, Ok(true));
    let fixture = restart(fixture).await;
    let store = &*fixture.store();
    assert_eq!(store.checkpoint().await, Ok(Some(note("two"))));
    assert_eq!(store.swap_checkpoint(Some(note("one")), note("three")).await, Ok(false));
    assert_eq!(verify(store).await.len(), 3);
}

pub async fn a_subscription_goes_on_after_opening_again<F: Durable>() {
    let fixture = F::create().await;
    given(&*fixture.store(), "a", NoStream, &batch(3)).await;
    let seen = next(&mut fixture.store().subscribe(None), 2).await[1].position;
    let fixture = restart(fixture).await;
    let store = &*fixture.store();
    let mut subscription = store.subscribe(Some(seen));
    given(store, "a", Exact(Revision(2)), &batch(1)).await;
    assert_eq!(next(&mut subscription, 2).await, verify(store).await[2..]);
}

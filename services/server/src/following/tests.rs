//! Several nodes over one log, each with memory of its own.

use eventlog::store::memory::Memory;
use eventlog::{EventStore, Revision, StreamId};
use release::Role;
use release::calendar::{Calendar, CalendarCommand, DeclareFreeze};
use release::value::{Name, Prose};

use super::*;
use crate::command::{CommandError, Envelope, Handled, Outcome, handle};
use crate::names;
use crate::testing::{app, by};

/// A node that follows the log for as long as it lives.
struct Node {
    app: Arc<App>,
    log: Memory,
    stop: CancellationToken,
}

impl Node {
    fn of(log: &Memory) -> Self {
        let (log, stop) = (log.node(), CancellationToken::new());
        let app = app(Arc::new(log.clone()), 64);
        tokio::spawn(run(Arc::clone(&app), stop.clone()));
        Self { app, log, stop }
    }

    async fn declare(&self, reason: &str, envelope: Envelope) -> Result<Outcome<usize>, CommandError> {
        let product = Name::new(&reason.replace(' ', "-")).unwrap();
        let command = CalendarCommand::Declare(DeclareFreeze {
            from: "2026-12-20T00:00:00Z".parse().unwrap(),
            to: "2027-01-04T00:00:00Z".parse().unwrap(),
            reason: Prose::new(reason).unwrap(),
            product: Some(product),
            environment: None,
            exceptions_allowed: false,
        });
        let freezes = |calendar: &Calendar, _: &[uuid::Uuid]| calendar.freezes.len();
        let app = &self.app;
        match handle(app, &app.calendars, &stream(), &envelope, &command, &(), freezes).await? {
            Handled::Recorded(outcome) => Ok(outcome),
            Handled::Preview(_) => panic!("no dry run was asked for"),
        }
    }

    async fn freezes(&self) -> usize {
        self.app.calendars.load(&stream()).await.unwrap().committed().state.freezes.len()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn stream() -> StreamId {
    names::calendar("default").unwrap()
}

fn omar(key: Option<&str>) -> Envelope {
    by("omar", &[Role::Admin], key)
}

#[tokio::test]
async fn given_two_nodes_when_one_records_then_the_other_has_it_in_memory() {
    let log = Memory::new();
    let (one, other) = (Node::of(&log), Node::of(&log));
    assert_eq!((one.freezes().await, other.freezes().await), (0, 0));
    let slot = other.app.calendars.load(&stream()).await.unwrap();
    for count in 1..=5 {
        let outcome = one.declare(&format!("freeze {count}"), omar(None)).await.unwrap();
        other.app.reaches(outcome.position.0).await.unwrap();
        let seen = other.app.calendars.load(&stream()).await.unwrap();
        assert!(Arc::ptr_eq(&slot, &seen), "it moved on, and was not read again");
        let seen = seen.committed();
        assert_eq!(seen.state.freezes.len(), count);
        assert_eq!((seen.revision, seen.position), (Some(outcome.revision), Some(outcome.position)));
    }
    // And goes on from there itself, at the first attempt.
    let outcome = other.declare("another", omar(None)).await.unwrap();
    assert_eq!((outcome.answer, other.app.metrics.conflicts.get()), (6, 0));
}

#[tokio::test]
async fn given_one_key_on_two_nodes_at_the_same_moment_then_one_records_and_the_other_has_its_answer() {
    let log = Memory::new();
    let (one, other) = (Node::of(&log), Node::of(&log));
    for round in 0..50_usize {
        let (key, reason) = (format!("k{round}"), format!("freeze {round}"));
        let (here, there) =
            tokio::join!(one.declare(&reason, omar(Some(&key))), other.declare(&reason, omar(Some(&key))));
        let (here, there) = (here.unwrap(), there.unwrap());
        assert_eq!(
            (here.answer, here.revision, here.position),
            (there.answer, there.revision, there.position)
        );
        assert_ne!(here.replayed, there.replayed);
        assert_eq!(log.read_stream(&stream(), Revision(0), 100).await.unwrap().len(), round + 1);
    }
}

#[tokio::test]
async fn given_a_key_or_revision_of_another_node_then_it_is_known_before_anything_is_decided() {
    let log = Memory::new();
    let (one, other) = (Node::of(&log), Node::of(&log));
    other.freezes().await;
    one.declare("first", omar(Some("k"))).await.unwrap();
    one.declare("second", omar(None)).await.unwrap();
    other.app.holds_all().await.unwrap();
    let reused = other.declare("third", omar(Some("k"))).await;
    assert!(matches!(reused, Err(CommandError::KeyReused)));
    let late = Envelope { if_match: Some(Revision(0)), ..omar(None) };
    let late = other.declare("third", late).await;
    assert!(matches!(late, Err(CommandError::PreconditionFailed { current: Some(Revision(1)), .. })));
    let right = Envelope { if_match: Some(Revision(1)), ..omar(None) };
    assert_eq!(other.declare("third", right).await.unwrap().answer, 3);
}

/// While it is folded a stream is in no cache, and who follows the log finds nothing to move on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn given_a_stream_that_is_read_while_another_node_writes_it_then_nothing_is_missed() {
    let log = Memory::new();
    let (one, other) = (Node::of(&log), Arc::new(Node::of(&log)));
    let stop = CancellationToken::new();
    let forgetting = tokio::spawn({
        let (other, stop) = (Arc::clone(&other), stop.clone());
        async move {
            while !stop.is_cancelled() {
                other.app.calendars.load_again(&stream()).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    });
    for count in 1..=300 {
        let outcome = one.declare(&format!("freeze {count}"), omar(None)).await.unwrap();
        other.app.reaches(outcome.position.0).await.unwrap();
        assert_eq!(other.freezes().await, count);
    }
    stop.cancel();
    forgetting.await.unwrap();
}

#[tokio::test]
async fn given_two_nodes_that_write_one_stream_at_once_then_each_event_is_there_once() {
    let log = Memory::new();
    let (one, other) = (Node::of(&log), Node::of(&log));
    for round in 0..50 {
        let (left, right) = (format!("left {round}"), format!("right {round}"));
        let (here, there) = tokio::join!(one.declare(&left, omar(None)), other.declare(&right, omar(None)));
        here.unwrap();
        there.unwrap();
    }
    for node in [&one, &other] {
        node.app.holds_all().await.unwrap();
        let live = node.app.calendars.load(&stream()).await.unwrap().committed();
        let folded = node.app.calendars.fold(&stream(), crate::streams::Until::End).await.unwrap();
        let folded = folded.into_committed();
        assert_eq!(live.state.freezes.len(), 100);
        assert_eq!(serde_json::to_vec(&live.state).unwrap(), serde_json::to_vec(&folded.state).unwrap());
        assert_eq!(
            (live.revision, live.position, live.decision_revision, live.recorded_at),
            (folded.revision, folded.position, folded.decision_revision, folded.recorded_at)
        );
    }
}

#[tokio::test]
async fn given_a_node_that_hears_nothing_of_the_log_then_it_refuses_to_tell_what_is_too_old() {
    let log = Memory::new();
    let node = Node::of(&log);
    node.declare("first", omar(None)).await.unwrap();
    node.app.is_current().unwrap();
    node.log.is_stale_by(STALE);
    node.app.is_current().unwrap();
    node.log.is_stale_by(STALE + Duration::from_millis(1));
    assert!(matches!(node.app.is_current(), Err(Behind::Stale(_))));
}

#[tokio::test(start_paused = true)]
async fn given_a_node_that_does_not_follow_then_a_position_is_waited_for_and_it_becomes_stale() {
    let log = Memory::new();
    let one = Node::of(&log);
    let stuck = app(Arc::new(log.node()), 64);
    stuck.calendars.load(&stream()).await.unwrap();
    let outcome = one.declare("first", omar(None)).await.unwrap();
    assert!(matches!(stuck.reaches(outcome.position.0).await, Err(Behind::NotReached(None))));
    assert!(matches!(stuck.reaches(outcome.position.0 + 1).await, Err(Behind::NotReached(_))));
    tokio::time::advance(STALE).await;
    assert!(matches!(stuck.is_current(), Err(Behind::Stale(_))));
    // It reads the log anew, and is well.
    tokio::spawn(run(Arc::clone(&stuck), CancellationToken::new()));
    stuck.reaches(outcome.position.0).await.unwrap();
    stuck.is_current().unwrap();
    assert_eq!(stuck.calendars.load(&stream()).await.unwrap().committed().state.freezes.len(), 1);
}

#[test]
fn given_any_stream_then_the_cache_of_its_kind_is_told() {
    // `App` has one field for each kind of aggregate; this fails when one is added and not told.
    let source = include_str!("../app.rs");
    let fields = source.matches(": Streams<").count();
    assert_eq!(source.matches("            &self.").count(), fields);
}

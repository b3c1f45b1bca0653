//! The command loop against a store that fails in every way a store can.

use std::sync::Arc;

use eventlog::store::memory::{Fault, Memory};
use eventlog::{EventStore, Revision, StreamId};
use release::Role;
use release::calendar::{Calendar, CalendarCommand, DeclareFreeze};
use release::value::{Name, Prose};

use super::{CommandError, Envelope, Handled, Outcome, handle};
use crate::app::App;
use crate::names;
use crate::streams::Until;
use crate::testing::{app, by};

/// A freeze of a product of its own, because the calendar takes no freeze twice.
fn freeze(reason: &str) -> CalendarCommand {
    let product: String = reason.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
    CalendarCommand::Declare(DeclareFreeze {
        from: "2026-12-20T00:00:00Z".parse().unwrap(),
        to: "2027-01-04T00:00:00Z".parse().unwrap(),
        reason: Prose::new(reason).unwrap(),
        product: Some(Name::new(&product).unwrap()),
        environment: None,
        exceptions_allowed: false,
    })
}

fn stream() -> StreamId {
    names::calendar("default").unwrap()
}

fn admin(key: Option<&str>) -> Envelope {
    by("omar", &[Role::Admin], key)
}

/// Sends a command; the answer is how many freezes there are after it.
async fn send(
    app: &App,
    envelope: &Envelope,
    command: &CalendarCommand,
) -> Result<Outcome<usize>, CommandError> {
    let freezes = |calendar: &Calendar, _: &[uuid::Uuid]| calendar.freezes.len();
    match handle(app, &app.calendars, &stream(), envelope, command, &(), freezes).await? {
        Handled::Recorded(outcome) => Ok(outcome),
        Handled::Preview(_) => panic!("no dry run was asked for"),
    }
}

async fn stored(store: &Memory) -> usize {
    store.read_stream(&stream(), Revision(0), 100).await.unwrap().len()
}

fn service() -> (Memory, Arc<App>) {
    let store = Memory::new();
    let app = app(Arc::new(store.clone()), 64);
    (store, app)
}

#[tokio::test]
async fn an_append_that_got_lost_is_sent_again_and_recorded_once() {
    let (store, app) = service();
    store.inject(Fault::Lost);
    let outcome = send(&app, &admin(None), &freeze("year end")).await.unwrap();
    assert_eq!((outcome.answer, outcome.revision, outcome.replayed), (1, Revision(0), false));
    assert_eq!(stored(&store).await, 1);
}

#[tokio::test]
async fn an_append_that_succeeded_without_an_answer_is_found_and_not_repeated() {
    for key in [None, Some("k")] {
        let (store, app) = service();
        store.inject(Fault::Unanswered);
        let outcome = send(&app, &admin(key), &freeze("year end")).await.unwrap();
        assert_eq!((outcome.answer, outcome.revision), (1, Revision(0)));
        assert_eq!(stored(&store).await, 1);
        let next = send(&app, &admin(None), &freeze("another")).await.unwrap();
        assert_eq!((next.answer, next.revision), (2, Revision(1)));
    }
}

#[tokio::test]
async fn when_the_queue_is_full_nothing_is_recorded_and_the_next_command_goes_on() {
    let (store, app) = service();
    store.inject(Fault::Busy);
    assert!(matches!(send(&app, &admin(Some("k")), &freeze("a")).await, Err(CommandError::Busy)));
    assert_eq!(stored(&store).await, 0);
    let outcome = send(&app, &admin(Some("k")), &freeze("a")).await.unwrap();
    assert_eq!((outcome.answer, outcome.replayed), (1, false));
}

#[tokio::test]
async fn a_store_that_stays_silent_leaves_the_outcome_unknown_and_the_key_finds_it_later() {
    let (store, app) = service();
    for _ in 0..6 {
        store.inject(Fault::Unanswered);
    }
    let sent = send(&app, &admin(Some("k")), &freeze("a")).await;
    assert!(matches!(sent, Err(CommandError::OutcomeUnknown(_))));
    let found = send(&app, &admin(Some("k")), &freeze("a")).await.unwrap();
    assert_eq!((found.answer, found.replayed), (1, true));
    assert_eq!(stored(&store).await, 1);
}

#[tokio::test]
async fn two_nodes_on_one_store_decide_again_after_a_conflict() {
    let store = Memory::new();
    let (one, two) = (app(Arc::new(store.clone()), 64), app(Arc::new(store.clone()), 64));
    send(&one, &admin(None), &freeze("first")).await.unwrap();
    send(&two, &admin(None), &freeze("second")).await.unwrap();
    // The first node's copy is behind by one event and finds that out by the conflict.
    let third = send(&one, &admin(None), &freeze("third")).await.unwrap();
    assert_eq!((third.answer, third.revision), (3, Revision(2)));
}

#[tokio::test]
async fn the_same_key_on_another_node_gets_the_first_answer() {
    let store = Memory::new();
    let (one, two) = (app(Arc::new(store.clone()), 64), app(Arc::new(store.clone()), 64));
    // Both have the stream in memory before the command is sent to the first.
    send(&one, &admin(None), &freeze("before")).await.unwrap();
    send(&two, &admin(None), &freeze("between")).await.unwrap();
    let first = send(&one, &admin(Some("k")), &freeze("keyed")).await.unwrap();
    let again = send(&two, &admin(Some("k")), &freeze("keyed")).await.unwrap();
    assert_eq!((again.answer, again.revision, again.replayed), (first.answer, first.revision, true));
    assert_eq!(stored(&store).await, 3);
}

#[tokio::test]
async fn a_key_is_for_one_request_of_one_principal() {
    let (_, app) = service();
    send(&app, &admin(Some("k")), &freeze("a")).await.unwrap();
    assert!(matches!(send(&app, &admin(Some("k")), &freeze("b")).await, Err(CommandError::KeyReused)));
    let other = send(&app, &by("ada", &[Role::Admin], Some("k")), &freeze("b")).await.unwrap();
    assert_eq!((other.answer, other.replayed), (2, false));
}

#[tokio::test]
async fn a_refused_command_binds_no_key_and_records_nothing() {
    let (store, app) = service();
    let refused = send(&app, &by("vera", &[Role::Viewer], Some("k")), &freeze("a")).await;
    assert!(matches!(refused, Err(CommandError::Refused(_))));
    assert_eq!(stored(&store).await, 0);
    let later = send(&app, &by("vera", &[Role::Admin], Some("k")), &freeze("b")).await.unwrap();
    assert_eq!((later.answer, later.replayed), (1, false));
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_stream_usable_and_the_event_stored() {
    let (store, app) = service();
    let (envelope, command) = (admin(Some("k")), freeze("a"));
    let mut abandoned = Box::pin(send(&app, &envelope, &command));
    // One poll takes the append to the store; then the caller is gone.
    let _ = futures_util::poll!(&mut abandoned);
    drop(abandoned);
    let again = send(&app, &envelope, &command).await.unwrap();
    assert_eq!(again.answer, 1);
    assert_eq!(stored(&store).await, 1);
}

#[tokio::test]
async fn time_in_a_stream_never_goes_back() {
    let store = Memory::new();
    let (ahead, behind) = (app(Arc::new(store.clone()), 64), app(Arc::new(store.clone()), 64));
    ahead.clock.advance(3_600).unwrap();
    send(&ahead, &admin(None), &freeze("ahead")).await.unwrap();
    send(&behind, &admin(None), &freeze("behind")).await.unwrap();
    let recorded = store.read_stream(&stream(), Revision(0), 10).await.unwrap();
    let times: Vec<_> =
        recorded.iter().map(|event| eventlog::Header::parse(&event.header).unwrap().recorded_at).collect();
    assert_eq!(times[0], times[1]);
}

#[tokio::test]
async fn a_small_cache_evicts_and_folds_again_without_losing_anything() {
    let store = Memory::new();
    let app = app(Arc::new(store.clone()), 1);
    let long = "x".repeat(4_000);
    let tenants: Vec<_> = (0..40).map(|n| names::calendar(&format!("t{n}")).unwrap()).collect();
    for round in 0..30 {
        for stream in &tenants {
            let command = freeze(&format!("{round} {}", &long[..3_900]));
            let count = |calendar: &Calendar, _: &[uuid::Uuid]| calendar.freezes.len();
            let handled =
                handle(&app, &app.calendars, stream, &admin(None), &command, &(), count).await.unwrap();
            let Handled::Recorded(outcome) = handled else { panic!("no dry run was asked for") };
            assert_eq!(outcome.answer, round + 1);
        }
    }
    for stream in &tenants {
        let live = app.calendars.load(stream).await.unwrap().committed();
        let folded = app.calendars.fold(stream, Until::End).await.unwrap().into_committed();
        assert_eq!(serde_json::to_vec(&live.state).unwrap(), serde_json::to_vec(&folded.state).unwrap());
    }
}

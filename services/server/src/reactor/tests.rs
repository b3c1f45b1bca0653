//! What the reactor does without anybody asking.

use std::sync::Arc;

use eventlog::store::memory::Memory;
use eventlog::{EventStore, Header};
use jiff::SignedDuration;
use release::environment::{EnvironmentAround, EnvironmentCommand, ReserveEnvironment};
use release::event::{CalendarEvent, ChangeClass, EnvironmentEvent, EnvironmentPurpose, LeasePurpose};
use release::value::{Name, ReleaseId};
use release::{EventData, ReleaseEvent, Role};
use tokio_util::sync::CancellationToken;

use super::effects::EFFECTS;
use super::{FREEZE_DECLARED, RESCHEDULES, run};
use crate::app::App;
use crate::command::handle;
use crate::names;
use crate::testing::{app, by};

async fn reserve(app: &App, release: &str) {
    let stream = names::environment("default", &Name::new("checkout").unwrap(), &Name::production()).unwrap();
    let command = EnvironmentCommand::Reserve(ReserveEnvironment {
        release: ReleaseId::new(release).unwrap(),
        purpose: LeasePurpose::ProductionDeployment,
        expires_at: app.clock.now() + SignedDuration::from_mins(2),
        preempt_reason: None,
    });
    let around = EnvironmentAround {
        purpose: Some(EnvironmentPurpose::Production),
        class: Some(ChangeClass::Normal),
        inputs: Vec::new(),
    };
    let envelope = by("rosa", &[Role::ReleaseManager], None);
    handle(app, &app.environments, &stream, &envelope, &command, &around, |_, _| ()).await.unwrap();
}

/// Everything up to now has been seen and done.
async fn settled(app: &App) {
    let (head, now) = (app.store.head(), app.clock.now());
    let mut progress = app.reactor.subscribe();
    progress.wait_for(|seen| seen.time >= now && seen.position >= head).await.unwrap();
}

async fn holder(app: &App) -> Option<String> {
    let stream = names::environment("default", &Name::new("checkout").unwrap(), &Name::production()).unwrap();
    let environment = app.environments.load(&stream).await.unwrap().committed();
    environment.state.lease.as_ref().map(|lease| lease.release.to_string())
}

async fn headers(store: &Memory) -> Vec<Header> {
    let events = store.read_all(None, 100).await.unwrap();
    events.iter().map(|event| Header::parse(&event.header).unwrap()).collect()
}

#[test]
fn every_event_type_that_the_reactor_waits_for_is_one_that_is_written() {
    let written: Vec<_> = ReleaseEvent::TYPES
        .iter()
        .chain(EnvironmentEvent::TYPES)
        .chain(CalendarEvent::TYPES)
        .map(|(name, _)| *name)
        .collect();
    let awaited = EFFECTS.iter().map(|(name, _)| *name).chain(RESCHEDULES).chain([FREEZE_DECLARED]);
    let unknown: Vec<_> = awaited.filter(|name| !written.contains(name)).collect();
    assert!(unknown.is_empty(), "no such event types: {unknown:?}");
}

#[tokio::test]
async fn a_reservation_whose_release_never_follows_lapses_by_itself() {
    // The process died between the two writes: the reservation is there, the release's event is not.
    let store = Memory::new();
    reserve(&app(Arc::new(store.clone()), 64), "checkout-2.4.0").await;

    let restarted = app(Arc::new(store.clone()), 64);
    let stop = CancellationToken::new();
    let reactor = tokio::spawn(run(Arc::clone(&restarted), stop.clone()));
    settled(&restarted).await;
    assert_eq!(holder(&restarted).await.as_deref(), Some("checkout-2.4.0"));

    restarted.clock.advance(121).unwrap();
    settled(&restarted).await;
    assert_eq!(holder(&restarted).await, None);
    let headers = headers(&store).await;
    let [reserved, expired] = headers.as_slice() else { panic!("two events: {headers:?}") };
    assert_eq!((reserved.event_type.as_str(), reserved.causation), ("environment.reserved", None));
    assert_eq!(expired.event_type, "environment.reservation_expired");
    assert_eq!(expired.causation, Some(reserved.id));
    reserve(&restarted, "checkout-2.5.0").await;
    assert_eq!(holder(&restarted).await.as_deref(), Some("checkout-2.5.0"));

    stop.cancel();
    reactor.await.unwrap();
}

#[tokio::test]
async fn two_reactors_on_one_log_do_what_is_due_once() {
    let store = Memory::new();
    let (one, two) = (app(Arc::new(store.clone()), 64), app(Arc::new(store.clone()), 64));
    reserve(&one, "checkout-2.4.0").await;
    let stop = CancellationToken::new();
    let reactors = [&one, &two].map(|node| tokio::spawn(run(Arc::clone(node), stop.clone())));
    one.clock.advance(121).unwrap();
    two.clock.advance(121).unwrap();
    settled(&one).await;
    settled(&two).await;
    let events = store.read_all(None, 100).await.unwrap();
    let expiries = events
        .iter()
        .filter(|event| String::from_utf8_lossy(&event.header).contains("environment.reservation_expired"))
        .count();
    assert_eq!(expiries, 1);
    stop.cancel();
    for reactor in reactors {
        reactor.await.unwrap();
    }
}

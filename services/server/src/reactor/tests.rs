//! What the reactor does without anybody asking.

use std::path::Path;
use std::sync::Arc;

use eventlog::fsck::Check;
use eventlog::header::leaf;
use eventlog::store::memory::{Fault, Memory};
use eventlog::tree::Hash;
use eventlog::{EventStore, ExpectedRevision, Header, NewEvent, Position, Revision, StreamId};
use jiff::SignedDuration;
use release::decide::{Around, Opening, Snapshots};
use release::directory::People;
use release::environment::{EnvironmentAround, EnvironmentCommand, ReserveEnvironment};
use release::event::{
    CalendarEvent, ChangeClass, DirectoryEvent, EnvironmentEvent, EnvironmentPurpose, LeasePurpose,
    RetentionEvent,
};
use release::product::{ProductCommand, RegisterProduct};
use release::value::{Name, ReleaseId};
use release::{Command, EventData, ReleaseEvent, Role};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::effects::EFFECTS;
use super::file::File;
use super::{Progress, RESCHEDULES, RESCHEDULES_ALL, TRIES, run};
use crate::app::App;
use crate::command::handle;
use crate::testing::{Observed, app, app_in, by};
use crate::{names, procedures, surroundings};

fn production(product: &str) -> StreamId {
    names::environment("default", &Name::new(product).unwrap(), &Name::production()).unwrap()
}

async fn reserve(app: &App, release: &str) {
    let release = ReleaseId::new(release).unwrap();
    let stream = production(release.product());
    let command = EnvironmentCommand::Reserve(ReserveEnvironment {
        release,
        purpose: LeasePurpose::ProductionDeployment,
        expires_at: app.clock.now() + SignedDuration::from_mins(2),
        preempt_reason: None,
    });
    let around = EnvironmentAround {
        purpose: Some(EnvironmentPurpose::Production),
        class: Some(ChangeClass::Normal),
        inputs: Vec::new(),
        people: People::default(),
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
    holder_of(app, "checkout").await
}

async fn holder_of(app: &App, product: &str) -> Option<String> {
    let environment = app.environments.load(&production(product)).await.unwrap().committed();
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
        .chain(RetentionEvent::TYPES)
        .chain(DirectoryEvent::TYPES)
        .map(|(name, _)| *name)
        .collect();
    let awaited = EFFECTS.iter().map(|(name, _)| *name).chain(RESCHEDULES).chain(RESCHEDULES_ALL);
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

/// A reactor at work, with a directory that outlives it.
struct Node {
    app: Arc<App>,
    stop: CancellationToken,
    reactor: JoinHandle<()>,
}

impl Node {
    fn start(data: &TempDir, store: Arc<dyn EventStore>) -> Self {
        let (app, stop) = (app_in(data.path(), store, 64), CancellationToken::new());
        let reactor = tokio::spawn(run(Arc::clone(&app), stop.clone()));
        Self { app, stop, reactor }
    }

    async fn reaches(&self, reached: impl FnMut(&Progress) -> bool) {
        self.app.reactor.subscribe().wait_for(reached).await.unwrap();
    }

    async fn stop(self) {
        self.stop.cancel();
        self.reactor.await.unwrap();
    }
}

fn kept(data: &TempDir) -> Option<(Position, usize, Vec<Position>)> {
    let (_, kept) = File::open(&File::path(data.path())).unwrap()?;
    Some((kept.cursor.position, kept.agenda.len(), kept.pending))
}

/// A release that holds production and is aborted: its reservation is to be given back.
async fn aborted_with_a_reservation(app: &App, product: &str) {
    let name = Name::new(product).unwrap();
    let stream = names::product("default", &name).unwrap();
    let command = RegisterProduct { name: name.clone(), settings: Default::default() };
    let command = ProductCommand::Register(Box::new(command));
    let (admin, rosa) = (by("root", &[Role::Admin], None), by("rosa", &[Role::ReleaseManager], None));
    handle(app, &app.products, &stream, &admin, &command, &(), |_, _| ()).await.unwrap();
    let settings = app.products.load(&stream).await.unwrap().committed();
    let settings = settings.state.current().unwrap();
    let pinned = procedures::pin(app, "default", &settings.settings.procedure.name, None).await.unwrap();
    let pinned = pinned.unwrap();
    let around = Around {
        procedure: pinned.procedure,
        settings: Arc::clone(&settings.settings),
        opening: Some(Opening {
            procedure: pinned.reference,
            settings: settings.reference(),
            targets: settings.settings.targets.to_vec(),
            people: None,
            in_production: None,
            inputs: Vec::new(),
        }),
        snapshots: Snapshots::default(),
        people: People::default(),
    };
    let id = format!("{product}-2.4.0");
    let stream = names::release("default", &ReleaseId::new(&id).unwrap()).unwrap();
    let open = json!({"product": product, "version": "2.4.0", "reason": "New payment methods"});
    let open = Command::Open(serde_json::from_value(open).unwrap());
    handle(app, &app.releases, &stream, &rosa, &open, &around, |_, _| ()).await.unwrap();
    reserve(app, &id).await;
    let abort = Command::Abort(serde_json::from_value(json!({"reason": "superseded"})).unwrap());
    let opened = app.releases.load(&stream).await.unwrap().committed();
    let opened = opened.state.opened.clone().unwrap();
    let around = surroundings::of(app, "default", &opened, &abort).await.unwrap();
    handle(app, &app.releases, &stream, &rosa, &abort, &around, |_, _| ()).await.unwrap();
}

async fn recorded(store: &Memory, event_type: &str) -> usize {
    headers(store).await.iter().filter(|header| header.event_type == event_type).count()
}

#[tokio::test]
async fn a_restart_reads_nothing_again_and_still_knows_what_becomes_due() {
    let (store, data) = (Memory::new(), TempDir::new().unwrap());
    let node = Node::start(&data, Arc::new(store.clone()));
    reserve(&node.app, "checkout-2.4.0").await;
    settled(&node.app).await;
    node.stop().await;
    assert_eq!(kept(&data), Some((Position(0), 1, vec![])));

    let observed = Observed::new(&store);
    let node = Node::start(&data, Arc::clone(&observed) as Arc<dyn EventStore>);
    settled(&node.app).await;
    assert_eq!(observed.read_behind(), Some(Some(Position(0))));
    node.app.clock.advance(121).unwrap();
    settled(&node.app).await;
    assert_eq!(holder(&node.app).await, None);
    assert_eq!(recorded(&store, "environment.reservation_expired").await, 1);
    node.stop().await;
    assert_eq!(kept(&data), Some((Position(1), 0, vec![])));
}

#[tokio::test]
async fn what_happened_while_nobody_reacted_is_done_after_the_start() {
    let (store, data) = (Memory::new(), TempDir::new().unwrap());
    let node = Node::start(&data, Arc::new(store.clone()));
    reserve(&node.app, "search-1.0.0").await;
    settled(&node.app).await;
    node.stop().await;
    aborted_with_a_reservation(&app(Arc::new(store.clone()), 64), "checkout").await;

    let node = Node::start(&data, Arc::new(store.clone()));
    settled(&node.app).await;
    assert_eq!(holder(&node.app).await, None);
    assert_eq!(recorded(&store, "environment.released").await, 1);
    node.stop().await;
}

#[tokio::test]
async fn killed_between_an_effect_and_its_cursor_the_effect_is_not_repeated() {
    let (store, data) = (Memory::new(), TempDir::new().unwrap());
    let node = Node::start(&data, Arc::new(store.clone()));
    reserve(&node.app, "search-1.0.0").await;
    settled(&node.app).await;
    node.stop().await;
    let before = std::fs::read(File::path(data.path())).unwrap();

    let node = Node::start(&data, Arc::new(store.clone()));
    aborted_with_a_reservation(&node.app, "checkout").await;
    settled(&node.app).await;
    assert_eq!(recorded(&store, "environment.released").await, 1);
    node.stop().await;
    // What a kill leaves: the effect is in the log, and the file says nothing of it.
    std::fs::write(File::path(data.path()), before).unwrap();

    let node = Node::start(&data, Arc::new(store.clone()));
    settled(&node.app).await;
    assert_eq!(recorded(&store, "environment.released").await, 1);
    node.app.clock.advance(121).unwrap();
    settled(&node.app).await;
    assert_eq!(holder_of(&node.app, "search").await, None);
    assert_eq!(recorded(&store, "environment.reservation_expired").await, 1);
    node.stop().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_trusted_is_made_again_from_the_log() {
    type Spoil = fn(&Path);
    fn sql(file: &Path, sql: &str) {
        Connection::open(file).unwrap().execute_batch(sql).unwrap();
    }
    let spoilt: [(&str, Spoil); 6] = [
        ("lost", |file| std::fs::remove_file(file).unwrap()),
        ("not a database", |file| std::fs::write(file, [7; 8192]).unwrap()),
        ("of another log", |file| sql(file, "UPDATE cursor SET event = zeroblob(16)")),
        ("past the end of the log", |file| sql(file, "UPDATE cursor SET position = 1000000")),
        ("of other code", |file| sql(file, "UPDATE cursor SET stamp = '0.0.0'")),
        ("without its agenda", |file| sql(file, "DROP TABLE agenda")),
    ];
    for (what, spoil) in spoilt {
        let (store, data) = (Memory::new(), TempDir::new().unwrap());
        let node = Node::start(&data, Arc::new(store.clone()));
        aborted_with_a_reservation(&node.app, "checkout").await;
        reserve(&node.app, "search-1.0.0").await;
        settled(&node.app).await;
        node.stop().await;
        spoil(&File::path(data.path()));

        let observed = Observed::new(&store);
        let node = Node::start(&data, Arc::clone(&observed) as Arc<dyn EventStore>);
        settled(&node.app).await;
        assert_eq!(observed.read_behind(), Some(None), "{what}");
        assert_eq!(recorded(&store, "environment.released").await, 1, "{what}");
        node.app.clock.advance(121).unwrap();
        settled(&node.app).await;
        assert_eq!(holder_of(&node.app, "search").await, None, "{what}");
        node.stop().await;
        assert_eq!(kept(&data).map(|(position, ..)| position), store.head(), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_for_long_is_pending_across_restarts_while_other_products_go_on() {
    let (store, data) = (Memory::new(), TempDir::new().unwrap());
    let nobody = app(Arc::new(store.clone()), 64);
    aborted_with_a_reservation(&nobody, "checkout").await;
    aborted_with_a_reservation(&nobody, "search").await;
    let head = store.head();
    (0..TRIES).for_each(|_| store.inject(Fault::Busy));

    let node = Node::start(&data, Arc::new(store.clone()));
    node.reaches(|seen| seen.position >= head && seen.pending == 1).await;
    assert_eq!(holder_of(&node.app, "search").await, None);
    assert_eq!(holder(&node.app).await.as_deref(), Some("checkout-2.4.0"));
    store.inject(Fault::Busy);
    node.stop().await;
    let (_, _, pending) = kept(&data).unwrap();
    assert_eq!(pending.len(), 1);

    let observed = Observed::new(&store);
    let node = Node::start(&data, Arc::clone(&observed) as Arc<dyn EventStore>);
    // The fault that is left makes its first try fail too.
    node.reaches(|seen| seen.position >= head && seen.pending == 0).await;
    assert!(observed.read_behind() >= Some(head));
    assert_eq!(holder(&node.app).await, None);
    assert_eq!(recorded(&store, "environment.released").await, 2);
    node.stop().await;
    assert_eq!(kept(&data).unwrap().2, []);
}

/// The same log without seals, as it was written before there were any.
async fn unsealed(sealed: &Memory) -> Memory {
    let store = Memory::new();
    for event in sealed.read_all(None, 100).await.unwrap() {
        let mut header = Header::parse(&event.header).unwrap();
        if header.event_type == "release.sealed" {
            continue;
        }
        header.request.count = 1;
        let before = event.revision.0.checked_sub(1).map(Revision);
        let event = NewEvent { id: event.id, header: header.to_bytes(), data: event.data };
        store.append(&header.stream, ExpectedRevision::of(before), vec![event]).await.unwrap();
    }
    store
}

#[tokio::test]
async fn a_release_that_ended_before_there_were_seals_is_sealed_once_by_the_first_start_that_knows_them() {
    let (written, data) = (Memory::new(), TempDir::new().unwrap());
    aborted_with_a_reservation(&app(Arc::new(written.clone()), 64), "checkout").await;
    let store = unsealed(&written).await;
    for _ in 0..2 {
        let node = Node::start(&data, Arc::new(store.clone()));
        settled(&node.app).await;
        node.stop().await;
        let headers = headers(&store).await;
        let aborted = headers.iter().find(|header| header.event_type == "release.aborted").unwrap();
        let sealed: Vec<_> = headers.iter().filter(|header| header.event_type == "release.sealed").collect();
        let [sealed] = sealed.as_slice() else { panic!("one seal: {headers:?}") };
        assert_eq!((sealed.causation, sealed.actor.kind.as_str()), (Some(aborted.id), "system"));
        let mut check = Check::default();
        for event in store.read_all(None, 100).await.unwrap() {
            check.event(&event, Hash::of_leaf(&leaf(&event.header)));
            check.edge.push(Hash::of_leaf(&leaf(&event.header)), |_, _| {});
        }
        assert_eq!(check.problems(), [], "the seal is that of its stream");
        std::fs::remove_file(File::path(data.path())).unwrap();
    }
}

#[tokio::test]
async fn when_the_log_writes_no_more_the_cursor_stays_before_what_was_not_done() {
    let (store, data) = (Memory::new(), TempDir::new().unwrap());
    aborted_with_a_reservation(&app(Arc::new(store.clone()), 64), "checkout").await;
    store.fail("the disk is gone");
    let Node { reactor, .. } = Node::start(&data, Arc::new(store.clone()));
    reactor.await.unwrap();
    let aborted = headers(&store).await.iter().position(|header| header.event_type == "release.aborted");
    let passed = kept(&data).map(|(position, ..)| position.0 as usize);
    assert!(passed < aborted, "{passed:?}");
}

#[tokio::test]
async fn two_reactors_with_files_of_their_own_do_everything_once_also_after_a_restart() {
    let (store, one, two) = (Memory::new(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let nodes = [&one, &two].map(|data| Node::start(data, Arc::new(store.clone())));
    aborted_with_a_reservation(&nodes[0].app, "checkout").await;
    reserve(&nodes[1].app, "search-1.0.0").await;
    for node in nodes {
        settled(&node.app).await;
        node.stop().await;
    }
    // One of them has lost its file and does everything again.
    std::fs::remove_file(File::path(one.path())).unwrap();
    let nodes = [&one, &two].map(|data| Node::start(data, Arc::new(store.clone())));
    for node in &nodes {
        node.app.clock.advance(121).unwrap();
    }
    for node in nodes {
        settled(&node.app).await;
        node.stop().await;
    }
    assert_eq!(recorded(&store, "environment.released").await, 1);
    assert_eq!(recorded(&store, "environment.reservation_expired").await, 1);
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

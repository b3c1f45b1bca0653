//! Nodes of an older and of a newer program over one log. In the newer one a freeze is declared with a `why`, and
//! lifting it is recorded as no older program does.

use std::sync::Arc;

use eventlog::store::memory::Memory;
use eventlog::{EventStore, Header, Revision, StreamId};
use release::Role;
use release::calendar::{Calendar, CalendarCommand, DeclareFreeze, LiftFreeze};
use release::installation::{EnableFormat, Installation, InstallationCommand};
use release::refusal::RefusalCode;
use release::value::{Name, Prose};
use release::wire::{FORMATS, Members, Other, Shape};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::*;
use crate::app::App;
use crate::command::{CommandError, Handled, handle};
use crate::streams::Until;
use crate::testing::{app_knowing, by};
use crate::{following, names, reactor, views};

const WHY: Other = Other { read: of_why, write: Some(to_why) };
static NEWER: Formats = Formats::new(
    2,
    &[
        Shape { event_type: "freeze.declared", schema: 1, since: 1, other: None },
        Shape { event_type: "freeze.declared", schema: 2, since: 2, other: Some(WHY) },
        Shape { event_type: "freeze.lifted", schema: 1, since: 2, other: None },
    ],
);

fn of_why(mut members: Members) -> Members {
    let why = members.remove("why").unwrap_or_default();
    members.insert("reason".to_owned(), why);
    members
}

fn to_why(mut members: Members) -> Members {
    let reason = members.remove("reason").unwrap_or_default();
    members.insert("why".to_owned(), reason);
    members
}

/// A node with all that reads the log beside the requests.
struct Node {
    app: Arc<App>,
    stop: CancellationToken,
    _data: tempfile::TempDir,
}

impl Node {
    fn of(log: &Memory, formats: &'static Formats) -> Self {
        let data = tempfile::tempdir().unwrap();
        let app = app_knowing(data.path(), Arc::new(log.node()), formats, |_| ());
        let stop = CancellationToken::new();
        tokio::spawn(following::run(Arc::clone(&app), stop.clone()));
        tokio::spawn(views::run(Arc::clone(&app), stop.clone()));
        tokio::spawn(reactor::run(Arc::clone(&app), stop.clone()));
        Self { app, stop, _data: data }
    }

    async fn calendar(&self, command: CalendarCommand) -> Result<(), CommandError> {
        self.app.holds_all().await.unwrap();
        let (app, by) = (&self.app, by("omar", &[Role::Admin], None));
        let handled = handle(app, &app.calendars, &stream(), &by, &command, &(), |_, _| ()).await?;
        assert!(matches!(handled, Handled::Recorded(_)));
        Ok(())
    }

    async fn declare(&self, reason: &str) -> Result<(), CommandError> {
        let freeze = DeclareFreeze {
            from: "2026-12-20T00:00:00Z".parse().unwrap(),
            to: "2027-01-04T00:00:00Z".parse().unwrap(),
            reason: Prose::new(reason).unwrap(),
            product: Some(Name::new(&reason.replace(' ', "-")).unwrap()),
            environment: None,
            exceptions_allowed: false,
        };
        self.calendar(CalendarCommand::Declare(freeze)).await
    }

    async fn enable(&self, format: u32) -> Result<(), CommandError> {
        let (app, stream) = (&self.app, names::installation().unwrap());
        let command = InstallationCommand::EnableFormat(EnableFormat { format });
        let by = by("root", &[Role::Admin], None);
        let enabled = |state: &Installation, _: &[Uuid]| state.format();
        let handled = handle(app, &app.installation, &stream, &by, &command, &(), enabled).await?;
        assert!(matches!(handled, Handled::Recorded(outcome) if outcome.answer == format));
        app.holds_all().await.unwrap();
        Ok(())
    }

    async fn folded(&self) -> Calendar {
        self.app.holds_all().await.unwrap();
        let folded = self.app.calendars.fold(&stream(), Until::End).await.unwrap();
        let kept = self.app.calendars.load(&stream()).await.unwrap().committed();
        assert_eq!(kept.state, folded.head.state, "memory holds what the log says");
        folded.head.state
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

/// Type, schema and data of every event of the calendar, as stored.
async fn stored(log: &Memory) -> Vec<(String, u32, String)> {
    let events = log.read_stream(&stream(), Revision(0), 100).await.unwrap();
    let stored = events.iter().map(|event| {
        let Header { event_type, schema, .. } = Header::parse(&event.header).unwrap();
        (event_type, schema, String::from_utf8(event.data.to_vec()).unwrap())
    });
    stored.collect()
}

#[tokio::test]
async fn given_two_programs_when_a_format_is_enabled_then_the_newer_writes_it_and_the_older_stops() {
    let log = Memory::new();
    let (older, newer) = (Node::of(&log, &FORMATS), Node::of(&log, &NEWER));
    older.declare("year end").await.unwrap();
    newer.declare("stock taking").await.unwrap();
    let before = stored(&log).await;
    for (event_type, schema, data) in &before {
        assert_eq!((event_type.as_str(), *schema), ("freeze.declared", 1));
        assert!(data.contains("\"reason\""), "the older program reads it: {data}");
    }
    let freeze = newer.folded().await.freezes[0].freeze;
    assert_eq!(older.folded().await, newer.folded().await);
    // What no older program could read is refused, and not written in some other way.
    let lift = || CalendarCommand::Lift {
        freeze,
        body: LiftFreeze { reason: Prose::new("the stock is counted").unwrap() },
    };
    let Err(CommandError::Refused(refusal)) = newer.calendar(lift()).await else { panic!("it was lifted") };
    assert_eq!(refusal.code, RefusalCode::FormatNotEnabled);
    assert_eq!(stored(&log).await.len(), 2);

    newer.enable(2).await.unwrap();
    let Err(CommandError::Outdated(outdated)) = older.declare("in between").await else {
        panic!("it decided")
    };
    assert_eq!(outdated, Outdated::Format { enabled: 2, newest: 1 });
    assert_eq!(older.app.format.outdated(), Some(&outdated));
    newer.declare("audit").await.unwrap();
    newer.calendar(lift()).await.unwrap();
    let after = stored(&log).await;
    assert_eq!(after[..2], before[..], "bytes never change");
    assert_eq!((after[2].0.as_str(), after[2].1), ("freeze.declared", 2));
    assert!(after[2].2.contains("\"why\":\"audit\""), "{}", after[2].2);
    assert_eq!((after[3].0.as_str(), after[3].1), ("freeze.lifted", 1));
    assert_eq!(newer.folded().await.freezes.len(), 3);
    // A program that starts now is told at once, the newer one reads both schemas.
    let again = Node::of(&log, &NEWER);
    assert_eq!(again.folded().await, newer.folded().await);

    // Nothing went past it: its views stopped at the event, and its reactor came no further.
    let mut progress = older.app.views.progress.subscribe();
    let stopped = progress.wait_for(|progress| progress.stopped.len() == views::View::ALL.len()).await;
    let stopped = stopped.unwrap().stopped.clone();
    assert!(stopped.iter().all(|stopped| stopped.position.is_some_and(|position| position.0 == 2)));
    assert!(stopped[0].error.contains("the log has format 2, this program knows formats up to 1"));
    assert!(older.app.reactor.borrow().position.is_none_or(|position| position.0 < 2));
}

#[tokio::test]
async fn given_an_event_of_a_newer_program_when_nobody_enabled_its_format_then_an_older_node_stops_at_it() {
    let log = Memory::new();
    let (older, newer) = (Node::of(&log, &FORMATS), Node::of(&log, &NEWER));
    older.declare("year end").await.unwrap();
    newer.app.format.enable(2);
    newer.declare("audit").await.unwrap();
    let Err(CommandError::Outdated(outdated)) = older.declare("in between").await else {
        panic!("it decided")
    };
    let event_type = "freeze.declared".to_owned();
    assert_eq!(outdated, Outdated::Event { position: 1, event_type, schema: 2 });
    // Whoever starts behind it meets it when the stream is read.
    let later = app_knowing(older._data.path(), Arc::new(log.node()), &FORMATS, |_| ());
    let Err(LoadError::Event { error, .. }) = later.calendars.load(&stream()).await else {
        panic!("it was read")
    };
    assert!(error.to_string().contains("freeze.declared schema 2"), "{error}");
    assert_eq!(later.format.outdated(), Some(&outdated));
}

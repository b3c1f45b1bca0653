//! Keeps the views current: reads what is new in the log, folds what it touched, writes the rows.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventlog::header::{self, Actor};
use eventlog::{Position, ReadError, Recorded, Revision, StreamId};
use futures_util::StreamExt;
use jiff::Timestamp;
use release::environment::Environment;
use release::{ActorKind, Aggregate, Role};
use rusqlite::Connection;
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::catalog::Entry;
use super::exceptions::ExceptionRow;
use super::file::{self, Cursor};
use super::releases::{self, NewRow};
use super::{Progress, Stopped, View, accesses, catalog, days, event_ids, facts, observations, unreadable};
use crate::app::App;
use crate::streams::{Committed, LoadError, Streams, Until};
use crate::surroundings::SurroundingsError;
use crate::{names, procedures, quotas};

/// Events read at once. However many of them touch a release, its row is written once.
const PAGE: usize = 4096;
/// While catching up, this many streams or events are noted before any is folded, because each is then
/// folded once for all its events.
const NOTED_STREAMS: usize = 5_000;
const NOTED_EVENTS: usize = 400_000;
/// After a transaction the views rest, so that commands have the machine and more events share a row:
/// nine times as long as it took, within these bounds.
const REST: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));
const RETRY: Duration = Duration::from_millis(200);
/// How long after an event is durable the state in memory may take to show it.
const COMMIT_WAIT: Duration = Duration::from_secs(1);
/// Rows made before other tasks of this thread get their turn.
const ROWS_AT_ONCE: usize = 64;

enum Failure {
    /// The log is closed: the end.
    Closed,
    /// May pass.
    Passing(String),
    /// An event that cannot be taken in, now or later.
    Poison { position: Position, error: String },
    /// The file of the views cannot be written.
    File(String),
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Closed => Self::Closed,
            ReadError::Engine(error) | ReadError::Unavailable(error) => Self::Passing(error),
            ReadError::Damaged { position, .. } => Self::Poison { position, error: error.to_string() },
        }
    }
}

/// Tenant, product where there is one, and person.
type Seen = (String, Option<String>, String);

/// What a batch of events touched.
#[derive(Default)]
struct Batch {
    streams: BTreeMap<StreamId, Touched>,
    ids: Vec<(Uuid, Position)>,
    observations: Vec<Recorded>,
    accesses: Vec<Recorded>,
    facts: Vec<facts::Made>,
    /// Every event of an environment: what one tells rests on those before it.
    of_environments: Vec<Recorded>,
    /// An event that no fact can be made of, and why; facts of before it are kept.
    unreadable: Option<(Position, String)>,
    /// Who did something for which product of which tenant, last with which roles.
    people: BTreeMap<Seen, (Position, Vec<Role>)>,
    /// When each was first seen in a role.
    first_uses: BTreeMap<(Seen, Role), (Position, Timestamp)>,
    last: Option<Cursor>,
    /// There was a full page: the log goes on.
    more: bool,
    days: days::Days,
}

/// What single events are found by.
struct Found {
    ids: Vec<(Uuid, Position)>,
    observations: Vec<observations::Made>,
    accesses: Vec<accesses::Made>,
    facts: Vec<facts::Made>,
    days: days::Days,
}

struct Touched {
    /// Where its first event is, when the batch holds it.
    opened: Option<Position>,
    last: Position,
    last_revision: Revision,
}

struct Tail {
    app: Arc<App>,
    /// In a mutex, never contended, because a connection alone would keep the task on one thread.
    db: Mutex<Option<Connection>>,
    cursors: [Option<Position>; 4],
    position: Option<Position>,
    environments: facts::Environments,
    /// The log's head when this node started.
    target: Option<Position>,
    caught_up: bool,
    stopped: Vec<Stopped>,
    started: Instant,
    read: u64,
}

/// Runs until the service stops.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut tail = match Tail::open(Arc::clone(&app)).await {
        Ok(tail) => tail,
        Err(Failure::Closed) => {
            app.views.progress.send_modify(|progress| progress.opened = true);
            return;
        }
        Err(Failure::Passing(error) | Failure::File(error) | Failure::Poison { error, .. }) => {
            tracing::error!(%error, "the views could not be opened; lists are not served");
            let stopped = |view| Stopped { view, position: None, error: error.clone() };
            let stopped = View::ALL.map(stopped).to_vec();
            app.views.progress.send_replace(Progress { opened: true, stopped, ..Progress::default() });
            return;
        }
    };
    tail.publish();
    while !stop.is_cancelled() && tail.stopped.len() < View::ALL.len() {
        let began = Instant::now();
        let next = match tail.step().await {
            Ok(true) => ControlFlow::Continue(()),
            Ok(false) => tail.rest(began.elapsed(), &stop).await,
            Err(Failure::Closed) => ControlFlow::Break(()),
            Err(Failure::Passing(error)) => {
                tracing::warn!(%error, "the views could not read the log and try again");
                tokio::select! {
                    () = stop.cancelled() => ControlFlow::Break(()),
                    () = tokio::time::sleep(RETRY) => ControlFlow::Continue(()),
                }
            }
            Err(Failure::Poison { position, error }) => {
                View::ALL.into_iter().for_each(|view| tail.stop(view, Some(position), &error));
                ControlFlow::Continue(())
            }
            Err(Failure::File(error)) => {
                View::ALL.into_iter().for_each(|view| tail.stop(view, None, &error));
                ControlFlow::Continue(())
            }
        };
        if next.is_break() {
            break;
        }
    }
    tail.close().await;
}

impl Tail {
    async fn open(app: Arc<App>) -> Result<Self, Failure> {
        let target = app.store.head();
        let path = app.views.path.clone();
        let found = blocking(move || {
            Ok(file::open(&path).unwrap_or_else(|error| {
                tracing::warn!(%error, "the views cannot be read and are built again");
                None
            }))
        })
        .await?;
        let mut tail = Self {
            app,
            db: Mutex::default(),
            cursors: [None; 4],
            position: None,
            environments: facts::Environments::default(),
            target,
            caught_up: false,
            stopped: Vec::new(),
            started: Instant::now(),
            read: 0,
        };
        let mut file = None;
        if let Some(db) = found {
            let cursors = cursors(&db);
            match tail.trust(cursors).await? {
                Some(cursors) => {
                    tail.cursors = cursors;
                    tail.position = cursors.into_iter().min().flatten();
                    file = Some(db);
                }
                None => tracing::warn!("the views are not of this log and are built again"),
            }
        }
        let path = tail.app.views.path.clone();
        let file = match file {
            Some(db) => db,
            None => blocking(move || file::create(&path)).await?,
        };
        tail.db = Mutex::new(Some(file));
        tail.caught_up = tail.position >= tail.target;
        Ok(tail)
    }

    /// Whether the log still has the events that the views have taken in last.
    async fn trust(
        &self,
        cursors: rusqlite::Result<[Option<Cursor>; 4]>,
    ) -> Result<Option<[Option<Position>; 4]>, Failure> {
        let Ok(cursors) = cursors else { return Ok(None) };
        for cursor in cursors.iter().flatten() {
            let before = cursor.position.0.checked_sub(1).map(Position);
            let stored = self.app.store.read_all(before, 1).await?;
            if stored.first().is_none_or(|stored| stored.id != cursor.event) {
                return Ok(None);
            }
        }
        Ok(Some(cursors.map(|cursor| cursor.map(|cursor| cursor.position))))
    }

    /// Takes in what is new; whether there is more.
    async fn step(&mut self) -> Result<bool, Failure> {
        let mut batch = self.gather().await?;
        let Some(last) = batch.last else {
            self.catch_up();
            return Ok(false);
        };
        // States that are taken from memory, and what they name, are no older than the batch.
        self.app.holds(Some(last.position)).await.map_err(|error| Failure::Passing(error.to_string()))?;
        let more = batch.more;
        let mut rows = Vec::new();
        if !self.has_stopped(View::Releases) {
            match self.release_rows(&batch).await {
                Ok(made) => rows = made,
                Err(Failure::Poison { position, error }) => {
                    self.stop(View::Releases, Some(position), &error);
                }
                Err(failure) => return Err(failure),
            }
        }
        let mut entries = Vec::new();
        if !self.has_stopped(View::Catalog) {
            match self.entries(&batch).await {
                Ok(made) => entries = made,
                Err(Failure::Poison { position, error }) => self.stop(View::Catalog, Some(position), &error),
                Err(failure) => return Err(failure),
            }
        }
        if !self.has_stopped(View::Facts) {
            self.facts(&mut batch).await?;
        }
        let mut found = Found {
            ids: batch.ids,
            observations: Vec::new(),
            accesses: Vec::new(),
            facts: batch.facts,
            days: batch.days,
        };
        let formats = self.app.format.formats();
        for recorded in &batch.observations {
            match observations::made(formats, recorded) {
                Ok(made) => found.observations.extend(made),
                Err(error) => self.stop(View::EventIds, Some(recorded.position), &error),
            }
        }
        for recorded in &batch.accesses {
            match accesses::made(formats, recorded) {
                Ok(made) => found.accesses.extend(made),
                Err(error) => self.stop(View::EventIds, Some(recorded.position), &error),
            }
        }
        self.write(last, rows, entries, found).await?;
        self.position = Some(last.position);
        self.catch_up();
        Ok(more)
    }

    async fn gather(&mut self) -> Result<Batch, Failure> {
        let mut batch = Batch::default();
        let mut position = self.position;
        loop {
            let page = self.app.store.read_all(position, PAGE).await?;
            self.read += page.len() as u64;
            for recorded in &page {
                self.note(&mut batch, recorded)?;
            }
            if let Some(last) = page.last() {
                position = Some(last.position);
                batch.last = Some(Cursor { position: last.position, event: last.id });
            }
            batch.more = page.len() == PAGE;
            let enough = batch.streams.len() >= NOTED_STREAMS || batch.ids.len() >= NOTED_EVENTS;
            if self.caught_up || enough || !batch.more {
                return Ok(batch);
            }
        }
    }

    fn note(&self, batch: &mut Batch, recorded: &Recorded) -> Result<(), Failure> {
        let position = recorded.position;
        let noticed = self.app.format.notice(recorded);
        noticed.map_err(|outdated| Failure::Poison { position, error: outdated.to_string() })?;
        batch.ids.push((recorded.id, position));
        // A header that cannot be read stops the view that reads the rest of it.
        let signed = serde_json::from_slice::<Signed>(&recorded.header).ok();
        // What one view has taken in, while another was built again, is not counted twice.
        if self.cursor(View::EventIds) < Some(position)
            && let Some(tenant) = names::tenant(&recorded.stream)
            && let Some(signed) = &signed
        {
            batch.days.count(tenant, quotas::day(signed.recorded_at));
        }
        match header::event_type(&recorded.header) {
            Some(observations::EVENT_TYPE) => batch.observations.push(recorded.clone()),
            Some(accesses::EVENT_TYPE) => batch.accesses.push(recorded.clone()),
            _ => {}
        }
        if names::as_environment(&recorded.stream).is_some() {
            batch.of_environments.push(recorded.clone());
        }
        match facts::of_event(self.app.format.formats(), recorded) {
            Ok(made) => batch.facts.extend(made),
            Err(error) => {
                batch.unreadable.get_or_insert((position, error));
            }
        }
        if let Some((of, roles, at)) = signed.and_then(|signed| person(&recorded.stream, signed)) {
            for role in &roles {
                batch.first_uses.entry((of.clone(), *role)).or_insert((position, at));
            }
            batch.people.insert(of, (position, roles));
        }
        let touched = match batch.streams.get_mut(&recorded.stream) {
            Some(touched) => touched,
            None => {
                let touched = Touched { opened: None, last: position, last_revision: recorded.revision };
                batch.streams.entry(recorded.stream.clone()).or_insert(touched)
            }
        };
        touched.last = position;
        touched.last_revision = recorded.revision;
        if recorded.revision == Revision(0) {
            touched.opened = Some(position);
        }
        Ok(())
    }

    async fn release_rows(&self, batch: &Batch) -> Result<Vec<(NewRow, Option<Position>)>, Failure> {
        let mut rows = Vec::new();
        for (stream, touched) in &batch.streams {
            let Some((tenant, _)) = names::as_release(stream) else { continue };
            if self.cursor(View::Releases) >= Some(touched.last) {
                continue;
            }
            let release = self.state(&self.app.releases, stream, touched).await?;
            let Some(opened) = &release.state.opened else { continue };
            let procedure = match procedures::pinned(&self.app, tenant, &opened.procedure).await {
                Ok(procedure) => procedure,
                Err(SurroundingsError::Load(error)) => return Err(self.failure(error, touched).await),
                Err(error) => {
                    return Err(Failure::Poison { position: touched.last, error: error.to_string() });
                }
            };
            let row = releases::row(tenant, &release.state, &procedure, release.revision, release.position);
            rows.extend(row.map(|row| (row, touched.opened)));
            if rows.len() % ROWS_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(rows)
    }

    async fn entries(&self, batch: &Batch) -> Result<Vec<Entry>, Failure> {
        let mut entries = Vec::new();
        for (stream, touched) in &batch.streams {
            if self.cursor(View::Catalog) >= Some(touched.last) {
                continue;
            }
            if let Some((tenant, product)) = after(stream, "product-").and_then(|rest| rest.split_once('.')) {
                let state = self.state(&self.app.products, stream, touched).await?;
                let versions = state.state.versions.iter();
                let environments = versions
                    .flat_map(|version| version.settings.environments.iter())
                    .map(|e| e.name.to_string());
                entries.push(Entry::Product {
                    tenant: tenant.to_owned(),
                    product: product.to_owned(),
                    environments: environments.collect(),
                });
            } else if let Some((tenant, product, environment)) = names::as_environment(stream) {
                let state = self.state(&self.app.environments, stream, touched).await?;
                let exceptions = state.state.exceptions.iter().map(|shown| {
                    ExceptionRow::of_environment(stream.as_str(), product, environment, shown).made(tenant)
                });
                entries.push(Entry::Environment {
                    tenant: tenant.to_owned(),
                    product: product.to_owned(),
                    environment: environment.to_owned(),
                    exceptions: exceptions.collect(),
                });
            } else if let Some((tenant, procedure)) =
                after(stream, "procedure-").and_then(|rest| rest.split_once('.'))
            {
                entries.push(Entry::Procedure { tenant: tenant.to_owned(), procedure: procedure.to_owned() });
            } else if let Some((tenant, _)) = after(stream, "report-").and_then(|rest| rest.split_once('.')) {
                let state = self.state(&self.app.reports, stream, touched).await?;
                entries.extend(state.state.generated.as_ref().map(|made| Entry::Report {
                    tenant: tenant.to_owned(),
                    product: made.query.product().map(ToOwned::to_owned),
                    report: made.report,
                    at: made.generated_at,
                }));
            }
        }
        let new = |position: &Position| self.cursor(View::Catalog) < Some(*position);
        let first = batch.first_uses.iter().filter(|(_, (position, _))| new(position));
        entries.extend(first.map(|(((tenant, product, actor), role), (_, at))| Entry::FirstUse {
            tenant: tenant.clone(),
            product: product.clone(),
            actor: actor.clone(),
            role: *role,
            at: *at,
        }));
        let people = batch.people.iter().filter(|(_, (position, _))| new(position));
        entries.extend(people.map(|((tenant, product, actor), (_, roles))| Entry::Person {
            tenant: tenant.clone(),
            product: product.clone(),
            actor: actor.clone(),
            roles: roles.clone(),
        }));
        Ok(entries)
    }

    /// Adds what environments tell to what releases did.
    async fn facts(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let known = self.cursor(View::Facts);
        let formats = self.app.format.formats();
        for recorded in batch.of_environments.iter().filter(|recorded| known < Some(recorded.position)) {
            let (stream, revision) = (&recorded.stream, recorded.revision.0);
            let made = match self.environments.take(stream, revision) {
                Some(environment) => Ok(environment),
                None => self.environment_before(stream, recorded.revision).await?,
            };
            let made = made.and_then(|mut environment| {
                let made = facts::of_environment(formats, &mut environment, recorded)?;
                self.environments.put(stream, revision + 1, environment);
                Ok(made)
            });
            match made {
                Ok(made) => batch.facts.extend(made),
                Err(error) => {
                    let found = (recorded.position, error);
                    let earlier = batch.unreadable.take().filter(|(position, _)| *position < found.0);
                    batch.unreadable = earlier.or(Some(found));
                    break;
                }
            }
        }
        if let Some((position, error)) =
            batch.unreadable.take().filter(|(position, _)| known < Some(*position))
        {
            batch.facts.retain(|made| made.position() < position.0);
            self.stop(View::Facts, Some(position), &error);
        }
        Ok(())
    }

    /// What an environment was before one of its events, which may be in the middle of a command.
    async fn environment_before(
        &self,
        stream: &StreamId,
        revision: Revision,
    ) -> Result<Result<Environment, String>, Failure> {
        let formats = self.app.format.formats();
        let mut environment = Environment::default();
        let mut next = Revision(0);
        while next < revision {
            let page = self.app.store.read_stream(stream, next, PAGE).await?;
            if page.is_empty() {
                break;
            }
            for recorded in page.iter().filter(|recorded| recorded.revision < revision) {
                let made = facts::of_environment(formats, &mut environment, recorded);
                if let Err(error) = made {
                    return Ok(Err(error));
                }
            }
            next = Revision(page.last().map_or(revision.0, |last| last.revision.0 + 1));
        }
        Ok(Ok(environment))
    }

    /// The state with the event that touched it: from memory when live, folded aside when catching up,
    /// so that old releases do not push those in use out of memory.
    async fn state<A: Aggregate>(
        &self,
        streams: &Streams<A>,
        stream: &StreamId,
        touched: &Touched,
    ) -> Result<Arc<Committed<A>>, Failure> {
        let state = async {
            if self.caught_up {
                let slot = streams.load(stream).await?;
                let shown = tokio::time::timeout(COMMIT_WAIT, slot.durable(touched.last_revision)).await;
                if shown == Ok(true) {
                    return Ok(slot.committed());
                }
            }
            Ok(Arc::new(streams.fold(stream, Until::End).await?.into_committed()))
        };
        match state.await {
            Ok(state) => Ok(state),
            Err(error) => Err(self.failure(error, touched).await),
        }
    }

    async fn failure(&self, error: LoadError, touched: &Touched) -> Failure {
        // Whoever may ask for the process's health sees no more than the kind of damage.
        let (text, full) = match &error {
            LoadError::Event { error: wire, .. } => (unreadable(wire), error.to_string()),
            LoadError::Header { .. } | LoadError::Read(_) => {
                ("the event's header cannot be read".to_owned(), error.to_string())
            }
        };
        let (stream, revision) = match error {
            LoadError::Read(error) => return error.into(),
            LoadError::Event { stream, revision, .. } | LoadError::Header { stream, revision, .. } => {
                (stream, revision)
            }
        };
        tracing::error!(error = full, "an event cannot be taken into a view");
        let found = self.app.store.read_stream(&stream, revision, 1).await;
        let position = found.ok().and_then(|found| found.first().map(|event| event.position));
        Failure::Poison { position: position.unwrap_or(touched.last), error: text }
    }

    async fn write(
        &mut self,
        last: Cursor,
        rows: Vec<(NewRow, Option<Position>)>,
        entries: Vec<Entry>,
        mut found: Found,
    ) -> Result<(), Failure> {
        let Some(mut db) = self.db.get_mut().ok().and_then(Option::take) else {
            return Err(Failure::File("the file was lost by an earlier failure".to_owned()));
        };
        let moving = View::ALL.map(|view| (view, !self.has_stopped(view)));
        found.ids.retain(|(_, position)| self.cursor(View::EventIds) < Some(*position));
        found.observations.retain(|made| self.cursor(View::EventIds) < Some(made.position()));
        found.accesses.retain(|made| self.cursor(View::EventIds) < Some(made.position()));
        found.facts.retain(|made| self.cursor(View::Facts) < Some(Position(made.position())));
        // A view that stopped reads these again after the next start, and counting is not done twice.
        if self.has_stopped(View::EventIds) {
            found.days = days::Days::default();
        }
        let written = blocking(move || {
            let tx = db.transaction()?;
            for (row, opened) in &rows {
                releases::write(&tx, row, *opened)?;
            }
            catalog::write(&tx, &entries)?;
            event_ids::write(&tx, &mut found.ids)?;
            days::write(&tx, &found.days)?;
            observations::write(&tx, &found.observations)?;
            accesses::write(&tx, &found.accesses)?;
            facts::write(&tx, &found.facts)?;
            for (view, _) in moving.iter().filter(|(_, moves)| *moves) {
                file::move_cursor(&tx, *view, last)?;
            }
            tx.commit()?;
            Ok(db)
        })
        .await?;
        self.db = Mutex::new(Some(written));
        for (place, (_, moves)) in moving.into_iter().enumerate() {
            if moves {
                self.cursors[place] = Some(last.position);
            }
        }
        Ok(())
    }

    /// Lets commands have the machine, then waits for the next event.
    async fn rest(&self, took: Duration, stop: &CancellationToken) -> ControlFlow<()> {
        let rest = (took * 9).clamp(REST.0, REST.1);
        tokio::select! {
            () = stop.cancelled() => return ControlFlow::Break(()),
            () = self.app.views.hurry.notified() => {}
            () = tokio::time::sleep(rest) => {}
        }
        let mut feed = self.app.store.subscribe(self.position);
        tokio::select! {
            () = stop.cancelled() => ControlFlow::Break(()),
            // What the event is, the next step reads; an error shows there too.
            event = feed.next() => if event.is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) },
        }
    }

    fn catch_up(&mut self) {
        if !self.caught_up && self.position >= self.target {
            self.caught_up = true;
            let seconds = self.started.elapsed().as_secs_f64();
            tracing::info!(events = self.read, seconds, "the views have caught up with the log");
        }
        self.publish();
    }

    fn publish(&self) {
        self.app.views.progress.send_replace(Progress {
            position: self.position,
            opened: true,
            caught_up: self.caught_up,
            stopped: self.stopped.clone(),
        });
    }

    fn stop(&mut self, view: View, position: Option<Position>, error: &str) {
        if !self.has_stopped(view) {
            tracing::error!(
                view = view.as_str(),
                ?position,
                error,
                "a view stopped; its lists are not served"
            );
            self.stopped.push(Stopped { view, position, error: error.to_owned() });
            self.publish();
        }
    }

    fn has_stopped(&self, view: View) -> bool {
        self.stopped.iter().any(|stopped| stopped.view == view)
    }

    fn cursor(&self, view: View) -> Option<Position> {
        View::ALL.iter().position(|known| *known == view).and_then(|place| self.cursors[place])
    }

    async fn close(self) {
        let Ok(Some(db)) = self.db.into_inner() else { return };
        let closed = blocking(move || file::close(&db)).await;
        if let Err(Failure::File(error)) = closed {
            tracing::warn!(%error, "the views could not be closed in order");
        }
    }
}

fn cursors(db: &Connection) -> rusqlite::Result<[Option<Cursor>; 4]> {
    let [one, two, three, four] = View::ALL;
    Ok([file::cursor(db, one)?, file::cursor(db, two)?, file::cursor(db, three)?, file::cursor(db, four)?])
}

/// Who recorded an event, and when.
#[derive(Deserialize)]
struct Signed {
    recorded_at: Timestamp,
    actor: Actor,
}

/// The person behind an event, and their roles for the product that its stream is of.
fn person(stream: &StreamId, Signed { recorded_at, actor }: Signed) -> Option<(Seen, Vec<Role>, Timestamp)> {
    if actor.kind != ActorKind::Person.as_str() {
        return None;
    }
    let (kind, rest) = stream.as_str().split_once('-')?;
    let (tenant, product) = match (names::as_release(stream), kind) {
        (Some((tenant, release)), _) => (tenant, Some(release.product().to_owned())),
        (None, "product" | "environment") => {
            let mut parts = rest.split('.');
            (parts.next()?, Some(parts.next()?.to_owned()))
        }
        (None, "procedure") => (rest.split_once('.')?.0, None),
        (None, "calendar" | "directory" | "controls") => (rest, None),
        (None, _) => return None,
    };
    let roles =
        Role::ALL.into_iter().filter(|role| actor.roles.iter().any(|had| had == role.as_str())).collect();
    Some(((tenant.to_owned(), product, actor.id), roles, recorded_at))
}

fn after<'s>(stream: &'s StreamId, prefix: &str) -> Option<&'s str> {
    stream.as_str().strip_prefix(prefix)
}

/// SQLite waits for the disk, so it runs off the threads that serve.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| Failure::File(error.to_string())),
        Err(error) => Err(Failure::File(error.to_string())),
    }
}

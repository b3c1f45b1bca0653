//! Who acts on time and on other streams. It tails the log, keeps the instants at which something
//! becomes due, and sends what is due through the one command loop as the server itself. Each command's
//! key names its cause, so any number of nodes may do this and each cause takes effect once.
//!
//! How far it has come is kept beside the log (`reactor/file.rs`), so a start costs what is new and what
//! is still pending. An event is passed when what it makes necessary is done, or noted as pending.

mod agenda;
mod effects;
mod file;
mod pending;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventlog::{Header, Position, ReadError, Recorded, StreamId, header};
use futures_util::StreamExt;
use jiff::Timestamp;
use release::due::{due, next_due};
use release::environment::{EnvironmentAround, EnvironmentCommand, ExpireReservation, Lease};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::app::App;
use crate::command::{CommandError, Envelope, handle};
use crate::following::Behind;
use crate::names;
use crate::streams::LoadError;
use crate::surroundings::{self, SurroundingsError};
use crate::telemetry;
use crate::views::{NotReady, QueryError};
use agenda::Agenda;
use file::{Changes, Cursor, File};
use pending::{Lane, Pending};

/// How long after a failure the same is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// How often before it is pending, and what comes after it is attended to.
const TRIES: u32 = 20;
/// How long what was done may be done again after a crash.
const SAVED_EVERY: Duration = Duration::from_secs(1);

/// How far the reactor has come: every event up to a position, everything due at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub position: Option<Position>,
    pub time: Timestamp,
    /// How many streams have an instant at which something is due.
    pub waiting: usize,
    /// Events for which something is still to be done.
    pub pending: usize,
}

#[derive(Debug, thiserror::Error)]
enum ReactorError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Surroundings(#[from] SurroundingsError),
    #[error("the vault: {0}")]
    Vault(#[from] std::io::Error),
    #[error(transparent)]
    Behind(#[from] Behind),
    #[error(transparent)]
    Views(#[from] NotReady),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("{0}")]
    Unreadable(String),
}

impl ReactorError {
    /// Nothing can be done any more, in this process.
    fn is_closed(&self) -> bool {
        matches!(
            self,
            Self::Command(CommandError::Closed | CommandError::Load(LoadError::Read(ReadError::Closed)))
                | Self::Surroundings(SurroundingsError::Load(LoadError::Read(ReadError::Closed)))
        )
    }

    /// Whether the same may succeed later; what is recorded never changes.
    fn may_pass(&self) -> bool {
        match self {
            Self::Command(error) => error.may_pass(),
            Self::Surroundings(SurroundingsError::Load(error)) => error.may_pass(),
            Self::Vault(_) | Self::Behind(_) | Self::Views(_) | Self::Query(_) => true,
            Self::Surroundings(_) | Self::Unreadable(_) => false,
        }
    }
}

/// Event types after which a release's or environment's next due instant may be another.
const RESCHEDULES: [&str; 21] = [
    "item.waiver_requested",
    "item.waiver_granted",
    "window.set",
    "approval.requested",
    "production.authorized",
    "production.break_glass_authorized",
    "timer.started",
    "lease.opened",
    "lease.extended",
    "rollback.proposed",
    "release.reopened",
    "release.aborted",
    "release.closed",
    "release.outcome_set",
    "deployment.started",
    "deployment.finished",
    "attachment.stored",
    "attachment.removed",
    "environment.reserved",
    "environment.handed_over",
    "environment.reservation_confirmed",
];

/// After these every release that waits for something is looked at.
const RESCHEDULES_ALL: [&str; 3] = ["freeze.declared", "retention.set", "legal_hold.lifted"];

/// Runs until the service stops.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let Some(mut reactor) = Reactor::open(app, stop.clone()).await else { return };
    while reactor.follow().await.is_continue() {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
    reactor.save().await;
}

struct Reactor {
    app: Arc<App>,
    stop: CancellationToken,
    cursor: Option<Cursor>,
    agenda: Agenda,
    pending: Pending,
    /// In a mutex, never contended, because a connection alone would keep the task on one thread. Absent
    /// when it cannot be written; the next start then does again what was done since.
    file: Mutex<Option<File>>,
    saved: Instant,
    saved_cursor: Option<Cursor>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// Nothing is left to do, now or later.
    Done,
    /// It may succeed later.
    Failed,
    /// The service stops; the next start does it.
    Stopped,
}

impl Reactor {
    /// Where the last run ended, or at the log's beginning; `None` when the log is closed.
    async fn open(app: Arc<App>, stop: CancellationToken) -> Option<Self> {
        let path = File::path(&app.config.data);
        let opening = path.clone();
        let found = blocking(move || File::open(&opening)).await.unwrap_or_else(|error| {
            tracing::warn!(error, "the reactor's file cannot be read");
            None
        });
        let now = Instant::now();
        let mut reactor = Self {
            app,
            stop,
            cursor: None,
            agenda: Agenda::default(),
            pending: Pending::default(),
            file: Mutex::default(),
            saved: now,
            saved_cursor: None,
        };
        if let Some((file, kept)) = found {
            match reactor.pending_lanes(&kept).await {
                Ok(Some(lanes)) => {
                    for (lane, position) in lanes {
                        reactor.pending.add(lane, position, now);
                    }
                    // Read from the file, so not to be written into it.
                    reactor.pending.changes();
                    (reactor.cursor, reactor.saved_cursor) = (Some(kept.cursor), Some(kept.cursor));
                    reactor.agenda = Agenda::of(kept.agenda);
                    reactor.file = Mutex::new(Some(file));
                    return Some(reactor);
                }
                Ok(None) => tracing::warn!("the reactor's file is not of this log"),
                Err(ReadError::Closed) => return None,
                Err(error) => tracing::warn!(%error, "the reactor's place in the log cannot be read"),
            }
        }
        match blocking(move || File::create(&path)).await {
            Ok(file) => reactor.file = Mutex::new(Some(file)),
            Err(error) => tracing::error!(error, "the reactor's file cannot be written"),
        }
        Some(reactor)
    }

    /// The events that are pending; `None` when the log is not the one that the file was written for.
    async fn pending_lanes(&self, kept: &file::Kept) -> Result<Option<Vec<(Lane, Position)>>, ReadError> {
        let last = self.event_at(kept.cursor.position).await?;
        if last.is_none_or(|last| last.id != kept.cursor.event) {
            return Ok(None);
        }
        let mut lanes = Vec::new();
        for position in &kept.pending {
            let event = self.event_at(*position).await?;
            let lane = event.and_then(|event| Lane::of(&event.stream));
            let Some(lane) = lane else { return Ok(None) };
            lanes.push((lane, *position));
        }
        Ok(Some(lanes))
    }

    async fn event_at(&self, position: Position) -> Result<Option<Recorded>, ReadError> {
        let before = position.0.checked_sub(1).map(Position);
        Ok(self.app.store.read_all(before, 1).await?.pop())
    }

    /// Acts until the service stops; goes on when the log could not be read and has to be subscribed anew.
    async fn follow(&mut self) -> ControlFlow<()> {
        let app = Arc::clone(&self.app);
        let stop = self.stop.clone();
        let mut feed = app.store.subscribe(self.cursor.map(|cursor| cursor.position));
        loop {
            // One reading for all three: what is reported as done is what was looked at.
            let now = app.clock.now();
            while let Some(stream) = self.agenda.take_due(now) {
                self.attend(&stream).await?;
            }
            self.retry().await?;
            if self.is_unsaved() && self.saved.elapsed() >= SAVED_EVERY {
                self.save().await;
            }
            app.reactor.send_replace(Progress {
                position: self.cursor.map(|cursor| cursor.position),
                time: now,
                waiting: self.agenda.len(),
                pending: self.pending.len(),
            });
            let again = self.pending.next();
            let save = self.is_unsaved().then(|| self.saved + SAVED_EVERY);
            let event = tokio::select! {
                () = stop.cancelled() => return ControlFlow::Break(()),
                () = app.clock.reached(self.agenda.next(), now) => continue,
                () = reached(again) => continue,
                () = reached(save) => continue,
                event = feed.next(), if !self.pending.is_full() => event,
            };
            match event {
                Some(Ok(recorded)) => {
                    if app.format.notice(&recorded).is_err() {
                        // A newer program does what follows from it, and all that comes later.
                        return ControlFlow::Break(());
                    }
                    self.react(&recorded).await?;
                    self.cursor = Some(Cursor { position: recorded.position, event: recorded.id });
                }
                Some(Err(error)) => {
                    tracing::error!(%error, "the reactor could not read the log and starts over");
                    return ControlFlow::Continue(());
                }
                None => return ControlFlow::Break(()),
            }
        }
    }

    /// One event: what it makes necessary elsewhere, and when its own stream is next to be looked at.
    async fn react(&mut self, recorded: &Recorded) -> ControlFlow<()> {
        let Some(event_type) = header::event_type(&recorded.header) else {
            tracing::error!(position = %recorded.position, "a header could not be read");
            return ControlFlow::Continue(());
        };
        let effects = effects::of(event_type);
        if effects.is_none() && !RESCHEDULES_ALL.contains(&event_type) && !RESCHEDULES.contains(&event_type) {
            return ControlFlow::Continue(());
        }
        // What other streams in memory say is not older than this event.
        while let Err(error) = self.app.holds(Some(recorded.position)).await {
            tracing::warn!(%error, "the reactor waits for this node to follow the log");
            if self.stop.is_cancelled() {
                return ControlFlow::Break(());
            }
        }
        if effects.is_some()
            && let Some(lane) = Lane::of(&recorded.stream)
        {
            let held = self.pending.holds(&lane);
            let attempt = if held { Attempt::Failed } else { self.insist_on(recorded).await };
            match attempt {
                Attempt::Done => {}
                Attempt::Failed => self.pending.add(lane, recorded.position, Instant::now()),
                Attempt::Stopped => return ControlFlow::Break(()),
            }
        }
        let app = Arc::clone(&self.app);
        // The fold has to hold this very event before it is asked what comes next.
        if let Err(error) = hold(&app, recorded).await {
            tracing::error!(%error, stream = %recorded.stream, "a stream could not be read");
        }
        if RESCHEDULES_ALL.contains(&event_type) {
            // Any of them may have an authorization to lose, or attachments to give up.
            self.agenda.all_now(app.clock.now());
        } else {
            schedule(&app, &mut self.agenda, &recorded.stream, Overdue::Now).await;
        }
        ControlFlow::Continue(())
    }

    async fn insist_on(&self, recorded: &Recorded) -> Attempt {
        let (app, stop) = (&self.app, &self.stop);
        insistently(stop, || carry_out(app, recorded)).await
    }

    /// Tries again what is pending and whose time has come.
    async fn retry(&mut self) -> ControlFlow<()> {
        while let Some((lane, position)) = self.pending.due(Instant::now()) {
            let attempted = match self.event_at(position).await {
                Ok(Some(recorded)) => carry_out(&self.app, &recorded).await,
                // It was there when it was noted, and nothing takes an event away.
                Ok(None) => Err(ReactorError::Unreadable("the event is gone".to_owned())),
                Err(error) => Err(CommandError::from(LoadError::from(error)).into()),
            };
            match ended(attempted) {
                Attempt::Done => self.pending.done(&lane, Instant::now()),
                Attempt::Failed => self.pending.failed(&lane, Instant::now()),
                Attempt::Stopped => return ControlFlow::Break(()),
            }
        }
        ControlFlow::Continue(())
    }

    /// Something may be due on a stream: send it, and note when to look again.
    async fn attend(&mut self, stream: &StreamId) -> ControlFlow<()> {
        let app = Arc::clone(&self.app);
        if insistently(&self.stop, || send_due(&app, stream)).await == Attempt::Stopped {
            self.agenda.put(stream, app.clock.now());
            return ControlFlow::Break(());
        }
        schedule(&app, &mut self.agenda, stream, Overdue::Later).await;
        ControlFlow::Continue(())
    }

    fn is_unsaved(&self) -> bool {
        self.cursor != self.saved_cursor || self.agenda.has_changed() || self.pending.has_changed()
    }

    async fn save(&mut self) {
        self.saved = Instant::now();
        let Some(cursor) = self.cursor.filter(|_| self.is_unsaved()) else { return };
        let changes = Changes { cursor, agenda: self.agenda.changes(), pending: self.pending.changes() };
        self.saved_cursor = Some(cursor);
        let Some(mut file) = self.file.get_mut().ok().and_then(Option::take) else { return };
        let written = blocking(move || {
            file.write(&changes)?;
            Ok(file)
        });
        match written.await {
            Ok(file) => self.file = Mutex::new(Some(file)),
            Err(error) => tracing::error!(error, "the reactor's place is not kept until the next start"),
        }
    }
}

async fn reached(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// SQLite waits for the disk, so it runs off the threads that serve.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?;
    done.map_err(|error| error.to_string())
}

/// What an event makes necessary elsewhere.
async fn carry_out(app: &App, recorded: &Recorded) -> Result<(), ReactorError> {
    let event_type = header::event_type(&recorded.header);
    let Some((event_type, effect)) = event_type.and_then(|name| Some((name, effects::of(name)?))) else {
        return Ok(());
    };
    let span = app.causes.join(telemetry::react_span(event_type), recorded.id);
    effects::carry_out(app, effect, recorded).instrument(span).await
}

async fn hold(app: &App, recorded: &Recorded) -> Result<(), ReactorError> {
    if names::as_release(&recorded.stream).is_some() {
        app.releases.at_least(&recorded.stream, recorded.revision).await.map_err(CommandError::from)?;
    } else if recorded.stream.as_str().starts_with("environment-") {
        app.environments.at_least(&recorded.stream, recorded.revision).await.map_err(CommandError::from)?;
    } else if recorded.stream.as_str().starts_with("retention-") {
        app.retentions.at_least(&recorded.stream, recorded.revision).await.map_err(CommandError::from)?;
    } else if recorded.stream.as_str().starts_with("calendar-") {
        app.calendars.at_least(&recorded.stream, recorded.revision).await.map_err(CommandError::from)?;
    }
    Ok(())
}

async fn send_due(app: &App, stream: &StreamId) -> Result<(), ReactorError> {
    let now = app.clock.now();
    if let Some((tenant, _)) = names::as_release(stream) {
        let slot = app.releases.load(stream).await.map_err(CommandError::from)?;
        let release = slot.committed();
        let Some(opened) = &release.state.opened else { return Ok(()) };
        let around = surroundings::whole(app, tenant, opened).await?;
        for due in due(&release.state, now, &around) {
            let key = format!("{}:{}:{}", due.rule, due.cause, due.at);
            let span = telemetry::due_span(due.rule);
            let envelope = span.in_scope(|| envelope(due.rule, stream, key))?;
            let envelope = Envelope { causation: Some(due.set_by), ..envelope };
            let sent = handle(app, &app.releases, stream, &envelope, &due.command, &around, |_, _| ());
            settle(sent.instrument(span).await)?;
        }
    } else if let Some(lease) = lapsing(app, stream).await?.filter(|lease| lease.expires_at <= now) {
        let release = lease.release;
        let key = format!("reservation_expiry:{release}:{}", lease.expires_at);
        let span = telemetry::due_span("reservation_expiry");
        let envelope = span.in_scope(|| envelope("reservation_expiry", stream, key))?;
        let envelope = Envelope { causation: Some(lease.expiry_set_by), ..envelope };
        let command = EnvironmentCommand::ExpireReservation(ExpireReservation { release });
        let around = EnvironmentAround::default();
        let sent = handle(app, &app.environments, stream, &envelope, &command, &around, |_, _| ());
        settle(sent.instrument(span).await)?;
    }
    Ok(())
}

/// When to look at what is due already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overdue {
    /// It was just found.
    Now,
    /// It was just sent, and refused or failed: looking again at once would spin.
    Later,
}

async fn schedule(app: &App, agenda: &mut Agenda, stream: &StreamId, overdue: Overdue) {
    match next(app, stream).await {
        Ok(Some(at)) if overdue == Overdue::Now => agenda.put(stream, at),
        Ok(Some(at)) => agenda.put(stream, agenda.earliest_retry(app.clock.now(), at)),
        Ok(None) => agenda.remove(stream),
        Err(error) => {
            tracing::error!(%error, %stream, "the next due instant could not be found");
            let now = app.clock.now();
            agenda.put(stream, agenda.earliest_retry(now, now));
        }
    }
}

async fn next(app: &App, stream: &StreamId) -> Result<Option<Timestamp>, ReactorError> {
    if let Some((tenant, _)) = names::as_release(stream) {
        let release = app.releases.load(stream).await.map_err(CommandError::from)?.committed();
        let Some(opened) = &release.state.opened else { return Ok(None) };
        let around = surroundings::whole(app, tenant, opened).await?;
        return Ok(next_due(&release.state, &around));
    }
    Ok(lapsing(app, stream).await?.map(|lease| lease.expires_at))
}

/// An environment's unconfirmed reservation, which lapses.
async fn lapsing(app: &App, stream: &StreamId) -> Result<Option<Lease>, ReactorError> {
    if !stream.as_str().starts_with("environment-") {
        return Ok(None);
    }
    let environment = app.environments.load(stream).await.map_err(CommandError::from)?.committed();
    Ok(environment.state.lease.clone().filter(|lease| lease.confirmed_at.is_none()))
}

fn envelope(rule: &'static str, stream: &StreamId, key: String) -> Result<Envelope, ReactorError> {
    let envelope = Envelope::system(rule, stream, key);
    let envelope = envelope.map_err(|error| ReactorError::Unreadable(error.to_string()))?;
    Ok(Envelope { trace: telemetry::current_trace().map(|trace| trace.to_string()), ..envelope })
}

/// What the event means for others, done before its request is answered; the reactor does again what fails here,
/// and finds done what does not.
pub async fn carry_out_now(app: &App, recorded: &Recorded) {
    if let Err(error) = carry_out(app, recorded).await {
        tracing::warn!(%error, position = recorded.position.0, "an effect is left to the reactor");
    }
}

fn header(recorded: &Recorded) -> Result<Header, ReactorError> {
    Header::parse(&recorded.header).map_err(|error| ReactorError::Unreadable(error.to_string()))
}

/// A refusal means that somebody else did it, or that it is no longer necessary.
fn settle<T>(handled: Result<T, CommandError>) -> Result<(), ReactorError> {
    match handled {
        Ok(_) => Ok(()),
        Err(CommandError::Refused(refusal)) => {
            tracing::debug!(%refusal, "not necessary");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Tries again what failed for a passing reason, a bounded number of times.
async fn insistently<F: Future<Output = Result<(), ReactorError>>>(
    stop: &CancellationToken,
    attempt: impl Fn() -> F,
) -> Attempt {
    for _ in 0..TRIES {
        match ended(attempt().await) {
            Attempt::Failed => {}
            attempt => return attempt,
        }
        tokio::select! {
            () = stop.cancelled() => return Attempt::Stopped,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
    Attempt::Failed
}

fn ended(attempted: Result<(), ReactorError>) -> Attempt {
    match attempted {
        Ok(()) => Attempt::Done,
        Err(error) if error.is_closed() => Attempt::Stopped,
        Err(error) if error.may_pass() => {
            tracing::warn!(%error, "the reactor could not act and tries again");
            Attempt::Failed
        }
        // Tried again by the next version, which reads the log from its beginning.
        Err(error) => {
            tracing::error!(%error, "the reactor cannot act on what is recorded");
            Attempt::Done
        }
    }
}

//! Who acts on time and on other streams. It tails the log, keeps the instants at which something
//! becomes due, and sends what is due through the one command loop as the server itself. Each command's
//! key names its cause, so any number of nodes may do this and each cause takes effect once.

mod agenda;
mod effects;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use eventlog::{Header, Position, Recorded, StreamId, header};
use futures_util::StreamExt;
use jiff::Timestamp;
use release::due::{due, next_due};
use release::environment::{EnvironmentAround, EnvironmentCommand, ExpireReservation, Lease};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::app::App;
use crate::command::{CommandError, Envelope, handle};
use crate::names;
use crate::surroundings::{self, SurroundingsError};
use crate::telemetry;
use agenda::Agenda;

/// How long after a failure the same is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// How often before it is left to the next start.
const TRIES: u32 = 20;

/// How far the reactor has come: every event up to a position, everything due at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub position: Option<Position>,
    pub time: Timestamp,
    /// How many streams have an instant at which something is due.
    pub waiting: usize,
}

#[derive(Debug, thiserror::Error)]
enum ReactorError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Surroundings(#[from] SurroundingsError),
    #[error("{0}")]
    Unreadable(String),
}

/// Event types after which a release's or environment's next due instant may be another.
const RESCHEDULES: [&str; 14] = [
    "item.waiver_requested",
    "item.waiver_granted",
    "window.set",
    "approval.requested",
    "production.authorized",
    "timer.started",
    "lease.opened",
    "lease.extended",
    "release.reopened",
    "deployment.started",
    "deployment.finished",
    "environment.reserved",
    "environment.handed_over",
    "environment.reservation_confirmed",
];

/// After it every release that waits for something is looked at.
const FREEZE_DECLARED: &str = "freeze.declared";

/// Runs until the service stops.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut agenda = Agenda::default();
    let mut position = None;
    loop {
        let mut feed = app.store.subscribe(position);
        loop {
            // One reading for all three: what is reported as done is what was looked at.
            let now = app.clock.now();
            while let Some(stream) = agenda.take_due(now) {
                attend(&app, &mut agenda, &stream).await;
            }
            app.reactor.send_replace(Progress { position, time: now, waiting: agenda.len() });
            let next = agenda.next();
            let event = tokio::select! {
                () = stop.cancelled() => return,
                () = app.clock.reached(next, now) => continue,
                event = feed.next() => event,
            };
            match event {
                Some(Ok(recorded)) => {
                    react(&app, &mut agenda, &recorded).await;
                    position = Some(recorded.position);
                }
                Some(Err(error)) => {
                    tracing::error!(%error, "the reactor could not read the log and starts over");
                    break;
                }
                None => return,
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

/// One event: what it makes necessary elsewhere, and when its own stream is next to be looked at.
async fn react(app: &App, agenda: &mut Agenda, recorded: &Recorded) {
    let Some(event_type) = header::event_type(&recorded.header) else {
        tracing::error!(position = %recorded.position, "a header could not be read");
        return;
    };
    let effects = effects::of(event_type);
    if effects.is_some() || event_type == FREEZE_DECLARED || RESCHEDULES.contains(&event_type) {
        if let Some(effect) = effects {
            let span = app.causes.join(telemetry::react_span(event_type), recorded.id);
            insistently(|| effects::carry_out(app, effect, recorded)).instrument(span).await;
        }
        // The fold has to hold this very event before it is asked what comes next.
        if let Err(error) = hold(app, recorded).await {
            tracing::error!(%error, stream = %recorded.stream, "a stream could not be read");
        }
        if event_type == FREEZE_DECLARED {
            // Every release that waits for something may have an authorization to lose.
            agenda.all_now(app.clock.now());
        } else {
            schedule(app, agenda, &recorded.stream, Overdue::Now).await;
        }
    }
}

async fn hold(app: &App, recorded: &Recorded) -> Result<(), ReactorError> {
    if names::as_release(&recorded.stream).is_some() {
        app.releases.at_least(&recorded.stream, recorded.revision).await.map_err(CommandError::from)?;
    } else if recorded.stream.as_str().starts_with("environment-") {
        app.environments.at_least(&recorded.stream, recorded.revision).await.map_err(CommandError::from)?;
    } else if recorded.stream.as_str().starts_with("calendar-") {
        app.calendars.at_least(&recorded.stream, recorded.revision).await.map_err(CommandError::from)?;
    }
    Ok(())
}

/// Something may be due on a stream: send it, and note when to look again.
async fn attend(app: &App, agenda: &mut Agenda, stream: &StreamId) {
    insistently(|| send_due(app, stream)).await;
    schedule(app, agenda, stream, Overdue::Later).await;
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
async fn insistently<F: Future<Output = Result<(), ReactorError>>>(attempt: impl Fn() -> F) {
    for tried in 1..=TRIES {
        match attempt().await {
            Ok(()) | Err(ReactorError::Command(CommandError::Closed)) => return,
            Err(error) => tracing::warn!(%error, tried, "the reactor could not act"),
        }
        tokio::time::sleep(RETRY).await;
    }
    tracing::error!("the reactor gave up on an action until the next start");
}

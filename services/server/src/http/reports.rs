//! Reports: made from the log at a position, kept by their hash, made again whenever their bytes are missing.

pub mod envelope;
pub mod generate;
pub mod get;
pub mod list;
pub mod period;
pub mod reconciliations;
pub mod rendered;
pub mod samples;

use std::sync::Arc;

use actix_web::http::StatusCode;
use eventlog::header::leaf;
use eventlog::{Recorded, Revision, StreamId};
use release::event::ReportQuery;
use release::report::controls::{ControlMappingRef, PinnedMapping};
use release::report::generated::{Done, GENERATORS, Generated, GeneratedReport, ReportCommand};
use release::value::{Name, ReleaseId};
use release::{Actor, Refusal, RefusalCode, role_missing};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::{self, Answer, View};
use super::call::Caller;
use super::prefer::prove;
use super::problem::{Code, Problem};
use super::releases::{self, AsOf};
use crate::app::App;
use crate::command::{Envelope, handle, is_recorded};
use crate::names;
use crate::report::{Asked, Events, Made, of_release};
use crate::streams::{Committed, Until};
use crate::surroundings::input;

/// How many events one read of a release asks for.
const PAGE: usize = 1024;
/// A report is under a checkpoint; one of what was recorded a moment ago waits this long for it.
const CHECKPOINT_WAIT_S: u64 = 3;

/// Who made a report and when, with what, and under which signature: everything about it that is not in its bytes.
#[derive(Serialize, ToSchema)]
pub struct ReportEnvelope {
    #[serde(flatten)]
    pub generated: Generated,
    /// The times of this log are those of a simulation.
    pub simulated_clock: bool,
}

impl ReportEnvelope {
    fn of(app: &App, generated: &Generated) -> Self {
        Self { generated: generated.clone(), simulated_clock: app.clock.is_simulated() }
    }
}

/// A report that was made now, and the signed checkpoint that its root is under.
pub struct Fresh {
    pub made: Made,
    pub checkpoint: String,
}

/// The report of a release as it is or was. Nothing is recorded.
pub async fn of(
    app: &App,
    caller: &Caller,
    id: &ReleaseId,
    when: &AsOf,
    wait_s: u64,
    controls: PinnedMapping,
) -> Result<Fresh, Problem> {
    let snapshot = releases::read(app, caller, id, when).await?;
    let stream = releases::stream(caller, id)?;
    let (events, last) = events(app, &stream, snapshot.revision).await?;
    let proof = prove(app, &last, wait_s.max(CHECKPOINT_WAIT_S)).await?;
    let root = proof.root_then(&leaf(&last.header)).map_err(|error| Problem::internal(&error))?;
    let retention_months = retention(app, caller.tenant(), id, &last).await?;
    let (tenant, position) = (caller.tenant().to_owned(), last.position.0);
    let procedure = Arc::clone(&snapshot.procedure);
    let made = tokio::task::spawn_blocking(move || {
        let (stream, procedure, controls) = (&stream, &*procedure, &controls);
        let asked = Asked { tenant: &tenant, stream, procedure, controls, retention_months, position, root };
        of_release(&events, &asked)
    });
    let made = made.await.map_err(|error| Problem::internal(&error))?;
    let made = made.map_err(|error| Problem::internal(&error))?.ok_or_else(|| releases::unknown(id))?;
    Ok(Fresh { made, checkpoint: proof.note.to_string() })
}

/// The events of a release up to a revision, and the last of them.
async fn events(app: &App, stream: &StreamId, until: Revision) -> Result<(Events, Recorded), Problem> {
    let mut events = Events::default();
    let mut last: Option<Recorded> = None;
    loop {
        let from = last.as_ref().map_or(0, |last| last.revision.0 + 1);
        let page = app.store.read_stream(stream, Revision(from), PAGE).await?;
        for recorded in page.into_iter().take_while(|recorded| recorded.revision <= until) {
            events.push(app.format.formats(), &recorded)?;
            last = Some(recorded);
        }
        match &last {
            Some(reached) if reached.revision.0 + 1 > from && reached.revision < until => {}
            Some(_) => break,
            None => return Err(Problem::new(Code::Internal, "the release has no events")),
        }
    }
    last.map(|last| (events, last)).ok_or_else(|| Problem::new(Code::Internal, "the release has no events"))
}

/// How long records of the release were to be kept when its last event was recorded.
async fn retention(app: &App, tenant: &str, id: &ReleaseId, last: &Recorded) -> Result<u32, Problem> {
    let stream = names::retention(tenant).map_err(|error| Problem::internal(&error))?;
    let then = app.retentions.fold(&stream, Until::Position(last.position)).await?;
    Ok(then.head.state.keeping(id, input(&stream, then.head.revision)).months)
}

/// The controls that a report looks at: without a name the built-in ones, without a version their newest.
pub async fn controls(
    app: &App,
    caller: &Caller,
    name: Option<&Name>,
    version: Option<u32>,
) -> Result<PinnedMapping, Problem> {
    let stream = names::controls(caller.tenant()).map_err(|error| Problem::internal(&error))?;
    let known = app.control_mappings.load(&stream).await?.committed();
    PinnedMapping::parse(known.state.stored(name, version)?).map_err(|error| Problem::internal(&error))
}

/// The bytes of a report again, from the log alone.
async fn again(app: &App, caller: &Caller, generated: &Generated) -> Result<Made, Problem> {
    let ReportQuery::Release { release, control_mapping, .. } = &generated.query else {
        return Err(Problem::new(Code::Internal, "the report is not of a release"));
    };
    let when = AsOf { at_position: Some(generated.position), ..AsOf::default() };
    let ControlMappingRef { name, version, .. } = control_mapping;
    let controls = controls(app, caller, Some(name), Some(*version)).await?;
    let fresh = of(app, caller, release, &when, 0, controls).await?;
    if fresh.made.sha256 == generated.sha256 {
        return Ok(fresh.made);
    }
    // Another schema, or a log that is not what it was.
    let detail = format!("report {} is {} from the log now", generated.report, fresh.made.sha256);
    Err(Problem::new(Code::ContentLost, detail))
}

/// A report for somebody who may read what it is of.
async fn read(app: &App, caller: &Caller, report: Uuid) -> Result<Arc<Committed<GeneratedReport>>, Problem> {
    caller.has_any_role()?;
    let stream = names::report(caller.tenant(), report).map_err(|error| Problem::internal(&error))?;
    let known = app.reports.load(&stream).await?.committed();
    // What the caller may not read does not exist for them.
    let readable = known.state.generated.as_ref().is_some_and(|generated| may_read(caller, generated));
    if readable { Ok(known) } else { Err(Problem::new(Code::NotFound, format!("no report {report}"))) }
}

/// A command on a report, before it is known what it does.
pub struct Ready {
    stream: StreamId,
    envelope: Envelope,
    /// It was not recorded before.
    pub is_new: bool,
}

/// Checks who asks for something to be done with a report.
async fn ready(
    app: &App,
    caller: &Caller,
    report: Uuid,
    operation: &'static str,
) -> Result<(Ready, Generated), Problem> {
    let known = read(app, caller, report).await?;
    let generated = generated(&known.state)?.clone();
    let envelope = caller.envelope(operation, generated.query.product())?;
    may_generate(&envelope.actor)?;
    let stream = names::report(caller.tenant(), report).map_err(|error| Problem::internal(&error))?;
    let slot = app.reports.load(&stream).await?;
    let is_new = !is_recorded(&slot, &envelope);
    if is_new {
        envelope.has_room(app)?;
    }
    Ok((Ready { stream, envelope, is_new }, generated))
}

/// Records it.
async fn act(
    app: &App,
    ready: Ready,
    command: &ReportCommand,
    done: &Option<Done>,
    status: StatusCode,
    view: impl Fn(&GeneratedReport, &[Uuid]) -> Result<View, Problem> + Send + Sync,
) -> Answer {
    let Ready { stream, envelope, .. } = ready;
    let handled = handle(app, &app.reports, &stream, &envelope, command, done, view).await?;
    answer::recorded(handled, status)
}

/// Told before anything is read, because reading takes a while.
fn may_generate(actor: &Actor) -> Result<(), Problem> {
    if actor.has_any(&GENERATORS) { Ok(()) } else { Err(role_missing(&GENERATORS, &actor.roles).into()) }
}

fn has_rows(generated: &Generated) -> Result<(), Problem> {
    match generated.query {
        ReportQuery::Period(_) => Ok(()),
        ReportQuery::Release { .. } => {
            Err(Refusal::new(RefusalCode::ReportHasNoPopulation, "the report is of one release").into())
        }
    }
}

fn may_read(caller: &Caller, generated: &Generated) -> bool {
    caller.may_read(generated.query.product()).is_ok()
}

fn generated(known: &GeneratedReport) -> Result<&Generated, Problem> {
    known.generated.as_ref().ok_or_else(|| Problem::new(Code::Internal, "the report was not recorded"))
}

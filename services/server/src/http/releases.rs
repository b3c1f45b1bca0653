//! What the endpoints of a release share: recording a command on it and reading its state.

pub mod abort;
pub mod accesses;
pub mod amend;
pub mod batch;
pub mod bundle;
pub mod checklist;
pub mod close;
pub mod complete;
pub mod diff;
pub mod events;
pub mod exceptions;
pub mod get;
pub mod hold;
pub mod list;
pub mod open;
pub mod reopen;
pub mod report;
pub mod resume;
pub mod why;

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use bytes::Bytes;
use eventlog::store::MAX_BATCH_EVENTS;
use eventlog::{Position, Revision, StreamId};
use jiff::{SignedDuration, Timestamp};
use release::checklist::summary;
use release::command::AmendRelease;
use release::event::ChangeClass;
use release::value::{ActorId, ReleaseId};
use release::{Command, Procedure, Refusal, RefusalCode, Release, Role};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use uuid::Uuid;

use super::answer::{self, Answer, Freshness, View};
use super::call::{Caller, FromQuery, exact_integer};
use super::lists;
use super::problem::{Code, Problem};
use crate::app::App;
use crate::command::{Handled, handle};
use crate::streams::{Committed, Until};
use crate::views::{View as Views, role_first_used};
use crate::{names, procedures, quotas, reserve, surroundings};

/// Records a command on an opened release and answers with `view` of the state it led to.
pub async fn record(
    app: &App,
    caller: &Caller,
    operation: &'static str,
    id: &ReleaseId,
    command: Command,
    status: StatusCode,
    view: impl Fn(&Release, &Procedure, &[Uuid]) -> Result<View, Problem>,
) -> Answer {
    let handled = handled(app, caller, operation, id, command, view).await;
    handled.and_then(|handled| answer::recorded(handled, status)).map_err(|problem| problem.on(caller))
}

/// Records a command on an opened release; `seen` is made of the state it led to and the ids of its events.
async fn handled<T>(
    app: &App,
    caller: &Caller,
    operation: &'static str,
    id: &ReleaseId,
    command: Command,
    seen: impl Fn(&Release, &Procedure, &[Uuid]) -> T,
) -> Result<Handled<T>, Problem> {
    caller.may_read(Some(id.product()))?;
    let stream = stream(caller, id)?;
    let release = app.releases.load(&stream).await?.committed();
    let opened = release.state.opened.as_ref().ok_or_else(|| unknown(id))?;
    let mut envelope = caller.envelope(operation, Some(id.product()))?;
    if needs_no_room(&release.state, &command) {
        envelope.over_quota = quotas::in_emergency(envelope.over_quota);
    }
    if approves(&command) {
        envelope.actor.author_keys = author_keys(app, caller, &envelope.actor.id).await?;
    }
    if matches!(command, Command::AuthorizeProduction(_) | Command::StartDeployment(_)) && !caller.dry_run {
        reserve::for_command(app, caller.tenant(), id, opened, &envelope, &command).await?;
    }
    let mut around = surroundings::of(app, caller.tenant(), opened, &command).await?;
    if caller.dry_run {
        // The real command would reserve them first.
        around.snapshots.reserve_for(id, reserve::preempt_reason(&command).is_some());
    }
    if approves(&command) {
        around.snapshots.role_first_used = approver_since(app, caller, id, &envelope.actor.id).await?;
    }
    // A state that somebody holds is copied when the next event goes into it.
    drop(release);
    let procedure = Arc::clone(&around.procedure);
    let seen = |state: &Release, created: &[Uuid]| seen(state, &procedure, created);
    Ok(handle(app, &app.releases, &stream, &envelope, &command, &around, seen).await?)
}

/// What is done for it is refused by no quota but that of files.
pub fn is_emergency(release: &Release) -> bool {
    release.class() == ChangeClass::Emergency
}

fn needs_no_room(release: &Release, command: &Command) -> bool {
    match command {
        // Whether its content is kept was settled before.
        Command::Attach(_) => false,
        Command::Amend(AmendRelease { class: Some(class), .. }) => *class == ChangeClass::Emergency,
        _ => is_emergency(release),
    }
}

/// Who approves is compared with who wrote the commits.
fn approves(command: &Command) -> bool {
    match command {
        Command::GrantApproval { .. } => true,
        Command::Batch { commands } => commands.iter().any(approves),
        _ => false,
    }
}

/// What the directory knows the caller by as a commit author.
async fn author_keys(app: &App, caller: &Caller, actor: &ActorId) -> Result<Vec<String>, Problem> {
    let stream = names::directory(caller.tenant()).map_err(|error| Problem::internal(&error))?;
    let directory = app.directories.load(&stream).await?.committed();
    Ok(directory.state.author_keys(actor).into_iter().map(ToString::to_string).collect())
}

/// When the caller was first seen to act as an approver of the product, which may be now; `None` while lists are
/// being built.
async fn approver_since(
    app: &App,
    caller: &Caller,
    id: &ReleaseId,
    actor: &ActorId,
) -> Result<Option<Timestamp>, Problem> {
    if app.views.ready(Views::Catalog, None).await.is_err() {
        return Ok(None);
    }
    let (tenant, product, actor) = (caller.tenant().to_owned(), id.product().to_owned(), actor.to_string());
    let query = move |db: &_| role_first_used(db, &tenant, &product, &actor, Role::Approver);
    Ok(lists::query(app, query).await?.or(Some(app.clock.now())))
}

pub fn stream(caller: &Caller, id: &ReleaseId) -> Result<StreamId, Problem> {
    names::release(caller.tenant(), id).map_err(|error| Problem::internal(&error))
}

/// The release's life changed: answers with its summary.
pub async fn change_life(
    app: &App,
    caller: &Caller,
    operation: &'static str,
    id: &ReleaseId,
    command: Command,
) -> Answer {
    record(app, caller, operation, id, command, StatusCode::OK, |state, procedure, _| {
        summary_view(id, state, procedure)
    })
    .await
}

pub fn summary_view(id: &ReleaseId, state: &Release, procedure: &Procedure) -> Result<View, Problem> {
    let summary = summary(state, procedure, &id.to_string()).ok_or_else(|| unknown(id))?;
    View::new(&summary, format!("/v1/releases/{id}"))
}

pub fn unknown(id: &ReleaseId) -> Problem {
    Refusal::new(RefusalCode::ReleaseUnknown, format!("no release {id} was opened")).into()
}

/// When a release is read: now, or as it was.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AsOf {
    /// The state by events recorded at or before this time (RFC 3339).
    #[param(example = "2026-11-22T12:00:00Z")]
    pub as_of: Option<Timestamp>,
    /// The state by events up to this position of the log.
    #[param(minimum = 0, maximum = 9007199254740991_u64)]
    #[serde(default, deserialize_with = "exact_integer")]
    pub at_position: Option<u64>,
    /// The state by events up to this revision of the release.
    #[param(minimum = 0, maximum = 9007199254740991_u64)]
    #[serde(default, deserialize_with = "exact_integer")]
    pub at_revision: Option<u64>,
    /// Without evidence, samples and observations of what happened after this time (RFC 3339). Nothing is judged
    /// anew: verdicts stay as they were recorded.
    #[param(example = "2026-11-22T12:00:00Z")]
    pub as_at: Option<Timestamp>,
}

impl FromQuery for AsOf {}

/// When a release is read, and which page of one of its lists.
#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageAsOf {
    /// The state by events recorded at or before this time (RFC 3339).
    #[param(example = "2026-11-22T12:00:00Z")]
    pub as_of: Option<Timestamp>,
    /// The state by events up to this position of the log.
    #[param(minimum = 0, maximum = 9007199254740991_u64)]
    #[serde(default, deserialize_with = "exact_integer")]
    pub at_position: Option<u64>,
    /// The state by events up to this revision of the release.
    #[param(minimum = 0, maximum = 9007199254740991_u64)]
    #[serde(default, deserialize_with = "exact_integer")]
    pub at_revision: Option<u64>,
    /// Without evidence, samples and observations of what happened after this time (RFC 3339). Nothing is judged
    /// anew: verdicts stay as they were recorded.
    #[param(example = "2026-11-22T12:00:00Z")]
    pub as_at: Option<Timestamp>,
    /// How many rows at most; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1, max_length = 200, pattern = "^[A-Za-z0-9_-]+$")]
    pub cursor: Option<String>,
}

impl FromQuery for PageAsOf {}

impl PageAsOf {
    pub fn when(&self) -> AsOf {
        AsOf {
            as_of: self.as_of,
            at_position: self.at_position,
            at_revision: self.at_revision,
            as_at: self.as_at,
        }
    }

    pub fn turn<T>(
        &self,
        caller: &Caller,
        rows: impl IntoIterator<Item = T>,
    ) -> Result<(Vec<T>, Option<String>), Problem> {
        lists::turn(rows, self.limit, self.cursor.as_deref()).map_err(|problem| problem.on(caller))
    }
}

/// A release as it is or was, and how long the answer holds.
pub struct Snapshot {
    pub release: Arc<Committed<Release>>,
    pub procedure: Arc<Procedure>,
    pub revision: Revision,
    pub position: Option<Position>,
    pub freshness: Freshness,
}

impl Snapshot {
    pub fn answer(&self, caller: &Caller, body: Bytes) -> HttpResponse {
        let known = caller.if_none_match.as_deref();
        answer::state(body, self.revision, self.position, self.freshness, known)
    }

    /// A page of one of its lists.
    pub fn page(
        &self,
        caller: &Caller,
        query: &PageAsOf,
        page: &impl Serialize,
        next_cursor: Option<&str>,
    ) -> Answer {
        let response = self.answer(caller, answer::json(page)?);
        Ok(lists::linked(response, caller, query, next_cursor.map(|next| ("cursor", next))))
    }
}

/// The state of a release for a reader.
pub async fn read(app: &App, caller: &Caller, id: &ReleaseId, when: &AsOf) -> Result<Snapshot, Problem> {
    let read = async {
        caller.may_read(Some(id.product()))?;
        let stream = stream(caller, id)?;
        let (until, freshness) = moment(app, when)?;
        let release = match until {
            // What is kept in memory holds every fact.
            Until::End if when.as_at.is_some() => {
                Arc::new(app.releases.fold_as_at(&stream, until, when.as_at).await?.into_committed())
            }
            Until::End if caller.min_position.is_some() => newest(app, &stream).await?,
            Until::End => app.releases.load(&stream).await?.committed(),
            until => {
                // A release nobody opened is unknown; one opened later is not found at that time.
                let now = app.releases.load(&stream).await?.committed();
                let last = now.revision.ok_or_else(|| unknown(id))?;
                if matches!(until, Until::Revision(asked) if asked > last) {
                    let detail = format!("{id} is at revision {last}");
                    return Err(Problem::new(Code::NotFound, detail));
                }
                Arc::new(app.releases.fold_as_at(&stream, until, when.as_at).await?.into_committed())
            }
        };
        let Some(revision) = release.revision else {
            return Err(match until {
                Until::End => unknown(id),
                _ => Problem::new(Code::NotFound, format!("{id} was not opened at that time")),
            });
        };
        let opened = release.state.opened.as_ref().ok_or_else(|| unknown(id))?;
        let procedure = procedures::pinned(app, caller.tenant(), &opened.procedure).await?;
        let position = release.position;
        Ok(Snapshot { release, procedure, revision, position, freshness })
    };
    read.await.map_err(|problem: Problem| problem.on(caller))
}

/// The state that holds every event of the log: the log has an event before the command that appended it has told
/// the readers of the state.
async fn newest(app: &App, stream: &StreamId) -> Result<Arc<Committed<Release>>, Problem> {
    let known = app.releases.load(stream).await?.committed();
    let next = Revision(known.revision.map_or(0, |last| last.0 + 1));
    let unseen = app.store.read_stream(stream, next, MAX_BATCH_EVENTS).await?;
    match unseen.last() {
        None => Ok(known),
        Some(last) => Ok(app.releases.at_least(stream, last.revision).await?),
    }
}

/// A time of the last minute may still gain events of the same instant, so only older ones are kept.
fn moment(app: &App, when: &AsOf) -> Result<(Until, Freshness), Problem> {
    match (when.as_of, when.at_position, when.at_revision) {
        (None, None, None) => Ok((Until::End, Freshness::Live)),
        (Some(time), None, None) => {
            let settled = app.clock.now().duration_since(time) > SignedDuration::from_secs(60);
            Ok((Until::Time(time), if settled { Freshness::Past } else { Freshness::Live }))
        }
        (None, Some(position), None) => {
            let reached = app.store.head().is_some_and(|head| head.0 >= position);
            let freshness = if reached { Freshness::Past } else { Freshness::Live };
            Ok((Until::Position(Position(position)), freshness))
        }
        (None, None, Some(revision)) => Ok((Until::Revision(Revision(revision)), Freshness::Past)),
        _ => Err(Problem::field(
            Code::InvalidParameter,
            "as_of",
            "give one of as_of, at_position and at_revision",
        )),
    }
}

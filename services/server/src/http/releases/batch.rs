//! `POST /v1/releases/{release}/batch`

mod commands;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use eventlog::{Header, Revision};
use release::Command;
use release::value::{List, ReleaseId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{handled, stream};
use crate::app::App;
use crate::command::{Handled, Outcome};
use crate::http::answer::{self, Answer, View};
use crate::http::call::{Call, Caller, DryRun, Json};
use crate::http::problem::Problem;
use commands::{BatchCommand, Place};

/// Several commands, to be recorded together or not at all.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordBatch {
    /// In the order in which they are decided, each on what the ones before it led to.
    pub commands: List<BatchCommand, 100>,
}

/// What each command of a batch did, in the order of the commands.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchRecorded {
    #[schema(max_items = 100)]
    pub entries: Vec<BatchEntry>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BatchEntry {
    #[schema(max_length = 64)]
    pub operation: String,
    /// Where what it created or changed is read.
    #[schema(max_length = 500)]
    pub location: String,
    /// The revisions of its events; absent when it told nothing new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revisions: Option<Revisions>,
}

/// Both included.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Revisions {
    pub first: u64,
    pub last: u64,
}

/// Record a batch
///
/// Up to 100 commands on one release in one append: all of them are recorded, or none. Each is decided on the
/// state that the ones before it lead to, with the roles that its own operation asks for. A refusal is the
/// refusal of one command, and `errors` points at it (`/commands/3`). Commands that first reserve an environment
/// (`authorizeProduction`, `startDeployment`) are sent by themselves, and a batch holds no other batch.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/batch",
    operation_id = "recordBatch",
    tag = "Releases",
    request_body(content = RecordBatch, example = json!({"commands": [
        {"operation": "recordItemEvidence", "item": "1.6", "body": {"facts": {"kind": "ci_run", "provider": "github", "run_id": "7431", "attempt": 1, "workflow": "ci.yml", "head_sha": "5d1c2f0a8e4b6973c1d0e9f8a7b6c5d4e3f2a1b0", "conclusion": "success"}, "url": "https://ci.example/runs/7431"}},
        {"operation": "addComment", "body": {"text": "green on the first attempt", "item": "1.6"}},
    ]})),
    responses((status = 200, description = "What each command did", body = BatchRecorded)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, Json<RecordBatch>, DryRun>) -> Answer {
    let answer = batch(&app, &call.caller, &call.path, call.body.0).await;
    answer.map_err(|problem| problem.on(&call.caller))
}

async fn batch(app: &App, caller: &Caller, id: &ReleaseId, body: RecordBatch) -> Answer {
    let planned = body.commands.into_vec().into_iter().map(BatchCommand::planned);
    let (commands, places) = planned.map(|one| (one.command, (one.operation, one.place))).unzip();
    let command = Command::Batch { commands };
    let count = |_: &_, _: &_, created: &[uuid::Uuid]| created.len();
    let outcome = match handled(app, caller, "recordBatch", id, command, count).await? {
        Handled::Preview(preview) => return answer::recorded(Handled::Preview(preview), StatusCode::OK),
        Handled::Recorded(outcome) => outcome,
    };
    let events = stored(app, caller, id, outcome.revision, outcome.answer).await?;
    let view = View::new(&recorded(id, places, &events), format!("/v1/releases/{id}"));
    let Outcome { revision, position, replayed, unchanged, .. } = outcome;
    answer::recorded(
        Handled::Recorded(Outcome { answer: view, revision, position, replayed, unchanged }),
        StatusCode::OK,
    )
}

/// The headers of the batch's events, read from the log every time: what is answered first and what is
/// answered to every repetition have one source.
async fn stored(
    app: &App,
    caller: &Caller,
    id: &ReleaseId,
    last: Revision,
    count: usize,
) -> Result<Vec<Header>, Problem> {
    let first = Revision((last.0 + 1).saturating_sub(count as u64));
    let events = app.store.read_stream(&stream(caller, id)?, first, count).await;
    let events = events.map_err(|error| Problem::internal(&error))?;
    let headers = events.iter().map(|event| Header::parse(&event.header));
    headers.collect::<Result<_, _>>().map_err(|error| Problem::internal(&error))
}

fn recorded(id: &ReleaseId, places: Vec<(String, Place)>, events: &[Header]) -> BatchRecorded {
    let entries = places.into_iter().enumerate().map(|(entry, (operation, place))| {
        let own: Vec<_> =
            events.iter().filter(|event| event.request.entry.is_some_and(|n| n as usize == entry)).collect();
        let revisions = own.first().zip(own.last());
        BatchEntry {
            operation,
            location: format!("/v1/releases/{id}{}", place.of(&own)),
            revisions: revisions
                .map(|(first, last)| Revisions { first: first.revision.0, last: last.revision.0 }),
        }
    });
    BatchRecorded { entries: entries.collect() }
}

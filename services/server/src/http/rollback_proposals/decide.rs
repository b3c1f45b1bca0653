//! `POST /v1/releases/{release}/rollback-proposals/{proposal}/decide`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::DecideRollback;
use release::release::Proposal;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Decide a rollback proposal
///
/// `rollback` takes one person; `hold` and `continue` against a trigger take two.
/// Role: `operator`, `on_call` or `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/rollback-proposals/{proposal}/decide",
    operation_id = "decideRollback",
    tag = "Rollback",
    request_body(content = DecideRollback, example = json!({"decision": "rollback", "reason": "customers affected"})),
    responses((status = 200, description = "The proposal after it", body = Proposal)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), Json<DecideRollback>, DryRun>) -> Answer {
    let (id, proposal) = call.path;
    let command = Command::DecideRollback { proposal, body: call.body.0 };
    record(&app, &call.caller, "decideRollback", &id, command, StatusCode::OK, |state, _, _| {
        view(&id, state, Some(proposal))
    })
    .await
}

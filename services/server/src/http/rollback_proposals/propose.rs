//! `POST /v1/releases/{release}/rollback-proposals`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::ProposeRollback;
use release::release::Proposal;
use release::value::ReleaseId;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Propose a rollback
///
/// Asks for a decision. Role: `machine`, `operator`, `on_call` or `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/rollback-proposals",
    operation_id = "proposeRollback",
    tag = "Rollback",
    request_body(content = ProposeRollback, example = json!({"reason": "p99 above baseline in two buckets"})),
    responses((status = 201, description = "The proposal", body = Proposal)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, Json<ProposeRollback>, DryRun>) -> Answer {
    let id = call.path;
    let command = Command::ProposeRollback(call.body.0);
    record(&app, &call.caller, "proposeRollback", &id, command, StatusCode::CREATED, |state, _, _| {
        view(&id, state, None)
    })
    .await
}

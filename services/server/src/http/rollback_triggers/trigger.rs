//! `POST /v1/releases/{release}/rollback-triggers`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::TriggerRollback;
use release::release::Trigger;
use release::value::ReleaseId;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Report a rollback trigger
///
/// A rule fired: what was seen and against which limit. Recorded in every state.
/// Role: `machine`, `operator`, `on_call` or `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/rollback-triggers",
    operation_id = "triggerRollback",
    tag = "Rollback",
    request_body(content = TriggerRollback, example = json!({"rule": "C2", "detail": "error rate 7 % against 0.4 % of control", "value": 0.07, "control": 0.004, "threshold": 0.05})),
    responses((status = 201, description = "The trigger", body = Trigger)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, Json<TriggerRollback>, DryRun>) -> Answer {
    let id = call.path;
    let command = Command::TriggerRollback(call.body.0);
    record(&app, &call.caller, "triggerRollback", &id, command, StatusCode::CREATED, |state, _, _| {
        view(&id, state, None)
    })
    .await
}

//! `POST /v1/releases/{release}/rollback`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::StartRollback;
use release::release::Rollback;
use release::value::ReleaseId;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Roll back
///
/// One call starts it, for whatever runs in production, in every state of the release; no gate, window, freeze
/// or hold refuses it. A second one waits for the first to end (`rollback_running`). Needs no precondition, and
/// no key except from CI tokens. Role: `operator`, `on_call`, `release_manager` or `machine`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/rollback",
    operation_id = "startRollback",
    tag = "Rollback",
    request_body(content = StartRollback, example = json!({"reason": "error rate after full rollout"})),
    responses((status = 201, description = "The rollback", body = Rollback)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, Json<StartRollback>, DryRun>) -> Answer {
    let id = call.path;
    let command = Command::StartRollback(call.body.0);
    record(&app, &call.caller, "startRollback", &id, command, StatusCode::CREATED, |state, _, _| {
        view(&id, state, None)
    })
    .await
}

//! `POST /v1/releases/{release}/rollbacks/{rollback}/complete`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::CompleteRollback;
use release::release::Rollback;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, OptionalJson};
use crate::http::releases::record;

/// Complete a rollback
///
/// Ends it; the duration from trigger to verification is recorded. Role: as to roll back.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/rollbacks/{rollback}/complete",
    operation_id = "completeRollback",
    tag = "Rollback",
    request_body(content = Option<CompleteRollback>, example = json!({})),
    responses((status = 200, description = "The rollback after it", body = Rollback)),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<(ReleaseId, Uuid), OptionalJson<CompleteRollback>, DryRun>,
) -> Answer {
    let (id, rollback) = call.path;
    let command = Command::CompleteRollback { rollback, body: call.body.0 };
    record(&app, &call.caller, "completeRollback", &id, command, StatusCode::OK, |state, _, _| {
        view(&id, state, Some(rollback))
    })
    .await
}

//! `POST /v1/releases/{release}/rollbacks/{rollback}/fail`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::FailRollback;
use release::release::Rollback;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Report a failed rollback
///
/// The rollback itself failed. Role: as to roll back.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/rollbacks/{rollback}/fail",
    operation_id = "failRollback",
    tag = "Rollback",
    request_body(content = FailRollback, example = json!({"reason": "the previous image cannot be pulled"})),
    responses((status = 200, description = "The rollback after it", body = Rollback)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), Json<FailRollback>, DryRun>) -> Answer {
    let (id, rollback) = call.path;
    let command = Command::FailRollback { rollback, body: call.body.0 };
    record(&app, &call.caller, "failRollback", &id, command, StatusCode::OK, |state, _, _| {
        view(&id, state, Some(rollback))
    })
    .await
}

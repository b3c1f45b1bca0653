//! `POST /v1/releases/{release}/rollbacks/{rollback}/verify`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::VerifyRollback;
use release::release::Rollback;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Verify a rollback
///
/// The previous version serves and is healthy. Role: as to roll back.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/rollbacks/{rollback}/verify",
    operation_id = "verifyRollback",
    tag = "Rollback",
    request_body(content = VerifyRollback, example = json!({"version": "2.3.1", "healthy_probes": 3})),
    responses((status = 200, description = "The rollback after it", body = Rollback)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), Json<VerifyRollback>, DryRun>) -> Answer {
    let (id, rollback) = call.path;
    let command = Command::VerifyRollback { rollback, body: call.body.0 };
    record(&app, &call.caller, "verifyRollback", &id, command, StatusCode::OK, |state, _, _| {
        view(&id, state, Some(rollback))
    })
    .await
}

//! `POST /v1/releases/{release}/rollbacks/{rollback}/observations`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::ObserveRollback;
use release::release::Rollback;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Report a step of a rollback
///
/// Traffic shifted, schema kept or reverted, backup restored; and in any state of the rollback the incident in which
/// it is followed up, which a failed one has to have before its release is closed. Role: as to roll back.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/rollbacks/{rollback}/observations",
    operation_id = "observeRollback",
    tag = "Rollback",
    request_body(content = ObserveRollback, example = json!({"observation": {"step": "traffic_shifted", "weight_percent": 0.0}})),
    responses((status = 201, description = "The rollback after it", body = Rollback)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), Json<ObserveRollback>, DryRun>) -> Answer {
    let (id, rollback) = call.path;
    let command = Command::ObserveRollback { rollback, body: call.body.0 };
    record(&app, &call.caller, "observeRollback", &id, command, StatusCode::CREATED, |state, _, _| {
        view(&id, state, Some(rollback))
    })
    .await
}

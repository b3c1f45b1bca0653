//! `POST /v1/releases/{release}/deployments/{deployment}/probes`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::RecordProbes;
use release::release::Deployment;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Report probes
///
/// What version and health endpoints answered. Role: `machine` or `operator`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/deployments/{deployment}/probes",
    operation_id = "recordProbes",
    tag = "Deployments",
    request_body(content = RecordProbes, example = json!({"probes": []})),
    responses((status = 201, description = "The deployment after it", body = Deployment)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), Json<RecordProbes>, DryRun>) -> Answer {
    let (id, deployment) = call.path;
    let command = Command::RecordProbes { deployment, body: call.body.0 };
    record(&app, &call.caller, "recordProbes", &id, command, StatusCode::CREATED, |state, _, _| {
        view(&id, state, Some(deployment))
    })
    .await
}

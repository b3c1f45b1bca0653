//! `POST /v1/releases/{release}/deployments/{deployment}/migrations`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::ReportMigrations;
use release::release::Deployment;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Report migrations
///
/// Which database migrations were applied. Role: `operator`, `dba` or `machine`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/deployments/{deployment}/migrations",
    operation_id = "reportMigrations",
    tag = "Deployments",
    request_body(content = ReportMigrations, example = json!({"tool": "flyway", "applied": [{"id": "0042", "checksum": "9f2c"}], "pending": 0, "failed": 0, "backward_compatible": true})),
    responses((status = 201, description = "The deployment after it", body = Deployment)),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<(ReleaseId, Uuid), Json<ReportMigrations>, DryRun>,
) -> Answer {
    let (id, deployment) = call.path;
    let command = Command::ReportMigrations { deployment, body: call.body.0 };
    record(&app, &call.caller, "reportMigrations", &id, command, StatusCode::CREATED, |state, _, _| {
        view(&id, state, Some(deployment))
    })
    .await
}

//! `POST /v1/releases/{release}/deployments/{deployment}/samples`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::RecordSamples;
use release::release::Deployment;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Samples};
use crate::http::releases::record;

/// Report metric samples
///
/// Up to 1,000 points in a body of up to 8 MiB, all or nothing; the release keeps aggregates, the log every point.
/// Points that one event of 256 KiB cannot hold are recorded as several. Role: `machine` or `operator`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/deployments/{deployment}/samples",
    operation_id = "recordSamples",
    tag = "Deployments",
    request_body(content = RecordSamples, example = json!({"samples": []})),
    responses((status = 201, description = "The deployment after it", body = Deployment)),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<(ReleaseId, Uuid), Samples<RecordSamples>, DryRun>,
) -> Answer {
    let (id, deployment) = call.path;
    let command = Command::RecordSamples { deployment, body: call.body.0 };
    record(&app, &call.caller, "recordSamples", &id, command, StatusCode::CREATED, |state, _, _| {
        view(&id, state, Some(deployment))
    })
    .await
}

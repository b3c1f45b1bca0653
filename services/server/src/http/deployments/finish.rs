//! `POST /v1/releases/{release}/deployments/{deployment}/finish`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::FinishDeployment;
use release::release::Deployment;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Finish a deployment
///
/// Success in production is T0: monitoring and the duty to keep the previous version start.
/// Role: `operator` or `machine`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/deployments/{deployment}/finish",
    operation_id = "finishDeployment",
    tag = "Deployments",
    request_body(content = FinishDeployment, example = json!({"outcome": "succeeded"})),
    responses((status = 200, description = "The deployment after it", body = Deployment)),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<(ReleaseId, Uuid), Json<FinishDeployment>, DryRun>,
) -> Answer {
    let (id, deployment) = call.path;
    let command = Command::FinishDeployment { deployment, body: call.body.0 };
    record(&app, &call.caller, "finishDeployment", &id, command, StatusCode::OK, |state, _, _| {
        view(&id, state, Some(deployment))
    })
    .await
}

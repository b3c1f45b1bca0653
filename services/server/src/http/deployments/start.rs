//! `POST /v1/releases/{release}/deployments`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::StartDeployment;
use release::release::Deployment;
use release::value::ReleaseId;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Start a deployment
///
/// Of the current candidate, in one environment, which is reserved first; a release of class emergency takes it from
/// its holder with `preempt_reason`, unless that is an emergency too. Production takes an authorization and uses
/// it up. Artifacts and pipeline digest, where given, are those of the candidate. Role: `operator` or `machine`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/deployments",
    operation_id = "startDeployment",
    tag = "Deployments",
    request_body(content = StartDeployment, example = json!({"environment": "staging"})),
    responses((status = 201, description = "The deployment", body = Deployment)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, Json<StartDeployment>, DryRun>) -> Answer {
    let id = call.path;
    let command = Command::StartDeployment(call.body.0);
    record(&app, &call.caller, "startDeployment", &id, command, StatusCode::CREATED, |state, _, _| {
        view(&id, state, None)
    })
    .await
}

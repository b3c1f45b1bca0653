//! `POST /v1/releases/{release}/deployments/{deployment}/amend`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::AmendDeployment;
use release::release::Deployment;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Amend the record of a deployment
///
/// Artifacts, pipeline or link that were recorded wrongly, with why. What is absent stays; the old value stays in the
/// history. Items that rest on it are judged again. A wrong outcome is no matter of the record: what was said to have
/// succeeded and did not is rolled back. Role: `operator`, `machine` or `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/deployments/{deployment}/amend",
    operation_id = "amendDeployment",
    tag = "Deployments",
    request_body(content = AmendDeployment, example = json!({
        "why": "the job reported its cache", "url": "https://deploy.example/runs/912"
    })),
    responses((status = 200, description = "The deployment after it", body = Deployment)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), Json<AmendDeployment>, DryRun>) -> Answer {
    let (id, deployment) = call.path;
    let command = Command::AmendDeployment { deployment, body: call.body.0 };
    record(&app, &call.caller, "amendDeployment", &id, command, StatusCode::OK, |state, _, _| {
        view(&id, state, Some(deployment))
    })
    .await
}

//! `POST /v1/releases/{release}/deployments/{deployment}/traffic`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::ObserveTraffic;
use release::release::Deployment;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Report the share of traffic
///
/// The share of traffic the new version serves, as observed. Role: `machine` or `operator`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/deployments/{deployment}/traffic",
    operation_id = "observeTraffic",
    tag = "Deployments",
    request_body(content = ObserveTraffic, example = json!({"weight_percent": 5.0})),
    responses((status = 201, description = "The deployment after it", body = Deployment)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), Json<ObserveTraffic>, DryRun>) -> Answer {
    let (id, deployment) = call.path;
    let command = Command::ObserveTraffic { deployment, body: call.body.0 };
    record(&app, &call.caller, "observeTraffic", &id, command, StatusCode::CREATED, |state, _, _| {
        view(&id, state, Some(deployment))
    })
    .await
}

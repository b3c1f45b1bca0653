//! `POST /v1/releases/{release}/deployments/{deployment}/proceed`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::DecideProceed;
use release::release::Deployment;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Decide to proceed
///
/// Proceed to full rollout, hold, or abort. `basis` is what the deployment's analysis showed. Role: `operator` or `release_manager`; `on_call` may hold or abort.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/deployments/{deployment}/proceed",
    operation_id = "decideProceed",
    tag = "Deployments",
    request_body(content = DecideProceed, example = json!({"decision": "proceed", "reason": "no error spikes in 15 minutes"})),
    responses((status = 201, description = "The deployment after it", body = Deployment)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), Json<DecideProceed>, DryRun>) -> Answer {
    let (id, deployment) = call.path;
    let command = Command::DecideProceed { deployment, body: call.body.0 };
    record(&app, &call.caller, "decideProceed", &id, command, StatusCode::CREATED, |state, _, _| {
        view(&id, state, Some(deployment))
    })
    .await
}

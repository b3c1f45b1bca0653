//! `POST /v1/releases/{release}/baselines`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::CaptureBaseline;
use release::release::Baseline;
use release::value::ReleaseId;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Capture a baseline
///
/// Metrics of the running version before the deployment. Role: `machine`, `operator` or `on_call`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/baselines",
    operation_id = "captureBaseline",
    tag = "Deployments",
    request_body(content = CaptureBaseline, example = json!({"source": "prometheus", "from": "2026-11-22T11:00:00Z", "to": "2026-11-22T12:00:00Z", "metrics": [{"name": "error_rate", "value": 0.002}]})),
    responses((status = 201, description = "The baseline", body = Baseline)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, Json<CaptureBaseline>, DryRun>) -> Answer {
    let id = call.path;
    let command = Command::CaptureBaseline(call.body.0);
    record(&app, &call.caller, "captureBaseline", &id, command, StatusCode::CREATED, |state, _, _| {
        view(&id, state, None)
    })
    .await
}

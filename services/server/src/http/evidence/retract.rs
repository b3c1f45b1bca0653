//! `POST /v1/releases/{release}/evidence/{evidence}/retract`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::RetractEvidence;
use release::release::Evidence;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Retract evidence
///
/// Withdraws a piece of evidence, with a reason; items that rest on it open again.
/// Role: who recorded it, or `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/evidence/{evidence}/retract",
    operation_id = "retractEvidence",
    tag = "Evidence",
    request_body(content = RetractEvidence, example = json!({"reason": "report of another branch"})),
    responses((status = 200, description = "The evidence, retracted", body = Evidence)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), Json<RetractEvidence>, DryRun>) -> Answer {
    let (id, evidence) = call.path;
    let command = Command::RetractEvidence { evidence, body: call.body.0 };
    record(&app, &call.caller, "retractEvidence", &id, command, StatusCode::OK, |state, _, _| {
        view(&id, state, &[evidence])
    })
    .await
}

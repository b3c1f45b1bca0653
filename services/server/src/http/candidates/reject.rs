//! `POST /v1/releases/{release}/candidates/{number}/reject`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::RejectCandidate;
use release::release::Candidate;
use release::value::ReleaseId;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Reject a candidate
///
/// Says that this candidate will not be released. From then on no release of the product takes a candidate with one
/// of its digests to production unless two approvers sign. Role: `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/candidates/{number}/reject",
    operation_id = "rejectCandidate",
    tag = "Candidates",
    request_body(content = RejectCandidate, example = json!({"reason": "fails on the payment flow"})),
    responses((status = 200, description = "The candidate", body = Candidate)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, u32), Json<RejectCandidate>, DryRun>) -> Answer {
    let (id, number) = call.path;
    let command = Command::RejectCandidate { number, body: call.body.0 };
    record(&app, &call.caller, "rejectCandidate", &id, command, StatusCode::OK, |state, _, _| {
        view(&id, state, number)
    })
    .await
}

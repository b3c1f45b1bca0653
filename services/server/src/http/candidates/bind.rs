//! `POST /v1/releases/{release}/candidates/{number}/bind`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::BindCandidate;
use release::release::Candidate;
use release::value::ReleaseId;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Bind artifacts to a candidate
///
/// Records what was built from the candidate's commit. Bound values never change: a different value is refused
/// with both sides. Role: `engineer`, `release_manager` or `machine`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/candidates/{number}/bind",
    operation_id = "bindCandidate",
    tag = "Candidates",
    request_body(content = BindCandidate, example = json!({"artifacts": [{"name": "checkout", "digest": "sha256:4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce"}]})),
    responses((status = 200, description = "The candidate", body = Candidate)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, u32), Json<BindCandidate>, DryRun>) -> Answer {
    let (id, number) = call.path;
    let command = Command::BindCandidate { number, body: call.body.0 };
    record(&app, &call.caller, "bindCandidate", &id, command, StatusCode::OK, |state, _, _| {
        view(&id, state, number)
    })
    .await
}

//! `POST /v1/releases/{release}/candidates`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::TagCandidate;
use release::release::Candidate;
use release::value::ReleaseId;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Tag a candidate
///
/// Makes the tagged commit the current candidate. The number in the tag exceeds every number used before.
/// What it does to every item is recorded with it: items stay, go stale, or wait to be reaffirmed; waivers
/// end. Artifacts and digests may follow by `bind`. Role: `engineer`, `release_manager` or `machine`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/candidates",
    operation_id = "tagCandidate",
    tag = "Candidates",
    request_body(content = TagCandidate, example = json!({"tag": "v2.4.0-rc.1", "tag_object_sha": "a3f2a1b05d1c2f0a8e4b6973c1d0e9f8a7b6c5d4", "commit_sha": "5d1c2f0a8e4b6973c1d0e9f8a7b6c5d4e3f2a1b0", "artifacts": [{"name": "checkout", "digest": "sha256:4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce"}]})),
    responses((status = 201, description = "The candidate", body = Candidate)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, Json<TagCandidate>, DryRun>) -> Answer {
    let id = call.path;
    let number = call.body.0.tag.number();
    let command = Command::TagCandidate(call.body.0);
    record(&app, &call.caller, "tagCandidate", &id, command, StatusCode::CREATED, |state, _, _| {
        view(&id, state, number)
    })
    .await
}

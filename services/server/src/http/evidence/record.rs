//! `POST /v1/releases/{release}/evidence`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::evidence::NewEvidence;
use release::release::Evidence;
use release::value::ReleaseId;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Record evidence for every item that takes it
///
/// Goes to every item that accepts the kind and that the caller may report on. Evidence is typed by `kind` and never refused for step order. A person's facts may not lie more than 2 minutes in the
/// future; a machine's then count from now, with `skew_ms` and an exception. From 24 hours of age on they need
/// `late_entry_reason`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/evidence",
    operation_id = "recordEvidence",
    tag = "Evidence",
    request_body(content = NewEvidence, example = json!({"facts": {"kind": "ci_run", "provider": "github", "run_id": "7431", "attempt": 1, "workflow": "ci.yml", "head_sha": "5d1c2f0a8e4b6973c1d0e9f8a7b6c5d4e3f2a1b0", "conclusion": "success"}, "url": "https://ci.example/runs/7431"})),
    responses((status = 201, description = "The evidence as recorded", body = Evidence)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, Json<NewEvidence>, DryRun>) -> Answer {
    let id = call.path;
    let command = Command::RecordEvidence { items: Vec::new(), body: call.body.0 };
    record(&app, &call.caller, "recordEvidence", &id, command, StatusCode::CREATED, |state, _, created| {
        view(&id, state, created)
    })
    .await
}

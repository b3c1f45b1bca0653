//! `POST /v1/releases/{release}/gates/{step}/evaluate`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::checklist::{Gate, gate};
use release::value::ReleaseId;

use crate::app::App;
use crate::http::answer::{Answer, View};
use crate::http::call::{Call, DryRun, NoBody};
use crate::http::problem::Problem;
use crate::http::releases::{record, unknown};

/// Evaluate a gate
///
/// Judges the items of the step as of now, how old their facts are among it, and records the verdict with every row
/// as `gate.evaluated`, whatever it is. What no longer holds opens again in the same append. The rows of a gate that
/// a production deployment rests on stay as they were authorized. Role: `machine` or `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/gates/{step}/evaluate",
    operation_id = "evaluateGate",
    tag = "Approvals",
    responses((status = 200, description = "The gate after it", body = Gate)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, u32), NoBody, DryRun>) -> Answer {
    let (id, step) = &call.path;
    let command = Command::EvaluateGate { gate: *step };
    record(&app, &call.caller, "evaluateGate", id, command, StatusCode::OK, |state, procedure, _| {
        let gate = gate(state, procedure, *step).ok_or_else(|| -> Problem { unknown(id) })?;
        View::new(&gate, format!("/v1/releases/{id}/gates/{step}"))
    })
    .await
}

//! `POST /v1/releases/{release}/approvals/requests`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::RequestApproval;
use release::release::Approval;
use release::value::ReleaseId;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, OptionalJson};
use crate::http::releases::record;

/// Request approval
///
/// Asks for approval of the window for the current candidate. The answer binds candidate, digests, procedure,
/// window and the rows of steps 1 to 3, 4.2 and 4.7; `basis` is their hash. Role: `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/approvals/requests",
    operation_id = "requestApproval",
    tag = "Approvals",
    request_body(content = Option<RequestApproval>, example = json!({"note": "window agreed with support"})),
    responses((status = 201, description = "The request", body = Approval)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, OptionalJson<RequestApproval>, DryRun>) -> Answer {
    let id = call.path;
    let command = Command::RequestApproval(call.body.0);
    record(&app, &call.caller, "requestApproval", &id, command, StatusCode::CREATED, |state, _, _| {
        view(&id, state, None)
    })
    .await
}

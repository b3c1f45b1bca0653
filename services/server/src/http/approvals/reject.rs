//! `POST /v1/releases/{release}/approvals/requests/{request}/reject`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::RejectApproval;
use release::release::Approval;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Reject an approval request
///
/// Ends the request; a new one may be made. Role: `approver`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/approvals/requests/{request}/reject",
    operation_id = "rejectApproval",
    tag = "Approvals",
    request_body(content = RejectApproval, example = json!({"reason": "quarter close"})),
    responses((status = 200, description = "The request after it", body = Approval)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), Json<RejectApproval>, DryRun>) -> Answer {
    let (id, request) = call.path;
    let command = Command::RejectApproval { request, body: call.body.0 };
    record(&app, &call.caller, "rejectApproval", &id, command, StatusCode::OK, |state, _, _| {
        view(&id, state, Some(request))
    })
    .await
}

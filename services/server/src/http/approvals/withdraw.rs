//! `POST /v1/releases/{release}/approvals/requests/{request}/withdraw`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::WithdrawApproval;
use release::release::Approval;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Withdraw an approval request
///
/// By the release manager, with a reason.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/approvals/requests/{request}/withdraw",
    operation_id = "withdrawApproval",
    tag = "Approvals",
    request_body(content = WithdrawApproval, example = json!({"reason": "window moves to Thursday"})),
    responses((status = 200, description = "The request after it", body = Approval)),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<(ReleaseId, Uuid), Json<WithdrawApproval>, DryRun>,
) -> Answer {
    let (id, request) = call.path;
    let command = Command::WithdrawApproval { request, body: call.body.0 };
    record(&app, &call.caller, "withdrawApproval", &id, command, StatusCode::OK, |state, _, _| {
        view(&id, state, Some(request))
    })
    .await
}

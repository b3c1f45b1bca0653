//! `POST /v1/releases/{release}/approvals/requests/{request}/approve`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::GrantApproval;
use release::release::Approval;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Approve
///
/// Signs the request with a meaning, of which `approved` alone counts towards the quorum; `basis` is the hash of the rows the caller saw, 412 when they changed since.
/// The quorum of the change class closes item 4.4; a candidate that holds a digest which was rejected before asks
/// for two at least. A procedure may ask for a sign-in that is not older than `sign_in_max_age_s` (the token's
/// `auth_time`). Role: `approver`, not who requested, tagged or deploys, by whichever identity.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/approvals/requests/{request}/approve",
    operation_id = "approveRelease",
    tag = "Approvals",
    request_body(content = GrantApproval, example = json!({"meaning": "approved", "comment": "risk understood"})),
    responses((status = 200, description = "The request after it", body = Approval)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), Json<GrantApproval>, DryRun>) -> Answer {
    let (id, request) = call.path;
    let command = Command::GrantApproval { request, body: call.body.0 };
    record(&app, &call.caller, "approveRelease", &id, command, StatusCode::OK, |state, _, _| {
        view(&id, state, Some(request))
    })
    .await
}

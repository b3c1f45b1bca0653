//! `POST /v1/releases/{release}/authorizations/{authorization}/approve`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::ApproveAfterStart;
use release::release::Authorization;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, OptionalJson};
use crate::http::releases::record;

/// Approve after the start
///
/// For what was authorized by break-glass in an emergency. It is shown as approved after start: item 4.4 stays open, and
/// the later gates open all the same. Due when `approval_due_at` says; an exception from then on. Role: `approver`, not
/// who authorized, tagged or deployed it, by whichever identity.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/authorizations/{authorization}/approve",
    operation_id = "approveAfterStart",
    tag = "Approvals",
    request_body(content = Option<ApproveAfterStart>, example = json!({"comment": "risk understood"})),
    responses((status = 200, description = "The authorization after it", body = Authorization)),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<(ReleaseId, Uuid), OptionalJson<ApproveAfterStart>, DryRun>,
) -> Answer {
    let (id, authorization) = call.path;
    let command = Command::ApproveAfterStart { authorization, body: call.body.0 };
    record(&app, &call.caller, "approveAfterStart", &id, command, StatusCode::OK, |state, _, _| {
        view(&id, state, Some(authorization))
    })
    .await
}

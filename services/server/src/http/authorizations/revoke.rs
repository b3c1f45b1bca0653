//! `POST /v1/releases/{release}/authorizations/{authorization}/revoke`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::RevokeAuthorization;
use release::release::Authorization;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Revoke an authorization
///
/// It can no longer start a deployment. Role: `release_manager`, `operator` or `on_call`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/authorizations/{authorization}/revoke",
    operation_id = "revokeAuthorization",
    tag = "Approvals",
    request_body(content = RevokeAuthorization, example = json!({"reason": "incident in the region"})),
    responses((status = 200, description = "The authorization after it", body = Authorization)),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<(ReleaseId, Uuid), Json<RevokeAuthorization>, DryRun>,
) -> Answer {
    let (id, authorization) = call.path;
    let command = Command::RevokeAuthorization { authorization, body: call.body.0 };
    record(&app, &call.caller, "revokeAuthorization", &id, command, StatusCode::OK, |state, _, _| {
        view(&id, state, Some(authorization))
    })
    .await
}

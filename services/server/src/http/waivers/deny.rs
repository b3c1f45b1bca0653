//! `POST /v1/releases/{release}/items/{item}/waivers/{waiver}/deny`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::DenyWaiver;
use release::release::Waiver;
use release::value::{ItemNumber, ReleaseId};
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Deny a waiver
///
/// Ends the request with a reason. Role: `approver` or `release_manager`, not who requested it.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/items/{item}/waivers/{waiver}/deny",
    operation_id = "denyWaiver",
    tag = "Waivers",
    request_body(content = DenyWaiver, example = json!({"reason": "the control does not cover checkout"})),
    responses((status = 200, description = "The waiver", body = Waiver)),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<(ReleaseId, ItemNumber, Uuid), Json<DenyWaiver>, DryRun>,
) -> Answer {
    let (id, item, waiver) = call.path;
    let command = Command::DenyWaiver { item, waiver, body: call.body.0 };
    record(&app, &call.caller, "denyWaiver", &id, command, StatusCode::OK, |state, _, _| {
        view(&id, state, item, Some(waiver))
    })
    .await
}

//! `POST /v1/releases/{release}/items/{item}/waivers`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::RequestWaiver;
use release::release::Waiver;
use release::value::{ItemNumber, ReleaseId};

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Request a waiver
///
/// Asks that the item counts as closed without being satisfied, until it expires or a new candidate is tagged.
/// Only where the procedure allows it; codes `d24` and `d5` only for class emergency.
/// Role: one that may sign the item, or `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/items/{item}/waivers",
    operation_id = "requestWaiver",
    tag = "Waivers",
    request_body(content = RequestWaiver, example = json!({"reason": "load generator is down", "compensating_control": "monitoring extended to 60 minutes", "expires_at": "2026-11-25T12:00:00Z"})),
    responses((status = 201, description = "The waiver", body = Waiver)),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<(ReleaseId, ItemNumber), Json<RequestWaiver>, DryRun>,
) -> Answer {
    let (id, item) = call.path;
    let command = Command::RequestWaiver { item, body: call.body.0 };
    record(&app, &call.caller, "requestWaiver", &id, command, StatusCode::CREATED, |state, _, created| {
        view(&id, state, item, created.first().copied())
    })
    .await
}

//! `POST /v1/releases/{release}/items/{item}/waivers/{waiver}/grant`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::GrantWaiver;
use release::release::Waiver;
use release::value::{ItemNumber, ReleaseId};
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, OptionalJson};
use crate::http::releases::record;

/// Grant a waiver
///
/// Signs the waiver; not by who requested it. Code `w1` takes one approver, `w2` two people, one of them an
/// approver. Role: `approver`, under `w2` also `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/items/{item}/waivers/{waiver}/grant",
    operation_id = "grantWaiver",
    tag = "Waivers",
    request_body(content = Option<GrantWaiver>, example = json!({"note": "accepted with the longer monitoring"})),
    responses((status = 200, description = "The waiver", body = Waiver)),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<(ReleaseId, ItemNumber, Uuid), OptionalJson<GrantWaiver>, DryRun>,
) -> Answer {
    let (id, item, waiver) = call.path;
    let command = Command::GrantWaiver { item, waiver, body: call.body.0 };
    record(&app, &call.caller, "grantWaiver", &id, command, StatusCode::OK, |state, _, _| {
        view(&id, state, item, Some(waiver))
    })
    .await
}

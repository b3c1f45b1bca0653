//! `POST /v1/releases/{release}/items/{item}/retract`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::checklist::ItemDetail;
use release::command::RetractItem;
use release::value::{ItemNumber, ReleaseId};

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Retract an item
///
/// Opens a closed or partly signed item again, with a reason; what was recorded stays in the history.
/// Role: a signatory of the item, or `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/items/{item}/retract",
    operation_id = "retractItem",
    tag = "Items",
    request_body(content = RetractItem, example = json!({"reason": "the smoke test ran against the wrong environment"})),
    responses((status = 200, description = "The item after it", body = ItemDetail)),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<(ReleaseId, ItemNumber), Json<RetractItem>, DryRun>,
) -> Answer {
    let (id, item) = call.path;
    let command = Command::RetractItem { item, body: call.body.0 };
    record(&app, &call.caller, "retractItem", &id, command, StatusCode::OK, |state, procedure, _| {
        view(&id, state, procedure, item)
    })
    .await
}

//! `POST /v1/releases/{release}/items/{item}/claim`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::checklist::ItemDetail;
use release::value::{ItemNumber, ReleaseId};

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, NoBody};
use crate::http::releases::record;

/// Claim an item
///
/// Takes the item for oneself. Role: one of the item's `roles` or `second`, a person.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/items/{item}/claim",
    operation_id = "claimItem",
    tag = "Items",
    responses((status = 200, description = "The item after it", body = ItemDetail)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, ItemNumber), NoBody, DryRun>) -> Answer {
    let (id, item) = call.path;
    let command = Command::ClaimItem { item };
    record(&app, &call.caller, "claimItem", &id, command, StatusCode::OK, |state, procedure, _| {
        view(&id, state, procedure, item)
    })
    .await
}

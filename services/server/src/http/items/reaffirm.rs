//! `POST /v1/releases/{release}/items/{item}/reaffirm`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::checklist::ItemDetail;
use release::command::ReaffirmItem;
use release::value::{ItemNumber, ReleaseId};

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, OptionalJson};
use crate::http::releases::record;

/// Reaffirm an item for the current candidate
///
/// Confirms for a new candidate what an earlier candidate closed; only for items whose effect is `reaffirm`.
/// Role: one of the item's `roles` or `second`, a person.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/items/{item}/reaffirm",
    operation_id = "reaffirmItem",
    tag = "Items",
    request_body(content = Option<ReaffirmItem>, example = json!({"statement": "Release notes still apply to rc.2"})),
    responses((status = 200, description = "The item after it", body = ItemDetail)),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<(ReleaseId, ItemNumber), OptionalJson<ReaffirmItem>, DryRun>,
) -> Answer {
    let (id, item) = call.path;
    let command = Command::ReaffirmItem { item, body: call.body.0 };
    record(&app, &call.caller, "reaffirmItem", &id, command, StatusCode::OK, |state, procedure, _| {
        view(&id, state, procedure, item)
    })
    .await
}

//! `POST /v1/releases/{release}/items/{item}/assign`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::checklist::ItemDetail;
use release::command::AssignItem;
use release::value::{ItemNumber, ReleaseId};

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Assign an item
///
/// Names who takes care of it and by when; an assignment closes nothing. Role: `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/items/{item}/assign",
    operation_id = "assignItem",
    tag = "Items",
    request_body(content = AssignItem, example = json!({"to": "https://issuer.example#quinn", "due_at": "2026-11-22T18:00:00Z"})),
    responses((status = 200, description = "The item after it", body = ItemDetail)),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<(ReleaseId, ItemNumber), Json<AssignItem>, DryRun>,
) -> Answer {
    let (id, item) = call.path;
    let command = Command::AssignItem { item, body: call.body.0 };
    record(&app, &call.caller, "assignItem", &id, command, StatusCode::OK, |state, procedure, _| {
        view(&id, state, procedure, item)
    })
    .await
}

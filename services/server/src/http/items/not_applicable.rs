//! `POST /v1/releases/{release}/items/{item}/not-applicable`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::checklist::ItemDetail;
use release::command::MarkNotApplicable;
use release::value::{ItemNumber, ReleaseId};

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Mark an item not applicable
///
/// A machine shows it by evidence, at once, where the procedure takes `machine` proof. A person gives a
/// justification where it takes one; the item closes when a second person confirms it.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/items/{item}/not-applicable",
    operation_id = "markItemNotApplicable",
    tag = "Items",
    request_body(content = MarkNotApplicable, example = json!({"justification": "a worker without inbound traffic has no share to route"})),
    responses((status = 200, description = "The item after it", body = ItemDetail)),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<(ReleaseId, ItemNumber), Json<MarkNotApplicable>, DryRun>,
) -> Answer {
    let (id, item) = call.path;
    let command = Command::MarkNotApplicable { item, body: call.body.0 };
    record(
        &app,
        &call.caller,
        "markItemNotApplicable",
        &id,
        command,
        StatusCode::OK,
        |state, procedure, _| view(&id, state, procedure, item),
    )
    .await
}

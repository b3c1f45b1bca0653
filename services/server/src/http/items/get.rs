//! `GET /v1/releases/{release}/items/{item}`

use actix_web::web::Data;
use release::checklist::ItemDetail;
use release::value::{ItemNumber, ReleaseId};

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// Read an item
///
/// State, signatures, verdict rows, evidence and history of one item by its number.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/items/{item}",
    operation_id = "getItem",
    tag = "Items",
    params(AsOf),
    responses((status = 200, description = "The item", body = ItemDetail)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, ItemNumber), NoBody, AsOf>) -> Answer {
    let (id, item) = &call.path;
    let snapshot = read(&app, &call.caller, id, &call.query).await?;
    let found = view(id, &snapshot.release.state, &snapshot.procedure, *item);
    let body = found.map_err(|problem| problem.on(&call.caller))?.body;
    Ok(snapshot.answer(&call.caller, body))
}

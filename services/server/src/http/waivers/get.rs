//! `GET /v1/releases/{release}/items/{item}/waivers/{waiver}`

use actix_web::web::Data;
use release::release::Waiver;
use release::value::{ItemNumber, ReleaseId};
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// Read a waiver
///
/// One waiver by its id, with its grants.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/items/{item}/waivers/{waiver}",
    operation_id = "getWaiver",
    tag = "Waivers",
    params(AsOf),
    responses((status = 200, description = "The waiver", body = Waiver)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, ItemNumber, Uuid), NoBody, AsOf>) -> Answer {
    let (id, item, waiver) = &call.path;
    let snapshot = read(&app, &call.caller, id, &call.query).await?;
    let found = view(id, &snapshot.release.state, *item, Some(*waiver));
    let body = found.map_err(|problem| problem.on(&call.caller))?.body;
    Ok(snapshot.answer(&call.caller, body))
}

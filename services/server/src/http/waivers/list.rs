//! `GET /v1/releases/{release}/items/{item}/waivers`

use actix_web::web::Data;
use release::value::{ItemNumber, ReleaseId};

use super::WaiverList;
use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// List the waivers of an item
///
/// All waivers ever requested for the item, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/items/{item}/waivers",
    operation_id = "listWaivers",
    tag = "Waivers",
    params(AsOf),
    responses((status = 200, description = "The waivers", body = WaiverList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, ItemNumber), NoBody, AsOf>) -> Answer {
    let (id, item) = &call.path;
    let snapshot = read(&app, &call.caller, id, &call.query).await?;
    let mut waivers: Vec<_> =
        snapshot.release.state.waivers.values().filter(|waiver| waiver.item == *item).collect();
    waivers.sort_by_key(|waiver| (waiver.requested_at, waiver.waiver));
    let body = json(&WaiverList { waivers })?;
    Ok(snapshot.answer(&call.caller, body))
}

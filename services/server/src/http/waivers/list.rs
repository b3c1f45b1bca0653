//! `GET /v1/releases/{release}/items/{item}/waivers`

use actix_web::web::Data;
use release::value::{ItemNumber, ReleaseId};

use super::WaiverList;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{PageAsOf, read};

/// List the waivers of an item
///
/// All waivers ever requested for the item, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/items/{item}/waivers",
    operation_id = "listWaivers",
    tag = "Waivers",
    params(PageAsOf),
    responses((status = 200, description = "A page of waivers", body = WaiverList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, ItemNumber), NoBody, PageAsOf>) -> Answer {
    let (id, item) = &call.path;
    let snapshot = read(&app, &call.caller, id, &call.query.when()).await?;
    let mut waivers: Vec<_> =
        snapshot.release.state.waivers.values().filter(|waiver| waiver.item == *item).collect();
    waivers.sort_by_key(|waiver| (waiver.requested_at, waiver.waiver));
    let (waivers, next_cursor) = call.query.turn(&call.caller, waivers)?;
    let page = WaiverList { waivers, next_cursor };
    snapshot.page(&call.caller, &call.query, &page, page.next_cursor.as_deref())
}

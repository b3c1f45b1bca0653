//! `GET /v1/releases/{release}/leases`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::LeaseList;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{PageAsOf, read};

/// List leases
///
/// All leases of the release, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/leases",
    operation_id = "listLeases",
    tag = "Deployments",
    params(PageAsOf),
    responses((status = 200, description = "A page of the list", body = LeaseList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, PageAsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query.when()).await?;
    let (leases, next_cursor) = call.query.turn(&call.caller, &snapshot.release.state.leases)?;
    let page = LeaseList { leases, next_cursor };
    snapshot.page(&call.caller, &call.query, &page, page.next_cursor.as_deref())
}

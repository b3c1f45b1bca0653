//! `GET /v1/releases/{release}/approvals/requests`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::ApprovalList;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{PageAsOf, read};

/// List approval requests
///
/// All requests of the release, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/approvals/requests",
    operation_id = "listApprovals",
    tag = "Approvals",
    params(PageAsOf),
    responses((status = 200, description = "A page of the list", body = ApprovalList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, PageAsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query.when()).await?;
    let (requests, next_cursor) = call.query.turn(&call.caller, &snapshot.release.state.approvals)?;
    let page = ApprovalList { requests, next_cursor };
    snapshot.page(&call.caller, &call.query, &page, page.next_cursor.as_deref())
}

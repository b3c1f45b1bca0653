//! `GET /v1/releases/{release}/authorizations`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::AuthorizationList;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{PageAsOf, read};

/// List authorizations
///
/// All production authorizations of the release, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/authorizations",
    operation_id = "listAuthorizations",
    tag = "Approvals",
    params(PageAsOf),
    responses((status = 200, description = "A page of the list", body = AuthorizationList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, PageAsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query.when()).await?;
    let (authorizations, next_cursor) =
        call.query.turn(&call.caller, &snapshot.release.state.authorizations)?;
    let page = AuthorizationList { authorizations, next_cursor };
    snapshot.page(&call.caller, &call.query, &page, page.next_cursor.as_deref())
}

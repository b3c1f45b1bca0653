//! `GET /v1/releases/{release}/rollbacks`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::RollbackList;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{PageAsOf, read};

/// List rollbacks
///
/// All rollbacks of the release, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/rollbacks",
    operation_id = "listRollbacks",
    tag = "Rollback",
    params(PageAsOf),
    responses((status = 200, description = "A page of the list", body = RollbackList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, PageAsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query.when()).await?;
    let (rollbacks, next_cursor) = call.query.turn(&call.caller, &snapshot.release.state.rollbacks)?;
    let page = RollbackList { rollbacks, next_cursor };
    snapshot.page(&call.caller, &call.query, &page, page.next_cursor.as_deref())
}

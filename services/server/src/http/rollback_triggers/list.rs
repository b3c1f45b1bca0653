//! `GET /v1/releases/{release}/rollback-triggers`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::TriggerList;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{PageAsOf, read};

/// List rollback triggers
///
/// All triggers of the release, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/rollback-triggers",
    operation_id = "listRollbackTriggers",
    tag = "Rollback",
    params(PageAsOf),
    responses((status = 200, description = "A page of the list", body = TriggerList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, PageAsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query.when()).await?;
    let (triggers, next_cursor) = call.query.turn(&call.caller, &snapshot.release.state.triggers)?;
    let page = TriggerList { triggers, next_cursor };
    snapshot.page(&call.caller, &call.query, &page, page.next_cursor.as_deref())
}

//! `GET /v1/releases/{release}/timers`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::TimerList;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{PageAsOf, read};

/// List timers
///
/// Intervals that have to pass, oldest first, with the instant each elapses.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/timers",
    operation_id = "listTimers",
    tag = "Deployments",
    params(PageAsOf),
    responses((status = 200, description = "A page of the list", body = TimerList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, PageAsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query.when()).await?;
    let (timers, next_cursor) = call.query.turn(&call.caller, &snapshot.release.state.timers)?;
    let page = TimerList { timers, next_cursor };
    snapshot.page(&call.caller, &call.query, &page, page.next_cursor.as_deref())
}

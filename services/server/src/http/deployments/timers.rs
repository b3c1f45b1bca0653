//! `GET /v1/releases/{release}/timers`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::TimerList;
use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// List timers
///
/// Intervals that have to pass, oldest first, with the instant each elapses.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/timers",
    operation_id = "listTimers",
    tag = "Deployments",
    params(AsOf),
    responses((status = 200, description = "The list", body = TimerList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, AsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query).await?;
    let state = &snapshot.release.state;
    let body = json(&TimerList { timers: &state.timers })?;
    Ok(snapshot.answer(&call.caller, body))
}

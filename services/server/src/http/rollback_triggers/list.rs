//! `GET /v1/releases/{release}/rollback-triggers`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::TriggerList;
use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// List rollback triggers
///
/// All triggers of the release, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/rollback-triggers",
    operation_id = "listRollbackTriggers",
    tag = "Rollback",
    params(AsOf),
    responses((status = 200, description = "The list", body = TriggerList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, AsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query).await?;
    let state = &snapshot.release.state;
    let body = json(&TriggerList { triggers: &state.triggers })?;
    Ok(snapshot.answer(&call.caller, body))
}

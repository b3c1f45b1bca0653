//! `GET /v1/releases/{release}/rollback-triggers/{trigger}`

use actix_web::web::Data;
use release::release::Trigger;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// Read a rollback trigger
///
/// One trigger.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/rollback-triggers/{trigger}",
    operation_id = "getRollbackTrigger",
    tag = "Rollback",
    params(AsOf),
    responses((status = 200, description = "What was recorded", body = Trigger)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), NoBody, AsOf>) -> Answer {
    let (id, trigger) = &call.path;
    let snapshot = read(&app, &call.caller, id, &call.query).await?;
    let found = view(id, &snapshot.release.state, Some(*trigger));
    let body = found.map_err(|problem| problem.on(&call.caller))?.body;
    Ok(snapshot.answer(&call.caller, body))
}

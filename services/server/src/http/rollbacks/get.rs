//! `GET /v1/releases/{release}/rollbacks/{rollback}`

use actix_web::web::Data;
use release::release::Rollback;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// Read a rollback
///
/// One rollback with its steps.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/rollbacks/{rollback}",
    operation_id = "getRollback",
    tag = "Rollback",
    params(AsOf),
    responses((status = 200, description = "What was recorded", body = Rollback)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), NoBody, AsOf>) -> Answer {
    let (id, rollback) = &call.path;
    let snapshot = read(&app, &call.caller, id, &call.query).await?;
    let found = view(id, &snapshot.release.state, Some(*rollback));
    let body = found.map_err(|problem| problem.on(&call.caller))?.body;
    Ok(snapshot.answer(&call.caller, body))
}

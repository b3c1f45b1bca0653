//! `GET /v1/releases/{release}/rollbacks`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::RollbackList;
use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// List rollbacks
///
/// All rollbacks of the release, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/rollbacks",
    operation_id = "listRollbacks",
    tag = "Rollback",
    params(AsOf),
    responses((status = 200, description = "The list", body = RollbackList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, AsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query).await?;
    let state = &snapshot.release.state;
    let body = json(&RollbackList { rollbacks: &state.rollbacks })?;
    Ok(snapshot.answer(&call.caller, body))
}

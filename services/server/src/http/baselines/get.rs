//! `GET /v1/releases/{release}/baselines/{baseline}`

use actix_web::web::Data;
use release::release::Baseline;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// Read a baseline
///
/// One captured baseline.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/baselines/{baseline}",
    operation_id = "getBaseline",
    tag = "Deployments",
    params(AsOf),
    responses((status = 200, description = "What was recorded", body = Baseline)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), NoBody, AsOf>) -> Answer {
    let (id, baseline) = &call.path;
    let snapshot = read(&app, &call.caller, id, &call.query).await?;
    let found = view(id, &snapshot.release.state, Some(*baseline));
    let body = found.map_err(|problem| problem.on(&call.caller))?.body;
    Ok(snapshot.answer(&call.caller, body))
}

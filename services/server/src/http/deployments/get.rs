//! `GET /v1/releases/{release}/deployments/{deployment}`

use actix_web::web::Data;
use release::release::Deployment;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// Read a deployment
///
/// One deployment with traffic, aggregates of samples, probes and decisions.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/deployments/{deployment}",
    operation_id = "getDeployment",
    tag = "Deployments",
    params(AsOf),
    responses((status = 200, description = "What was recorded", body = Deployment)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), NoBody, AsOf>) -> Answer {
    let (id, deployment) = &call.path;
    let snapshot = read(&app, &call.caller, id, &call.query).await?;
    let found = view(id, &snapshot.release.state, Some(*deployment));
    let body = found.map_err(|problem| problem.on(&call.caller))?.body;
    Ok(snapshot.answer(&call.caller, body))
}

//! `GET /v1/releases/{release}/deployments`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::DeploymentList;
use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// List deployments
///
/// All deployments of the release, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/deployments",
    operation_id = "listDeployments",
    tag = "Deployments",
    params(AsOf),
    responses((status = 200, description = "The list", body = DeploymentList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, AsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query).await?;
    let state = &snapshot.release.state;
    let body = json(&DeploymentList { deployments: &state.deployments })?;
    Ok(snapshot.answer(&call.caller, body))
}

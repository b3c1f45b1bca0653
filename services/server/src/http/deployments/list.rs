//! `GET /v1/releases/{release}/deployments`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::DeploymentList;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{PageAsOf, read};

/// List deployments
///
/// All deployments of the release, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/deployments",
    operation_id = "listDeployments",
    tag = "Deployments",
    params(PageAsOf),
    responses((status = 200, description = "A page of the list", body = DeploymentList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, PageAsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query.when()).await?;
    let (deployments, next_cursor) = call.query.turn(&call.caller, &snapshot.release.state.deployments)?;
    let page = DeploymentList { deployments, next_cursor };
    snapshot.page(&call.caller, &call.query, &page, page.next_cursor.as_deref())
}

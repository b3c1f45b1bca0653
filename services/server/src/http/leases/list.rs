//! `GET /v1/releases/{release}/leases`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::LeaseList;
use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// List leases
///
/// All leases of the release, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/leases",
    operation_id = "listLeases",
    tag = "Deployments",
    params(AsOf),
    responses((status = 200, description = "The list", body = LeaseList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, AsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query).await?;
    let state = &snapshot.release.state;
    let body = json(&LeaseList { leases: &state.leases })?;
    Ok(snapshot.answer(&call.caller, body))
}

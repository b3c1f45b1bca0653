//! `GET /v1/releases/{release}/baselines`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::BaselineList;
use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// List baselines
///
/// All baselines of the release, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/baselines",
    operation_id = "listBaselines",
    tag = "Deployments",
    params(AsOf),
    responses((status = 200, description = "The list", body = BaselineList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, AsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query).await?;
    let state = &snapshot.release.state;
    let body = json(&BaselineList { baselines: &state.baselines })?;
    Ok(snapshot.answer(&call.caller, body))
}

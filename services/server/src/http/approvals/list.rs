//! `GET /v1/releases/{release}/approvals/requests`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::ApprovalList;
use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// List approval requests
///
/// All requests of the release, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/approvals/requests",
    operation_id = "listApprovals",
    tag = "Approvals",
    params(AsOf),
    responses((status = 200, description = "The list", body = ApprovalList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, AsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query).await?;
    let state = &snapshot.release.state;
    let body = json(&ApprovalList { requests: &state.approvals })?;
    Ok(snapshot.answer(&call.caller, body))
}

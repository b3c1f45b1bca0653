//! `GET /v1/releases/{release}/approvals/requests/{request}`

use actix_web::web::Data;
use release::release::Approval;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// Read an approval request
///
/// One request with its rows and decisions.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/approvals/requests/{request}",
    operation_id = "getApproval",
    tag = "Approvals",
    params(AsOf),
    responses((status = 200, description = "What was recorded", body = Approval)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), NoBody, AsOf>) -> Answer {
    let (id, request) = &call.path;
    let snapshot = read(&app, &call.caller, id, &call.query).await?;
    let found = view(id, &snapshot.release.state, Some(*request));
    let body = found.map_err(|problem| problem.on(&call.caller))?.body;
    Ok(snapshot.answer(&call.caller, body))
}

//! `GET /v1/releases/{release}/evidence/{evidence}`

use actix_web::web::Data;
use release::release::Evidence;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// Read a piece of evidence
///
/// One piece of evidence by its id.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/evidence/{evidence}",
    operation_id = "getEvidence",
    tag = "Evidence",
    params(AsOf),
    responses((status = 200, description = "The evidence", body = Evidence)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), NoBody, AsOf>) -> Answer {
    let (id, evidence) = &call.path;
    let snapshot = read(&app, &call.caller, id, &call.query).await?;
    let found = view(id, &snapshot.release.state, &[*evidence]);
    let body = found.map_err(|problem| problem.on(&call.caller))?.body;
    Ok(snapshot.answer(&call.caller, body))
}

//! `GET /v1/releases/{release}/authorizations/{authorization}`

use actix_web::web::Data;
use release::release::Authorization;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// Read an authorization
///
/// One production authorization and what became of it.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/authorizations/{authorization}",
    operation_id = "getAuthorization",
    tag = "Approvals",
    params(AsOf),
    responses((status = 200, description = "What was recorded", body = Authorization)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), NoBody, AsOf>) -> Answer {
    let (id, authorization) = &call.path;
    let snapshot = read(&app, &call.caller, id, &call.query).await?;
    let found = view(id, &snapshot.release.state, Some(*authorization));
    let body = found.map_err(|problem| problem.on(&call.caller))?.body;
    Ok(snapshot.answer(&call.caller, body))
}

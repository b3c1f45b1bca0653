//! `GET /v1/releases/{release}/rollback-proposals/{proposal}`

use actix_web::web::Data;
use release::release::Proposal;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// Read a rollback proposal
///
/// One proposal and its decisions.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/rollback-proposals/{proposal}",
    operation_id = "getRollbackProposal",
    tag = "Rollback",
    params(AsOf),
    responses((status = 200, description = "What was recorded", body = Proposal)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), NoBody, AsOf>) -> Answer {
    let (id, proposal) = &call.path;
    let snapshot = read(&app, &call.caller, id, &call.query).await?;
    let found = view(id, &snapshot.release.state, Some(*proposal));
    let body = found.map_err(|problem| problem.on(&call.caller))?.body;
    Ok(snapshot.answer(&call.caller, body))
}

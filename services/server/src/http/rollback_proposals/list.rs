//! `GET /v1/releases/{release}/rollback-proposals`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::ProposalList;
use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// List rollback proposals
///
/// All proposals of the release, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/rollback-proposals",
    operation_id = "listRollbackProposals",
    tag = "Rollback",
    params(AsOf),
    responses((status = 200, description = "The list", body = ProposalList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, AsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query).await?;
    let state = &snapshot.release.state;
    let body = json(&ProposalList { proposals: &state.proposals })?;
    Ok(snapshot.answer(&call.caller, body))
}

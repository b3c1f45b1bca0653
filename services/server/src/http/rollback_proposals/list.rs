//! `GET /v1/releases/{release}/rollback-proposals`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::ProposalList;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{PageAsOf, read};

/// List rollback proposals
///
/// All proposals of the release, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/rollback-proposals",
    operation_id = "listRollbackProposals",
    tag = "Rollback",
    params(PageAsOf),
    responses((status = 200, description = "A page of the list", body = ProposalList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, PageAsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query.when()).await?;
    let (proposals, next_cursor) = call.query.turn(&call.caller, &snapshot.release.state.proposals)?;
    let page = ProposalList { proposals, next_cursor };
    snapshot.page(&call.caller, &call.query, &page, page.next_cursor.as_deref())
}

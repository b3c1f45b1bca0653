//! `GET /v1/releases/{release}/candidates`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::CandidateList;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{PageAsOf, read};

/// List candidates
///
/// All candidates of the release, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/candidates",
    operation_id = "listCandidates",
    tag = "Candidates",
    params(PageAsOf),
    responses((status = 200, description = "A page of candidates", body = CandidateList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, PageAsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query.when()).await?;
    let (candidates, next_cursor) = call.query.turn(&call.caller, &snapshot.release.state.candidates)?;
    let page = CandidateList { candidates, next_cursor };
    snapshot.page(&call.caller, &call.query, &page, page.next_cursor.as_deref())
}

//! `GET /v1/releases/{release}/candidates`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::CandidateList;
use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// List candidates
///
/// All candidates of the release, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/candidates",
    operation_id = "listCandidates",
    tag = "Candidates",
    params(AsOf),
    responses((status = 200, description = "The candidates", body = CandidateList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, AsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query).await?;
    let body = json(&CandidateList { candidates: &snapshot.release.state.candidates })?;
    Ok(snapshot.answer(&call.caller, body))
}

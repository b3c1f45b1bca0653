//! `GET /v1/releases/{release}/candidates/{number}`

use actix_web::web::Data;
use release::release::Candidate;
use release::value::ReleaseId;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// Read a candidate
///
/// One candidate by its number N of `-rc.N`.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/candidates/{number}",
    operation_id = "getCandidate",
    tag = "Candidates",
    params(AsOf),
    responses((status = 200, description = "The candidate", body = Candidate)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, u32), NoBody, AsOf>) -> Answer {
    let (id, number) = &call.path;
    let snapshot = read(&app, &call.caller, id, &call.query).await?;
    let body = view(id, &snapshot.release.state, *number).map_err(|problem| problem.on(&call.caller))?.body;
    Ok(snapshot.answer(&call.caller, body))
}

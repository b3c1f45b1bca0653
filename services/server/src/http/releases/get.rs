//! `GET /v1/releases/{release}`

use actix_web::web::Data;
use release::checklist::Summary;
use release::value::ReleaseId;

use super::summary_view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// Read a release
///
/// The release as a whole: life, candidate, progress and what it waits for. `as_of`, `at_position` or
/// `at_revision` give it as it was.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}",
    operation_id = "getRelease",
    tag = "Releases",
    params(AsOf),
    responses((status = 200, description = "The release", body = Summary)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, AsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query).await?;
    let release = &snapshot.release;
    let body = match release.answers.summary.get() {
        Some(bytes) => bytes.clone(),
        None => {
            let made = summary_view(&call.path, &release.state, &snapshot.procedure)?.body;
            release.answers.summary.get_or_init(|| made).clone()
        }
    };
    Ok(snapshot.answer(&call.caller, body))
}

//! `POST /v1/releases/{release}/amend`

use actix_web::web::Data;
use release::Command;
use release::checklist::Summary;
use release::command::AmendRelease;
use release::value::ReleaseId;

use super::change_life;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};

/// Amend a release
///
/// Corrects previous version, class, reason, security impact, ticket or targets, with why. What is absent stays;
/// the old value stays in the history. What rests on it is judged again, and an approval ends when the class is
/// raised or a target is added. Role: `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/amend",
    operation_id = "amendRelease",
    tag = "Releases",
    request_body(content = AmendRelease, example = json!({"why": "the change touches payment data", "class": "high_risk"})),
    responses((status = 200, description = "The release after it", body = Summary)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, Json<AmendRelease>, DryRun>) -> Answer {
    change_life(&app, &call.caller, "amendRelease", &call.path, Command::Amend(call.body.0)).await
}

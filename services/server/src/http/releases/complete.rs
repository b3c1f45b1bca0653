//! `POST /v1/releases/{release}/complete`

use actix_web::web::Data;
use release::Command;
use release::checklist::Summary;
use release::value::ReleaseId;

use super::change_life;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, NoBody};

/// Complete a release
///
/// Every item is closed but those that outlive their step (7.6). Role: `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/complete",
    operation_id = "completeRelease",
    tag = "Releases",
    responses((status = 200, description = "The release after it", body = Summary)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, DryRun>) -> Answer {
    change_life(&app, &call.caller, "completeRelease", &call.path, Command::Complete).await
}

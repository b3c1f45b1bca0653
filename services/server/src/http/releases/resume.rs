//! `POST /v1/releases/{release}/resume`

use actix_web::web::Data;
use release::Command;
use release::checklist::Summary;
use release::command::ResumeRelease;
use release::value::ReleaseId;

use super::change_life;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, OptionalJson};

/// Resume a release
///
/// Ends a hold. Role: `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/resume",
    operation_id = "resumeRelease",
    tag = "Releases",
    request_body(content = Option<ResumeRelease>, example = json!({"note": "provider recovered"})),
    responses((status = 200, description = "The release after it", body = Summary)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, OptionalJson<ResumeRelease>, DryRun>) -> Answer {
    change_life(&app, &call.caller, "resumeRelease", &call.path, Command::Resume(call.body.0)).await
}

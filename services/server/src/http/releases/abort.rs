//! `POST /v1/releases/{release}/abort`

use actix_web::web::Data;
use release::Command;
use release::checklist::Summary;
use release::command::AbortRelease;
use release::value::ReleaseId;

use super::change_life;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};

/// Abort a release
///
/// Ends the release without completing it, and seals it in the same append; it may be reopened. A dry run leaves
/// the seal out. Never needs a precondition or a key.
/// Role: `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/abort",
    operation_id = "abortRelease",
    tag = "Releases",
    request_body(content = AbortRelease, example = json!({"reason": "superseded by 2.4.1"})),
    responses((status = 200, description = "The release after it", body = Summary)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, Json<AbortRelease>, DryRun>) -> Answer {
    change_life(&app, &call.caller, "abortRelease", &call.path, Command::Abort(call.body.0)).await
}

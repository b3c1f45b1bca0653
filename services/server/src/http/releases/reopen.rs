//! `POST /v1/releases/{release}/reopen`

use actix_web::web::Data;
use release::Command;
use release::checklist::Summary;
use release::command::ReopenRelease;
use release::value::ReleaseId;

use super::change_life;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::quotas::Quota;

/// Reopen an aborted release
///
/// Starts the next attempt on the same release: every item is open again, candidate numbers go on.
/// Role: `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/reopen",
    operation_id = "reopenRelease",
    tag = "Releases",
    request_body(content = ReopenRelease, example = json!({"reason": "the blocking defect is fixed"})),
    responses((status = 200, description = "The release after it", body = Summary)),
)]
pub async fn handler(app: Data<App>, mut call: Call<ReleaseId, Json<ReopenRelease>, DryRun>) -> Answer {
    let turn = call.caller.one_more(&app, Quota::OpenReleases).await;
    let _turn = turn.map_err(|problem| problem.on(&call.caller))?;
    change_life(&app, &call.caller, "reopenRelease", &call.path, Command::Reopen(call.body.0)).await
}

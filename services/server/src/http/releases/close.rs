//! `POST /v1/releases/{release}/close`

use actix_web::web::Data;
use release::Command;
use release::checklist::Summary;
use release::value::ReleaseId;

use super::change_life;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, NoBody};

/// Close a completed release
///
/// Every item is closed, those that outlive their step too; or the release was rolled back, aborted or superseded, and
/// what that asks for is done. Nothing but amendments follows. The release is sealed in the same append; a dry run
/// leaves the seal out.
/// Role: `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/close",
    operation_id = "closeRelease",
    tag = "Releases",
    responses((status = 200, description = "The release after it", body = Summary)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, DryRun>) -> Answer {
    change_life(&app, &call.caller, "closeRelease", &call.path, Command::Close).await
}

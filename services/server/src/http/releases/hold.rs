//! `POST /v1/releases/{release}/hold`

use actix_web::web::Data;
use release::Command;
use release::checklist::Summary;
use release::command::HoldRelease;
use release::value::ReleaseId;

use super::change_life;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};

/// Put a release on hold
///
/// Until it is resumed only observations, evidence, comments, `resume` and `abort` are accepted. Never needs
/// a precondition or a key. Role: `release_manager`, `operator` or `on_call`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/hold",
    operation_id = "holdRelease",
    tag = "Releases",
    request_body(content = HoldRelease, example = json!({"reason": "incident in the payment provider"})),
    responses((status = 200, description = "The release after it", body = Summary)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, Json<HoldRelease>, DryRun>) -> Answer {
    change_life(&app, &call.caller, "holdRelease", &call.path, Command::Hold(call.body.0)).await
}

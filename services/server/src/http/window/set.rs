//! `POST /v1/releases/{release}/window`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::SetWindow;
use release::release::Window;
use release::value::ReleaseId;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Set the deployment window
///
/// When production may be changed; `from` included, `to` not. Moving it revokes an approval that was given for
/// the old one. Role: `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/window",
    operation_id = "setWindow",
    tag = "Approvals",
    request_body(content = SetWindow, example = json!({
        "from": "2026-11-22T18:00:00Z", "to": "2026-11-22T22:00:00Z"
    })),
    responses((status = 200, description = "The window", body = Window)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, Json<SetWindow>, DryRun>) -> Answer {
    let id = call.path;
    let command = Command::SetWindow(call.body.0);
    record(&app, &call.caller, "setWindow", &id, command, StatusCode::OK, |state, _, _| view(&id, state))
        .await
}

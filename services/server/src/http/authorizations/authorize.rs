//! `POST /v1/releases/{release}/authorize`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::AuthorizeProduction;
use release::release::Authorization;
use release::value::ReleaseId;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, OptionalJson};
use crate::http::releases::record;

/// Authorize production
///
/// The Go: every item of steps 1 to 4 is closed, the window is open, no freeze is in force, the approval is given and
/// unused, and every role of the roll-call says go. Reserves the production environments first; of two releases
/// one gets them, and a release of class emergency takes them with `preempt_reason`. Single use, until the window ends. `basis` is what the gate of the decision showed. Role:
/// `release_manager`.
///
/// In an emergency that cannot wait, `break_glass` with the incident authorizes without all that, where the procedure
/// allows it: it says which of the few items it should rest on are missing, is an exception at once, and has to be
/// approved afterwards. Role: `operator` or `on_call`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/authorize",
    operation_id = "authorizeProduction",
    tag = "Approvals",
    request_body(content = Option<AuthorizeProduction>, example = json!({})),
    responses((status = 201, description = "The authorization", body = Authorization)),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<ReleaseId, OptionalJson<AuthorizeProduction>, DryRun>,
) -> Answer {
    let id = call.path;
    let command = Command::AuthorizeProduction(call.body.0);
    record(&app, &call.caller, "authorizeProduction", &id, command, StatusCode::CREATED, |state, _, _| {
        view(&id, state, None)
    })
    .await
}

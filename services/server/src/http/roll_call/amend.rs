//! `POST /v1/releases/{release}/roll-call/{entry}/amend`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::AmendAnswer;
use release::value::ReleaseId;
use uuid::Uuid;

use super::{RollCall, of};
use crate::app::App;
use crate::http::answer::{Answer, View};
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Amend an answer of the roll-call
///
/// An answer that was recorded wrongly, with why; without `answer` it was no answer in that role. The old one stays in
/// the history. An authorization that rested on it ends; what was started on it goes on, and an exception says so.
/// Role: the one answered for, by whoever answered; `release_manager` to stop or to take it back.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/roll-call/{entry}/amend",
    operation_id = "amendAnswer",
    tag = "Approvals",
    request_body(content = AmendAnswer, example = json!({"why": "meant for another release", "answer": "no_go"})),
    responses((status = 200, description = "The roll-call after it", body = RollCall<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), Json<AmendAnswer>, DryRun>) -> Answer {
    let (id, entry) = call.path;
    let command = Command::AmendAnswer { entry, body: call.body.0 };
    record(&app, &call.caller, "amendAnswer", &id, command, StatusCode::OK, |state, _, _| {
        View::new(&of(state), format!("/v1/releases/{id}/roll-call"))
    })
    .await
}

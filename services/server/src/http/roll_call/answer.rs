//! `POST /v1/releases/{release}/roll-call`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::AnswerRollCall;
use release::value::ReleaseId;

use super::{RollCall, of};
use crate::app::App;
use crate::http::answer::{Answer, View};
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Answer the roll-call
///
/// Go or no-go in a role one holds; one no-go stops. A new candidate or window asks everybody again.
/// Role: the one answered for.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/roll-call",
    operation_id = "answerRollCall",
    tag = "Approvals",
    request_body(content = AnswerRollCall, example = json!({"role": "on_call", "answer": "go"})),
    responses((status = 201, description = "The roll-call", body = RollCall<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, Json<AnswerRollCall>, DryRun>) -> Answer {
    let id = call.path;
    let command = Command::AnswerRollCall(call.body.0);
    record(&app, &call.caller, "answerRollCall", &id, command, StatusCode::CREATED, |state, _, _| {
        View::new(&of(state), format!("/v1/releases/{id}/roll-call"))
    })
    .await
}

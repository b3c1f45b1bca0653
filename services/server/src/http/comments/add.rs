//! `POST /v1/releases/{release}/comments`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::AddComment;
use release::release::Comment;
use release::value::ReleaseId;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Add a comment
///
/// A note on the release or on one item, with mentions. Free text is recorded for ever: put no personal data
/// in it. Role: any that works on releases.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/comments",
    operation_id = "addComment",
    tag = "Comments",
    request_body(content = AddComment, example = json!({"text": "Load test rescheduled to 15:00", "item": "3.6"})),
    responses((status = 201, description = "The comment", body = Comment)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, Json<AddComment>, DryRun>) -> Answer {
    let id = call.path;
    let command = Command::Comment(call.body.0);
    record(&app, &call.caller, "addComment", &id, command, StatusCode::CREATED, |state, _, created| {
        view(&id, state, created.first().copied())
    })
    .await
}

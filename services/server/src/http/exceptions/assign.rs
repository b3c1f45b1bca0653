//! `POST /v1/exceptions/{exception}/assign`

use actix_web::web::Data;
use release::command::AssignException;

use super::{Asked, ExceptionId, record};
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::views::ExceptionRow;

/// Assign an exception
///
/// Somebody takes charge of it, until its due date or another one. Role: `release_manager` or `approver`.
#[utoipa::path(
    post,
    path = "/v1/exceptions/{exception}/assign",
    operation_id = "assignException",
    tag = "Exceptions",
    request_body(content = AssignException, example = json!({
        "to": "https://login.example#emil", "due_at": "2026-11-24T12:00:00Z"
    })),
    responses((status = 200, description = "The exception after it", body = ExceptionRow<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ExceptionId, Json<AssignException>, DryRun>) -> Answer {
    let asked = Asked::Assign(call.body.0.clone());
    record(&app, &call, "assignException", asked).await
}

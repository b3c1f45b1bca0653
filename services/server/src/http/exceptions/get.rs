//! `GET /v1/exceptions/{exception}`

use actix_web::web::Data;

use super::{ExceptionId, read};
use crate::app::App;
use crate::http::accessed::shows;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::views::ExceptionRow;

/// Read an exception
///
/// What went another way, the event that shows it, who takes charge of it until when, and what became of it.
#[utoipa::path(
    get,
    path = "/v1/exceptions/{exception}",
    operation_id = "getException",
    tag = "Exceptions",
    responses((status = 200, description = "The exception", body = ExceptionRow<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ExceptionId, NoBody>) -> Answer {
    let answer = read(&app, &call.caller, &call.path).await?;
    Ok(shows(answer, &call.path.stream))
}

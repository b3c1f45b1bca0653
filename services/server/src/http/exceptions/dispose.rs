//! `POST /v1/exceptions/{exception}/dispose`

use actix_web::web::Data;
use release::command::DisposeException;

use super::{Asked, ExceptionId, record};
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::views::ExceptionRow;

/// Dispose of an exception
///
/// Says what became of it: `accepted`, `remediated` with a link that shows it, or `false_positive`, each with a
/// reason. Nothing is deleted. By an approver who neither caused it nor did anything else on the release than
/// comment; two identities that the directory links are one person. Role: `approver`.
#[utoipa::path(
    post,
    path = "/v1/exceptions/{exception}/dispose",
    operation_id = "disposeException",
    tag = "Exceptions",
    request_body(content = DisposeException, example = json!({
        "disposition": "remediated", "reason": "The tag was put back and is protected now.",
        "link": "https://tickets.example/OPS-7"
    })),
    responses((status = 200, description = "The exception after it", body = ExceptionRow<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ExceptionId, Json<DisposeException>, DryRun>) -> Answer {
    let asked = Asked::Dispose(call.body.0.clone());
    record(&app, &call, "disposeException", asked).await
}

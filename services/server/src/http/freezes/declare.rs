//! `POST /v1/freezes`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::calendar::{CalendarCommand, DeclareFreeze, Freeze};

use super::view;
use crate::app::App;
use crate::http::aggregate::Recording;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::names;

/// Declare a freeze
///
/// From `from`, up to but not including `to`; every product and environment unless one is named. Production is
/// not authorized inside a freeze. Role: `admin`.
#[utoipa::path(
    post,
    path = "/v1/freezes",
    operation_id = "declareFreeze",
    tag = "Calendar",
    request_body(content = DeclareFreeze, example = json!({
        "from": "2026-12-20T00:00:00Z", "to": "2027-01-04T00:00:00Z", "reason": "End of year",
        "environment": "production"
    })),
    responses((status = 201, description = "The freeze", body = Freeze)),
)]
pub async fn handler(app: Data<App>, call: Call<(), Json<DeclareFreeze>, DryRun>) -> Answer {
    let recording = Recording {
        streams: &app.calendars,
        stream: names::calendar(call.caller.tenant()),
        operation: "declareFreeze",
        product: None,
        command: CalendarCommand::Declare(call.body.0),
        around: (),
        status: StatusCode::CREATED,
    };
    recording.answer(&app, &call.caller, |state, created| view(state, created.first().copied())).await
}

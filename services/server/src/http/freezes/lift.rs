//! `POST /v1/freezes/{freeze}/lift`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::calendar::{CalendarCommand, Freeze, LiftFreeze};
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::aggregate::Recording;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::names;

/// Lift a freeze
///
/// Ends it before its time, with a reason. Role: `admin`.
#[utoipa::path(
    post,
    path = "/v1/freezes/{freeze}/lift",
    operation_id = "liftFreeze",
    tag = "Calendar",
    request_body(content = LiftFreeze, example = json!({"reason": "security fix must go out"})),
    responses((status = 200, description = "The freeze, lifted", body = Freeze)),
)]
pub async fn handler(app: Data<App>, call: Call<Uuid, Json<LiftFreeze>, DryRun>) -> Answer {
    let freeze = call.path;
    let recording = Recording {
        streams: &app.calendars,
        stream: names::calendar(call.caller.tenant()),
        operation: "liftFreeze",
        product: None,
        command: CalendarCommand::Lift { freeze, body: call.body.0 },
        around: (),
        status: StatusCode::OK,
    };
    recording.answer(&app, &call.caller, |state, _| view(state, Some(freeze))).await
}

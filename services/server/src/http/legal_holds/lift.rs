//! `POST /v1/legal-holds/{hold}/lift`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::retention::{LegalHold, LiftHold, RetentionCommand};
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::aggregate::Recording;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::names;

/// Lift a legal hold
///
/// With a reason. What it concerned is kept for 30 more days at least. Role: `admin` or `auditor`.
#[utoipa::path(
    post,
    path = "/v1/legal-holds/{hold}/lift",
    operation_id = "liftLegalHold",
    tag = "Retention",
    request_body(content = LiftHold, example = json!({"reason": "Case 4711 is closed."})),
    responses((status = 200, description = "The hold, lifted", body = LegalHold)),
)]
pub async fn handler(app: Data<App>, call: Call<Uuid, Json<LiftHold>, DryRun>) -> Answer {
    let hold = call.path;
    let recording = Recording {
        streams: &app.retentions,
        stream: names::retention(call.caller.tenant()),
        operation: "liftLegalHold",
        product: None,
        command: RetentionCommand::LiftHold { hold, body: call.body.0 },
        around: (),
        status: StatusCode::OK,
    };
    recording.answer(&app, &call.caller, |state, _| view(state, Some(hold))).await
}

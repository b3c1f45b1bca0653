//! `POST /v1/legal-holds`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::retention::{LegalHold, PlaceHold, RetentionCommand};

use super::view;
use crate::app::App;
use crate::http::aggregate::Recording;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::names;

/// Place a legal hold
///
/// On a release, on a product, or on everything: nothing that is attached there is given up before the hold is
/// lifted. The reason is recorded for ever: put no personal data in it. Role: `admin` or `auditor`.
#[utoipa::path(
    post,
    path = "/v1/legal-holds",
    operation_id = "placeLegalHold",
    tag = "Retention",
    request_body(content = PlaceHold, example = json!({"product": "checkout", "reason": "Case 4711"})),
    responses((status = 201, description = "The hold", body = LegalHold)),
)]
pub async fn handler(app: Data<App>, call: Call<(), Json<PlaceHold>, DryRun>) -> Answer {
    let recording = Recording {
        streams: &app.retentions,
        stream: names::retention(call.caller.tenant()),
        operation: "placeLegalHold",
        product: None,
        command: RetentionCommand::PlaceHold(call.body.0),
        around: (),
        status: StatusCode::CREATED,
    };
    recording.answer(&app, &call.caller, |state, created| view(state, created.first().copied())).await
}

//! `POST /v1/retention`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::retention::{RetentionCommand, SetRetention};

use super::{RetentionView, view};
use crate::app::App;
use crate::http::aggregate::Recording;
use crate::http::answer::{Answer, View};
use crate::http::call::{Call, DryRun, Json};
use crate::names;

/// Set a retention period
///
/// For every product, or for one. Never under 12 months. Nothing is given up in the 30 days after a period was set,
/// so that a mistake can be put right. Role: `admin`.
#[utoipa::path(
    post,
    path = "/v1/retention",
    operation_id = "setRetention",
    tag = "Retention",
    request_body(content = SetRetention, example = json!({
        "months": 120, "product": "checkout", "reason": "Card data is near."
    })),
    responses((status = 200, description = "The periods after it", body = RetentionView<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<(), Json<SetRetention>, DryRun>) -> Answer {
    let recording = Recording {
        streams: &app.retentions,
        stream: names::retention(call.caller.tenant()),
        operation: "setRetention",
        product: None,
        command: RetentionCommand::Set(call.body.0),
        around: (),
        status: StatusCode::OK,
    };
    let shown =
        |state: &release::Retention, _: &[uuid::Uuid]| View::new(&view(state), "/v1/retention".to_owned());
    recording.answer(&app, &call.caller, shown).await
}

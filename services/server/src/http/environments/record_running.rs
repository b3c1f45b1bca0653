//! `POST /v1/environments/{product}/{environment}/running`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::environment::{Environment, EnvironmentCommand, RecordRunning};
use release::value::Name;

use super::{around, view};
use crate::app::App;
use crate::http::aggregate::Recording;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::names;

/// Report what runs in an environment
///
/// An observation: it is recorded whatever it says, and 201 answers it. One that tells nothing new is answered 200
/// with what is known: nothing is recorded, nor its `Idempotency-Key`. Without a release it is an orphan, and what
/// replaces something in production an exception.
/// Role: `machine` or `operator`.
#[utoipa::path(
    post,
    path = "/v1/environments/{product}/{environment}/running",
    operation_id = "recordRunning",
    tag = "Environments",
    request_body(content = RecordRunning, example = json!({"version": "2.3.1"})),
    responses(
        (status = 200, description = "Nothing new: the environment as it was", body = Environment),
        (status = 201, description = "The environment after it", body = Environment),
    ),
)]
pub async fn handler(app: Data<App>, call: Call<(Name, Name), Json<RecordRunning>, DryRun>) -> Answer {
    let (product, environment) = &call.path;
    let around = around(&app, &call.caller, product, environment, None).await;
    let recording = Recording {
        streams: &app.environments,
        stream: names::environment(call.caller.tenant(), product, environment),
        operation: "recordRunning",
        product: Some(product.as_str()),
        command: EnvironmentCommand::RecordRunning(call.body.0),
        around: around.map_err(|problem| problem.on(&call.caller))?,
        status: StatusCode::CREATED,
    };
    recording.answer(&app, &call.caller, |state, _| view(product, environment, state)).await
}

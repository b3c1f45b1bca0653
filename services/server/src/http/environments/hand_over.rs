//! `POST /v1/environments/{product}/{environment}/hand-over`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::environment::{Environment, EnvironmentCommand, HandOverEnvironment};
use release::value::Name;

use super::{around, view};
use crate::app::App;
use crate::http::aggregate::Recording;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::names;

/// Hand an environment over
///
/// The lease goes from the release that holds it to another. Role: `release_manager`.
#[utoipa::path(
    post,
    path = "/v1/environments/{product}/{environment}/hand-over",
    operation_id = "handOverEnvironment",
    tag = "Environments",
    request_body(content = HandOverEnvironment, example = json!({
        "to": "checkout-2.4.1", "reason": "the fix goes first"
    })),
    responses((status = 200, description = "The environment after it", body = Environment)),
)]
pub async fn handler(app: Data<App>, call: Call<(Name, Name), Json<HandOverEnvironment>, DryRun>) -> Answer {
    let (product, environment) = &call.path;
    let caller = &call.caller;
    let around = around(&app, caller, product, environment, Some(&call.body.0.to)).await;
    let recording = Recording {
        streams: &app.environments,
        stream: names::environment(caller.tenant(), product, environment),
        operation: "handOverEnvironment",
        product: Some(product.as_str()),
        command: EnvironmentCommand::HandOver(call.body.0),
        around: around.map_err(|problem| problem.on(caller))?,
        status: StatusCode::OK,
    };
    recording.answer(&app, caller, |state, _| view(product, environment, state)).await
}
